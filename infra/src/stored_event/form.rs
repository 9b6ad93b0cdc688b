//! What a stored form is: a struct whose fields, in their order, are the bytes of an event.

use satpost_domain::Event;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Encoded;

/// What is wrong with stored bytes, before it is known to whom they belong.
#[derive(Debug)]
pub(super) struct Flaw {
    /// For the operator.
    pub(super) reason: String,
}

impl Flaw {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

impl From<postcard::Error> for Flaw {
    fn from(error: postcard::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// What lies in the payload store for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nothing.
    Nothing,
    /// A part of the event, described here; the event decodes with it or without it.
    Sealed(&'static str),
    /// Something the event only names, described here.
    Payload(&'static str),
}

/// One event at one version. Declared with [`stored_form`].
pub(super) trait Declared: Serialize + DeserializeOwned + 'static {
    /// The name of the event.
    const KIND: &'static str;
    /// The version of this form.
    const SCHEMA: u16;
    /// What it means that this happened.
    const MEANING: &'static str;
    /// Name and type of each field, in the order of the bytes.
    const FIELDS: &'static [(&'static str, &'static str)];
}

/// How a form becomes the event of today.
pub(super) trait Form: Declared {
    /// What lies in the payload store for it.
    const BESIDE: Beside = Beside::Nothing;

    /// The event; for a form that is not the newest, this is its upcast.
    fn into_event(self, sealed: Option<&[u8]>) -> Result<Event, Flaw>;
}

/// Reads the body and, when it is there, the sealed part of one form.
type Decode = fn(&[u8], Option<&[u8]>) -> Result<Event, Flaw>;

/// A form in the table of all forms.
pub(super) struct Registered {
    pub(super) kind: &'static str,
    pub(super) schema: u16,
    pub(super) meaning: &'static str,
    pub(super) fields: &'static [(&'static str, &'static str)],
    pub(super) beside: Beside,
    pub(super) decode: Decode,
    pub(super) to_json: fn(&[u8]) -> Result<serde_json::Value, Flaw>,
}

impl Registered {
    /// The entry of the form `F`.
    pub(super) const fn of<F: Form>() -> Self {
        Self {
            kind: F::KIND,
            schema: F::SCHEMA,
            meaning: F::MEANING,
            fields: F::FIELDS,
            beside: F::BESIDE,
            decode: |body, sealed| from_bytes::<F>(body)?.into_event(sealed),
            to_json: |body| {
                serde_json::to_value(from_bytes::<F>(body)?)
                    .map_err(|error| Flaw::new(error.to_string()))
            },
        }
    }
}

/// The stored form of an event without a sealed part.
pub(super) fn encoded<F: Form>(form: &F) -> Encoded {
    Encoded {
        kind: F::KIND,
        schema: F::SCHEMA,
        body: to_bytes(form),
        sealed: None,
    }
}

/// The bytes of a form.
pub(super) fn to_bytes<T: Serialize>(form: &T) -> Vec<u8> {
    postcard::to_stdvec(form).expect("forms hold only values of known length, written to memory")
}

/// The form behind all of `bytes`. Bytes left over would be bytes nobody has understood.
pub(super) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Flaw> {
    let (form, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() {
        Ok(form)
    } else {
        Err(Flaw::new(format!("{} bytes are left over", rest.len())))
    }
}

/// Declares the form of one event at one version: `Name = "Kind", version { fields }`. The doc
/// comment becomes its line in the catalogue, the fields in their order become its bytes.
macro_rules! stored_form {
    (
        $(#[doc = $doc:literal])+
        $name:ident = $kind:literal, $schema:literal { $($field:ident: $type:ty),+ $(,)? }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, serde::Serialize, serde::Deserialize)]
        struct $name { $($field: $type),+ }

        impl crate::stored_event::form::Declared for $name {
            const KIND: &'static str = $kind;
            const SCHEMA: u16 = $schema;
            const MEANING: &'static str = concat!($($doc),+);
            const FIELDS: &'static [(&'static str, &'static str)] =
                &[$((stringify!($field), stringify!($type))),+];
        }
    };
}
pub(super) use stored_form;
