//! Query parameters: known ones only, each at most once.

use actix_web::web;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::ApiError;

/// A query without parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

/// How many entries an answer has at most: 1 to `MAX`; anything else is malformed.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "usize")]
pub(crate) struct PageSize<const MAX: usize>(usize);

impl<const MAX: usize> PageSize<MAX> {
    /// The number.
    pub(crate) const fn get(self) -> usize {
        self.0
    }
}

impl<const MAX: usize> TryFrom<usize> for PageSize<MAX> {
    type Error = String;

    fn try_from(size: usize) -> Result<Self, String> {
        match size {
            0 => Err(format!("a page has 1 to {MAX} entries, got 0")),
            size if size > MAX => Err(format!("a page has 1 to {MAX} entries, got {size}")),
            size => Ok(Self(size)),
        }
    }
}

/// Parses a query string.
///
/// # Errors
/// `malformed` when a parameter is unknown, repeated or of another type.
pub(crate) fn parse_parameters<P: DeserializeOwned>(query: &str) -> Result<P, ApiError> {
    web::Query::<P>::from_query(query)
        .map(web::Query::into_inner)
        .map_err(|error| ApiError::malformed(format_args!("the query does not parse: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        limit: Option<PageSize<10>>,
    }

    #[test]
    fn takes_known_parameters_once() {
        let limit = |query| parse_parameters::<Page>(query).unwrap().limit;
        assert_eq!(limit("limit=3").map(PageSize::get), Some(3));
        assert_eq!(limit("limit=10").map(PageSize::get), Some(10));
        assert_eq!(limit("").map(PageSize::get), None);
        for query in [
            "limit=3&limit=4",
            "limit=-1",
            "limit=0",
            "limit=11",
            "limit=x",
            "other=1",
        ] {
            assert!(parse_parameters::<Page>(query).is_err(), "{query}");
        }
        assert!(parse_parameters::<NoParameters>("x=1").is_err());
    }
}
