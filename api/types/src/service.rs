//! What the server says about itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::push::PushKind;

/// `GET /v1/info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InfoResponse {
    /// `satpost`.
    pub name: String,
    /// The version of the server.
    pub version: String,
    /// The Bitcoin network: `mainnet`, `testnet`, `testnet4`, `signet` or `regtest`.
    pub network: String,
    /// The names a request signature may cover as `@authority`.
    pub authorities: Vec<String>,
    /// The Ed25519 key of receipts and heads, 64 hexadecimal characters.
    pub server_key: String,
    /// The P-256 key of the server's Web Push (RFC 8292), base64url.
    pub vapid_key: String,
    /// Through whom this server can wake phones.
    #[serde(default)]
    pub push_kinds: Vec<PushKind>,
    /// How many leading zero bits the work for a stranger's message has here.
    pub knock_work_bits: u32,
    /// The server's clock.
    pub now: u64,
    /// What works now.
    pub features: Vec<Feature>,
}

/// A feature and whether it works now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Feature {
    /// `messaging`, `watching` or `push`.
    pub name: String,
    /// True when it works.
    pub available: bool,
    /// What is missing, when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET /health/ready`; 200 when ready, 503 when not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyResponse {
    /// True when every check holds.
    pub ready: bool,
    /// The checks by name.
    pub checks: Vec<Feature>,
}

/// `GET /version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionResponse {
    /// The version of the server.
    pub version: String,
}

