//! How many event streams are open, and whose.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use satpost_domain::ClientId;
use satpost_domain::limits::EVENT_STREAMS_PER_CLIENT_MAX;

use crate::problem::ApiError;

/// The streams that are open. Clients without one take no memory.
#[derive(Debug)]
pub(crate) struct EventStreams {
    max: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_client: HashMap<ClientId, usize>,
}

impl EventStreams {
    /// Room for `max` streams.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            open: Mutex::default(),
        }
    }

    /// Takes room for one stream of `client`, until the place is dropped.
    ///
    /// # Errors
    /// `too-many-streams` when the client has enough of them, `unavailable` when the server has.
    pub(crate) fn enter(self: &Arc<Self>, client: ClientId) -> Result<Place, ApiError> {
        let mut open = self.lock();
        if open.all >= self.max {
            return Err(ApiError::overloaded("too many event streams are open"));
        }
        let own = open.by_client.entry(client).or_default();
        if *own >= EVENT_STREAMS_PER_CLIENT_MAX {
            return Err(ApiError::too_many_streams());
        }
        *own += 1;
        open.all += 1;
        Ok(Place {
            streams: Arc::clone(self),
            client,
        })
    }

    /// Nothing panics while this is held, so a poisoned lock still guards whole counts.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for one stream.
#[derive(Debug)]
pub(crate) struct Place {
    streams: Arc<EventStreams>,
    client: ClientId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        open.all = open.all.saturating_sub(1);
        if let Some(own) = open.by_client.get_mut(&self.client) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                open.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use satpost_api_types::problem::ProblemCode;

    use super::*;

    fn client(byte: u8) -> ClientId {
        ClientId::from_stored([byte; 32])
    }

    #[test]
    fn has_room_for_so_many_of_one_client_and_gives_room_back() {
        let streams = Arc::new(EventStreams::new(100));
        let mut places: Vec<_> = (0..EVENT_STREAMS_PER_CLIENT_MAX)
            .map(|_| streams.enter(client(1)).unwrap())
            .collect();
        let refusal = streams.enter(client(1)).unwrap_err();
        assert_eq!(refusal.code, ProblemCode::TooManyStreams);
        assert!(refusal.retry_after.is_some());
        places.push(streams.enter(client(2)).unwrap());
        places.remove(0);
        places.push(streams.enter(client(1)).unwrap());
        drop(places);
        assert_eq!(streams.lock().all, 0);
        assert!(streams.lock().by_client.is_empty());
    }

    #[test]
    fn has_room_for_so_many_of_all_clients() {
        let streams = Arc::new(EventStreams::new(2));
        let _places = [1, 2].map(|byte| streams.enter(client(byte)).unwrap());
        let refusal = streams.enter(client(3)).unwrap_err();
        assert_eq!(refusal.code, ProblemCode::Unavailable);
        assert!(refusal.retry_after.is_some());
        assert_eq!(streams.lock().by_client.len(), 2, "no trace of the third");
    }
}
