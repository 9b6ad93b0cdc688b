//! What the server says about itself.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, ContentType};
use satpost_api_types::service::{
    Feature, InfoResponse, LimitsResponse, ReadyResponse, VersionResponse,
};
use satpost_domain::limits;

use crate::extract::State;
use crate::problem::ApiError;
use crate::respond::found;

/// The version of the server.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Every bound of the server.
#[utoipa::path(
    get, path = "/v1/limits", tag = "service",
    responses((status = 200, description = "The bounds", body = LimitsResponse))
)]
pub(crate) async fn get_limits() -> HttpResponse {
    found(limits_response())
}

fn limits_response() -> LimitsResponse {
    LimitsResponse {
        message_size_buckets: limits::MESSAGE_SIZE_BUCKETS
            .iter()
            .map(|&size| size as u64)
            .collect(),
        message_bytes_max: limits::MESSAGE_BYTES_MAX as u64,
        mailbox_messages_max: limits::MAILBOX_MESSAGES_MAX as u64,
        mailbox_bytes_max: limits::MAILBOX_BYTES_MAX as u64,
        message_ttl_default_secs: limits::MESSAGE_TTL_DEFAULT.as_secs(),
        message_ttl_max_secs: limits::MESSAGE_TTL_MAX.as_secs(),
        message_ttl_min_secs: limits::MESSAGE_TTL_MIN.as_secs(),
        fetch_messages_max: limits::FETCH_MESSAGES_MAX as u64,
        fetch_messages_default: limits::FETCH_MESSAGES_DEFAULT as u64,
        fetch_bytes_max: limits::FETCH_BYTES_MAX as u64,
        fetch_wait_max_secs: limits::FETCH_WAIT_MAX.as_secs(),
        park_messages_max: limits::PARK_MESSAGES_MAX as u64,
        watched_addresses_max: limits::WATCHED_ADDRESSES_MAX as u64,
        addresses_per_request_max: limits::ADDRESSES_PER_REQUEST_MAX as u64,
        script_bytes_max: limits::SCRIPT_BYTES_MAX as u64,
        transactions_per_page_max: limits::TRANSACTIONS_PER_PAGE_MAX as u64,
        reorg_blocks_max: limits::REORG_BLOCKS_MAX as u64,
        push_endpoint_bytes_max: limits::PUSH_ENDPOINT_BYTES_MAX as u64,
        push_code_attempts_max: limits::PUSH_CODE_ATTEMPTS_MAX.into(),
        push_code_ttl_secs: limits::PUSH_CODE_TTL.as_secs(),
        commands_remembered_max: limits::COMMANDS_REMEMBERED_MAX as u64,
        conflict_retries_max: limits::CONFLICT_RETRIES_MAX as u64,
        states_cached_max: limits::STATES_CACHED_MAX as u64,
        signature_skew_max_secs: limits::SIGNATURE_SKEW_MAX.as_secs(),
        signature_lifetime_max_secs: limits::SIGNATURE_LIFETIME_MAX.as_secs(),
        json_body_bytes_max: limits::JSON_BODY_BYTES_MAX as u64,
        body_deadline_secs: limits::BODY_DEADLINE.as_secs(),
        body_grace_secs: limits::BODY_GRACE.as_secs(),
        body_bytes_per_sec_min: limits::BODY_BYTES_PER_SEC_MIN,
        request_head_bytes_max: limits::REQUEST_HEAD_BYTES_MAX as u64,
        signature_nonces_max: limits::SIGNATURE_NONCES_MAX as u64,
        rate_limited_max: limits::RATE_LIMITED_MAX as u64,
        fetches_waiting_max: limits::FETCHES_WAITING_MAX as u64,
        min_position_wait_max_secs: limits::MIN_POSITION_WAIT_MAX.as_secs(),
    }
}

/// Who the server is, and what works now.
#[utoipa::path(
    get, path = "/v1/info", tag = "service",
    responses((status = 200, description = "About this server", body = InfoResponse))
)]
pub(crate) async fn get_info(state: State) -> HttpResponse {
    found(InfoResponse {
        name: "satpost".to_owned(),
        version: VERSION.to_owned(),
        network: state.config.network.to_string(),
        authorities: state.config.authorities.clone(),
        server_key: hex::encode(state.receipt_signer.public_key()),
        vapid_key: state.config.vapid_key.clone(),
        now: state.clock.now().as_millis(),
        features: state.service.features(),
    })
}

/// The process answers.
#[utoipa::path(
    get, path = "/health/live", tag = "service",
    responses((status = 204, description = "The process answers"))
)]
pub(crate) async fn get_live() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// The server takes traffic.
#[utoipa::path(
    get, path = "/health/ready", tag = "service",
    responses(
        (status = 200, description = "Every check holds", body = ReadyResponse),
        (status = 503, description = "A check does not hold", body = ReadyResponse),
    )
)]
pub(crate) async fn get_ready(state: State) -> HttpResponse {
    let mut checks = state.service.checks();
    checks.push(check(
        "read_model",
        state.read_model.is_live(),
        "the history is being applied",
    ));
    checks.push(check(
        "running",
        !state.is_stopping(),
        "the server is stopping",
    ));
    let ready = checks.iter().all(|check| check.available);
    let mut answer = if ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer.json(ReadyResponse { ready, checks })
}

fn check(name: &str, available: bool, reason: &str) -> Feature {
    Feature {
        name: name.to_owned(),
        available,
        reason: (!available).then(|| reason.to_owned()),
    }
}

/// The version of the server.
#[utoipa::path(
    get, path = "/version", tag = "service",
    responses((status = 200, description = "The version", body = VersionResponse))
)]
pub(crate) async fn get_version() -> HttpResponse {
    found(VersionResponse {
        version: VERSION.to_owned(),
    })
}

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", tag = "service",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"))
)]
pub(crate) async fn get_openapi() -> Result<HttpResponse, ApiError> {
    static TEXT: LazyLock<Result<String, String>> =
        LazyLock::new(|| crate::openapi::openapi_json().map_err(|error| error.to_string()));
    let text = TEXT.as_ref().map_err(ApiError::internal)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, ContentType::json()))
        .body(text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serves_every_bound_of_the_domain() {
        let source = include_str!("../../../domain/src/limits.rs");
        let served = serde_json::to_value(limits_response()).unwrap();
        let served = served.as_object().unwrap();
        let mut bounds = 0;
        for line in source.lines() {
            let Some(rest) = line.strip_prefix("pub const ") else {
                continue;
            };
            let (name, of_type) = rest.split_once(": ").unwrap();
            let unit = if of_type.starts_with("Duration") {
                "_secs"
            } else {
                ""
            };
            let name = format!("{}{unit}", name.to_lowercase());
            assert!(served.contains_key(&name), "{name} is not served");
            bounds += 1;
        }
        assert_eq!(served.len(), bounds);
    }
}
