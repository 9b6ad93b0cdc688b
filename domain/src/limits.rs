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
/// How many places a mailbox's line may have: messages, and tombstones of messages that ended before
/// their recipient came back. Without it, short-lived messages to a lost phone would pile up for ever.
pub const MAILBOX_LINE_MAX: usize = 10_000;
/// How long a message waits when its sender does not say.
pub const MESSAGE_TTL_DEFAULT: Duration = Duration::from_secs(14 * 24 * 3600);
/// The longest a message can wait.
pub const MESSAGE_TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// The shortest time to live that is not refused.
pub const MESSAGE_TTL_MIN: Duration = Duration::from_secs(60);
/// How many messages of strangers may wait in one mailbox.
pub const KNOCKS_MAX: usize = 16;
/// The largest message of a stranger, in bytes.
pub const KNOCK_BYTES_MAX: usize = 2 * 1024;
/// How long a message of a stranger waits. Strangers cannot shorten it: each that ends leaves a
/// tombstone, and many short ones would fill the line of a phone that is off.
pub const KNOCK_TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many leading zero bits the work for a stranger's message has when the operator does not say:
/// about a million hashes, well below a second on a phone.
pub const KNOCK_WORK_BITS_DEFAULT: u32 = 20;
/// The most work an operator can ask for; a phone would be busy for an hour.
pub const KNOCK_WORK_BITS_MAX: u32 = 32;
/// How old the work for a message may be, or how far ahead its maker's clock.
pub const KNOCK_WORK_AGE_MAX: Duration = Duration::from_secs(10 * 60);
/// How many delivery tokens a mailbox may have.
pub const DELIVERY_TOKENS_MAX: usize = 2_048;
/// How many delivery tokens one request may name.
pub const DELIVERY_TOKENS_PER_REQUEST_MAX: usize = 256;
/// How long the mailbox of a former messaging key passes messages on to the present one.
pub const MAILBOX_FORWARD_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many mailboxes a message is passed through before it is refused: it goes to the key that
/// follows the one it was written to, and so on.
pub const MAILBOX_HOPS_MAX: usize = 16;
/// How many messages one batch sends at most.
pub const BATCH_MESSAGES_MAX: usize = 64;
/// The largest body of a batch, in bytes: as many of the largest messages, in base64, and 1 KiB for
/// what stands beside each of them.
pub const BATCH_BYTES_MAX: usize = BATCH_MESSAGES_MAX * (MESSAGE_BYTES_MAX.div_ceil(3) * 4 + 1024);
/// How many batches are read and sent at once; each holds its whole body in memory.
pub const BATCHES_AT_ONCE_MAX: usize = 128;
/// How long after its request was read a refused message is answered. It covers the slowest way to a
/// refusal, which folds a long mailbox from the disk; a server that is slower still answers at the
/// next multiple, so that how much slower it was is not told.
pub const REFUSAL_TIME: Duration = Duration::from_millis(50);

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

/// How many messaging keys one client may have had, the present one included. Each keeps a mailbox.
pub const MESSAGING_KEYS_MAX: usize = 256;

/// How many addresses one client may watch, unless the operator allows more.
pub const WATCHED_ADDRESSES_MAX: usize = 10_000;
/// How many addresses the operator can allow one client at most. The folded state of a list takes
/// about 200 bytes for each; a service with more of them uses several keys.
pub const WATCHED_ADDRESSES_CEILING: usize = 1_000_000;
/// How many addresses one JSON request may name.
pub const ADDRESSES_PER_REQUEST_MAX: usize = 100;
/// How many addresses one page of a list shows at most.
pub const ADDRESSES_PER_PAGE_MAX: usize = 1_000;
/// How many lines one import may have.
pub const IMPORT_LINES_MAX: usize = 100_000;
/// The longest line of an import, in bytes: a script of [`SCRIPT_BYTES_MAX`] in hexadecimal, with
/// all options.
pub const IMPORT_LINE_BYTES_MAX: usize = 1_024;
/// The largest body of an import, in bytes.
pub const IMPORT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How many lines that were refused an answer to an import explains.
pub const IMPORT_ERRORS_MAX: usize = 20;
/// How many imports are carried out at once; each holds its whole body in memory.
pub const IMPORTS_AT_ONCE_MAX: usize = 8;
/// How many blocks ahead of the tip a birthday may be: a day, for a wallet made while the server's
/// node was behind.
pub const BIRTHDAY_AHEAD_BLOCKS_MAX: u32 = 144;
/// How far ahead of the server's clock a birthday may be: what the header of a block may be
/// (`MAX_FUTURE_BLOCK_TIME`).
pub const BIRTHDAY_AHEAD_MAX: Duration = Duration::from_secs(2 * 3600);
/// The longest script that is watched: a v1+ witness program is 42 bytes at most, a bare
/// 3-key multisig 105 (consensus allows 10,000).
pub const SCRIPT_BYTES_MAX: usize = 128;
/// How many transactions one query answers at most.
pub const TRANSACTIONS_PER_PAGE_MAX: usize = 100;
/// How many steps of a transaction's way are kept: the first and the latest.
pub const TRANSACTION_STEPS_MAX: usize = 32;

