//! What the phone reads after it has decrypted a push: a small JSON object.

use satpost_commands::ports::PushPayload;

/// How many bytes are encrypted for every push: the JSON, the delimiter and zeros (RFC 8188,
/// section 2). Equal for all, so that the size tells a push service nothing.
pub const CONTENT_BYTES: usize = 64;

/// The plaintext of a push: `{"wake":true}`, or `{"code":"…"}` with 32 hex digits.
#[must_use]
pub fn plaintext(payload: &PushPayload) -> Vec<u8> {
    match payload {
        PushPayload::Wake => br#"{"wake":true}"#.to_vec(),
        PushPayload::Verification(code) => {
            format!(r#"{{"code":"{}"}}"#, hex::encode(code.as_bytes())).into_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use satpost_domain::push::VerificationCode;

    use super::*;

    #[test]
    fn every_payload_fits_the_one_size_with_its_delimiter() {
        let code = PushPayload::Verification(VerificationCode::new([0xff; 16]));
        for payload in [PushPayload::Wake, code] {
            assert!(plaintext(&payload).len() < CONTENT_BYTES);
        }
    }

    #[test]
    fn a_verification_carries_its_code_in_hex() {
        let code = PushPayload::Verification(VerificationCode::new([0xab; 16]));
        let json: serde_json::Value = serde_json::from_slice(&plaintext(&code)).unwrap();
        assert_eq!(json["code"], "ab".repeat(16));
    }
}
