//! The mailbox against a list of everything it ever accepted, with devices that believe only what
//! they were given.

mod happening;
mod naive;
mod recipient;

use std::time::Duration;

use proptest::prelude::*;
use satpost_domain::hash::sha256;
use satpost_domain::ids::TokenHash;
use satpost_domain::limits::{KNOCKS_MAX, MESSAGE_SIZE_BUCKETS, MESSAGE_TTL_MIN};
use satpost_domain::mailbox::{
    DeliveryToken, Introduction, Mailbox, MailboxCommand, MailboxError, ParkReason, StrangerPolicy,
    TokenUse,
};
use satpost_domain::{ClientId, MessageId, MessagingKey, PayloadId, Timestamp};

use crate::support::{Life, config};
use happening::{DEVICES, Happening, Shown, happening};
use naive::Naive;
use recipient::Recipient;

const KEY: MessagingKey = MessagingKey::from_stored([1; 32]);
const OWNER: ClientId = ClientId::from_stored([2; 32]);
const STRANGER: ClientId = ClientId::from_stored([3; 32]);

struct World {
    mailbox: Life<Mailbox>,
    naive: Naive,
    devices: [Recipient; DEVICES],
    now: Timestamp,
    messages: u64,
    /// How many tokens were ever given out.
    minted: u64,
    last_command: Option<MailboxCommand>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            mailbox: Life::new(),
            naive: Naive::new(KEY),
            devices: [Recipient::new(KEY), Recipient::new(KEY)],
            now: Timestamp::from_millis(1_000_000),
            messages: 0,
            minted: 0,
            last_command: None,
        };
        world.open(true, None);
        world
    }

    fn happen(&mut self, happening: &Happening) {
        let at = self.now;
        match happening {
            Happening::Send {
                count,
                bucket,
                minutes,
                shown,
            } => {
                for _ in 0..*count {
                    let ttl = MESSAGE_TTL_MIN * u32::try_from(*minutes).unwrap();
                    self.send(MESSAGE_SIZE_BUCKETS[*bucket], Some(ttl), *shown);
                }
            }
            Happening::SendOdd { size, seconds } => {
                let shown = Shown {
                    token: None,
                    has_worked: false,
                    is_registered: true,
                };
                self.send(*size, Some(Duration::from_secs(*seconds)), shown);
            }
            Happening::Fetch { device, count } => {
                let acknowledged = self.naive.acknowledged();
                self.devices[*device].fetch(&self.mailbox.history, acknowledged, *count);
            }
            Happening::Acknowledge { device, less } => {
                let device = &self.devices[*device];
                let through = device.stored().saturating_sub(*less);
                if let Some(chain) = device.chain(through) {
                    self.ask(MailboxCommand::Acknowledge { through, chain, at });
                }
            }
            Happening::Forge {
                device,
                through,
                chain_of,
            } => {
                let through = through % (self.naive.last() + 3);
                let chain = self.devices[*device].any_chain(*chain_of);
                self.ask(MailboxCommand::Acknowledge { through, chain, at });
            }
            Happening::Park { seqs } => {
                let messages = seqs.iter().map(|seq| (self.id(*seq), ParkReason::Format));
                let messages = messages.collect();
                self.ask(MailboxCommand::Park { messages, at });
            }
            Happening::AcknowledgeParked { seqs } => {
                let messages = seqs.iter().map(|seq| self.id(*seq)).collect();
                self.ask(MailboxCommand::AcknowledgeParked { messages, at });
            }
            Happening::Expire { minutes } => {
                self.now = self.now.plus(Duration::from_secs(60 * minutes));
                self.ask(MailboxCommand::Expire { at: self.now });
            }
            Happening::Wipe => self.ask(MailboxCommand::Wipe { at }),
            Happening::NoteFull => self.ask(MailboxCommand::NoteFull { at }),
            Happening::Repeat => self.repeat(),
            Happening::Reload => self.mailbox.reload(|event, _| event.clone()),
            Happening::Open { .. }
            | Happening::Forward { .. }
            | Happening::SetPolicy(_)
            | Happening::Mint { .. }
            | Happening::MintAgain { .. }
            | Happening::Revoke { .. } => self.let_in(happening),
        }
    }

    /// What the owner says about who may write.
    fn let_in(&mut self, happening: &Happening) {
        let at = self.now;
        match happening {
            Happening::Open { owner, inherited } => self.open(*owner, inherited.as_ref()),
            Happening::Forward { to } => {
                let to = MessagingKey::from_stored([*to; 32]);
                self.ask(MailboxCommand::Forward { to, at });
            }
            Happening::SetPolicy(policy) => {
                let policy = *policy;
                self.ask(MailboxCommand::SetStrangerPolicy { policy, at });
            }
            Happening::Mint { count, uses } => {
                let uses = *uses;
                let numbers = self.minted..self.minted + *count as u64;
                self.minted = numbers.end;
                let tokens = numbers.map(|number| DeliveryToken {
                    hash: token(number),
                    uses,
                });
                let tokens = tokens.collect();
                self.ask(MailboxCommand::AddTokens { tokens, at });
            }
            Happening::MintAgain { tokens, uses } => {
                let tokens = self.tokens(tokens, *uses);
                self.ask(MailboxCommand::AddTokens { tokens, at });
            }
            Happening::Revoke { tokens } => {
                let hashes = tokens.iter().map(|number| self.token(*number)).collect();
                self.ask(MailboxCommand::RevokeTokens { hashes, at });
            }
            other => panic!("{other:?} is not about who may write"),
        }
    }

    fn open(&mut self, owner: bool, inherited: Option<&(StrangerPolicy, Vec<u64>)>) {
        let inherited = inherited.map(|(policy, tokens)| {
            let mut tokens = self.tokens(tokens, TokenUse::Lasting);
            // What is inherited was a mailbox's: each is there once, in order.
            tokens.sort_unstable();
            tokens.dedup();
            (*policy, tokens)
        });
        self.ask(MailboxCommand::Open {
            key: KEY,
            owner: if owner { OWNER } else { STRANGER },
            inherited,
            at: self.now,
        });
    }

    /// One of the tokens there ever were, or one that never was.
    fn token(&self, number: u64) -> TokenHash {
        token(number % (self.minted + 1))
    }

    fn tokens(&self, numbers: &[u64], uses: TokenUse) -> Vec<DeliveryToken> {
        let hashes = numbers.iter().map(|number| self.token(*number));
        hashes.map(|hash| DeliveryToken { hash, uses }).collect()
    }

    /// A message that finds no room is noted, as the command for it does.
    fn send(&mut self, size: usize, ttl: Option<Duration>, shown: Shown) {
        self.messages += 1;
        let introduction = Introduction {
            token: shown.token.map(|number| self.token(number)),
            has_worked: shown.has_worked,
            is_registered: shown.is_registered,
        };
        let message = MailboxCommand::Accept {
            id: message_id(self.messages),
            digest: sha256(&self.messages.to_be_bytes()),
            size,
            ttl,
            introduction,
            at: self.now,
        };
        let is_full = self.naive.expect(&message) == Err(MailboxError::Full);
        self.ask(message);
        if is_full {
            self.ask(MailboxCommand::NoteFull { at: self.now });
            assert!(
                !self.naive.is_roomy(),
                "nobody is turned away from a mailbox with a quarter of its room free"
            );
        }
    }

    /// Owners' commands are harmless when they come again. (A send is told from its repeat by its
    /// command id, which is the handler's business.)
    fn repeat(&mut self) {
        let Some(command) = self.last_command.take() else {
            return;
        };
        if !matches!(command, MailboxCommand::Accept { .. }) {
            let again = self.mailbox.ask(&command).unwrap_or_default();
            assert!(
                again.is_empty(),
                "{command:?} did something again: {again:?}"
            );
        }
    }

    /// The last message that any device has stored.
    fn stored(&self) -> u64 {
        let stored = self.devices.iter().map(Recipient::stored);
        stored.max().expect("there are devices")
    }

    /// The id of a message that a device was given, or of none.
    fn id(&self, number: u64) -> MessageId {
        let number = number % (self.stored() + 1);
        self.naive
            .id(number)
            .unwrap_or_else(|| message_id(u64::MAX))
    }

    fn ask(&mut self, command: MailboxCommand) {
        let expected = self.naive.expect(&command);
        let actual = self.mailbox.ask(&command);
        assert_eq!(actual, expected, "{command:?}");
        if let Ok(events) = actual {
            self.naive.apply(&events);
        }
        let acknowledged = self.naive.last_acknowledged_message();
        assert!(
            acknowledged <= self.stored(),
            "message {acknowledged} was acknowledged, and no device ever had it"
        );
        assert!(self.naive.knocks() <= KNOCKS_MAX, "strangers fill the line");
        self.last_command = Some(command);
    }
}

