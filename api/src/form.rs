//! JSON or CBOR (RFC 8949): what bodies are written in. Both have the same members; only the bodies of
//! messages differ, which are base64 in one and byte strings in the other.

use actix_web::http::header::{ACCEPT, HeaderMap};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The media type of JSON.
pub(crate) const JSON: &str = "application/json";
/// The media type of CBOR (RFC 8949, section 9.5), also of problems: RFC 9457 has none for them.
pub(crate) const CBOR: &str = "application/cbor";
/// The media type of problems in JSON (RFC 9457, section 6.1).
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// What something is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text, the default.
    Json,
    /// Binary.
    Cbor,
}

impl Form {
    /// The form of a success that the client likes better; JSON when it likes both alike, or neither:
    /// an answer in a form that was not asked for says more than a refusal of the request.
    pub(crate) fn of_success(headers: &HeaderMap) -> Self {
        Self::preferred(headers, &[JSON])
    }

    /// The same of a problem, which has a media type of its own in JSON.
    pub(crate) fn of_problem(headers: &HeaderMap) -> Self {
        Self::preferred(headers, &[PROBLEM_JSON, JSON])
    }

    fn preferred(headers: &HeaderMap, json: &[&str]) -> Self {
        let ranges: Vec<Range<'_>> = headers
            .get_all(ACCEPT)
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .filter_map(Range::parse)
            .collect();
        let json = json.iter().map(|name| quality(&ranges, name)).max();
        if quality(&ranges, CBOR) > json.unwrap_or(0) {
            Self::Cbor
        } else {
            Self::Json
        }
    }

    /// The media type of a success.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Cbor => CBOR,
        }
    }

    /// The media type of a problem.
    pub(crate) const fn problem_type(self) -> &'static str {
        match self {
            Self::Json => PROBLEM_JSON,
            Self::Cbor => CBOR,
        }
    }

    /// Writes a value.
    pub(crate) fn write(self, value: &impl Serialize) -> Vec<u8> {
        match self {
            Self::Json => serde_json::to_vec(value).expect("answers have text keys only"),
            Self::Cbor => {
                let mut bytes = Vec::new();
                ciborium::into_writer(value, &mut bytes).expect("a vector takes all bytes");
                bytes
            }
        }
    }

    /// Reads a value that takes all of `bytes`.
    ///
    /// # Errors
    /// What does not parse, for the client.
    pub(crate) fn read<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, String> {
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
            Self::Cbor => {
                let mut rest = bytes;
                let value = ciborium::from_reader(&mut rest).map_err(unreadable_cbor)?;
                match rest.len() {
                    0 => Ok(value),
                    more => Err(format!("{more} bytes follow the CBOR value")),
                }
            }
        }
    }
}

/// The library's words are for its users.
fn unreadable_cbor(error: ciborium::de::Error<std::io::Error>) -> String {
    use ciborium::de::Error;
    match error {
        Error::Io(_) => "the CBOR value ends before it is complete".to_owned(),
        Error::Syntax(place) => format!("there is no CBOR at byte {place}"),
        Error::Semantic(_, text) => text,
        Error::RecursionLimitExceeded => "the CBOR value is nested too deeply".to_owned(),
    }
}

/// A media range of `Accept` (RFC 9110, section 12.5.1) and how much it is liked, in thousandths.
struct Range<'a> {
    name: &'a str,
    quality: u32,
}

impl<'a> Range<'a> {
    /// Nothing when the weight is none: what cannot be understood is as if it was not said.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().filter(|name| name.contains('/'))?;
        let mut quality = 1_000;
        for part in parts {
            if let Some(weight) = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")) {
                quality = thousandths(weight)?;
            }
        }
        Some(Self { name, quality })
    }

    /// How exactly the range names `media_type`; nothing when it does not.
    fn precision(&self, media_type: &str) -> Option<u8> {
        let (kind, _) = media_type.split_once('/')?;
        let (range_kind, range_rest) = self.name.split_once('/')?;
        if self.name.eq_ignore_ascii_case(media_type) {
            Some(2)
        } else if range_rest == "*" && range_kind.eq_ignore_ascii_case(kind) {
            Some(1)
        } else {
            (self.name == "*/*").then_some(0)
        }
    }
}

