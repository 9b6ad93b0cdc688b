//! Closed sets inside events, stored as one byte with an explicit meaning: the order of variants in
//! a domain enum says nothing about history.

use satpost_domain::chain::{GapKind, ReplacedIn, ReplacedVia};
use satpost_domain::client::PushDeathReason;
use satpost_domain::mailbox::{GoneReason, ParkReason, SizeBucket, StrangerPolicy, TokenUse};
use satpost_domain::push::ApnsEnvironment;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A closed set with a code for each member.
pub(super) trait Code: Sized + Copy {
    /// Its name in the catalogue.
    const NAME: &'static str;
    /// What each code means, for the catalogue.
    const TABLE: &'static [(u8, &'static str)];

    fn code(self) -> u8;
    fn from_code(code: u8) -> Option<Self>;
}

/// A member of a closed set, stored as its code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coded<T>(pub(super) T);

impl<T: Code> Serialize for Coded<T> {
    /// The code in stored bytes; its name where a person reads.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let code = self.0.code();
        if serializer.is_human_readable()
            && let Some((_, name)) = T::TABLE.iter().find(|(known, _)| *known == code)
        {
            return serializer.serialize_str(name);
        }
        serializer.serialize_u8(code)
    }
}

impl<'de, T: Code> Deserialize<'de> for Coded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = u8::deserialize(deserializer)?;
        T::from_code(code)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format_args!("{} has no code {code}", T::NAME)))
    }
}

macro_rules! codes {
    ($type:ident { $($variant:ident = $code:literal),+ $(,)? }) => {
        impl Code for $type {
            const NAME: &'static str = stringify!($type);
            const TABLE: &'static [(u8, &'static str)] = &[$(($code, stringify!($variant))),+];

            fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code),+
                }
            }

            fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

codes!(PushDeathReason { Gone = 0, Refused = 1, Forbidden = 2 });
codes!(ApnsEnvironment { Production = 0, Sandbox = 1 });
codes!(ParkReason { Decrypt = 0, Format = 1, Other = 2 });
codes!(GoneReason { Expired = 0, Wiped = 1 });
codes!(StrangerPolicy { Refuse = 0, Knock = 1, Open = 2 });
codes!(TokenUse { Lasting = 0, Once = 1 });
codes!(ReplacedIn { Mempool = 0, Block = 1 });
codes!(ReplacedVia { Direct = 0, Ancestor = 1 });
codes!(GapKind {
    Start = 0,
    Counter = 1,
    Disconnected = 2,
    NodeRestart = 3,
    Heartbeat = 4,
    Books = 5,
    Overflow = 6,
    Audit = 7,
    Polling = 8,
});

/// The index of the bucket. A bucket may be added behind the last one, never moved.
impl Code for SizeBucket {
    const NAME: &'static str = "SizeBucket";
    const TABLE: &'static [(u8, &'static str)] =
        &[(0, "512 B"), (1, "2 KiB"), (2, "8 KiB"), (3, "16 KiB")];

    fn code(self) -> u8 {
        self.index()
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::from_index(code)
    }
}

/// Every set, for the catalogue.
pub(super) const ALL: [(&str, &[(u8, &str)]); 9] = [
    (SizeBucket::NAME, SizeBucket::TABLE),
    (ParkReason::NAME, ParkReason::TABLE),
    (GoneReason::NAME, GoneReason::TABLE),
    (StrangerPolicy::NAME, StrangerPolicy::TABLE),
    (TokenUse::NAME, TokenUse::TABLE),
    (PushDeathReason::NAME, PushDeathReason::TABLE),
    (ReplacedIn::NAME, ReplacedIn::TABLE),
    (ReplacedVia::NAME, ReplacedVia::TABLE),
    (GapKind::NAME, GapKind::TABLE),
];
