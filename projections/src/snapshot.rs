//! What the snapshots of all projections have in common: postcard bytes, and mirrors of domain
//! values that carry no serde.
//!
//! A projection sorts what it keeps in hash maps before it is encoded, so that equal states give
//! equal bytes. The form may change freely: a raised `VERSION` drops old snapshots.

use satpost_domain::push::{ApnsEnvironment, PushRegistration, PushTarget, VerificationCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::projection::SnapshotError;

pub(crate) fn to_bytes<T: Serialize>(state: &T) -> Vec<u8> {
    postcard::to_stdvec(state).expect("states hold only values of known length, in memory")
}

pub(crate) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, SnapshotError> {
    let (state, rest) = postcard::take_from_bytes(bytes).map_err(|error| SnapshotError {
        reason: error.to_string(),
    })?;
    if rest.is_empty() {
        Ok(state)
    } else {
        Err(SnapshotError {
            reason: format!("{} bytes are left over", rest.len()),
        })
    }
}

/// The tree of a snapshot whose form is `T`.
pub(crate) fn to_tree<T: DeserializeOwned + Serialize>(
    bytes: &[u8],
) -> Result<serde_json::Value, SnapshotError> {
    serde_json::to_value(from_bytes::<T>(bytes)?).map_err(|error| SnapshotError {
        reason: error.to_string(),
    })
}

/// The entries of a hash map by ascending key.
pub(crate) fn sorted<K: Ord, V, S>(map: &std::collections::HashMap<K, V, S>) -> Vec<(&K, &V)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|&(key, _)| key);
    entries
}

/// A push registration in a snapshot.
#[derive(Serialize, Deserialize)]
pub(crate) enum StoredRegistration {
    WebPush {
        endpoint: String,
        p256dh: Vec<u8>,
        auth: [u8; 16],
        code: [u8; 16],
    },
    Apns {
        token: Vec<u8>,
        topic: String,
        sandbox: bool,
        code: [u8; 16],
    },
    Fcm {
        token: String,
        code: [u8; 16],
    },
}

impl From<&PushRegistration> for StoredRegistration {
    fn from(registration: &PushRegistration) -> Self {
        let code = *registration.code.as_bytes();
        match &registration.target {
            PushTarget::WebPush {
                endpoint,
                p256dh,
                auth,
            } => Self::WebPush {
                endpoint: endpoint.clone(),
                p256dh: p256dh.to_vec(),
                auth: *auth,
                code,
            },
            PushTarget::Apns {
                token,
                topic,
                environment,
            } => Self::Apns {
                token: token.clone(),
                topic: topic.clone(),
                sandbox: *environment == ApnsEnvironment::Sandbox,
                code,
            },
            PushTarget::Fcm { token } => Self::Fcm {
                token: token.clone(),
                code,
            },
        }
    }
}

impl TryFrom<StoredRegistration> for PushRegistration {
    type Error = SnapshotError;

    fn try_from(stored: StoredRegistration) -> Result<Self, SnapshotError> {
        let (target, code) = match stored {
            StoredRegistration::WebPush {
                endpoint,
                p256dh,
                auth,
                code,
            } => {
                let p256dh = p256dh.try_into().map_err(|_| SnapshotError {
                    reason: "a push key does not have 65 bytes".to_owned(),
                })?;
                let target = PushTarget::WebPush {
                    endpoint,
                    p256dh,
                    auth,
                };
                (target, code)
            }
            StoredRegistration::Apns {
                token,
                topic,
                sandbox,
                code,
            } => {
                let target = PushTarget::Apns {
                    token,
                    topic,
                    environment: if sandbox {
                        ApnsEnvironment::Sandbox
                    } else {
                        ApnsEnvironment::Production
                    },
                };
                (target, code)
            }
            StoredRegistration::Fcm { token, code } => (PushTarget::Fcm { token }, code),
        };
        Ok(Self {
            target,
            code: VerificationCode::new(code),
        })
    }
}
