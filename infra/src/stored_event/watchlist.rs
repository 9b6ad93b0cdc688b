//! The stored forms of the events of a watch list.

use satpost_domain::watchlist::WatchlistEvent;
use satpost_domain::{Event, Timestamp, WatchId};

use super::Encoded;
use super::form::{Beside, Flaw, Form, Registered, encoded, stored_form};
use super::sealed::{open_script, seal_script};

pub(super) const FORMS: &[Registered] = &[
    Registered::of::<AddressWatched>(),
    Registered::of::<AddressUnwatched>(),
];

stored_form!(
    /// A script is watched.
    AddressWatched = "AddressWatched", 1 { id: WatchId, at: Timestamp }
);
stored_form!(
    /// A script is no longer watched.
    AddressUnwatched = "AddressUnwatched", 1 { id: WatchId, at: Timestamp }
);

pub(super) fn encode(event: &WatchlistEvent) -> Encoded {
    match *event {
        WatchlistEvent::AddressWatched { id, ref script, at } => Encoded {
            sealed: script
                .as_option()
                .map(|script| (id.into(), seal_script(script))),
            ..encoded(&AddressWatched { id, at })
        },
        WatchlistEvent::AddressUnwatched { id, at } => encoded(&AddressUnwatched { id, at }),
    }
}

impl Form for AddressWatched {
    const BESIDE: Beside = Beside::Sealed("the script");

    fn into_event(self, sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { id, at } = self;
        let script = open_script(sealed)?;
        Ok(WatchlistEvent::AddressWatched { id, script, at }.into())
    }
}

impl Form for AddressUnwatched {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { id, at } = self;
        Ok(WatchlistEvent::AddressUnwatched { id, at }.into())
    }
}
