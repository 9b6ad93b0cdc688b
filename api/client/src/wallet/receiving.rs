//! Receiving: fetch, verify, open, store, and only then acknowledge.
//!
//! The order is the whole point: a sender deletes key material once its recipient has stored it, so
//! an acknowledgement of something that is not on disk can destroy a wallet. What cannot be opened
//! is parked at the server and stays there.

use std::time::Duration;

use satpost_api_types::messages::{
    FetchMessagesResponse, ParkedMessage, QueueResponse, SignedHead,
};
use satpost_api_types::problem::ProblemCode;
use satpost_domain::limits::{FETCH_WAIT_MAX, MAILBOX_HOPS_MAX, PARK_MESSAGES_MAX};
use satpost_domain::{MessageId, MessagingKey, Timestamp};
use tokio::time::Instant;

use super::intake::Intake;
use super::{Wallet, WalletError};
use crate::http::{CallError, FetchMessages};
use crate::keys::MessagingSecret;
use crate::mailbox_check::{
    VerifiedHead, VerifiedMessage, acknowledgement, check_deletion, check_mailbox,
};
use crate::store::{MailboxRecord, Record};

/// How long to wait between two looks that the server answered without waiting.
const PAUSE: Duration = Duration::from_millis(500);

/// What a look into the mailboxes brought.
#[derive(Debug, Default)]
pub struct ReceiveReport {
    /// What was stored, in order.
    pub records: Vec<Record>,
    /// What a person should know beside.
    pub notices: Vec<Notice>,
    /// How many bodies the server forgot on acknowledgement.
    pub deleted: u64,
    /// How many messages were parked.
    pub parked: usize,
    /// True when there is something to say to other wallets.
    to_flush: bool,
}

/// A verified part of a mailbox.
pub(super) struct Page {
    messages: Vec<VerifiedMessage>,
    head: SignedHead,
    more: bool,
    full_since: Option<Timestamp>,
}

/// Something that is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A message came twice and was dropped.
    Replayed {
        /// Who wrote it.
        sender: MessagingKey,
        /// Its place in its series.
        counter: u64,
    },
    /// A contact has another card, and perhaps another key.
    ContactChanged {
        /// The contact's name.
        name: String,
    },
    /// A contact sent a card that cannot be used.
    CardRefused {
        /// Who sent it.
        sender: MessagingKey,
    },
    /// A stranger wrote and asks to be a contact.
    ContactRequested {
        /// Who.
        sender: MessagingKey,
    },
    /// A contact lets this wallet write.
    Greeted {
        /// Who.
        sender: MessagingKey,
    },
    /// A contact's mailbox was full and has room again.
    RoomAgain {
        /// Whose.
        sender: MessagingKey,
    },
    /// The server's word was taken for where the mailbox begins.
    MailboxJoined {
        /// The first message seen.
        seq: u64,
    },
}

impl Wallet {
    /// Fetches, verifies, opens, stores and acknowledges everything that waits in this wallet's
    /// mailboxes. When there is nothing, waits up to `wait` for something.
    ///
    /// # Errors
    /// [`WalletError`]. [`WalletError::Mailbox`] means that the server's account does not hold; evidence
    /// was written, and nothing is fetched any more before [`Self::resynchronise`].
    pub async fn fetch_messages(&mut self, wait: Duration) -> Result<ReceiveReport, WalletError> {
        self.registered()?;
        self.check_evidence()?;
        self.forget_drained_mailboxes()?;
        let mut report = ReceiveReport::default();
        let result = self.fetch_until(wait, &mut report).await;
        // What other wallets are to hear is stored: if it fails here, it goes along later.
        if report.to_flush && result.is_ok() {
            self.flush_outbox().await?;
        }
        result.map(|()| report)
    }

