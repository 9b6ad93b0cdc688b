//! The mailbox against a list of everything it ever accepted, with a recipient that believes only
//! what it was given.

mod naive;

use std::time::Duration;

use proptest::prelude::*;
use satpost_domain::hash::sha256;
use satpost_domain::ids::ChainHash;
use satpost_domain::limits::{MESSAGE_SIZE_BUCKETS, MESSAGE_TTL_MIN};
use satpost_domain::mailbox::{
    Introduction, Mailbox, MailboxCommand, MailboxError, MailboxEvent, ParkReason, chain_start,
    extend_chain,
};
use satpost_domain::{ClientId, MessageId, MessagingKey, PayloadId, Timestamp};

use crate::support::{Life, config};
use naive::Naive;

const KEY: MessagingKey = MessagingKey::from_stored([1; 32]);
const OWNER: ClientId = ClientId::from_stored([2; 32]);
const STRANGER: ClientId = ClientId::from_stored([3; 32]);
/// Any registered client may write to these mailboxes.
const REGISTERED: Introduction = Introduction {
    token: None,
    has_worked: false,
    is_registered: true,
};

/// Something that happens to the mailbox. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Happening {
    /// So many messages come, of this size and time to live.
    Send {
        count: usize,
        bucket: usize,
        minutes: u64,
    },
    /// A message comes that is out of bounds in its size, its time to live, or neither.
    SendOdd { size: usize, seconds: u64 },
    /// The recipient takes so many messages of the line.
    Fetch { count: u64 },
    /// The recipient acknowledges what it has, or some messages less.
    Acknowledge { less: u64 },
    /// Somebody acknowledges with a chain that belongs elsewhere.
    Forge { through: u64, chain_of: u64 },
    /// The recipient parks messages.
    Park { seqs: Vec<u64> },
    /// The recipient is done with messages, some of which it had parked.
    AcknowledgeParked { seqs: Vec<u64> },
    /// Time passes, and what has run out is let go.
    Expire { minutes: u64 },
    /// The recipient wipes the mailbox.
    Wipe,
    /// The owner, or somebody else, opens it again.
    Open { owner: bool },
    /// The last command comes again.
    Repeat,
    /// The server is restarted.
    Reload,
}

fn happening() -> impl Strategy<Value = Happening> {
    let seqs = || proptest::collection::vec(any::<u64>(), 1..4);
    prop_oneof![
        8 => (1..4_usize, 0..4_usize, 1..60_u64)
            .prop_map(|(count, bucket, minutes)| Happening::Send { count, bucket, minutes }),
        1 => (300..700_usize, 0..4_usize, 1..60_u64)
            .prop_map(|(count, bucket, minutes)| Happening::Send { count, bucket, minutes }),
        1 => (prop_oneof![Just(512), 0..20_000_usize], prop_oneof![Just(60), any::<u64>()])
            .prop_map(|(size, seconds)| Happening::SendOdd { size, seconds }),
        6 => (0..6_u64).prop_map(|count| Happening::Fetch { count }),
        5 => (0..3_u64).prop_map(|less| Happening::Acknowledge { less }),
        3 => (any::<u64>(), any::<u64>())
            .prop_map(|(through, chain_of)| Happening::Forge { through, chain_of }),
        4 => seqs().prop_map(|seqs| Happening::Park { seqs }),
        3 => seqs().prop_map(|seqs| Happening::AcknowledgeParked { seqs }),
        3 => (0..30_u64).prop_map(|minutes| Happening::Expire { minutes }),
        1 => Just(Happening::Wipe),
        1 => any::<bool>().prop_map(|owner| Happening::Open { owner }),
        2 => Just(Happening::Repeat),
        2 => Just(Happening::Reload),
    ]
}

/// A device: it stores what it is given, in order, and computes the chain by itself.
struct Recipient {
    /// The chain after each stored message, from 0 on.
    chains: Vec<ChainHash>,
}

impl Recipient {
    fn stored(&self) -> u64 {
        self.chains.len() as u64 - 1
    }

