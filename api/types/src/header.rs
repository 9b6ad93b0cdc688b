//! Names of the headers that are ours, or that we give a meaning.

/// The position of the last event of a command; a query that sends it back sees the effect.
pub const POSITION: &str = "satpost-position";
/// A query waits until its projections have reached this position.
pub const MIN_POSITION: &str = "satpost-min-position";
/// The command id: 32 hexadecimal characters, or a UUID with dashes.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// `true` on the answer to a repeated command.
pub const IDEMPOTENT_REPLAYED: &str = "idempotent-replayed";
/// Seconds a message may wait (RFC 8030, section 5.2).
pub const TTL: &str = "ttl";
/// The delivery token a sender was given by the recipient: 64 lower-case hexadecimal characters.
pub const DELIVERY_TOKEN: &str = "delivery-token";
/// The work that was done for a message: `<Unix seconds>:<16 hexadecimal characters>`.
pub const PROOF_OF_WORK: &str = "proof-of-work";
/// Names a request in the server's log and in problems; a client may choose it (1 to 64 letters,
/// digits, `-` and `_`), else the server does.
pub const REQUEST_ID: &str = "x-request-id";
