//! What lies beside the log and may be erased: a script, a push registration. Sealed bytes belong
//! to the version of their event.

use satpost_domain::Sealed;
use satpost_domain::ids::ScriptHash;
use satpost_domain::push::{PushRegistration, PushTarget, VerificationCode};
use satpost_domain::script::Script;
use satpost_domain::watchlist::WatchTarget;
use serde::{Deserialize, Serialize};

use super::form::{Flaw, from_bytes, to_bytes};

/// The kind of target that [`Registration`] describes; another kind gets another number and struct.
const WEB_PUSH: u8 = 0;

/// A Web Push registration: kind 0, then these fields.
#[derive(Serialize, Deserialize)]
struct Registration {
    kind: u8,
    endpoint: String,
    p256dh: Vec<u8>,
    auth: [u8; 16],
    code: [u8; 16],
}

pub(super) fn seal_registration(registration: &PushRegistration) -> Vec<u8> {
    let PushTarget::WebPush {
        endpoint,
        p256dh,
        auth,
    } = &registration.target;
    to_bytes(&Registration {
        kind: WEB_PUSH,
        endpoint: endpoint.clone(),
        p256dh: p256dh.to_vec(),
        auth: *auth,
        code: *registration.code.as_bytes(),
    })
}

pub(super) fn open_registration(sealed: Option<&[u8]>) -> Result<Sealed<PushRegistration>, Flaw> {
    let Some(bytes) = sealed else {
        return Ok(Sealed::Erased);
    };
    let stored: Registration = from_bytes(bytes)?;
    if stored.kind != WEB_PUSH {
        return Err(Flaw::new(format!(
            "no push target has kind {}",
            stored.kind
        )));
    }
    let p256dh = <[u8; 65]>::try_from(stored.p256dh.as_slice())
        .map_err(|_| Flaw::new(format!("p256dh has {} bytes, not 65", stored.p256dh.len())))?;
    Ok(Sealed::Present(PushRegistration {
        target: PushTarget::WebPush {
            endpoint: stored.endpoint,
            p256dh,
            auth: stored.auth,
        },
        code: VerificationCode::new(stored.code),
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