/// The greatest depth a client can wait for: about a day of blocks, and where LND considers a
/// reorganisation impossible (`MaxNumConfs`).
pub const DEPTH_MAX: u8 = 144;
/// How many depths one watch can wait for.
pub const DEPTHS_PER_WATCH_MAX: usize = 8;

/// How deep a coinbase must be before a block can spend it (`COINBASE_MATURITY` of the consensus
/// rules: the block 100 above its own is the first that can).
pub const COINBASE_MATURITY: u32 = 100;
/// How deep a transaction is when no reorganisation is expected to reach it any more, when the
/// operator does not say.
pub const FINAL_DEPTH_DEFAULT: u32 = 144;
/// The smallest final depth: what most services take for settled.
pub const FINAL_DEPTH_MIN: u32 = 6;
/// The greatest final depth: transactions are remembered no deeper.
pub const FINAL_DEPTH_MAX: u32 = 288;

/// How many blocks below the tip a reorganisation can reach and still be followed exactly.
pub const REORG_BLOCKS_MAX: usize = 288;
/// How many notifications of the node wait for the watcher; more are a gap, which is made good.
pub const NODE_NOTICES_MAX: usize = 16_384;
/// How many bytes of announced transactions wait for their sequence notification.
pub const NODE_BODIES_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How many transactions one call asks of the node.
pub const NODE_BODIES_PER_CALL_MAX: usize = 100;
/// How long the node may take to answer one call.
pub const NODE_CALL_MAX: Duration = Duration::from_secs(30);
/// How often the watcher compares its tip and mempool with the node's.
pub const NODE_HEARTBEAT: Duration = Duration::from_secs(1);
/// How often everything that is remembered is compared with the node.
pub const NODE_AUDIT: Duration = Duration::from_secs(10 * 60);
/// How long the notifications that belong to an audit may take to arrive.
pub const NODE_AUDIT_WAIT: Duration = Duration::from_secs(10);
/// The shortest time between two searches of the mempool for newly watched scripts.
pub const NODE_SEARCH_PAUSE: Duration = Duration::from_millis(50);
/// How long a removal from the mempool waits for the transaction that took the place.
pub const NODE_REMOVAL_HOLD: Duration = Duration::from_millis(250);
/// The first wait after the node failed; it doubles up to [`NODE_RETRY_MAX`].
pub const NODE_RETRY_MIN: Duration = Duration::from_millis(250);
/// The longest wait after the node failed.
pub const NODE_RETRY_MAX: Duration = Duration::from_secs(10);

// ---- blocks as bytes ------------------------------------------------------------------------------

/// The largest block, in bytes: consensus allows a weight of 4,000,000, and a byte weighs 1 at least.
pub const NODE_BLOCK_BYTES_MAX: usize = 4_000_000;
/// The most bytes of the outputs that one block can spend: an input weighs 41 * 4 at least, and an
/// output that can be spent has a script of 10,000 bytes at most, so 24,390 outputs of 10,011 bytes.
pub const NODE_SPENT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How many blocks wait, fetched from the node, to be searched.
pub const NODE_BLOCKS_AHEAD_MAX: usize = 4;
/// How many block hashes one call asks of the node.
pub const NODE_HASHES_PER_CALL_MAX: u32 = 500;

