//! Every bound of the system. `GET /v1/limits` serves them; nothing else defines one.

use std::time::Duration;

/// The sizes a message body may have, in bytes. A body is padded to one of them by its sender,
/// so that the server learns a bucket and not a length.
pub const MESSAGE_SIZE_BUCKETS: [usize; 4] = [512, 2 * 1024, 8 * 1024, 16 * 1024];
/// The largest message body, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// How many messages may wait in one mailbox, parked ones included.
pub const MAILBOX_MESSAGES_MAX: usize = 1_000;
/// How many bytes may wait in one mailbox, counted in size buckets.
pub const MAILBOX_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a message waits when its sender does not say.
pub const MESSAGE_TTL_DEFAULT: Duration = Duration::from_secs(14 * 24 * 3600);
/// The longest a message can wait.
pub const MESSAGE_TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// The shortest time to live that is not refused.
pub const MESSAGE_TTL_MIN: Duration = Duration::from_secs(60);
/// How many messages one fetch answers at most.
pub const FETCH_MESSAGES_MAX: usize = 256;
/// How many messages one fetch answers when the client does not say.
pub const FETCH_MESSAGES_DEFAULT: usize = 50;
/// How many body bytes one fetch answers at most (at least one message is always answered).
pub const FETCH_BYTES_MAX: usize = 1024 * 1024;
/// How long a fetch may wait for a message (`Prefer: wait`).
pub const FETCH_WAIT_MAX: Duration = Duration::from_secs(30);
/// How many messages one command can park, or close once parked.
pub const PARK_MESSAGES_MAX: usize = 64;

/// How many addresses one client may watch.
pub const WATCHED_ADDRESSES_MAX: usize = 10_000;
/// How many addresses one request may name.
pub const ADDRESSES_PER_REQUEST_MAX: usize = 100;
/// The longest script that is watched: a v1+ witness program is 42 bytes at most, a bare
/// 3-key multisig 105 (consensus allows 10,000).
pub const SCRIPT_BYTES_MAX: usize = 128;
/// How many transactions one query answers at most.
pub const TRANSACTIONS_PER_PAGE_MAX: usize = 100;
/// How many steps of a transaction's way are kept: the first and the latest.
pub const TRANSACTION_STEPS_MAX: usize = 32;

/// How many blocks below the tip a reorganisation can reach and still be followed exactly.
pub const REORG_BLOCKS_MAX: usize = 288;

/// The longest push endpoint, in bytes.
pub const PUSH_ENDPOINT_BYTES_MAX: usize = 2_048;
/// How many wrong codes a push verification bears.
pub const PUSH_CODE_ATTEMPTS_MAX: u8 = 5;
/// How long a push verification code is good.
pub const PUSH_CODE_TTL: Duration = Duration::from_secs(10 * 60);

/// How many commands of a stream are remembered for a repeat.
pub const COMMANDS_REMEMBERED_MAX: usize = 1_024;
/// How often a command is decided again after another writer was faster.
pub const CONFLICT_RETRIES_MAX: usize = 8;
/// How many folded states the command handler keeps.
pub const STATES_CACHED_MAX: usize = 65_536;

/// The largest stored event, body and metadata together, in bytes.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;
/// The longest name of an event type, in bytes.
pub const EVENT_KIND_BYTES_MAX: usize = 255;
/// The largest payload beside the log, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// How many payloads can lie beside the log at a time.
pub const PAYLOADS_MAX: usize = 16 * 1024 * 1024;
/// How many events one append takes.
pub const EVENTS_PER_APPEND_MAX: usize = 4_096;
/// How many payloads one append erases.
pub const ERASURES_PER_APPEND_MAX: usize = 4_096;
/// How many bytes the events of one append have together, bodies and metadata; and as many again
/// for its payloads.
pub const APPEND_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How far a request's clock may be from the server's.
pub const SIGNATURE_SKEW_MAX: Duration = Duration::from_secs(60);
/// The longest time between a signature's creation and its expiry.
pub const SIGNATURE_LIFETIME_MAX: Duration = Duration::from_secs(120);
/// The largest JSON request body, in bytes.
pub const JSON_BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a request body may take to arrive.
pub const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// How long a query waits until the projections have reached `Satpost-Min-Position`.
pub const MIN_POSITION_WAIT_MAX: Duration = Duration::from_secs(5);