    async fn fetch_until(
        &mut self,
        wait: Duration,
        report: &mut ReceiveReport,
    ) -> Result<(), WalletError> {
        let deadline = Instant::now() + wait;
        // Only an answer at once has a signed head when there is nothing new: a server that was set
        // back is found out by it, and would never have anything new to say.
        let mut is_first = true;
        loop {
            let generations: Vec<_> = self.generations();
            for &generation in &generations {
                let rest = deadline.saturating_duration_since(Instant::now());
                let is_current = generation == self.state.generation;
                let wait = if is_current && report.is_empty() && !is_first {
                    rest.min(FETCH_WAIT_MAX)
                } else {
                    Duration::ZERO
                };
                self.drain(generation, wait, report).await?;
            }
            if !report.is_empty() || Instant::now() >= deadline {
                return Ok(());
            }
            if !is_first {
                // A server with too many waiting clients answers at once.
                tokio::time::sleep_until(deadline.min(Instant::now() + PAUSE)).await;
            }
            is_first = false;
        }
    }

    /// How much waits in the current mailbox.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn get_queue(&self) -> Result<QueueResponse, WalletError> {
        self.registered()?;
        let secret = self.messaging(self.state.generation);
        Ok(self.http()?.get_queue(&secret).await?)
    }

    /// Takes the server's word for where its mailboxes stand, after a mismatch was looked into:
    /// for example when another installation fetched with the same words. Evidence stays on disk.
    ///
    /// # Errors
    /// [`WalletError::Store`].
    pub fn resynchronise(&mut self) -> Result<(), WalletError> {
        let mut draft = self.state.clone();
        draft
            .mailboxes
            .iter_mut()
            .for_each(MailboxRecord::start_anew);
        self.commit(draft)
    }

    /// The generations of the mailboxes that are read, the current one last.
    pub(super) fn generations(&self) -> Vec<u32> {
        let current = self.state.generation;
        let mut generations: Vec<_> = self
            .state
            .mailboxes
            .iter()
            .map(|mailbox| mailbox.generation)
            .collect();
        generations.sort_by_key(|&generation| (generation == current, generation));
        generations
    }

    /// Reads one mailbox to its end.
    pub(super) async fn drain(
        &mut self,
        generation: u32,
        mut wait: Duration,
        report: &mut ReceiveReport,
    ) -> Result<(), WalletError> {
        // What was stored in an earlier run but not acknowledged.
        let settled = self.settle(generation, report).await;
        if self.is_closed(generation, &settled)? {
            return Ok(());
        }
        settled?;
        loop {
            let page = self.fetch_page(generation, wait).await;
            if self.is_closed(generation, &page)? {
                return Ok(());
            }
            let Some(page) = page?.filter(|page| !page.messages.is_empty()) else {
                return Ok(());
            };
            self.take_in(generation, &page, report)?;
            self.settle(generation, report).await?;
            if !page.more {
                return Ok(());
            }
            wait = Duration::ZERO;
        }
    }

    /// True when the server has closed an earlier mailbox, or never opened the next one; the
    /// current one must be there.
    fn is_closed<T>(
        &mut self,
        generation: u32,
        result: &Result<T, WalletError>,
    ) -> Result<bool, WalletError> {
        let Err(WalletError::Call(error)) = result else {
            return Ok(false);
        };
        let current = self.state.generation;
        let unknown = matches!(
            error.code(),
            Some(ProblemCode::NotRegistered | ProblemCode::Retired)
        );
        if !unknown || generation == current {
            return Ok(false);
        }
        if generation < current {
            let mut draft = self.state.clone();
            draft.mailboxes.retain(|m| m.generation != generation);
            self.commit(draft)?;
        }
        Ok(true)
    }

    /// One verified page, and whether more waits.
    async fn fetch_page(
        &mut self,
        generation: u32,
        wait: Duration,
    ) -> Result<Option<Page>, WalletError> {
        let secret = self.messaging(generation);
        let known = self.stored(generation);
        let http = self.http()?;
        let fetch = FetchMessages {
            after: known.map_or(0, |head| head.seq),
            wait,
            ..FetchMessages::default()
        };
        let Some(answer) = http.fetch_messages(&secret, fetch).await? else {
            return Ok(None);
        };
        self.verified(generation, known, answer).await.map(Some)
    }

    /// An answer, checked against what was verified before.
    pub(super) async fn verified(
        &mut self,
        generation: u32,
        known: Option<VerifiedHead>,
        mut answer: FetchMessagesResponse,
    ) -> Result<Page, WalletError> {
        let secret = self.messaging(generation);
        if has_holes(known, &answer) {
            let parked = FetchMessages {
                parked: true,
                ..FetchMessages::default()
            };
            let http = self.http()?;
            if let Some(parked) = http.fetch_messages(&secret, parked).await? {
                fill_holes(known, &mut answer, parked);
            }
        }
        let server_key = self.server_key()?;
        match check_mailbox(&secret.public(), &server_key, known, &answer) {
            Ok(messages) => Ok(Page {
                messages,
                head: answer.head,
                more: answer.more,
                full_since: answer.full_since.map(Timestamp::from_millis),
            }),
            Err(mismatch) => Err(self.hold_answer(generation, mismatch, answer)?),
        }
    }

    /// Opens messages and makes them durable, together with how far the mailbox was read.
    pub(super) fn take_in(
        &mut self,
        generation: u32,
        page: &Page,
        report: &mut ReceiveReport,
    ) -> Result<(), WalletError> {
        let messages = &page.messages;
        let secrets = self.secrets_of(generation);
        let mut draft = self.state.clone();
        let mut intake = Intake::default();
        if let (None, Some(first)) = (self.stored(generation), messages.first())
            && first.head.seq > 1
        {
            let seq = first.head.seq;
            intake.notices.push(Notice::MailboxJoined { seq });
        }
        for message in messages {
            intake.add(&mut draft, &secrets, message);
        }
        for mailbox in &mut draft.mailboxes {
            if mailbox.generation == generation {
                mailbox.stored = messages.last().map(|message| message.head);
                mailbox.to_park.extend(intake.to_park.iter().cloned());
                mailbox.note_full(page.full_since);
                mailbox.keep_head(&page.head);
            }
        }
        report.to_flush |= self.greet(&mut draft, &intake.to_greet)?;
        let has_room = |notice: &Notice| matches!(notice, Notice::RoomAgain { .. });
        report.to_flush |= intake.notices.iter().any(has_room);
        let entropy = self.options.http.entropy.clone();
        self.store
            .write_records(&intake.records, entropy.as_ref())?;
        self.commit(draft)?;
        report
            .records
            .extend(intake.records.into_iter().map(|(_, record)| record));
        report.notices.extend(intake.notices);
        Ok(())
    }

    /// Parks what could not be opened and acknowledges what is stored.
    pub(super) async fn settle(
        &mut self,
        generation: u32,
        report: &mut ReceiveReport,
    ) -> Result<(), WalletError> {
        let Some(mailbox) = self
            .state
            .mailboxes
            .iter()
            .find(|mailbox| mailbox.generation == generation)
            .cloned()
        else {
            return Ok(());
        };
        let Some(head) = mailbox.stored else {
            return Ok(());
        };
        let secret = self.messaging(generation);
        let http = self.http()?;
        for parked in mailbox.to_park.chunks(PARK_MESSAGES_MAX) {
            self.park(&secret, parked).await?;
            report.parked += parked.len();
        }
        let mut receipt = None;
        if mailbox.acknowledged < head.seq {
            let through = acknowledgement(head);
            let answer = http.acknowledge_messages(&secret, &through).await?;
            let server_key = self.server_key()?;
            match check_deletion(&secret.public(), &server_key, head, &answer) {
                Ok(kept) => receipt = Some(kept),
                Err(mismatch) => {
                    return Err(self.hold_acknowledgement(generation, mismatch, answer)?);
                }
            }
            report.deleted += answer.deleted;
        } else if mailbox.to_park.is_empty() {
            return Ok(());
        }
        let mut draft = self.state.clone();
        let mut has_room = false;
        for mailbox in &mut draft.mailboxes {
            if mailbox.generation == generation {
                mailbox.acknowledged = head.seq;
                mailbox.to_park.clear();
                mailbox.keep_receipt(receipt.take());
                has_room = mailbox.has_room_to_tell();
            }
        }
        if has_room {
            self.tell_room(&mut draft)?;
            report.to_flush = true;
        }
        self.commit(draft)
    }

    /// Parks messages; one that has ended meanwhile must not keep the others from it.
    async fn park(
        &self,
        secret: &MessagingSecret,
        messages: &[(MessageId, String)],
    ) -> Result<(), WalletError> {
        let http = self.http()?;
        let park = |messages: &[(MessageId, String)]| -> Vec<ParkedMessage> {
            messages
                .iter()
                .map(|(id, reason)| ParkedMessage {
                    id: id.to_string(),
                    reason: reason.clone(),
                })
                .collect()
        };
        match http.park_messages(secret, park(messages)).await {
            Err(error) if is_unknown_message(&error) => {}
            other => return Ok(other?),
        }
        for message in messages {
            match http
                .park_messages(secret, park(std::slice::from_ref(message)))
                .await
            {
                Err(error) if !is_unknown_message(&error) => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// The key of a mailbox and those before it: what was sealed for one of them may have been passed
    /// on by its mailbox.
    fn secrets_of(&self, generation: u32) -> Vec<MessagingSecret> {
        let earlier = u32::try_from(MAILBOX_HOPS_MAX).unwrap_or(u32::MAX);
        let first = generation.saturating_sub(earlier);
        let all = (first..=generation).rev();
        all.map(|generation| self.messaging(generation)).collect()
    }

    pub(super) fn stored(&self, generation: u32) -> Option<VerifiedHead> {
        self.state
            .mailboxes
            .iter()
            .find(|mailbox| mailbox.generation == generation)
            .and_then(|mailbox| mailbox.stored)
    }

    fn forget_drained_mailboxes(&mut self) -> Result<(), WalletError> {
        let now = self.now();
        let is_drained = |drained_at: Option<Timestamp>| drained_at.is_some_and(|at| at <= now);
        if !self
            .state
            .mailboxes
            .iter()
            .any(|m| is_drained(m.drained_at))
        {
            return Ok(());
        }
        let mut draft = self.state.clone();
        draft.mailboxes.retain(|m| !is_drained(m.drained_at));
        self.commit(draft)
    }
}

impl ReceiveReport {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.notices.is_empty()
    }
}

fn is_unknown_message(error: &CallError) -> bool {
    error.code() == Some(ProblemCode::UnknownMessage)
}

/// Where the next message should stand: nothing when the server's word is taken.
fn has_holes(known: Option<VerifiedHead>, answer: &FetchMessagesResponse) -> bool {
    let mut expected = known.map(|head| head.seq + 1);
    answer.messages.iter().any(|delivery| {
        let hole = expected.is_some_and(|expected| delivery.seq > expected);
        expected = Some(delivery.seq.saturating_add(1));
        hole
    })
}

/// Puts parked messages where they stood: an earlier life of this wallet may have parked some
/// before it acknowledged, and without them the chain cannot be followed.
fn fill_holes(
    known: Option<VerifiedHead>,
    answer: &mut FetchMessagesResponse,
    parked: FetchMessagesResponse,
) {
    let Some(last) = answer.messages.last().map(|delivery| delivery.seq) else {
        return;
    };
    let first = known.map_or(answer.messages[0].seq, |head| head.seq);
    answer.messages.extend(
        parked
            .messages
            .into_iter()
            .filter(|delivery| delivery.parked.is_some())
            .filter(|delivery| (first + 1..last).contains(&delivery.seq)),
    );
    answer.messages.sort_by_key(|delivery| delivery.seq);
}