/// The longest push endpoint, in bytes.
pub const PUSH_ENDPOINT_BYTES_MAX: usize = 2_048;
/// How many wrong codes a push verification bears.
pub const PUSH_CODE_ATTEMPTS_MAX: u8 = 5;
/// How long a push verification code is good.
pub const PUSH_CODE_TTL: Duration = Duration::from_secs(10 * 60);
/// How long a push service keeps a push for a phone that it cannot reach.
pub const PUSH_TTL: Duration = Duration::from_secs(24 * 3600);
/// How long connecting to a push service may take.
pub const PUSH_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one push may take, connecting included.
pub const PUSH_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest `Retry-After` of a push service that is honoured.
pub const PUSH_RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// How much of a push service's answer is read, in bytes.
pub const PUSH_REPLY_BYTES_MAX: usize = 4_096;
/// How long a token for a push service is good; RFC 8292 allows 24 hours.
pub const PUSH_TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// How many push services' tokens are remembered.
pub const PUSH_TOKENS_CACHED_MAX: usize = 256;

// Push: Apple and Google.
/// The longest APNs device token, in bytes. Today it has 32; Apple asks not to rely on that.
pub const APNS_TOKEN_BYTES_MAX: usize = 128;
/// The longest APNs topic (the bundle id of an app), in bytes.
pub const APNS_TOPIC_BYTES_MAX: usize = 155;
/// The longest FCM registration token, in bytes. Today it has about 160; Google names no bound.
pub const FCM_TOKEN_BYTES_MAX: usize = 1_024;

// Push: the pace of the outbox.
/// How often a push service may refuse a target for good, in a row, until it is dead: a clock that is
/// wrong for an hour must not cost every phone its target.
pub const PUSH_REFUSALS_MAX: u32 = 3;
/// How many failures in a row make the outbox leave a push service alone for a while.
pub const PUSH_BREAKER_FAILURES: u32 = 5;
/// How many push services in trouble are remembered: phones choose theirs.
pub const PUSH_BREAKERS_MAX: usize = 1_024;
/// How long after a fetch a phone is left to work before it is woken again.
pub const PUSH_FETCH_GRACE: Duration = Duration::from_secs(3);
/// The shortest interval of the heartbeat, when it is on.
pub const PUSH_HEARTBEAT_MIN: Duration = Duration::from_secs(60);

/// How many commands of a stream are remembered for a repeat.
pub const COMMANDS_REMEMBERED_MAX: usize = 1_024;
/// How often a command is decided again after another writer was faster.
pub const CONFLICT_RETRIES_MAX: usize = 8;
/// How often an append is repeated when its outcome is not known.
pub const UNKNOWN_RETRIES_MAX: u32 = 4;
/// How long the first repeat of an append with unknown outcome waits; each further one waits twice as long.
pub const UNKNOWN_RETRY_DELAY: Duration = Duration::from_millis(25);
/// How many events one command gives at most; what needs more is asked for again.
pub const EVENTS_PER_COMMAND_MAX: usize = 1_024;
/// How many events are read at once when a state is folded.
pub const FOLD_PAGE_EVENTS: usize = 512;
/// How many folded states the command handler keeps.
pub const STATES_CACHED_MAX: usize = 65_536;
/// How many parts (messages, addresses, remembered commands; about 100 bytes each) the states that
/// the command handler keeps may have together.
pub const STATES_CACHED_WEIGHT_MAX: usize = 4_000_000;

// ---- the back-fill of history and what is asked of it ----------------------------------------

/// How many scripts one command adds to a back-fill: their hashes fit an event.
pub const BACKFILL_SCRIPTS_PER_COMMAND_MAX: usize = 1_024;
/// Up to how many scripts a back-fill asks the node's block filters; more are found faster by
/// reading every block (measured: 1,999 blocks/s for 1,000 scripts, 249 for 10,000, against 157
/// to 352 for whole blocks).
pub const BACKFILL_FILTERED_SCRIPTS_MAX: usize = 3_000;
/// How many blocks a back-fill reads at most before it records how far it came.
pub const BACKFILL_BLOCKS_PER_RECORD_MAX: usize = 512;
/// How many blocks one question about block filters covers at most.
pub const BACKFILL_FILTER_BLOCKS_MAX: u32 = 100_000;
/// How long the node may take to scan its filters or its unspent outputs.
pub const NODE_SCAN_MAX: Duration = Duration::from_secs(15 * 60);
/// How many seconds the time of a block may be before the birthday that it still belongs to: a
/// header's time is up to two hours off.
pub const BIRTHDAY_SLACK_SECS: u64 = 2 * 3600;
/// How many coins one page lists at most.
pub const UTXOS_PER_PAGE_MAX: usize = 500;

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
/// How long a request body may make no progress before the minimum rate is asked of it.
pub const BODY_GRACE: Duration = Duration::from_secs(3);
/// The slowest a request body may arrive after [`BODY_GRACE`], in bytes per second on average.
pub const BODY_BYTES_PER_SEC_MIN: u64 = 512;
/// The largest request line and headers together, in bytes.
pub const REQUEST_HEAD_BYTES_MAX: usize = 16 * 1024;
/// How many connections beyond those that may be open are kept open to be told so; what comes then is
/// closed at once.
pub const CONNECTIONS_REFUSED_POLITELY_MAX: usize = 64;
/// How many signature nonces are remembered. A full memory refuses requests, it never forgets.
pub const SIGNATURE_NONCES_MAX: usize = 1 << 20;
/// How many keys and how many peers the rate limiter remembers at once.
pub const RATE_LIMITED_MAX: usize = 1 << 18;
/// How many fetches may wait for a message at once; one more is answered at once.
pub const FETCHES_WAITING_MAX: usize = 16 * 1024;
/// How long a query waits until the projections have reached `Satpost-Min-Position`.
pub const MIN_POSITION_WAIT_MAX: Duration = Duration::from_secs(5);

