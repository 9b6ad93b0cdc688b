//! `Signature-Input`, `Signature` and `Content-Digest` of the profile. What is not exactly expected
//! is refused: two parsers that agree on everything they accept cannot be played against each other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use satpost_api_types::signature::{ALGORITHM, TAG};
use satpost_domain::ClientId;
use satpost_domain::ids::parse_hex;

use super::SignatureError;
use super::SignatureError::Malformed;

/// One signature and its parameters.
#[derive(Debug, Clone)]
pub(super) struct ParsedSignature {
    /// Components and parameters as they were written: what `@signature-params` stands for.
    pub(super) parameters: String,
    /// The public key. Whether it is an identity or a messaging key is for the route to say.
    pub(super) key: ClientId,
    /// Unix seconds.
    pub(super) created: u64,
    /// Unix seconds.
    pub(super) expires: u64,
    pub(super) nonce: [u8; 16],
    pub(super) signature: [u8; 64],
}

/// Parses exactly one signature for each of `labels`, in their order, over `components`.
pub(super) fn parse(
    input: &str,
    signature: &str,
    labels: &[&str],
    components: &str,
) -> Result<Vec<ParsedSignature>, SignatureError> {
    let inputs = members(input, labels)?;
    let signatures = members(signature, labels)?;
    inputs
        .into_iter()
        .zip(signatures)
        .map(|(input, signature)| one(input, signature, components))
        .collect()
}

/// The values of a dictionary (RFC 8941, 3.2) with exactly these keys. No value of the profile
/// contains a comma, so one that does is cut in two and refused.
fn members<'a>(field: &'a str, labels: &[&str]) -> Result<Vec<&'a str>, SignatureError> {
    let mut values = Vec::with_capacity(labels.len());
    let mut labels = labels.iter();
    for member in field.split(',') {
        let member = member.trim_matches([' ', '\t']);
        let value = labels
            .next()
            .and_then(|label| member.strip_prefix(label))
            .and_then(|rest| rest.strip_prefix('='));
        values.push(value.ok_or(Malformed(
            "exactly sig1, then sig2 where the route wants a proof of possession",
        ))?);
    }
    if labels.next().is_some() {
        return Err(Malformed("this route needs sig1 and sig2"));
    }
    Ok(values)
}

fn one(input: &str, signature: &str, components: &str) -> Result<ParsedSignature, SignatureError> {
    let parameters = input
        .strip_prefix(components)
        .and_then(|rest| rest.strip_prefix(';'))
        .ok_or(Malformed(
            "the covered components are not those of the profile, in its order",
        ))?;
    let mut fields = Fields::default();
    for parameter in parameters.split(';') {
        fields.take(parameter)?;
    }
    let missing = || Malformed("created, expires, nonce, keyid, alg and tag stand there once each");
    if fields.algorithm.ok_or_else(missing)? != ALGORITHM {
        return Err(Malformed("the algorithm is ed25519"));
    }
    if fields.tag.ok_or_else(missing)? != TAG {
        return Err(Malformed("the tag is satpost/1"));
    }
    let nonce = fields.nonce.ok_or_else(missing)?;
    Ok(ParsedSignature {
        parameters: input.to_owned(),
        created: seconds(fields.created.ok_or_else(missing)?)?,
        expires: seconds(fields.expires.ok_or_else(missing)?)?,
        nonce: parse_hex(nonce).map_err(|_| Malformed("a nonce is 32 hexadecimal characters"))?,
        key: ParsedSignature::parse_key(fields.keyid.ok_or_else(missing)?)?,
        signature: signature_bytes(signature)?,
    })
}

/// The parameters, each at most once.
#[derive(Default)]
struct Fields<'a> {
    created: Option<&'a str>,
    expires: Option<&'a str>,
    nonce: Option<&'a str>,
    keyid: Option<&'a str>,
    algorithm: Option<&'a str>,
    tag: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, parameter: &'a str) -> Result<(), SignatureError> {
        let (name, value) = parameter
            .split_once('=')
            .ok_or(Malformed("a signature parameter has no value"))?;
        let (slot, value) = match name {
            "created" => (&mut self.created, value),
            "expires" => (&mut self.expires, value),
            "nonce" => (&mut self.nonce, quoted(value)?),
            "keyid" => (&mut self.keyid, quoted(value)?),
            "alg" => (&mut self.algorithm, quoted(value)?),
            "tag" => (&mut self.tag, quoted(value)?),
            _ => return Err(Malformed("a signature parameter is not of the profile")),
        };
        if slot.replace(value).is_some() {
            return Err(Malformed("a signature parameter stands there twice"));
        }
        Ok(())
    }
}

/// A string without escapes: no value of the profile needs any.
fn quoted(value: &str) -> Result<&str, SignatureError> {
    value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|text| text.bytes().all(|byte| byte != b'"' && byte != b'\\'))
        .ok_or(Malformed("nonce, keyid, alg and tag are quoted strings"))
}

/// Digits without a leading zero, at most 15 (RFC 8941, 3.3.1).
fn seconds(text: &str) -> Result<u64, SignatureError> {
    let well_formed = (1..=15).contains(&text.len())
        && !text.starts_with('0')
        && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| well_formed)
        .ok_or(Malformed("created and expires are Unix seconds"))
}

/// A byte sequence (RFC 8941, 3.3.5) of 64 bytes.
fn signature_bytes(text: &str) -> Result<[u8; 64], SignatureError> {
    byte_sequence(text).ok_or(Malformed("a signature is 64 bytes, base64 between colons"))
}

fn byte_sequence<const N: usize>(text: &str) -> Option<[u8; N]> {
    let encoded = text.strip_prefix(':')?.strip_suffix(':')?;
    STANDARD.decode(encoded).ok()?.try_into().ok()
}

/// The `Content-Digest` to compare with: there exactly when there is a body, SHA-256, nothing else.
pub(super) fn digest<'a>(
    field: Option<&'a str>,
    body: &[u8],
) -> Result<Option<&'a str>, SignatureError> {
    match (field, body.is_empty()) {
        (None, true) => Ok(None),
        (None, false) => Err(Malformed("a request with a body carries Content-Digest")),
        (Some(_), true) => Err(Malformed("a request without a body has no Content-Digest")),
        (Some(field), false) => field
            .strip_prefix("sha-256=")
            .and_then(byte_sequence::<32>)
            .map(|_| Some(field))
            .ok_or(Malformed("Content-Digest is sha-256=:…: and nothing else")),
    }
}
