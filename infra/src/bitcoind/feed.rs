//! The node's ZMQ notifications, in order, with every loss that can be noticed said.
//!
//! One blocking thread reads both topics, each from a socket of its own, and forwards into a
//! bounded channel. A full channel is a gap like any other: it is said, and made good by a resync.

use std::io;

use bitcoin::Transaction;
use satpost_domain::chain::GapKind;
use satpost_domain::ids::{BlockHash, Txid};
use satpost_domain::limits::NODE_NOTICES_MAX;
use tokio::sync::mpsc;

use bodies::Bodies;
use socket::{Connection, Subscription};

mod bodies;
mod sequence;
mod socket;

/// How long the thread waits for a message before it looks whether it is still wanted.
const POLL_MS: i64 = 100;

/// Something the node announced, or the news that an announcement was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The connection stands; announcements from now on arrive. Comes again after a
    /// reconnection, and then says nothing of what was missed.
    Opened,
    /// A transaction entered the mempool.
    Added {
        /// The transaction.
        txid: Txid,
        /// The number of this change of the mempool.
        sequence: u64,
        /// Its body, when it was announced as well.
        body: Option<Box<Transaction>>,
    },
    /// A transaction left the mempool, not through a block.
    Removed {
        /// The transaction.
        txid: Txid,
        /// The number of this change of the mempool.
        sequence: u64,
    },
    /// A block became the tip.
    Connected(BlockHash),
    /// The tip was taken back.
    Disconnected(BlockHash),
    /// Announcements are missing here.
    Gap(GapKind),
}

/// The receiving end; dropping it ends the thread.
pub struct Feed {
    notices: mpsc::Receiver<Notice>,
}

impl Feed {
    /// Subscribes to the `sequence` topic at one endpoint and, when it is given, to `rawtx` at
    /// another. The connection is made in the background, again and again until it stands.
    ///
    /// # Errors
    /// When an endpoint is no ZMQ endpoint or the thread cannot be started.
    pub fn open(sequence: &str, rawtx: Option<&str>) -> io::Result<Self> {
        let context = zmq::Context::new();
        let sequence = Subscription::new(&context, "sequence", sequence)?;
        let rawtx = rawtx
            .map(|endpoint| Subscription::new(&context, "rawtx", endpoint))
            .transpose()?;
        let (sender, notices) = mpsc::channel(NODE_NOTICES_MAX);
        let reader = Reader {
            sequence,
            rawtx,
            bodies: Bodies::default(),
            outbox: Outbox::new(sender),
        };
        std::thread::Builder::new()
            .name("node-feed".to_owned())
            .spawn(move || reader.run())?;
        Ok(Self { notices })
    }

    /// The next notice; nothing when the thread has ended.
    pub async fn next(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }

    /// Throws away what has arrived.
    pub fn discard(&mut self) {
        while self.notices.try_recv().is_ok() {}
    }

    /// How many notices have arrived and were not taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.notices.len()
    }
}

/// What the thread works with.
struct Reader {
    sequence: Subscription,
    rawtx: Option<Subscription>,
    bodies: Bodies,
    outbox: Outbox,
}

impl Reader {
    fn run(mut self) {
        while !self.outbox.is_closed() {
            if let Err(error) = self.turn() {
                tracing::error!(%error, "the node's notifications cannot be read any more");
                return;
            }
        }
    }

    /// Waits for any of the sockets, then empties all of them. Bodies come first: the node
    /// publishes a body before the sequence message that needs it.
    fn turn(&mut self) -> Result<(), zmq::Error> {
        let mut items = self.sequence.poll_items();
        items.extend(self.rawtx.iter().flat_map(Subscription::poll_items));
        zmq::poll(&mut items, POLL_MS)?;
        drop(items);

        if let Some(rawtx) = &mut self.rawtx {
            while rawtx.connection()?.is_some() {}
            while let Some((body, _)) = rawtx.message()? {
                self.bodies.put(&body);
            }
        }
        while let Some(connection) = self.sequence.connection()? {
            self.outbox.send(match connection {
                Connection::Opened => Notice::Opened,
                Connection::Lost => Notice::Gap(GapKind::Disconnected),
            });
        }
        while let Some((body, in_order)) = self.sequence.message()? {
            if !in_order {
                self.outbox.send(Notice::Gap(GapKind::Counter));
            }
            let notice = sequence::parse(&body, &mut self.bodies);
            self.outbox
                .send(notice.unwrap_or(Notice::Gap(GapKind::Counter)));
        }
        self.outbox.say_what_was_lost();
        Ok(())
    }
}

/// The sending end: never waits, and says so when it had to throw something away.
struct Outbox {
    sender: mpsc::Sender<Notice>,
    lost: bool,
}

impl Outbox {
    const fn new(sender: mpsc::Sender<Notice>) -> Self {
        Self {
            sender,
            lost: false,
        }
    }

    fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    fn send(&mut self, notice: Notice) {
        self.say_what_was_lost();
        self.lost = self.lost || self.sender.try_send(notice).is_err();
    }

    fn say_what_was_lost(&mut self) {
        if self.lost {
            let gap = Notice::Gap(GapKind::Overflow);
            self.lost = self.sender.try_send(gap).is_err();
        }
    }
}

#[cfg(test)]
mod tests;
