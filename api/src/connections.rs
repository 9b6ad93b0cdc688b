//! How many connections are open, in all and of each peer, and which of them only wait. A connection
//! too many is told so, as long as there are few of them; beyond that it is closed before anything
//! of it is read. Peers are in memory only, never in a log or a metric.
//!
//! The web framework bounds the time of the first head of a connection only: the head of a later
//! request that begins and never ends would keep the connection for ever. So a connection on which
//! no request has begun for longer than it may be kept is closed from here.

use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use rustix::net::{Shutdown, shutdown};
use satpost_domain::limits::CONNECTIONS_REFUSED_POLITELY_MAX;
use tokio::time::Instant;

use crate::config::ConnectionLimits;
use crate::metrics::HttpMetrics;
use crate::problem::{ApiError, LimitName};
use crate::rate_limit::network_of;

/// Every connection of the public listener.
pub(crate) struct Connections {
    limits: ConnectionLimits,
    metrics: HttpMetrics,
    started: Instant,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// Those that may ask, by a number of their own.
    lines: HashMap<u64, Arc<Line>>,
    next_number: u64,
    of_peer: HashMap<IpAddr, usize>,
    /// How many are open to be told that they are too many.
    refused: usize,
}

/// A connection that may ask.
struct Line {
    /// Another handle of its socket, to end it from outside.
    socket: OwnedFd,
    /// How many of its requests are being answered.
    requests: AtomicU32,
    /// Since when none is, in milliseconds from the start of the server.
    quiet_since_ms: AtomicU64,
}

/// What the server keeps of a connection. It counts until this is dropped.
pub(crate) struct Ticket {
    connections: Arc<Connections>,
    peer: IpAddr,
    standing: Standing,
}

enum Standing {
    Taken { number: u64, line: Arc<Line> },
    Refused(LimitName),
}

/// Held while a request is answered, to the last byte of the answer.
pub(crate) struct Busy {
    connections: Arc<Connections>,
    line: Arc<Line>,
}

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits, metrics: HttpMetrics) -> Self {
        Self {
            limits,
            metrics,
            started: Instant::now(),
            open: Mutex::new(Open::default()),
        }
    }

    /// Counts a connection of `peer`; nothing when not even a refusal can be told.
    fn enter(self: &Arc<Self>, peer: IpAddr, socket: OwnedFd) -> Option<Ticket> {
        let peer = network_of(peer);
        let mut open = self.open();
        let standing = match self.limit_passed(&open, peer) {
            Some(limit) => {
                self.metrics.connection_refused(limit.as_str());
                if open.refused >= CONNECTIONS_REFUSED_POLITELY_MAX {
                    return None;
                }
                open.refused += 1;
                Standing::Refused(limit)
            }
            None => {
                let number = open.next_number;
                open.next_number += 1;
                let line = Arc::new(Line {
                    socket,
                    requests: AtomicU32::new(0),
                    quiet_since_ms: AtomicU64::new(self.now_ms()),
                });
                open.lines.insert(number, Arc::clone(&line));
                *open.of_peer.entry(peer).or_default() += 1;
                self.metrics.connection_opened();
                Standing::Taken { number, line }
            }
        };
        drop(open);
        Some(Ticket {
            connections: Arc::clone(self),
            peer,
            standing,
        })
    }

    fn limit_passed(&self, open: &Open, peer: IpAddr) -> Option<LimitName> {
        let of_peer = open.of_peer.get(&peer).copied().unwrap_or_default();
        if self.limits.per_peer_max.is_some_and(|max| of_peer >= max) {
            return Some(LimitName::ConnectionsPerPeer);
        }
        let is_full = open.lines.len() >= self.limits.total_max;
        is_full.then_some(LimitName::Connections)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().expect("counting does not panic")
    }

    fn limit(&self, name: LimitName) -> usize {
        match (name, self.limits.per_peer_max) {
            (LimitName::ConnectionsPerPeer, Some(max)) => max,
            _ => self.limits.total_max,
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Ends the connections on which no request has begun for `quiet_max`. The framework would have
    /// closed an idle one before, so a part of a head is all that came.
    pub(crate) fn close_stalled(&self, quiet_max: Duration) {
        let quiet_max_ms = u64::try_from(quiet_max.as_millis()).unwrap_or(u64::MAX);
        let now_ms = self.now_ms();
        for line in self.open().lines.values() {
            let since_ms = line.quiet_since_ms.load(Ordering::Acquire);
            let is_quiet = line.requests.load(Ordering::Acquire) == 0;
            if is_quiet && now_ms.saturating_sub(since_ms) > quiet_max_ms {
                end(&line.socket);
            }
        }
    }
}

impl Ticket {
    /// Refuses a request on a connection too many, or counts it.
    pub(crate) fn begin(&self) -> Result<Busy, ApiError> {
        match &self.standing {
            Standing::Taken { line, .. } => {
                line.requests.fetch_add(1, Ordering::AcqRel);
                Ok(Busy {
                    connections: Arc::clone(&self.connections),
                    line: Arc::clone(line),
                })
            }
            Standing::Refused(name) => {
                let max = self.connections.limit(*name);
                Err(ApiError::too_many_connections(*name, max))
            }
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let now_ms = self.connections.now_ms();
        self.line.quiet_since_ms.store(now_ms, Ordering::Release);
        self.line.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        let Standing::Taken { number, .. } = &self.standing else {
            open.refused -= 1;
            return;
        };
        open.lines.remove(number);
        if let Some(count) = open.of_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.of_peer.remove(&self.peer);
            }
        }
        self.connections.metrics.connection_closed();
    }
}

/// Takes a new connection in, or closes it.
pub(crate) fn take_in(connections: &Arc<Connections>, connection: &dyn Any, kept: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else {
        return;
    };
    // A peer that has gone already is counted as nobody's.
    let peer = stream.peer_addr().map(|address| address.ip());
    let peer = peer.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let ticket = match rustix::io::dup(stream) {
        Ok(socket) => connections.enter(peer, socket),
        Err(error) => {
            let error = io::Error::from(error);
            tracing::warn!(%error, "a connection cannot be watched and is closed; raise the limit of open files");
            None
        }
    };
    match ticket {
        Some(ticket) => {
            kept.insert(ticket);
        }
        None => end(stream),
    }
}

/// Ends a connection at once, whatever its peer does.
fn end(socket: impl std::os::fd::AsFd) {
    if let Err(error) = shutdown(socket, Shutdown::Both) {
        let error = io::Error::from(error);
        tracing::debug!(%error, "a connection was gone before it was ended");
    }
}

#[cfg(test)]
mod tests;
