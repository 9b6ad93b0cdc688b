//! Answers: content type, how long they may be kept, and the tag by which a client asks whether
//! its copy is still right.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH,
};
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use satpost_domain::hash::sha256;
use serde::Serialize;

use super::error::EsploraError;

/// How long an answer may be kept, in seconds, as other Esplora servers say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Five years: it never changes.
    Forever,
    /// It may change with the next block or transaction.
    Short,
    /// It changes with every transaction.
    Recent,
    /// It tells what a request did.
    Not,
    /// Nobody may store it.
    NoStore,
}

/// So many blocks on top of a block, and nobody expects it to be taken back.
const FINAL_DEPTH: u32 = 10;

impl Keep {
    /// For what depends on the block at `height`, or on no block yet, when the tip is at `tip`.
    pub(crate) fn by_depth(height: Option<u32>, tip: u32) -> Self {
        match height {
            Some(height) if tip.saturating_sub(height) >= FINAL_DEPTH => Self::Forever,
            _ => Self::Short,
        }
    }

    const fn header(self) -> &'static str {
        match self {
            Self::Forever => "public, max-age=157784630",
            Self::Short => "public, max-age=10",
            Self::Recent => "public, max-age=5",
            Self::Not => "public, max-age=0",
            Self::NoStore => "no-store",
        }
    }
}

/// A success.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    content_type: &'static str,
    body: Bytes,
    keep: Keep,
    status: StatusCode,
}

/// What a handler gives.
pub(crate) type Outcome = Result<Answer, EsploraError>;

impl Answer {
    pub(crate) fn text(body: impl Into<String>, keep: Keep) -> Self {
        Self {
            content_type: "text/plain",
            body: Bytes::from(body.into()),
            keep,
            status: StatusCode::OK,
        }
    }

    pub(crate) fn json<T: Serialize>(body: &T, keep: Keep) -> Self {
        let body = serde_json::to_vec(body).expect("the shapes are text, numbers and lists");
        Self {
            content_type: "application/json",
            body: Bytes::from(body),
            keep,
            status: StatusCode::OK,
        }
    }

    pub(crate) const fn binary(body: Bytes, keep: Keep) -> Self {
        Self {
            content_type: "application/octet-stream",
            body,
            keep,
            status: StatusCode::OK,
        }
    }

    /// The same with another status.
    pub(crate) const fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

/// Writes what a handler gave. `get` tells whether the client may have a copy.
pub(crate) fn respond(
    outcome: Outcome,
    get: bool,
    headers: &HeaderMap,
    allow_origin: Option<&str>,
) -> HttpResponse {
    let mut response = match outcome {
        Err(error) => error.response(),
        Ok(answer) if get && answer.status == StatusCode::OK => tagged(answer, headers),
        Ok(answer) => HttpResponse::build(answer.status)
            .insert_header((CONTENT_TYPE, answer.content_type))
            .insert_header((CACHE_CONTROL, answer.keep.header()))
            .body(answer.body),
    };
    if let Some(origin) = allow_origin
        && let Ok(value) = origin.parse()
    {
        response
            .headers_mut()
            .insert(ACCESS_CONTROL_ALLOW_ORIGIN, value);
    }
    response
}

fn tagged(answer: Answer, headers: &HeaderMap) -> HttpResponse {
    let tag = format!(
        "\"{}\"",
        hex::encode(&sha256(&answer.body).as_bytes()[..16])
    );
    let same = headers
        .get_all(IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|candidate| candidate.trim().trim_start_matches("W/"))
        .any(|candidate| candidate == tag || candidate == "*");
    let with_headers = |mut response: HttpResponseBuilder| {
        response
            .insert_header((ETAG, tag.clone()))
            .insert_header((CACHE_CONTROL, answer.keep.header()));
        response
    };
    if same {
        return with_headers(HttpResponse::NotModified()).finish();
    }
    with_headers(HttpResponse::Ok())
        .insert_header((CONTENT_TYPE, answer.content_type))
        .body(answer.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_lies_ten_blocks_deep() {
        assert_eq!(Keep::by_depth(Some(100), 110), Keep::Forever);
        assert_eq!(Keep::by_depth(Some(101), 110), Keep::Short);
        assert_eq!(Keep::by_depth(Some(111), 110), Keep::Short);
        assert_eq!(Keep::by_depth(None, 110), Keep::Short);
    }

    #[test]
    fn answers_a_known_tag_without_a_body() {
        let answer = || Ok(Answer::text("42", Keep::Short));
        let fresh = respond(answer(), true, &HeaderMap::new(), None);
        let tag = fresh.headers().get(ETAG).unwrap().clone();
        assert_eq!(fresh.headers().get(CONTENT_TYPE).unwrap(), "text/plain");
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, tag);
        let known = respond(answer(), true, &headers, None);
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(
            known.headers().get(CACHE_CONTROL).unwrap(),
            "public, max-age=10"
        );
        let other = Ok(Answer::text("43", Keep::Short));
        assert_eq!(
            respond(other, true, &headers, None).status(),
            StatusCode::OK
        );
    }
}