// The feed of changes, and proofs.

/// How many event streams one client may have open: a phone, and what it left behind when it moved
/// to another network.
pub const EVENT_STREAMS_PER_CLIENT_MAX: usize = 4;
/// How many event streams a server keeps open.
pub const EVENT_STREAMS_MAX: usize = 16 * 1024;
/// How often something is sent on a stream on which nothing happens, so that both ends and what is
/// between them know that it lives.
pub const EVENT_HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client waits before it opens a stream again (`retry` of the stream).
pub const EVENT_RETRY: Duration = Duration::from_secs(2);
/// How many steps of transactions one look takes from the read model.
pub const EVENTS_PER_LOOK_MAX: usize = 512;
/// How many bytes of events are handed to a connection at once; one event always fits.
pub const EVENT_CHUNK_BYTES_MAX: usize = 16 * 1024;
/// How long a reader may take nothing of what is sent to it.
pub const READER_STALL_MAX: Duration = Duration::from_secs(60);
/// How many proofs are made or wait to be made at the same time.
pub const PROOFS_AT_ONCE_MAX: usize = 64;
/// How many blocks are kept for further proofs of the same blocks.
pub const PROOF_BLOCKS_CACHED_MAX: usize = 4;
/// How many hashes a Merkle path has at most: a block of 4,000,000 weight units holds at most 16,666
/// transactions of 60 bytes, the smallest that are valid, and 2^15 is more.
pub const MERKLE_PATH_MAX: usize = 15;

// Prices.

/// How many price feeds a server can have.
pub const PRICE_FEEDS_MAX: usize = 32;
/// How many currencies a server can have prices in.
pub const PRICE_CURRENCIES_MAX: usize = 32;
/// How much of an exchange's answer is read, in bytes; a longer one is refused.
pub const PRICE_REPLY_BYTES_MAX: usize = 1024 * 1024;
/// How many candles of one answer of an exchange are looked at; more are refused.
pub const PRICE_REPLY_CANDLES_MAX: usize = 2_000;
/// How long connecting to an exchange may take.
pub const PRICE_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one answer of an exchange may take, connecting included.
pub const PRICE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait between two attempts on an exchange that fails.
pub const PRICE_RETRY_MAX: Duration = Duration::from_secs(10 * 60);
/// How far a candle may lie ahead of the server's clock.
pub const PRICE_FUTURE_MAX: Duration = Duration::from_secs(60);
/// How old the last good price may be when it is still told, flagged as stale.
pub const PRICE_STALE_MAX: Duration = Duration::from_secs(24 * 3600);
/// How many observations wait to be recorded.
pub const PRICE_RECORDS_WAITING_MAX: usize = 1_024;
/// How many observations a history is configured to hold at most.
pub const PRICE_RECORDS_MAX: u64 = 50_000_000;
/// How many rows of history one query answers at most.
pub const PRICE_HISTORY_ROWS_MAX: usize = 10_000;
/// How many points in time one query of the history names at most.
pub const PRICE_HISTORY_DATES_MAX: usize = 100;

// ---- Esplora -----------------------------------------------------------------------------------

