//! The stored forms of the events of a watch list.

use satpost_domain::chain::DepthSet;
use satpost_domain::watchlist::{Birthday, WatchOptions, WatchlistEvent};
use satpost_domain::{Event, Timestamp, WatchId};

use super::Encoded;
use super::form::{Beside, Flaw, Form, Registered, encoded, stored_form};
use super::sealed::{open_target, seal_target};

pub(super) const FORMS: &[Registered] = &[
    Registered::of::<AddressWatched>(),
    Registered::of::<WatchOptionsChanged>(),
    Registered::of::<AddressUnwatched>(),
];

stored_form!(
    /// A script is watched. Of the two birthdays at most one is there.
    AddressWatched = "AddressWatched", 1 {
        id: WatchId,
        depths: Vec<u32>,
        birthday_height: Option<u32>,
        birthday_at: Option<Timestamp>,
        at: Timestamp,
    }
);
stored_form!(
    /// The client wants to hear something else of a script. Of the two birthdays at most one is there.
    WatchOptionsChanged = "WatchOptionsChanged", 1 {
        id: WatchId,
        depths: Vec<u32>,
        birthday_height: Option<u32>,
        birthday_at: Option<Timestamp>,
        at: Timestamp,
    }
);
stored_form!(
    /// A script is no longer watched.
    AddressUnwatched = "AddressUnwatched", 1 { id: WatchId, at: Timestamp }
);

pub(super) fn encode(event: &WatchlistEvent) -> Encoded {
    match *event {
        WatchlistEvent::AddressWatched {
            id,
            ref target,
            options,
            at,
        } => {
            let (birthday_height, birthday_at) = store_birthday(options.birthday);
            let form = AddressWatched {
                id,
                depths: options.depths.iter().collect(),
                birthday_height,
                birthday_at,
                at,
            };
            let target = target.as_option();
            Encoded {
                sealed: target.map(|target| (id.into(), seal_target(target))),
                ..encoded(&form)
            }
        }
        WatchlistEvent::WatchOptionsChanged { id, options, at } => {
            let (birthday_height, birthday_at) = store_birthday(options.birthday);
            encoded(&WatchOptionsChanged {
                id,
                depths: options.depths.iter().collect(),
                birthday_height,
                birthday_at,
                at,
            })
        }
        WatchlistEvent::AddressUnwatched { id, at } => encoded(&AddressUnwatched { id, at }),
    }
}

const fn store_birthday(birthday: Option<Birthday>) -> (Option<u32>, Option<Timestamp>) {
    match birthday {
        Some(Birthday::Height(height)) => (Some(height), None),
        Some(Birthday::Time(at)) => (None, Some(at)),
        None => (None, None),
    }
}

fn load_options(
    depths: Vec<u32>,
    birthday_height: Option<u32>,
    birthday_at: Option<Timestamp>,
) -> Result<WatchOptions, Flaw> {
    let birthday = match (birthday_height, birthday_at) {
        (None, None) => None,
        (Some(height), None) => Some(Birthday::Height(height)),
        (None, Some(at)) => Some(Birthday::Time(at)),
        (Some(_), Some(_)) => return Err(Flaw::new("a watch has two birthdays")),
    };
    let depths = DepthSet::new(depths).map_err(|error| Flaw::new(error.to_string()))?;
    Ok(WatchOptions { depths, birthday })
}

impl Form for AddressWatched {
    const BESIDE: Beside = Beside::Sealed("the script or its hash");

    fn into_event(self, sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let options = load_options(self.depths, self.birthday_height, self.birthday_at)?;
        let target = open_target(sealed)?;
        let Self { id, at, .. } = self;
        let event = WatchlistEvent::AddressWatched {
            id,
            target,
            options,
            at,
        };
        Ok(event.into())
    }
}

impl Form for WatchOptionsChanged {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let options = load_options(self.depths, self.birthday_height, self.birthday_at)?;
        let Self { id, at, .. } = self;
        Ok(WatchlistEvent::WatchOptionsChanged { id, options, at }.into())
    }
}

impl Form for AddressUnwatched {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { id, at } = self;
        Ok(WatchlistEvent::AddressUnwatched { id, at }.into())
    }
}
