//! Problems (RFC 9457) and the closed list of their codes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of every answer that is no success, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:satpost:problem:<code>`.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// A short sentence for the code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here and what to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The stable code; programs decide by it.
    pub code: String,
    /// Names this request in the server's log.
    pub request_id: String,
    /// The server's clock; with `clock-skew`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_time: Option<u64>,
    /// The bound that was passed; with `too-large`, `queue-full` and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Which limiter refused, with 429 and `too-many-connections`: `requests-per-peer`,
    /// `requests-per-key`, `requests-per-token`, `registrations-per-peer`, `strangers-per-peer`,
    /// `event-streams-per-client`, `connections` or `connections-per-peer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_name: Option<String>,
    /// Seconds after which a repeat makes sense, where a `Retry-After` header has no place: in a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

macro_rules! problem_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// Every code a problem can have.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemCode {
            $($(#[$doc])* $name,)*
        }

        impl ProblemCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its stable text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status it is answered with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// A short sentence for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

problem_codes! {
    /// A header, query or body does not parse.
    Malformed = "malformed", 400, "The request does not parse";
    /// The signature headers do not follow the profile.
    SignatureMalformed = "signature-malformed", 400, "The signature headers do not follow the profile";
    /// A key is not canonical or has small order.
    InvalidKey = "invalid-key", 400, "The public key cannot be used";
    /// A command without an idempotency key.
    IdempotencyKeyMissing = "idempotency-key-missing", 400, "A command needs an Idempotency-Key";
    /// No signature where one is needed.
    SignatureMissing = "signature-missing", 401, "The request must be signed";
    /// The signature does not verify, or the digest does not fit the body.
    SignatureInvalid = "signature-invalid", 401, "The signature does not verify";
    /// The nonce was used before.
    SignatureReplayed = "signature-replayed", 401, "The signature was used before";
    /// Created too early or too late for the server's clock, or before the server started.
    ClockSkew = "clock-skew", 401, "The signature's time does not fit the server's clock";
    /// The signed authority is none of this server's names.
    WrongAuthority = "wrong-authority", 401, "The signature is for another server";
    /// The key is not registered.
    NotRegistered = "not-registered", 403, "The key is not registered";
    /// The client was retired.
    Retired = "retired", 403, "The client was retired";
    /// The recipient is unknown, or takes nothing from this sender.
    DeliveryRefused = "delivery-refused", 403, "The recipient takes no such message";
    /// No such route.
    NotFound = "not-found", 404, "There is nothing here";
    /// The address is not watched.
    NotWatched = "not-watched", 404, "The address is not watched";
    /// The server has no prices in this currency.
    UnknownCurrency = "unknown-currency", 404, "There are no prices in this currency";
    /// No transaction with this id touches a watched address.
    UnknownTransaction = "unknown-transaction", 404, "No such transaction touches a watched address";
    /// Nothing waits to be verified.
    NothingPending = "nothing-pending", 404, "Nothing waits for a code";
    /// A named message is not there any more.
    UnknownMessage = "unknown-message", 404, "A named message is not there";
    /// The route exists, with other methods.
    MethodNotAllowed = "method-not-allowed", 405, "The method is not allowed here";
    /// The body did not arrive in time.
    BodyTimeout = "body-timeout", 408, "The body did not arrive in time";
    /// Registered with another messaging key.
    AlreadyRegistered = "already-registered", 409, "The client is registered with another messaging key";
    /// The messaging key belongs to another client, or equals the identity key.
    KeyInUse = "key-in-use", 409, "The messaging key cannot be used";
    /// Acknowledged more than was delivered.
    AckAheadOfDelivery = "ack-ahead-of-delivery", 409, "Acknowledged more than was delivered";
    /// Client and server disagree about the queue.
    ChainMismatch = "chain-mismatch", 409, "Client and server disagree about the queue";
    /// The transaction is in no block now, so there is nothing to prove.
    NotConfirmed = "not-confirmed", 409, "The transaction is in no block";
    /// Other writers were faster every time.
    Conflict = "conflict", 409, "Other requests changed the same thing at the same time";
    /// The push code is wrong or spent.
    WrongPushCode = "wrong-push-code", 422, "The code is wrong or no longer good";
    /// The node has dropped the block.
    BlockPruned = "block-pruned", 410, "The node no longer has the block";
    /// The body is larger than the route takes.
    TooLarge = "too-large", 413, "The body is too large";
    /// The content type is not the one the route takes.
    UnsupportedMediaType = "unsupported-media-type", 415, "The content type is not supported here";
    /// The route speaks WebSocket, and the request does not ask for it as it must.
    UpgradeRequired = "upgrade-required", 426, "This route speaks WebSocket";
    /// The request line and headers are too large.
    HeadTooLarge = "head-too-large", 431, "The request line and headers are too large";
    /// The idempotency key was used for another request.
    IdempotencyMismatch = "idempotency-mismatch", 422, "The Idempotency-Key was used for another request";
    /// A message body is not padded to one of the sizes.
    NotPadded = "not-padded", 422, "The message is not padded to one of the sizes";
    /// A time to live is out of bounds.
    TtlOutOfBounds = "ttl-out-of-bounds", 422, "The time to live is out of bounds";
    /// An address does not parse or belongs to another network.
    InvalidAddress = "invalid-address", 422, "An address cannot be watched here";
    /// A depth of a watch is out of range, or there are too many.
    InvalidDepths = "invalid-depths", 422, "These depths cannot be waited for";
    /// A birthday is in the future, beyond the tip, or before the chain.
    InvalidBirthday = "invalid-birthday", 422, "The birthday cannot be meant";
    /// A push target cannot be used.
    InvalidPushTarget = "invalid-push-target", 422, "The push target cannot be used";
    /// The operator has no credentials for this kind of push target.
    PushKindUnavailable = "push-kind-unavailable", 422, "This server cannot wake phones that way";
    /// Too many things are named at once, or too many would be kept.
    LimitExceeded = "limit-exceeded", 422, "A limit would be exceeded";
    /// Too many requests.
    RateLimited = "rate-limited", 429, "Too many requests";
    /// The client, the mailbox or the server has as many streams and sockets open as it may.
    TooManyStreams = "too-many-streams", 429, "Too many streams are open";
    /// A defect of the server.
    Internal = "internal", 500, "The server failed";
    /// The log takes nothing now; nothing was changed, or a repeat is safe.
    Unavailable = "unavailable", 503, "The server takes no commands now";
    /// The peer, or the server, has as many connections open as it may.
    TooManyConnections = "too-many-connections", 503, "Too many connections are open";
    /// The projections are behind the position asked for.
    Behind = "behind", 503, "The server has not caught up yet";
    /// The feature needs a node and there is none.
    NodeUnavailable = "node-unavailable", 503, "The server has no Bitcoin node now";
    /// Too few exchanges agree, for too long.
    PriceUnavailable = "price-unavailable", 503, "There is no price to be trusted now";
    /// The disk of the server is full; nothing was changed.
    StorageFull = "storage-full", 507, "The server has no room";
    /// The mailbox is full.
    QueueFull = "queue-full", 507, "The recipient's mailbox is full";
}
