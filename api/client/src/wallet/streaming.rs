//! Receiving live: the stream of the current mailbox over as many connections as it takes, through
//! the same intake as a fetch. Each message is verified and stored before it is acknowledged.

use std::sync::Arc;

use satpost_api_types::live::LiveDelivery;
use satpost_api_types::messages::FetchMessagesResponse;
use satpost_domain::limits::FETCH_MESSAGES_DEFAULT;
use tokio::time::{Duration, sleep};

use super::listening::reconnect_wait;
use super::receiving::ReceiveReport;
use super::{Wallet, WalletError};
use crate::http::{HttpClient, MessageEvent, MessageStream};
use crate::ports::draw;

/// How many deliveries are stored and acknowledged at once; fewer when the line is drained.
const TOGETHER_MAX: usize = FETCH_MESSAGES_DEFAULT;

/// The messages of the wallet's mailbox as they come.
pub struct MessageFeed {
    http: Arc<HttpClient>,
    /// The mailbox of the stream.
    generation: u32,
    stream: Option<MessageStream>,
    /// Told, and not stored yet: what is not acknowledged comes again on another connection only.
    waiting: Vec<LiveDelivery>,
    /// How many connections in a row gave nothing.
    idle_connections: u32,
    superseded: bool,
}

impl Wallet {
    /// Begins to receive live. Nothing is sent yet.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn stream_messages(&self) -> Result<MessageFeed, WalletError> {
        self.registered()?;
        Ok(MessageFeed {
            http: self.http()?,
            generation: self.state.generation,
            stream: None,
            waiting: Vec::new(),
            idle_connections: 0,
            superseded: false,
        })
    }

    /// Waits for messages, then verifies, opens, stores and acknowledges them, connecting again as
    /// often as it takes. Nothing once another installation of this wallet receives live: it would
    /// only be taken over from in turn. Dropping the future loses nothing.
    ///
    /// What is stored is told even when its acknowledgement failed; that is made good later.
    ///
    /// # Errors
    /// [`WalletError`] when the server refuses for good, or its account of the mailbox does not hold.
    pub async fn next_messages(
        &mut self,
        feed: &mut MessageFeed,
    ) -> Result<Option<ReceiveReport>, WalletError> {
        let mut report = ReceiveReport::default();
        loop {
            if feed.generation != self.state.generation {
                feed.turn_to(self.state.generation);
            }
            if feed.superseded && feed.waiting.is_empty() {
                return Ok(None);
            }
            let advanced = self.advance(feed, &mut report).await;
            match advanced {
                Err(error) if is_temporary(&error) => feed.disconnect(),
                Err(error) if report.is_empty() => {
                    feed.disconnect();
                    return Err(error);
                }
                // Told at the next call, which meets the same.
                Err(_) => feed.disconnect(),
                Ok(()) => {}
            }
            if !report.is_empty() {
                return Ok(Some(report));
            }
        }
    }

    /// Connects, or takes the next event.
    async fn advance(
        &mut self,
        feed: &mut MessageFeed,
        report: &mut ReceiveReport,
    ) -> Result<(), WalletError> {
        if feed.superseded {
            return self.take_waiting(feed, report).await;
        }
        let Some(stream) = &mut feed.stream else {
            return self.connect_stream(feed, report).await;
        };
        match stream.next().await? {
            Some(MessageEvent::Delivery(delivery)) => {
                feed.idle_connections = 0;
                feed.waiting.push(*delivery);
                if feed.waiting.len() < TOGETHER_MAX {
                    return Ok(());
                }
            }
            Some(MessageEvent::Empty(_)) => {}
            Some(MessageEvent::Superseded) => {
                feed.stream = None;
                feed.superseded = true;
            }
            None => feed.stream = None,
        }
        self.take_waiting(feed, report).await
    }

    /// Opens another connection after a wait that grows. What an earlier run or connection left to be
    /// acknowledged is acknowledged first: the stream begins after it.
    async fn connect_stream(
        &mut self,
        feed: &mut MessageFeed,
        report: &mut ReceiveReport,
    ) -> Result<(), WalletError> {
        if feed.idle_connections > 0 {
            let dice = u32::from_be_bytes(draw(self.options.http.entropy.as_ref()));
            sleep(reconnect_wait(feed.idle_connections, dice)).await;
        }
        feed.idle_connections = feed.idle_connections.saturating_add(1);
        for generation in self.generations() {
            if generation != feed.generation {
                self.drain(generation, Duration::ZERO, report).await?;
            }
        }
        self.settle(feed.generation, report).await?;
        let secret = self.messaging(feed.generation);
        feed.stream = Some(feed.http.stream_messages(&secret).await?);
        Ok(())
    }

    /// Verifies, stores and acknowledges what was told.
    async fn take_waiting(
        &mut self,
        feed: &mut MessageFeed,
        report: &mut ReceiveReport,
    ) -> Result<(), WalletError> {
        let known = self.stored(feed.generation);
        // Told again because its acknowledgement was on its way.
        let stored = known.map_or(0, |head| head.seq);
        feed.waiting.retain(|told| told.message.seq > stored);
        let Some(last) = feed.waiting.last() else {
            return Ok(());
        };
        let page = FetchMessagesResponse {
            cursor: last.message.seq,
            head: last.head.clone(),
            more: false,
            messages: feed
                .waiting
                .iter()
                .map(|told| told.message.clone())
                .collect(),
            full_since: None,
        };
        let page = self.verified(feed.generation, known, page).await?;
        self.take_in(feed.generation, &page, report)?;
        feed.waiting.clear();
        self.settle(feed.generation, report).await
    }
}

impl MessageFeed {
    /// Lets go of the connection, and of what came over it: the next one tells it again.
    fn disconnect(&mut self) {
        self.stream = None;
        self.waiting.clear();
    }

    /// Goes over to another mailbox of the wallet.
    fn turn_to(&mut self, generation: u32) {
        self.disconnect();
        self.generation = generation;
        self.superseded = false;
        self.idle_connections = 0;
    }
}

fn is_temporary(error: &WalletError) -> bool {
    matches!(error, WalletError::Call(error) if error.is_temporary())
}