/// The largest request body of the Esplora API, in bytes, as other Esplora servers bound it.
pub const ESPLORA_BODY_BYTES_MAX: usize = 1_000_000;
/// How many confirmed transactions a page of the Esplora API holds; its clients count on it.
pub const ESPLORA_CONFIRMED_PER_PAGE: usize = 25;
/// How many mempool transactions of one script it tells.
pub const ESPLORA_UNCONFIRMED_PER_PAGE: usize = 50;
/// How many transactions a page may hold when the client says how many.
pub const ESPLORA_TRANSACTIONS_PER_PAGE_MAX: usize = 100;
/// How many blocks a page of it holds.
pub const ESPLORA_BLOCKS_PER_PAGE: usize = 10;
/// How many mempool transactions it tells as recent.
pub const ESPLORA_RECENT_MAX: usize = 10;
/// How many txids a page of the mempool holds.
pub const ESPLORA_TXIDS_PER_PAGE: usize = 10_000;
/// How many unspent outputs it tells of one script unless the operator says otherwise.
pub const ESPLORA_UNSPENT_DEFAULT_MAX: usize = 500;
/// How many transactions of a watched script it computes an answer from.
pub const ESPLORA_HISTORY_MAX: usize = 2_000;
/// How many scripts one of its requests may name.
pub const ESPLORA_SCRIPTS_PER_REQUEST_MAX: usize = 300;
/// How many transactions one of its requests may name.
pub const ESPLORA_TXIDS_PER_REQUEST_MAX: usize = 50;
/// How many transactions a package may have (BIP 331 and Bitcoin Core's own bound).
pub const ESPLORA_PACKAGE_MAX: usize = 25;
/// When a client may ask again after a refusal that passes by itself.
pub const ESPLORA_RETRY_AFTER: Duration = Duration::from_secs(2);
/// How many WebSockets may be open at once.
pub const ESPLORA_WEBSOCKETS_MAX: usize = 1_000;
/// How many scripts one WebSocket may track.
pub const ESPLORA_TRACKED_PER_WEBSOCKET_MAX: usize = 100;
/// The largest message a WebSocket may send, in bytes.
pub const ESPLORA_WEBSOCKET_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// How long a WebSocket may say nothing, not even a pong, before it is closed.
pub const ESPLORA_WEBSOCKET_SILENCE_MAX: Duration = Duration::from_secs(90);
/// How many bytes of transactions that were asked of the node are remembered.
pub const ESPLORA_BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How many block summaries are remembered.
pub const ESPLORA_BLOCKS_REMEMBERED_MAX: usize = 256;
/// How many questions to the node the Esplora API has under way at once.
pub const ESPLORA_NODE_CALLS_MAX: usize = 4;
/// How many further ones wait for their turn; one more is refused.
pub const ESPLORA_NODE_CALLS_WAITING_MAX: usize = 256;
/// How many blocks one transaction of the index connects while it catches up.
pub const ESPLORA_BLOCKS_PER_BATCH_MAX: usize = 200;
/// How many bytes of blocks it connects at once.
pub const ESPLORA_BLOCK_BYTES_PER_BATCH_MAX: usize = 32 * 1024 * 1024;
/// How many connections of the Electrum protocol may be open at once.
pub const ELECTRUM_CONNECTIONS_MAX: usize = 256;
/// The longest line of the Electrum protocol, in bytes.
pub const ELECTRUM_LINE_BYTES_MAX: usize = 64 * 1024;

// Live delivery.

/// How many mailboxes are read live at once, over a stream or a socket.
pub const LIVE_READERS_MAX: usize = 16 * 1024;
/// How many live readers of one mailbox are there at once: the newest, and earlier ones that have
/// not been told yet that they are superseded.
pub const LIVE_READERS_PER_MAILBOX_MAX: usize = 4;
/// How many messages one look at a mailbox takes for a live reader.
pub const LIVE_MESSAGES_PER_LOOK_MAX: usize = 16;
/// How many body bytes one look takes; one message always fits.
pub const LIVE_BYTES_PER_LOOK_MAX: usize = MESSAGE_BYTES_MAX;
/// How many deliveries a socket may have outstanding: told, and not acknowledged.
pub const SOCKET_CREDIT_MAX: usize = 256;
/// The largest message a client may send over a socket, in bytes: [`PARK_MESSAGES_MAX`] ids with
/// reasons take about a third of it.
pub const SOCKET_MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// How often the server pings a socket.
pub const SOCKET_PING: Duration = Duration::from_secs(30);
/// How long a socket may say nothing, not even a pong, before it is closed.
pub const SOCKET_SILENCE_MAX: Duration = Duration::from_secs(90);
/// How long the server waits for its last words to be taken, and for the client's own close.
pub const SOCKET_GOODBYE_MAX: Duration = Duration::from_secs(1);
