//! The line of a mailbox as a live reader sees it.

use actix_web::web::Data;
use satpost_api_types::live::LiveDelivery;
use satpost_api_types::messages::SignedHead;
use satpost_domain::MessagingKey;
use satpost_domain::limits::LIVE_BYTES_PER_LOOK_MAX;
use satpost_domain::mailbox::chain_start;
use satpost_projections::arrivals::Arrivals;
use satpost_projections::mailbox_queue::{Places, QueueHead};
use tokio::time::sleep;

use crate::fetch::{RACE_PAUSE, RACES_MAX, deliveries, note_fetch, signed_head};
use crate::problem::ApiError;
use crate::queue_page;
use crate::state::ApiState;

/// A mailbox, and how far it was handed over on one connection.
pub(super) struct Line {
    pub(super) state: Data<ApiState>,
    pub(super) mailbox: MessagingKey,
    arrivals: Arrivals,
    /// The last message handed over.
    told: QueueHead,
    told_empty: bool,
}

/// What a look at the line found.
pub(super) enum Look {
    /// What comes next, at least one.
    Deliveries(Vec<LiveDelivery>),
    /// Everything was handed over; found once after each delivery, and once at the beginning.
    Empty(SignedHead),
    /// Nothing new.
    Nothing,
    /// The mailbox is closed and holds nothing any more.
    Closed,
}

impl Line {
    /// The line after the last acknowledged message, which is where every reader begins.
    pub(super) fn open(state: &Data<ApiState>, mailbox: MessagingKey) -> Self {
        Self {
            // Taken before the first look: what comes in between is not missed.
            arrivals: state.read_model.arrivals(&mailbox),
            state: state.clone(),
            mailbox,
            told: QueueHead {
                seq: 0,
                chain: chain_start(&mailbox),
            },
            told_empty: false,
        }
    }

    /// Returns when something may have changed since the last call.
    pub(super) async fn changed(&mut self) {
        self.arrivals.next().await;
    }

    /// The last acknowledged message, whoever acknowledged it and how; nothing when the mailbox is
    /// closed and holds nothing.
    pub(super) fn acknowledged(&self) -> Option<u64> {
        let queues = self.state.read_model.mailbox_queue();
        queues.acknowledged(&self.mailbox)
    }

    /// The server's word on the last acknowledged message; nothing when the mailbox is closed and
    /// holds nothing.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) async fn begin(&self) -> Result<Option<SignedHead>, ApiError> {
        // Nothing stands behind the last possible message.
        let Some(places) = self.places(u64::MAX, 0) else {
            return Ok(None);
        };
        let head = queue_page::complete(&self.state, places).await?.head;
        Ok(Some(signed_head(&self.state, &self.mailbox, head)))
    }

    fn places(&self, after: u64, max: usize) -> Option<Places> {
        let queues = self.state.read_model.mailbox_queue();
        queues.page(&self.mailbox, after, max, LIVE_BYTES_PER_LOOK_MAX)
    }

    /// Takes up to `max` messages that follow, with their bodies. With a `max` of 0 it only finds out
    /// whether there are any.
    ///
    /// # Errors
    /// When the log or bodies cannot be read.
    pub(super) async fn look(&mut self, max: usize) -> Result<Look, ApiError> {
        for _ in 0..RACES_MAX {
            // A phone that listens gets what it was woken for. Said before looking: what happens
            // after that is a reason to wake it again.
            note_fetch(&self.state, &self.mailbox);
            let Some(places) = self.places(self.told.seq, max) else {
                return Ok(Look::Closed);
            };
            if places.places.is_empty() {
                if std::mem::replace(&mut self.told_empty, true) {
                    return Ok(Look::Nothing);
                }
                let page = queue_page::complete(&self.state, places).await?;
                return Ok(self.nothing_waits(page.head));
            }
            if max == 0 {
                return Ok(Look::Nothing);
            }
            let page = queue_page::complete(&self.state, places).await?;
            if let Some(messages) = deliveries(&self.state, &page.messages).await? {
                let heads = page.messages.iter().map(|message| QueueHead {
                    seq: message.seq,
                    chain: message.chain,
                });
                let told = messages.into_iter().zip(heads);
                let told = told.map(|(message, head)| LiveDelivery {
                    message,
                    head: signed_head(&self.state, &self.mailbox, head),
                });
                let told = told.collect();
                self.told = page.head;
                self.told_empty = false;
                return Ok(Look::Deliveries(told));
            }
            // Another device acknowledged, or a message expired: the log knows, the page does not yet.
            sleep(RACE_PAUSE).await;
        }
        Err(ApiError::internal(
            "the body of a waiting message is not there",
        ))
    }

    fn nothing_waits(&self, acknowledged: QueueHead) -> Look {
        let end = if self.told.seq > acknowledged.seq {
            self.told
        } else {
            acknowledged
        };
        Look::Empty(signed_head(&self.state, &self.mailbox, end))
    }
}
