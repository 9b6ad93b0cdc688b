//! What lies beside the log and may be erased: a script, a push registration. Sealed bytes belong
//! to the version of their event.

use satpost_domain::Sealed;
use satpost_domain::ids::ScriptHash;
use satpost_domain::push::{ApnsEnvironment, PushRegistration, PushTarget, VerificationCode};
use satpost_domain::script::Script;
use satpost_domain::watchlist::WatchTarget;
use serde::{Deserialize, Serialize};

use super::codes::Coded;
use super::form::{Flaw, from_bytes, to_bytes};

/// A push registration: the number of its kind, which is the order here and never changes, then the
/// fields.
#[derive(Serialize, Deserialize)]
enum Registration {
    WebPush {
        endpoint: String,
        p256dh: Vec<u8>,
        auth: [u8; 16],
        code: [u8; 16],
    },
    Apns {
        token: Vec<u8>,
        topic: String,
        environment: Coded<ApnsEnvironment>,
        code: [u8; 16],
    },
    Fcm {
        token: String,
        code: [u8; 16],
    },
}

pub(super) fn seal_registration(registration: &PushRegistration) -> Vec<u8> {
    let code = *registration.code.as_bytes();
    to_bytes(&match &registration.target {
        PushTarget::WebPush {
            endpoint,
            p256dh,
            auth,
        } => Registration::WebPush {
            endpoint: endpoint.clone(),
            p256dh: p256dh.to_vec(),
            auth: *auth,
            code,
        },
        PushTarget::Apns {
            token,
            topic,
            environment,
        } => Registration::Apns {
            token: token.clone(),
            topic: topic.clone(),
            environment: Coded(*environment),
            code,
        },
        PushTarget::Fcm { token } => Registration::Fcm {
            token: token.clone(),
            code,
        },
    })
}

pub(super) fn open_registration(sealed: Option<&[u8]>) -> Result<Sealed<PushRegistration>, Flaw> {
    let Some(bytes) = sealed else {
        return Ok(Sealed::Erased);
    };
    let (target, code) = match from_bytes(bytes)? {
        Registration::WebPush {
            endpoint,
            p256dh,
            auth,
            code,
        } => {
            let p256dh = <[u8; 65]>::try_from(p256dh.as_slice())
                .map_err(|_| Flaw::new(format!("p256dh has {} bytes, not 65", p256dh.len())))?;
            let target = PushTarget::WebPush {
                endpoint,
                p256dh,
                auth,
            };
            (target, code)
        }
        Registration::Apns {
            token,
            topic,
            environment: Coded(environment),
            code,
        } => {
            let target = PushTarget::Apns {
                token,
                topic,
                environment,
            };
            (target, code)
        }
        Registration::Fcm { token, code } => (PushTarget::Fcm { token }, code),
    };
    Ok(Sealed::Present(PushRegistration {
        target,
        code: VerificationCode::new(code),
    }))
}

/// What stands before a script, and before the hash of one.
const SCRIPT: u8 = 0;
const HASH: u8 = 1;

/// One byte that says what it is, then the bytes of the script or of its hash.
pub(super) fn seal_target(target: &WatchTarget) -> Vec<u8> {
    let (kind, bytes) = match target {
        WatchTarget::Script(script) => (SCRIPT, script.as_bytes()),
        WatchTarget::Hash(hash) => (HASH, hash.as_bytes().as_slice()),
    };
    let mut sealed = Vec::with_capacity(1 + bytes.len());
    sealed.push(kind);
    sealed.extend_from_slice(bytes);
    sealed
}

pub(super) fn open_target(sealed: Option<&[u8]>) -> Result<Sealed<WatchTarget>, Flaw> {
    let Some(sealed) = sealed else {
        return Ok(Sealed::Erased);
    };
    let target = match sealed.split_first() {
        Some((&SCRIPT, script)) => Script::new(script)
            .map_err(|error| Flaw::new(error.to_string()))?
            .into(),
        Some((&HASH, hash)) => <[u8; 32]>::try_from(hash)
            .map(ScriptHash::new)
            .map_err(|_| Flaw::new(format!("a script hash has {} bytes, not 32", hash.len())))?
            .into(),
        Some((kind, _)) => return Err(Flaw::new(format!("nothing watched has kind {kind}"))),
        None => return Err(Flaw::new("what is watched has no bytes")),
    };
    Ok(Sealed::Present(target))
}