/// `GET /v1/limits`: every bound of the server. Times are in milliseconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitsResponse {
    /// The sizes a message body may have, in bytes. A body is padded to one of them by its sender,
    /// so that the server learns a bucket and not a length.
    pub message_size_buckets: Vec<u64>,
    /// The largest message body, in bytes.
    pub message_bytes_max: u64,
    /// How many messages may wait in one mailbox, parked ones included.
    pub mailbox_messages_max: u64,
    /// How many bytes may wait in one mailbox, counted in size buckets.
    pub mailbox_bytes_max: u64,
    /// How many places a mailbox's line may have: messages, and tombstones of messages that ended before
    /// their recipient came back. Without it, short-lived messages to a lost phone would pile up for ever.
    pub mailbox_line_max: u64,
    /// How long a message waits when its sender does not say.
    pub message_ttl_default_ms: u64,
    /// The longest a message can wait.
    pub message_ttl_max_ms: u64,
    /// The shortest time to live that is not refused.
    pub message_ttl_min_ms: u64,
    /// How many messages of strangers may wait in one mailbox.
    pub knocks_max: u64,
    /// The largest message of a stranger, in bytes.
    pub knock_bytes_max: u64,
    /// How long a message of a stranger waits.
    pub knock_ttl_ms: u64,
    /// How many leading zero bits the work for a stranger's message has, unless the operator has said
    /// otherwise: `GET /v1/info` tells what holds.
    pub knock_work_bits_default: u64,
    /// The most work an operator can ask for, in bits.
    pub knock_work_bits_max: u64,
    /// How old the work for a message may be, or how far ahead its maker's clock.
    pub knock_work_age_max_ms: u64,
    /// How many delivery tokens a mailbox may have.
    pub delivery_tokens_max: u64,
    /// How many delivery tokens one request may name.
    pub delivery_tokens_per_request_max: u64,
    /// How long the mailbox of a former messaging key passes messages on to the present one.
    pub mailbox_forward_max_ms: u64,
    /// How many mailboxes a message is passed through before it is refused.
    pub mailbox_hops_max: u64,
    /// How many messages one batch sends at most.
    pub batch_messages_max: u64,
    /// The largest body of a batch, in bytes.
    pub batch_bytes_max: u64,
    /// How many batches are read and sent at once.
    pub batches_at_once_max: u64,
    /// How long after its request was read a refused message is answered, or a multiple of that.
    pub refusal_time_ms: u64,
    /// How many messages one fetch answers at most.
    pub fetch_messages_max: u64,
    /// How many messages one fetch answers when the client does not say.
    pub fetch_messages_default: u64,
    /// How many body bytes one fetch answers at most (at least one message is always answered).
    pub fetch_bytes_max: u64,
    /// How long a fetch may wait for a message (`Prefer: wait`).
    pub fetch_wait_max_ms: u64,
    /// How many messages one command can park, or close once parked.
    pub park_messages_max: u64,
    /// How many messaging keys one client may have had, the present one included.
    pub messaging_keys_max: u64,
    /// How many addresses one client may watch.
    pub watched_addresses_max: u64,
    /// How many addresses the operator of a server can allow one client at most.
    pub watched_addresses_ceiling: u64,
    /// How many addresses one JSON request may name.
    pub addresses_per_request_max: u64,
    /// How many addresses one page of a list shows at most.
    pub addresses_per_page_max: u64,
    /// How many lines one import may have.
    pub import_lines_max: u64,
    /// The longest line of an import, in bytes.
    pub import_line_bytes_max: u64,
    /// The largest body of an import, in bytes.
    pub import_bytes_max: u64,
    /// How many lines that were refused an answer to an import explains.
    pub import_errors_max: u64,
    /// How many imports are carried out at once.
    pub imports_at_once_max: u64,
    /// How many blocks ahead of the tip a birthday may be.
    pub birthday_ahead_blocks_max: u64,
    /// How far ahead of the server's clock a birthday may be.
    pub birthday_ahead_max_ms: u64,
    /// The longest script that is watched: a v1+ witness program is 42 bytes at most, a bare
    /// 3-key multisig 105 (consensus allows 10,000).
    pub script_bytes_max: u64,
    /// How many transactions one query answers at most.
    pub transactions_per_page_max: u64,
    /// How many steps of a transaction's way are kept: the first and the latest.
    pub transaction_steps_max: u64,
    /// The greatest depth a client can wait for.
    pub depth_max: u64,
    /// How many depths one watch can wait for.
    pub depths_per_watch_max: u64,
    /// How many blocks below the tip a reorganisation can reach and still be followed exactly.
    pub reorg_blocks_max: u64,
    /// How many notifications of the node wait for the watcher; more are a gap, which is made good.
    pub node_notices_max: u64,
    /// How many bytes of announced transactions wait for their sequence notification.
    pub node_bodies_bytes_max: u64,
    /// How many transactions one call asks of the node.
    pub node_bodies_per_call_max: u64,
    /// How long the node may take to answer one call.
    pub node_call_max_ms: u64,
    /// How often the watcher compares its tip and mempool with the node's.
    pub node_heartbeat_ms: u64,
    /// How deep a coinbase is when the next block can spend it.
    pub coinbase_maturity: u64,
    /// How deep a transaction is when it is final, unless the operator says otherwise.
    pub final_depth_default: u64,
    /// The smallest final depth.
    pub final_depth_min: u64,
    /// The greatest final depth.
    pub final_depth_max: u64,
    /// How often everything that is remembered is compared with the node.
    pub node_audit_ms: u64,
    /// How long the notifications that belong to such a comparison may take to arrive.
    pub node_audit_wait_ms: u64,
    /// The shortest time between two searches of the mempool for newly watched scripts.
    pub node_search_pause_ms: u64,
    /// How long a removal from the mempool waits for the transaction that took the place.
    pub node_removal_hold_ms: u64,
    /// The first wait after the node failed; it doubles up to `node_retry_max`.
    pub node_retry_min_ms: u64,
    /// The longest wait after the node failed.
    pub node_retry_max_ms: u64,
    /// The longest push endpoint, in bytes.
    pub push_endpoint_bytes_max: u64,
    /// How many wrong codes a push verification bears.
    pub push_code_attempts_max: u64,
    /// How long a push verification code is good.
    pub push_code_ttl_ms: u64,
    /// How long a push service keeps a push for a phone that it cannot reach.
    pub push_ttl_ms: u64,
    /// How long connecting to a push service may take.
    pub push_connect_timeout_ms: u64,
    /// How long one push may take, connecting included.
    pub push_timeout_ms: u64,
    /// The longest `Retry-After` of a push service that is honoured.
    pub push_retry_after_max_ms: u64,
    /// How much of a push service's answer is read, in bytes.
    pub push_reply_bytes_max: u64,
    /// How long a token for a push service is good; RFC 8292 allows 24 hours.
    pub push_token_lifetime_ms: u64,
    /// How many push services' tokens are remembered.
    pub push_tokens_cached_max: u64,
    /// The longest APNs device token, in bytes.
    pub apns_token_bytes_max: u64,
    /// The longest APNs topic, in bytes.
    pub apns_topic_bytes_max: u64,
    /// The longest FCM registration token, in bytes.
    pub fcm_token_bytes_max: u64,
    /// How often a push service may refuse a target for good, in a row, until it is dead.
    pub push_refusals_max: u64,
    /// How many failures in a row make the outbox leave a push service alone for a while.
    pub push_breaker_failures: u64,
    /// How many push services in trouble are remembered.
    pub push_breakers_max: u64,
    /// How long after a fetch a phone is left to work before it is woken again.
    pub push_fetch_grace_ms: u64,
    /// The shortest interval of the heartbeat, when it is on.
    pub push_heartbeat_min_ms: u64,
    /// How many commands of a stream are remembered for a repeat.
    pub commands_remembered_max: u64,
    /// How often a command is decided again after another writer was faster.
    pub conflict_retries_max: u64,
    /// How often an append is repeated when its outcome is not known.
    pub unknown_retries_max: u64,
    /// How long the first repeat of an append with unknown outcome waits; each further one waits twice as long.
    pub unknown_retry_delay_ms: u64,
    /// How many events one command gives at most; what needs more is asked for again.
    pub events_per_command_max: u64,
    /// How many events are read at once when a state is folded.
    pub fold_page_events: u64,
    /// How many folded states the command handler keeps.
    pub states_cached_max: u64,
    /// How many parts (messages, addresses, remembered commands; about 100 bytes each) the states that
    /// the command handler keeps may have together.
    pub states_cached_weight_max: u64,
    /// The largest stored event, body and metadata together, in bytes.
    pub event_bytes_max: u64,
    /// The longest name of an event type, in bytes.
    pub event_kind_bytes_max: u64,
    /// The largest payload beside the log, in bytes.
    pub payload_bytes_max: u64,
    /// How many payloads can lie beside the log at a time.
    pub payloads_max: u64,
    /// How many events one append takes.
    pub events_per_append_max: u64,
    /// How many payloads one append erases.
    pub erasures_per_append_max: u64,
    /// How many bytes the events of one append have together, bodies and metadata; and as many again
    /// for its payloads.
    pub append_bytes_max: u64,
    /// How far a request's clock may be from the server's.
    pub signature_skew_max_ms: u64,
    /// The longest time between a signature's creation and its expiry.
    pub signature_lifetime_max_ms: u64,
    /// The largest JSON request body, in bytes.
    pub json_body_bytes_max: u64,
    /// How long a request body may take to arrive.
    pub body_deadline_ms: u64,
    /// How long a request body may make no progress before the minimum rate is asked of it.
    pub body_grace_ms: u64,
    /// The slowest a request body may arrive after `body_grace`, in bytes per second on average.
    pub body_bytes_per_sec_min: u64,
    /// How many connections beyond those that may be open are kept open to be told so; what comes then
    /// is closed at once.
    pub connections_refused_politely_max: u64,
    /// The largest request line and headers together, in bytes.
    pub request_head_bytes_max: u64,
    /// How many signature nonces are remembered. A full memory refuses requests, it never forgets.
    pub signature_nonces_max: u64,
    /// How many keys and how many peers the rate limiter remembers at once.
    pub rate_limited_max: u64,
    /// How many fetches may wait for a message at once; one more is answered at once.
    pub fetches_waiting_max: u64,
    /// How long a query waits until the projections have reached `Satpost-Min-Position`.
    pub min_position_wait_max_ms: u64,
    /// How many event streams one client may have open.
    pub event_streams_per_client_max: u64,
    /// How many event streams a server keeps open.
    pub event_streams_max: u64,
    /// How often something is sent on a stream on which nothing happens.
    pub event_heartbeat_ms: u64,
    /// How long a client waits before it opens a stream again.
    pub event_retry_ms: u64,
    /// How many steps of transactions one look takes from the read model.
    pub events_per_look_max: u64,
    /// How many bytes of events are handed to a connection at once; one event always fits.
    pub event_chunk_bytes_max: u64,
    /// How long a reader may take nothing of what is sent to it.
    pub reader_stall_max_ms: u64,
    /// How many proofs are made or wait to be made at the same time.
    pub proofs_at_once_max: u64,
    /// How many blocks are kept for further proofs of the same blocks.
    pub proof_blocks_cached_max: u64,
    /// How many hashes a Merkle path has at most.
    pub merkle_path_max: u64,
    /// How many price feeds a server can have.
    pub price_feeds_max: u64,
    /// How many currencies a server can have prices in.
    pub price_currencies_max: u64,
    /// How much of an exchange's answer is read, in bytes; a longer one is refused.
    pub price_reply_bytes_max: u64,
    /// How many candles of one answer of an exchange are looked at; more are refused.
    pub price_reply_candles_max: u64,
    /// How long connecting to an exchange may take.
    pub price_connect_timeout_ms: u64,
    /// How long one answer of an exchange may take, connecting included.
    pub price_timeout_ms: u64,
    /// The longest wait between two attempts on an exchange that fails.
    pub price_retry_max_ms: u64,
    /// How far a candle may lie ahead of the server's clock.
    pub price_future_max_ms: u64,
    /// How old the last good price may be when it is still told, flagged as stale.
    pub price_stale_max_ms: u64,
    /// How many observations wait to be recorded.
    pub price_records_waiting_max: u64,
    /// How many observations a history is configured to hold at most.
    pub price_records_max: u64,
    /// How many rows of history one query answers at most.
    pub price_history_rows_max: u64,
    /// How many points in time one query of the history names at most.
    pub price_history_dates_max: u64,
    /// The largest block, in bytes: consensus allows a weight of 4,000,000, and a byte weighs 1 at least.
    pub node_block_bytes_max: u64,
    /// The most bytes of the outputs that one block can spend: an input weighs 41 * 4 at least, and an
    /// output that can be spent has a script of 10,000 bytes at most, so 24,390 outputs of 10,011 bytes.
    pub node_spent_bytes_max: u64,
    /// How many blocks wait, fetched from the node, to be searched.
    pub node_blocks_ahead_max: u64,
    /// How many block hashes one call asks of the node.
    pub node_hashes_per_call_max: u64,
    /// How many scripts one command adds to a back-fill: their hashes fit an event.
    pub backfill_scripts_per_command_max: u64,
    /// Up to how many scripts a back-fill asks the node's block filters; more are found faster by
    /// reading every block (measured: 1,999 blocks/s for 1,000 scripts, 249 for 10,000, against 157
    /// to 352 for whole blocks).
    pub backfill_filtered_scripts_max: u64,
    /// How many blocks a back-fill reads at most before it records how far it came.
    pub backfill_blocks_per_record_max: u64,
    /// How many blocks one question about block filters covers at most.
    pub backfill_filter_blocks_max: u64,
    /// How long the node may take to scan its filters or its unspent outputs.
    pub node_scan_max_ms: u64,
    /// How many seconds the time of a block may be before the birthday that it still belongs to: a
    /// header's time is up to two hours off.
    pub birthday_slack_secs: u64,
    /// How many coins one page lists at most.
    pub utxos_per_page_max: u64,
    /// The largest request body of the Esplora API, in bytes, as other Esplora servers bound it.
    pub esplora_body_bytes_max: u64,
    /// How many confirmed transactions a page of the Esplora API holds; its clients count on it.
    pub esplora_confirmed_per_page: u64,
    /// How many mempool transactions of one script it tells.
    pub esplora_unconfirmed_per_page: u64,
    /// How many transactions a page may hold when the client says how many.
    pub esplora_transactions_per_page_max: u64,
    /// How many blocks a page of it holds.
    pub esplora_blocks_per_page: u64,
    /// How many mempool transactions it tells as recent.
    pub esplora_recent_max: u64,
    /// How many txids a page of the mempool holds.
    pub esplora_txids_per_page: u64,
    /// How many unspent outputs it tells of one script unless the operator says otherwise.
    pub esplora_unspent_default_max: u64,
    /// How many transactions of a watched script it computes an answer from.
    pub esplora_history_max: u64,
    /// How many scripts one of its requests may name.
    pub esplora_scripts_per_request_max: u64,
    /// How many transactions one of its requests may name.
    pub esplora_txids_per_request_max: u64,
    /// How many transactions a package may have (BIP 331 and Bitcoin Core's own bound).
    pub esplora_package_max: u64,
    /// When a client may ask again after a refusal that passes by itself.
    pub esplora_retry_after_ms: u64,
    /// How many WebSockets may be open at once.
    pub esplora_websockets_max: u64,
    /// How many scripts one WebSocket may track.
    pub esplora_tracked_per_websocket_max: u64,
    /// The largest message a WebSocket may send, in bytes.
    pub esplora_websocket_message_bytes_max: u64,
    /// How long a WebSocket may say nothing, not even a pong, before it is closed.
    pub esplora_websocket_silence_max_ms: u64,
    /// How many bytes of transactions that were asked of the node are remembered.
    pub esplora_bodies_bytes_max: u64,
    /// How many block summaries are remembered.
    pub esplora_blocks_remembered_max: u64,
    /// How many questions to the node the Esplora API has under way at once.
    pub esplora_node_calls_max: u64,
    /// How many further ones wait for their turn; one more is refused.
    pub esplora_node_calls_waiting_max: u64,
    /// How many blocks one transaction of the index connects while it catches up.
    pub esplora_blocks_per_batch_max: u64,
    /// How many bytes of blocks it connects at once.
    pub esplora_block_bytes_per_batch_max: u64,
    /// How many connections of the Electrum protocol may be open at once.
    pub electrum_connections_max: u64,
    /// The longest line of the Electrum protocol, in bytes.
    pub electrum_line_bytes_max: u64,
    /// How many mailboxes are read live at once, over a stream or a socket.
    pub live_readers_max: u64,
    /// How many live readers of one mailbox are there at once: the newest, and earlier ones that
    /// have not been told yet that they are superseded.
    pub live_readers_per_mailbox_max: u64,
    /// How many messages one look at a mailbox takes for a live reader.
    pub live_messages_per_look_max: u64,
    /// How many body bytes one look takes; one message always fits.
    pub live_bytes_per_look_max: u64,
    /// How many deliveries a socket may have outstanding: told, and not acknowledged.
    pub socket_credit_max: u64,
    /// The largest message a client may send over a socket, in bytes.
    pub socket_message_bytes_max: u64,
    /// How often the server pings a socket.
    pub socket_ping_ms: u64,
    /// How long a socket may say nothing, not even a pong, before it is closed.
    pub socket_silence_max_ms: u64,
    /// How long the server waits for its last words to be taken, and for the client's own close.
    pub socket_goodbye_max_ms: u64,
}

/// `GET /operator/projections`, on the operator's listener only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectionsResponse {
    /// The projections of this server.
    pub projections: Vec<ProjectionState>,
}

/// How far a projection is, and what it holds: two servers at the same position have the same digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectionState {
    /// Its name.
    pub name: String,
    /// The version of its state.
    pub version: u32,
    /// The position of the last event it has applied.
    pub position: String,
    /// SHA-256 of its state, 64 hexadecimal characters.
    pub digest: String,
}
