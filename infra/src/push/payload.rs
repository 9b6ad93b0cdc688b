//! What the phone reads of a push: for Web Push after it has decrypted it, for Apple and Google as a
//! field of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use satpost_api_types::push::{
    PUSH_FIELD, PUSH_KIND_VERIFICATION, PUSH_KIND_WAKE, PUSH_PLAINTEXT_BYTES,
};
use satpost_commands::ports::PushPayload;

/// The plaintext of a push: the kind in the first byte, a code behind it if there is one, zeros.
#[must_use]
pub fn plaintext(payload: &PushPayload) -> [u8; PUSH_PLAINTEXT_BYTES] {
    let mut bytes = [0; PUSH_PLAINTEXT_BYTES];
    match payload {
        PushPayload::Wake => bytes[0] = PUSH_KIND_WAKE,
        PushPayload::Verification(code) => {
            bytes[0] = PUSH_KIND_VERIFICATION;
            bytes[1..17].copy_from_slice(code.as_bytes());
        }
    }
    bytes
}

/// The plaintext as a member of a JSON object: a name and a string, neither of which needs escapes.
pub(super) fn field(payload: &PushPayload) -> String {
    let content = URL_SAFE_NO_PAD.encode(plaintext(payload));
    format!(r#""{PUSH_FIELD}":"{content}""#)
}

#[cfg(test)]
mod tests {
    use satpost_domain::push::VerificationCode;

    use super::*;

    #[test]
    fn a_wake_is_its_kind_and_zeros() {
        let bytes = plaintext(&PushPayload::Wake);
        assert_eq!((bytes[0], &bytes[1..]), (PUSH_KIND_WAKE, &[0; 31][..]));
    }

    #[test]
    fn a_verification_carries_its_code_behind_the_kind() {
        let code = PushPayload::Verification(VerificationCode::new([0xab; 16]));
        let bytes = plaintext(&code);
        assert_eq!(bytes[0], PUSH_KIND_VERIFICATION);
        assert_eq!(bytes[1..17], [0xab; 16]);
        assert_eq!(bytes[17..], [0; 15]);
    }
}