/// How much `media_type` is liked: what the most exact range says, 0 when none names it.
fn quality(ranges: &[Range<'_>], media_type: &str) -> u32 {
    ranges
        .iter()
        .filter_map(|range| Some((range.precision(media_type)?, range.quality)))
        .max()
        .map_or(0, |(_, quality)| quality)
}

/// A weight (RFC 9110, section 12.4.2): 0 to 1 with at most three digits behind the point.
fn thousandths(weight: &str) -> Option<u32> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || fraction.len() > 3 || !digits {
        return None;
    }
    let fraction: u32 = format!("{fraction:0<3}").parse().ok()?;
    let all = 1_000 * u32::from(whole == "1") + fraction;
    (all <= 1_000).then_some(all)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use satpost_api_types::message_body::MessageBody;
    use satpost_api_types::messages::{AcknowledgeMessagesRequest, AcknowledgeThrough};

    use super::*;

    fn form(accept: &str, of: impl Fn(&HeaderMap) -> Form) -> Form {
        let request = TestRequest::default().insert_header(("accept", accept));
        of(request.to_http_request().headers())
    }

    #[test]
    fn takes_the_form_that_is_liked_better_and_json_when_in_doubt() {
        for (accept, expected) in [
            ("application/cbor", Form::Cbor),
            ("Application/CBOR; q=0.1", Form::Cbor),
            ("application/cbor, application/json;q=0.9", Form::Cbor),
            ("application/cbor, */*;q=0.5", Form::Cbor),
            ("application/json;q=0, */*", Form::Cbor),
            ("application/cbor;q=0.5, application/json", Form::Json),
            ("application/cbor, application/json", Form::Json),
            ("application/cbor;q=0, */*", Form::Json),
            ("application/*", Form::Json),
            ("*/*", Form::Json),
            ("text/html", Form::Json),
            ("application/cbor;q=2", Form::Json),
            ("application/cbor;q=nan", Form::Json),
            ("application/cbor;q=0.1234", Form::Json),
            ("nonsense", Form::Json),
            ("", Form::Json),
        ] {
            assert_eq!(form(accept, Form::of_success), expected, "{accept}");
        }
    }

    #[test]
    fn a_problem_is_json_for_whoever_names_its_media_type() {
        let accept = "application/cbor, application/problem+json";
        assert_eq!(form(accept, Form::of_success), Form::Cbor);
        assert_eq!(form(accept, Form::of_problem), Form::Json);
        assert_eq!(form("application/cbor", Form::of_problem), Form::Cbor);
    }

    #[test]
    fn a_body_is_base64_in_one_form_and_bytes_in_the_other() {
        let body = MessageBody::from(vec![7; 512]);
        let (json, cbor) = (Form::Json.write(&body), Form::Cbor.write(&body));
        assert!(json.starts_with(b"\"BwcH"));
        // Major type 2, a length of two bytes: 512.
        assert_eq!(cbor[..4], [0x59, 0x02, 0x00, 7]);
        assert_eq!(Form::Json.read::<MessageBody>(&json).unwrap(), body);
        assert_eq!(Form::Cbor.read::<MessageBody>(&cbor).unwrap(), body);
        assert!(Form::Json.read::<MessageBody>(b"\"BwcH*\"").is_err());
        let text = Form::Cbor.write(&"BwcH");
        assert!(Form::Cbor.read::<MessageBody>(&text).is_err());
    }

    #[test]
    fn reads_one_whole_value_without_unknown_members_in_either_form() {
        let request = AcknowledgeMessagesRequest::Through(AcknowledgeThrough {
            through: 7,
            chain: "ab".repeat(32),
        });
        for form in [Form::Json, Form::Cbor] {
            let bytes = form.write(&request);
            let read: AcknowledgeMessagesRequest = form.read(&bytes).unwrap();
            assert_eq!(read, request);
            let more = [&bytes[..], b"1"].concat();
            assert!(form.read::<AcknowledgeMessagesRequest>(&more).is_err());
            let less = &bytes[..bytes.len() - 1];
            assert!(form.read::<AcknowledgeMessagesRequest>(less).is_err());
            let unknown = form.write(&serde_json::json!({ "through": 7, "chain": "", "x": 1 }));
            assert!(form.read::<AcknowledgeMessagesRequest>(&unknown).is_err());
        }
    }
}
