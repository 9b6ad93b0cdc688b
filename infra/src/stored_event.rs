//! The postcard form of every event: an explicit type name and version for each, mirrored here
//! because a stored event is a promise while a domain type may change shape.
//!
//! One version number covers the body of an event and its sealed part. To change a form: leave the
//! old struct and its golden file as they are, declare the new one under the next version, register
//! both in the same table, and let the old one's `into_event` fill in what it does not know. That
//! function is the upcast; nothing else ever sees an old form.
//!
//! - `form`: what a stored form is, and how it is declared; `codes`, `parts`: what forms are
//!   made of; `sealed`: what lies beside the log; `metadata`: where an event came from.
//! - `client`, `mailbox`, `watchlist`, `chain`: the forms, one file per aggregate.
//! - `catalogue`: the registry, rendered as `docs/events.md`.

mod catalogue;
mod chain;
mod client;
mod codes;
mod form;
mod history;
mod mailbox;
mod metadata;
mod parts;
mod sealed;
#[cfg(test)]
mod tests;
mod watchlist;

use satpost_domain::{Event, PayloadId};

pub use catalogue::catalogue;
pub use metadata::{decode_metadata, encode_metadata};

use form::{Beside, Flaw, Registered};

/// An event in the form in which it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The name of its type, for ever.
    pub kind: &'static str,
    /// The version of its form, from 1.
    pub schema: u16,
    /// What happened.
    pub body: Vec<u8>,
    /// The part that may be forgotten, and the id of the payload it becomes.
    pub sealed: Option<(PayloadId, Vec<u8>)>,
}

/// Shows sizes only: the sealed part is personal.
impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoded")
            .field("kind", &self.kind)
            .field("schema", &self.schema)
            .field("body_bytes", &self.body.len())
            .field(
                "sealed",
                &self.sealed.as_ref().map(|(id, bytes)| (id, bytes.len())),
            )
            .finish()
    }
}

/// Why stored bytes are no event that this server knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No event has this name.
    #[error("no event is called {kind:?}; a newer server may have written it")]
    UnknownKind {
        /// The name.
        kind: String,
    },
    /// The event is known, this version of it is not.
    #[error("{kind} has schema {schema}, this server knows up to {newest}")]
    UnknownSchema {
        /// The name of the event.
        kind: &'static str,
        /// The version that was found.
        schema: u16,
        /// The newest version that this server knows.
        newest: u16,
    },
    /// The bytes are not what this version of the event looks like.
    #[error("{kind} with schema {schema} does not decode: {reason}")]
    Malformed {
        /// The name of the event.
        kind: &'static str,
        /// Its version.
        schema: u16,
        /// What is wrong.
        reason: String,
    },
    /// The bytes around the event are not metadata.
    #[error("the metadata of an event does not decode: {reason}")]
    MalformedMetadata {
        /// What is wrong.
        reason: String,
    },
}

/// The category of a stream and the forms of its events, in the order of the catalogue.
const REGISTRY: [(&str, &[Registered]); 4] = [
    ("client", client::FORMS),
    ("mailbox", mailbox::FORMS),
    ("watchlist", watchlist::FORMS),
    ("chain", chain::FORMS),
];

fn registered() -> impl Iterator<Item = &'static Registered> {
    REGISTRY.into_iter().flat_map(|(_, forms)| forms)
}

/// The stored form of an event, always in the newest version of its kind.
#[must_use]
pub fn encode(event: &Event) -> Encoded {
    match event {
        Event::Client(event) => client::encode(event),
        Event::Mailbox(event) => mailbox::encode(event),
        Event::Watchlist(event) => watchlist::encode(event),
        Event::Chain(event) => chain::encode(event),
    }
}

/// The event behind a stored form of any version. `sealed` is the sealed part of a kind that has
/// one (see [`has_sealed_part`]), or nothing when it was erased; for all other kinds it is ignored.
///
/// # Errors
/// [`DecodeError`]; foreign bytes never panic.
pub fn decode(
    kind: &str,
    schema: u16,
    body: &[u8],
    sealed: Option<&[u8]>,
) -> Result<Event, DecodeError> {
    let Some(form) = find(kind, schema) else {
        return Err(unknown(kind, schema));
    };
    (form.decode)(body, sealed).map_err(|flaw| malformed(form, flaw))
}

/// The body of a stored event for people and their tools: the fields of its stored form, ids in
/// hexadecimal, closed sets by name. Payloads are not part of it.
///
/// # Errors
/// [`DecodeError`] when this server does not know the form, or the bytes are not of that form.
pub fn to_json(kind: &str, schema: u16, body: &[u8]) -> Result<serde_json::Value, DecodeError> {
    let form = find(kind, schema).ok_or_else(|| unknown(kind, schema))?;
    (form.to_json)(body).map_err(|flaw| malformed(form, flaw))
}

fn malformed(form: &Registered, flaw: Flaw) -> DecodeError {
    DecodeError::Malformed {
        kind: form.kind,
        schema: form.schema,
        reason: flaw.reason,
    }
}

/// True when the payload of an event of this kind and version is a part of the event, to be given
/// to [`decode`]. The body of a message is a payload too, but no part of its event.
#[must_use]
pub fn has_sealed_part(kind: &str, schema: u16) -> bool {
    find(kind, schema).is_some_and(|form| matches!(form.beside, Beside::Sealed(_)))
}

fn find(kind: &str, schema: u16) -> Option<&'static Registered> {
    registered().find(|form| form.schema == schema && form.kind == kind)
}

fn unknown(kind: &str, schema: u16) -> DecodeError {
    match registered()
        .filter(|form| form.kind == kind)
        .max_by_key(|form| form.schema)
    {
        Some(form) => DecodeError::UnknownSchema {
            kind: form.kind,
            schema,
            newest: form.schema,
        },
        None => DecodeError::UnknownKind {
            kind: kind.to_owned(),
        },
    }
}
