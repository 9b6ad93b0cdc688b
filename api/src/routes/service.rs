//! What the server says about itself.

use std::sync::LazyLock;
use std::time::Duration;

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
pub(crate) async fn get_limits(state: State) -> HttpResponse {
    found(limits_response(state.config.watched_addresses_max))
}

fn limits_response(watched_addresses_max: usize) -> LimitsResponse {
    LimitsResponse {
        message_size_buckets: limits::MESSAGE_SIZE_BUCKETS
            .iter()
            .map(|&size| size as u64)
            .collect(),
        message_bytes_max: limits::MESSAGE_BYTES_MAX as u64,
        mailbox_messages_max: limits::MAILBOX_MESSAGES_MAX as u64,
        mailbox_bytes_max: limits::MAILBOX_BYTES_MAX as u64,
        mailbox_line_max: limits::MAILBOX_LINE_MAX as u64,
        message_ttl_default_ms: milliseconds(limits::MESSAGE_TTL_DEFAULT),
        message_ttl_max_ms: milliseconds(limits::MESSAGE_TTL_MAX),
        message_ttl_min_ms: milliseconds(limits::MESSAGE_TTL_MIN),
        knocks_max: limits::KNOCKS_MAX as u64,
        knock_bytes_max: limits::KNOCK_BYTES_MAX as u64,
        knock_ttl_ms: milliseconds(limits::KNOCK_TTL),
        knock_work_bits_default: limits::KNOCK_WORK_BITS_DEFAULT.into(),
        knock_work_bits_max: limits::KNOCK_WORK_BITS_MAX.into(),
        knock_work_age_max_ms: milliseconds(limits::KNOCK_WORK_AGE_MAX),
        delivery_tokens_max: limits::DELIVERY_TOKENS_MAX as u64,
        delivery_tokens_per_request_max: limits::DELIVERY_TOKENS_PER_REQUEST_MAX as u64,
        mailbox_forward_max_ms: milliseconds(limits::MAILBOX_FORWARD_MAX),
        mailbox_hops_max: limits::MAILBOX_HOPS_MAX as u64,
        batch_messages_max: limits::BATCH_MESSAGES_MAX as u64,
        batch_bytes_max: limits::BATCH_BYTES_MAX as u64,
        batches_at_once_max: limits::BATCHES_AT_ONCE_MAX as u64,
        refusal_time_ms: milliseconds(limits::REFUSAL_TIME),
        fetch_messages_max: limits::FETCH_MESSAGES_MAX as u64,
        fetch_messages_default: limits::FETCH_MESSAGES_DEFAULT as u64,
        fetch_bytes_max: limits::FETCH_BYTES_MAX as u64,
        fetch_wait_max_ms: milliseconds(limits::FETCH_WAIT_MAX),
        park_messages_max: limits::PARK_MESSAGES_MAX as u64,
        messaging_keys_max: limits::MESSAGING_KEYS_MAX as u64,
        watched_addresses_max: watched_addresses_max as u64,
        watched_addresses_ceiling: limits::WATCHED_ADDRESSES_CEILING as u64,
        addresses_per_request_max: limits::ADDRESSES_PER_REQUEST_MAX as u64,
        addresses_per_page_max: limits::ADDRESSES_PER_PAGE_MAX as u64,
        import_lines_max: limits::IMPORT_LINES_MAX as u64,
        import_line_bytes_max: limits::IMPORT_LINE_BYTES_MAX as u64,
        import_bytes_max: limits::IMPORT_BYTES_MAX as u64,
        import_errors_max: limits::IMPORT_ERRORS_MAX as u64,
        imports_at_once_max: limits::IMPORTS_AT_ONCE_MAX as u64,
        birthday_ahead_blocks_max: limits::BIRTHDAY_AHEAD_BLOCKS_MAX.into(),
        birthday_ahead_max_ms: milliseconds(limits::BIRTHDAY_AHEAD_MAX),
        script_bytes_max: limits::SCRIPT_BYTES_MAX as u64,
        transactions_per_page_max: limits::TRANSACTIONS_PER_PAGE_MAX as u64,
        transaction_steps_max: limits::TRANSACTION_STEPS_MAX as u64,
        depth_max: limits::DEPTH_MAX.into(),
        depths_per_watch_max: limits::DEPTHS_PER_WATCH_MAX as u64,
        reorg_blocks_max: limits::REORG_BLOCKS_MAX as u64,
        node_notices_max: limits::NODE_NOTICES_MAX as u64,
        node_bodies_bytes_max: limits::NODE_BODIES_BYTES_MAX as u64,
        node_bodies_per_call_max: limits::NODE_BODIES_PER_CALL_MAX as u64,
        node_call_max_ms: milliseconds(limits::NODE_CALL_MAX),
        node_heartbeat_ms: milliseconds(limits::NODE_HEARTBEAT),
        coinbase_maturity: limits::COINBASE_MATURITY.into(),
        final_depth_default: limits::FINAL_DEPTH_DEFAULT.into(),
        final_depth_min: limits::FINAL_DEPTH_MIN.into(),
        final_depth_max: limits::FINAL_DEPTH_MAX.into(),
        node_audit_ms: milliseconds(limits::NODE_AUDIT),
        node_audit_wait_ms: milliseconds(limits::NODE_AUDIT_WAIT),
        node_search_pause_ms: milliseconds(limits::NODE_SEARCH_PAUSE),
        node_removal_hold_ms: milliseconds(limits::NODE_REMOVAL_HOLD),
        node_retry_min_ms: milliseconds(limits::NODE_RETRY_MIN),
        node_retry_max_ms: milliseconds(limits::NODE_RETRY_MAX),
        push_endpoint_bytes_max: limits::PUSH_ENDPOINT_BYTES_MAX as u64,
        push_code_attempts_max: limits::PUSH_CODE_ATTEMPTS_MAX.into(),
        push_code_ttl_ms: milliseconds(limits::PUSH_CODE_TTL),
        push_ttl_ms: milliseconds(limits::PUSH_TTL),
        push_connect_timeout_ms: milliseconds(limits::PUSH_CONNECT_TIMEOUT),
        push_timeout_ms: milliseconds(limits::PUSH_TIMEOUT),
        push_retry_after_max_ms: milliseconds(limits::PUSH_RETRY_AFTER_MAX),
        push_reply_bytes_max: limits::PUSH_REPLY_BYTES_MAX as u64,
        push_token_lifetime_ms: milliseconds(limits::PUSH_TOKEN_LIFETIME),
        push_tokens_cached_max: limits::PUSH_TOKENS_CACHED_MAX as u64,
        apns_token_bytes_max: limits::APNS_TOKEN_BYTES_MAX as u64,
        apns_topic_bytes_max: limits::APNS_TOPIC_BYTES_MAX as u64,
        fcm_token_bytes_max: limits::FCM_TOKEN_BYTES_MAX as u64,
        push_refusals_max: limits::PUSH_REFUSALS_MAX.into(),
        push_breaker_failures: limits::PUSH_BREAKER_FAILURES.into(),
        push_breakers_max: limits::PUSH_BREAKERS_MAX as u64,
        push_fetch_grace_ms: milliseconds(limits::PUSH_FETCH_GRACE),
        push_heartbeat_min_ms: milliseconds(limits::PUSH_HEARTBEAT_MIN),
        commands_remembered_max: limits::COMMANDS_REMEMBERED_MAX as u64,
        conflict_retries_max: limits::CONFLICT_RETRIES_MAX as u64,
        unknown_retries_max: limits::UNKNOWN_RETRIES_MAX.into(),
        unknown_retry_delay_ms: milliseconds(limits::UNKNOWN_RETRY_DELAY),
        events_per_command_max: limits::EVENTS_PER_COMMAND_MAX as u64,
        fold_page_events: limits::FOLD_PAGE_EVENTS as u64,
        states_cached_max: limits::STATES_CACHED_MAX as u64,
        states_cached_weight_max: limits::STATES_CACHED_WEIGHT_MAX as u64,
        event_bytes_max: limits::EVENT_BYTES_MAX as u64,
        event_kind_bytes_max: limits::EVENT_KIND_BYTES_MAX as u64,
        payload_bytes_max: limits::PAYLOAD_BYTES_MAX as u64,
        payloads_max: limits::PAYLOADS_MAX as u64,
        events_per_append_max: limits::EVENTS_PER_APPEND_MAX as u64,
        erasures_per_append_max: limits::ERASURES_PER_APPEND_MAX as u64,
        append_bytes_max: limits::APPEND_BYTES_MAX as u64,
        signature_skew_max_ms: milliseconds(limits::SIGNATURE_SKEW_MAX),
        signature_lifetime_max_ms: milliseconds(limits::SIGNATURE_LIFETIME_MAX),
        json_body_bytes_max: limits::JSON_BODY_BYTES_MAX as u64,
        body_deadline_ms: milliseconds(limits::BODY_DEADLINE),
        body_grace_ms: milliseconds(limits::BODY_GRACE),
        body_bytes_per_sec_min: limits::BODY_BYTES_PER_SEC_MIN,
        connections_refused_politely_max: limits::CONNECTIONS_REFUSED_POLITELY_MAX as u64,
        request_head_bytes_max: limits::REQUEST_HEAD_BYTES_MAX as u64,
        signature_nonces_max: limits::SIGNATURE_NONCES_MAX as u64,
        rate_limited_max: limits::RATE_LIMITED_MAX as u64,
        fetches_waiting_max: limits::FETCHES_WAITING_MAX as u64,
        min_position_wait_max_ms: milliseconds(limits::MIN_POSITION_WAIT_MAX),
        event_streams_per_client_max: limits::EVENT_STREAMS_PER_CLIENT_MAX as u64,
        event_streams_max: limits::EVENT_STREAMS_MAX as u64,
        event_heartbeat_ms: milliseconds(limits::EVENT_HEARTBEAT),
        event_retry_ms: milliseconds(limits::EVENT_RETRY),
        events_per_look_max: limits::EVENTS_PER_LOOK_MAX as u64,
        event_chunk_bytes_max: limits::EVENT_CHUNK_BYTES_MAX as u64,
        reader_stall_max_ms: milliseconds(limits::READER_STALL_MAX),
        proofs_at_once_max: limits::PROOFS_AT_ONCE_MAX as u64,
        proof_blocks_cached_max: limits::PROOF_BLOCKS_CACHED_MAX as u64,
        merkle_path_max: limits::MERKLE_PATH_MAX as u64,
        price_feeds_max: limits::PRICE_FEEDS_MAX as u64,
        price_currencies_max: limits::PRICE_CURRENCIES_MAX as u64,
        price_reply_bytes_max: limits::PRICE_REPLY_BYTES_MAX as u64,
        price_reply_candles_max: limits::PRICE_REPLY_CANDLES_MAX as u64,
        price_connect_timeout_ms: milliseconds(limits::PRICE_CONNECT_TIMEOUT),
        price_timeout_ms: milliseconds(limits::PRICE_TIMEOUT),
        price_retry_max_ms: milliseconds(limits::PRICE_RETRY_MAX),
        price_future_max_ms: milliseconds(limits::PRICE_FUTURE_MAX),
        price_stale_max_ms: milliseconds(limits::PRICE_STALE_MAX),
        price_records_waiting_max: limits::PRICE_RECORDS_WAITING_MAX as u64,
        price_records_max: limits::PRICE_RECORDS_MAX,
        price_history_rows_max: limits::PRICE_HISTORY_ROWS_MAX as u64,
        price_history_dates_max: limits::PRICE_HISTORY_DATES_MAX as u64,
        node_block_bytes_max: limits::NODE_BLOCK_BYTES_MAX as u64,
        node_spent_bytes_max: limits::NODE_SPENT_BYTES_MAX as u64,
        node_blocks_ahead_max: limits::NODE_BLOCKS_AHEAD_MAX as u64,
        node_hashes_per_call_max: limits::NODE_HASHES_PER_CALL_MAX.into(),
        backfill_scripts_per_command_max: limits::BACKFILL_SCRIPTS_PER_COMMAND_MAX as u64,
        backfill_filtered_scripts_max: limits::BACKFILL_FILTERED_SCRIPTS_MAX as u64,
        backfill_blocks_per_record_max: limits::BACKFILL_BLOCKS_PER_RECORD_MAX as u64,
        backfill_filter_blocks_max: limits::BACKFILL_FILTER_BLOCKS_MAX.into(),
        node_scan_max_ms: milliseconds(limits::NODE_SCAN_MAX),
        birthday_slack_secs: limits::BIRTHDAY_SLACK_SECS,
        utxos_per_page_max: limits::UTXOS_PER_PAGE_MAX as u64,
        esplora_body_bytes_max: limits::ESPLORA_BODY_BYTES_MAX as u64,
        esplora_confirmed_per_page: limits::ESPLORA_CONFIRMED_PER_PAGE as u64,
        esplora_unconfirmed_per_page: limits::ESPLORA_UNCONFIRMED_PER_PAGE as u64,
        esplora_transactions_per_page_max: limits::ESPLORA_TRANSACTIONS_PER_PAGE_MAX as u64,
        esplora_blocks_per_page: limits::ESPLORA_BLOCKS_PER_PAGE as u64,
        esplora_recent_max: limits::ESPLORA_RECENT_MAX as u64,
        esplora_txids_per_page: limits::ESPLORA_TXIDS_PER_PAGE as u64,
        esplora_unspent_default_max: limits::ESPLORA_UNSPENT_DEFAULT_MAX as u64,
        esplora_history_max: limits::ESPLORA_HISTORY_MAX as u64,
        esplora_scripts_per_request_max: limits::ESPLORA_SCRIPTS_PER_REQUEST_MAX as u64,
        esplora_txids_per_request_max: limits::ESPLORA_TXIDS_PER_REQUEST_MAX as u64,
        esplora_package_max: limits::ESPLORA_PACKAGE_MAX as u64,
        esplora_retry_after_ms: milliseconds(limits::ESPLORA_RETRY_AFTER),
        esplora_websockets_max: limits::ESPLORA_WEBSOCKETS_MAX as u64,
        esplora_tracked_per_websocket_max: limits::ESPLORA_TRACKED_PER_WEBSOCKET_MAX as u64,
        esplora_websocket_message_bytes_max: limits::ESPLORA_WEBSOCKET_MESSAGE_BYTES_MAX as u64,
        esplora_websocket_silence_max_ms: milliseconds(limits::ESPLORA_WEBSOCKET_SILENCE_MAX),
        esplora_bodies_bytes_max: limits::ESPLORA_BODIES_BYTES_MAX as u64,
        esplora_blocks_remembered_max: limits::ESPLORA_BLOCKS_REMEMBERED_MAX as u64,
        esplora_node_calls_max: limits::ESPLORA_NODE_CALLS_MAX as u64,
        esplora_node_calls_waiting_max: limits::ESPLORA_NODE_CALLS_WAITING_MAX as u64,
        esplora_blocks_per_batch_max: limits::ESPLORA_BLOCKS_PER_BATCH_MAX as u64,
        esplora_block_bytes_per_batch_max: limits::ESPLORA_BLOCK_BYTES_PER_BATCH_MAX as u64,
        electrum_connections_max: limits::ELECTRUM_CONNECTIONS_MAX as u64,
        electrum_line_bytes_max: limits::ELECTRUM_LINE_BYTES_MAX as u64,
        live_readers_max: limits::LIVE_READERS_MAX as u64,
        live_readers_per_mailbox_max: limits::LIVE_READERS_PER_MAILBOX_MAX as u64,
        live_messages_per_look_max: limits::LIVE_MESSAGES_PER_LOOK_MAX as u64,
        live_bytes_per_look_max: limits::LIVE_BYTES_PER_LOOK_MAX as u64,
        socket_credit_max: limits::SOCKET_CREDIT_MAX as u64,
        socket_message_bytes_max: limits::SOCKET_MESSAGE_BYTES_MAX as u64,
        socket_ping_ms: milliseconds(limits::SOCKET_PING),
        socket_silence_max_ms: milliseconds(limits::SOCKET_SILENCE_MAX),
        socket_goodbye_max_ms: milliseconds(limits::SOCKET_GOODBYE_MAX),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("a bound in time is shorter than the universe")
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
        push_kinds: state.config.push.kinds(),
        knock_work_bits: state.config.knock_work_bits,
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
        let served = serde_json::to_value(limits_response(1)).unwrap();
        let served = served.as_object().unwrap();
        let mut bounds = 0;
        for line in source.lines() {
            let Some(rest) = line.strip_prefix("pub const ") else {
                continue;
            };
            let (name, of_type) = rest.split_once(": ").unwrap();
            let unit = if of_type.starts_with("Duration") {
                "_ms"
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
