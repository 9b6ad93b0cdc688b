//! Live delivery: the messages of a mailbox as they come, over a stream or a socket.
//!
//! Both are views of the one line of the mailbox. Neither keeps a queue or a place of its own beyond
//! its connection: it begins after the last acknowledged message and hands over what stands in line,
//! as fast as its reader takes it. The newest reader of a mailbox supersedes the one before.

mod line;
mod places;
pub(crate) mod socket;
pub(crate) mod stream;

pub(crate) use places::LiveReaders;

/// How a mailbox is read live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Server-Sent Events.
    Stream,
    /// A WebSocket.
    Socket,
}

impl Kind {
    /// Both, for metrics.
    pub(crate) const ALL: [Self; 2] = [Self::Stream, Self::Socket];

    /// Its label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Socket => "socket",
        }
    }
}
