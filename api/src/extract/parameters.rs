//! Query parameters: known ones only, each at most once.

use actix_web::web;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::ApiError;

/// A query without parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

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
        limit: Option<usize>,
    }

    #[test]
    fn takes_known_parameters_once() {
        assert_eq!(parse_parameters::<Page>("limit=3").unwrap().limit, Some(3));
        assert_eq!(parse_parameters::<Page>("").unwrap().limit, None);
        for query in ["limit=3&limit=4", "limit=-1", "limit=x", "other=1"] {
            assert!(parse_parameters::<Page>(query).is_err(), "{query}");
        }
        assert!(parse_parameters::<NoParameters>("x=1").is_err());
    }
}
