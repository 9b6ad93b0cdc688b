//! What lies beside the log and may be erased: a script, a push registration. Sealed bytes belong
//! to the version of their event.

use satpost_domain::Sealed;
use satpost_domain::push::{PushRegistration, PushTarget, VerificationCode};
use satpost_domain::script::Script;
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

/// A script is stored as it is.
pub(super) fn seal_script(script: &Script) -> Vec<u8> {
    script.as_bytes().to_vec()
}

pub(super) fn open_script(sealed: Option<&[u8]>) -> Result<Sealed<Script>, Flaw> {
    let Some(bytes) = sealed else {
        return Ok(Sealed::Erased);
    };
    Script::new(bytes)
        .map(Sealed::Present)
        .map_err(|error| Flaw::new(error.to_string()))
}