fn token(number: u64) -> TokenHash {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    TokenHash::new(bytes)
}

fn message_id(number: u64) -> MessageId {
    MessageId::new(u128::from(number).to_be_bytes())
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn does_what_a_list_of_everything_it_accepted_says(
        happenings in proptest::collection::vec(happening(), 1..80),
    ) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
            // Closed are exactly the bodies of messages that ended, each once (see `Life`).
            prop_assert_eq!(world.mailbox.closed(), &world.naive.ended());
        }
        world.happen(&Happening::Reload);

        world.ask(MailboxCommand::Close { at: world.now });
        world.happen(&Happening::Repeat);
        let everything: std::collections::BTreeSet<PayloadId> =
            (1..=world.naive.last()).filter_map(|seq| world.naive.id(seq)).map(Into::into).collect();
        prop_assert_eq!(world.mailbox.closed(), &everything, "every message ended");
        prop_assert_eq!(everything.len() as u64, world.naive.last());
        world.happen(&Happening::Reload);
        let shown = Shown { token: Some(0), has_worked: true, is_registered: true };
        world.send(512, None, shown);
        prop_assert_eq!(
            world.mailbox.ask(&MailboxCommand::Open { key: KEY, owner: OWNER, inherited: None, at: world.now }),
            Err(MailboxError::NotOpen)
        );
    }
}