    /// Takes the next messages of the line, tombstones included.
    fn fetch(&mut self, history: &[MailboxEvent], count: u64) {
        let wanted = self.stored() + 1..=self.stored() + count;
        for event in history {
            if let MailboxEvent::MessageAccepted {
                seq,
                id,
                digest,
                chain,
                ..
            } = event
                && wanted.contains(seq)
            {
                assert_eq!(
                    *seq,
                    self.stored() + 1,
                    "messages come in the order of their seq"
                );
                let last = *self.chains.last().expect("it begins with one");
                self.chains.push(extend_chain(last, *seq, *id, *digest));
                assert_eq!(self.chains.last(), Some(chain), "the chain recomputes");
            }
        }
    }
}

struct World {
    mailbox: Life<Mailbox>,
    naive: Naive,
    recipient: Recipient,
    now: Timestamp,
    messages: u64,
    last_command: Option<MailboxCommand>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            mailbox: Life::new(),
            naive: Naive::new(KEY),
            recipient: Recipient {
                chains: vec![chain_start(&KEY)],
            },
            now: Timestamp::from_millis(1_000_000),
            messages: 0,
            last_command: None,
        };
        world.happen(&Happening::Open { owner: true });
        world
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Send {
                count,
                bucket,
                minutes,
            } => {
                for _ in 0..*count {
                    let ttl = MESSAGE_TTL_MIN * u32::try_from(*minutes).unwrap();
                    self.send(MESSAGE_SIZE_BUCKETS[*bucket], Some(ttl));
                }
            }
            Happening::SendOdd { size, seconds } => {
                self.send(*size, Some(Duration::from_secs(*seconds)));
            }
            Happening::Fetch { count } => self.recipient.fetch(&self.mailbox.history, *count),
            Happening::Acknowledge { less } => {
                let through = self.recipient.stored().saturating_sub(*less);
                let chain = self.recipient.chains[usize::try_from(through).unwrap()];
                self.ask(MailboxCommand::Acknowledge {
                    through,
                    chain,
                    at: self.now,
                });
            }
            Happening::Forge { through, chain_of } => self.forge(*through, *chain_of),
            Happening::Park { seqs } => {
                let messages = seqs
                    .iter()
                    .map(|seq| (self.id(*seq), ParkReason::Format))
                    .collect();
                self.ask(MailboxCommand::Park {
                    messages,
                    at: self.now,
                });
            }
            Happening::AcknowledgeParked { seqs } => {
                let messages = seqs.iter().map(|seq| self.id(*seq)).collect();
                self.ask(MailboxCommand::AcknowledgeParked {
                    messages,
                    at: self.now,
                });
            }
            Happening::Expire { minutes } => {
                self.now = self.now.plus(Duration::from_secs(60 * minutes));
                self.ask(MailboxCommand::Expire { at: self.now });
            }
            Happening::Wipe => self.ask(MailboxCommand::Wipe { at: self.now }),
            Happening::Open { owner } => {
                let owner = if *owner { OWNER } else { STRANGER };
                self.ask(MailboxCommand::Open {
                    key: KEY,
                    owner,
                    inherited: None,
                    at: self.now,
                });
            }
            Happening::Repeat => self.repeat(),
            Happening::Reload => self.mailbox.reload(|event, _| event.clone()),
        }
    }

    fn send(&mut self, size: usize, ttl: Option<Duration>) {
        self.messages += 1;
        self.ask(MailboxCommand::Accept {
            id: message_id(self.messages),
            digest: sha256(&self.messages.to_be_bytes()),
            size,
            ttl,
            introduction: REGISTERED,
            at: self.now,
        });
    }

    /// A chain that the recipient knows, for a message to which it may not belong.
    fn forge(&mut self, through: u64, chain_of: u64) {
        let through = through % (self.naive.last() + 3);
        let known = self.recipient.chains.len() as u64;
        let chain = self.recipient.chains[usize::try_from(chain_of % known).unwrap()];
        self.ask(MailboxCommand::Acknowledge {
            through,
            chain,
            at: self.now,
        });
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

    /// The id of a message that the recipient was given, or of none.
    fn id(&self, number: u64) -> MessageId {
        let number = number % (self.recipient.stored() + 1);
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
            acknowledged <= self.recipient.stored(),
            "message {acknowledged} was acknowledged, and the recipient never had it"
        );
        self.last_command = Some(command);
    }
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
        world.send(512, None);
        prop_assert_eq!(
            world.mailbox.ask(&MailboxCommand::Open { key: KEY, owner: OWNER, inherited: None, at: world.now }),
            Err(MailboxError::NotOpen)
        );
    }
}
