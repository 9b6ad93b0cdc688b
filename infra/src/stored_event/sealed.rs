//! What lies beside the log and may be erased: a script, a push registration. Sealed bytes belong
//! to the version of their event.

use satpost_domain::Sealed;
use satpost_domain::push::{ApnsEnvironment, PushRegistration, PushTarget, VerificationCode};
use satpost_domain::script::Script;
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
