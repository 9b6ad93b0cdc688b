//! Live delivery: the events of `GET /v1/messages/stream` and the frames of `GET /v1/ws`.
//!
//! Both carry the same deliveries, each with the server's word on the queue at that message, so that
//! a client can check and acknowledge after any of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::messages::{Delivery, ParkedMessage, SignedHead};

/// The WebSocket subprotocol whose frames are JSON in text messages.
pub const JSON_PROTOCOL: &str = "satpost.v1+json";
/// The WebSocket subprotocol whose frames are CBOR (RFC 8949) in binary messages.
pub const CBOR_PROTOCOL: &str = "satpost.v1+cbor";

/// The event, and the `type` of the frame, that carries a message.
pub const MESSAGE: &str = "message";
/// The one that carries the tombstone of a message.
pub const GONE: &str = "gone";
/// The one that says that the line is drained.
pub const EMPTY: &str = "empty";
/// The one that says that a newer reader of the mailbox has taken over.
pub const SUPERSEDED: &str = "superseded";
/// The one that says why the server ends the stream or socket.
pub const CLOSING: &str = "closing";

/// The data of `message` and `gone`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiveDelivery {
    /// The message, or its tombstone.
    pub message: Delivery,
    /// The queue at this message, signed.
    pub head: SignedHead,
}

/// The data of `empty`: everything was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineEnd {
    /// The queue at the last message delivered or acknowledged, signed.
    pub head: SignedHead,
}

/// The data of `closing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Closing {
    /// Why the server ends it.
    pub reason: ClosingReason,
}

/// Why a server ends a stream or socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClosingReason {
    /// It stops; another one, or the same one later, goes on.
    Stopping,
    /// The mailbox is closed and holds nothing any more.
    NotRegistered,
    /// The reader took nothing for too long.
    Slow,
    /// The socket said nothing for too long, not even a pong.
    Silent,
    /// The server failed; connecting again may help.
    Failed,
}

impl ClosingReason {
    /// Its text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::NotRegistered => "not-registered",
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::Failed => "failed",
        }
    }
}

/// What the server says over a socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ServerFrame {
    /// The first frame: delivery begins after this head. Nothing is delivered without credit.
    Hello {
        /// The queue at the last acknowledged message, signed.
        head: SignedHead,
        /// How many deliveries may be outstanding at most.
        credit_max: u64,
    },
    /// A message.
    Message(LiveDelivery),
    /// The tombstone of a message.
    Gone(LiveDelivery),
    /// Everything was delivered.
    Empty(LineEnd),
    /// An acknowledgement is recorded.
    Acknowledged {
        /// The id it was sent with.
        id: String,
        /// The last message it covered; absent for parked ones.
        #[serde(skip_serializing_if = "Option::is_none")]
        through: Option<u64>,
        /// How many bodies were forgotten by this command.
        deleted: u64,
        /// When they were let go; there with the receipt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<u64>,
        /// The server's signature on it, as over HTTP.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<String>,
        /// Where queries see it.
        position: String,
    },
    /// Messages are set aside.
    Parked {
        /// The id of the request.
        id: String,
        /// Where queries see it.
        position: String,
    },
    /// Something was refused. After a refused command the socket goes on.
    Problem(ProblemFrame),
    /// A newer reader of the mailbox has taken over; the socket closes with [`CLOSE_SUPERSEDED`].
    Superseded,
    /// The server ends the socket.
    Closing(Closing),
}

/// A problem (RFC 9457) in a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemFrame {
    /// The id of the command that was refused; absent when it was none, or could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The stable code; programs decide by it.
    pub code: String,
    /// The HTTP status that the same refusal has.
    pub status: u16,
    /// A short sentence for the code.
    pub title: String,
    /// What happened here and what to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The bound that was passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// After how many seconds a repeat makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// What a client says over a socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClientFrame {
    /// Room for so many further deliveries.
    Credit {
        /// 1 to `credit_max`; what would exceed `credit_max` together with earlier credit is let go.
        n: u64,
    },
    /// Everything up to a message is stored.
    Ack {
        /// Names the command: a UUID, or 32 hexadecimal characters.
        id: String,
        /// The last stored message.
        through: u64,
        /// The chain after it, 64 hexadecimal characters.
        chain: String,
    },
    /// These cannot be used now; set them aside.
    Park {
        /// Names the command.
        id: String,
        /// Which, and why; at most 64.
        park: Vec<ParkedMessage>,
    },
    /// These parked ones are done with.
    ParkedAck {
        /// Names the command.
        id: String,
        /// Their ids; at most 64.
        parked: Vec<String>,
    },
}

/// A newer reader of the mailbox has taken over: connecting again would take over from that one.
pub const CLOSE_SUPERSEDED: u16 = 4001;
/// The mailbox is closed and holds nothing any more.
pub const CLOSE_NOT_REGISTERED: u16 = 4002;
/// The client said nothing for too long.
pub const CLOSE_SILENT: u16 = 4003;
