//! The closed set of ways a flow can fail.

use std::path::PathBuf;

use satpost_domain::network::Network;

use super::contacts::CONTACTS_MAX;
use crate::backup::BackupError;
use crate::base_url::BaseUrlError;
use crate::contact_card::CardError;
use crate::descriptor::DescriptorError;
use crate::envelope::KNOCK_CONTENT_BYTES_MAX;
use crate::http::{CallError, HttpSetupError};
use crate::mailbox_check::MailboxMismatch;
use crate::merkle_proof::MerkleProofError;
use crate::push_service::PushServiceError;
use crate::receive_address::AddressIndexError;
use crate::sealing::SealError;
use crate::seed_file::SeedFileError;
use crate::store::StoreError;
use crate::web_push::PushError;

/// A flow did not come to its end. What was done before stays done, and running it again is safe.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// A call to the server failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The server's address cannot be used.
    #[error(transparent)]
    BaseUrl(#[from] BaseUrlError),
    /// Calls cannot be made.
    #[error(transparent)]
    HttpSetup(#[from] HttpSetupError),
    /// The wallet's files cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The wallet's seed cannot be used.
    #[error(transparent)]
    SeedFile(#[from] SeedFileError),
    /// A card is not valid.
    #[error(transparent)]
    Card(#[from] CardError),
    /// A message cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A proof of the server proves nothing.
    #[error(transparent)]
    Proof(#[from] MerkleProofError),
    /// A text names no transaction.
    #[error("{text} is no transaction id")]
    NoTransactionId {
        /// The text.
        text: String,
    },
    /// A descriptor cannot be watched.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// What was to be imported cannot be read.
    #[error("the addresses to import cannot be read")]
    Input(#[source] std::io::Error),
    /// No more addresses.
    #[error(transparent)]
    AddressIndex(#[from] AddressIndexError),
    /// What came as a push is none of Satpost.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The push service failed.
    #[error(transparent)]
    PushService(#[from] PushServiceError),
    /// The server's account of a mailbox does not hold; nothing was acknowledged.
    #[error(
        "the server's account of the mailbox (key generation {generation}) does not hold; nothing was acknowledged"
    )]
    Mailbox {
        /// Which of the wallet's mailboxes.
        generation: u32,
        /// What is wrong with it.
        #[source]
        mismatch: MailboxMismatch,
        /// What the server signed, to be shown to others; nothing when the answer could not be read.
        evidence: Option<PathBuf>,
    },
    /// It did not hold at an earlier time.
    #[error(
        "the server's account of the mailbox (key generation {generation}) did not hold; the evidence is in {}; look into it and resynchronise",
        evidence.display()
    )]
    Halted {
        /// Which of the wallet's mailboxes.
        generation: u32,
        /// What the server signed.
        evidence: PathBuf,
    },
    /// The server signs with another key than at registration.
    #[error(
        "the server signs with the key {actual}, but registered this wallet with {pinned}; it may be another server"
    )]
    ServerKeyChanged {
        /// The key at registration.
        pinned: String,
        /// The key now.
        actual: String,
    },
    /// The server's signature under a receipt does not verify.
    #[error("the server's receipt for the message does not verify; it may not have been taken")]
    BadReceipt,
    /// The server names a key or network that cannot be read.
    #[error("the server's {what} cannot be read")]
    BadInfo {
        /// What.
        what: &'static str,
    },
    /// The server is on another network.
    #[error("the server is on {server}, this wallet on {wallet}")]
    NetworkMismatch {
        /// The server's.
        server: Network,
        /// The wallet's.
        wallet: String,
    },
    /// Neither chosen nor learned from a server yet.
    #[error(
        "the Bitcoin network is not known yet; register first or create the wallet with a network"
    )]
    NetworkUnknown,
    /// The server does not know this wallet yet.
    #[error("this wallet is not registered; register it first")]
    NotRegistered,
    /// The server knows this wallet by a messaging key that its seed does not give.
    #[error(
        "the server knows this wallet by the messaging key {messaging_key}, which is not one of its first {tried}"
    )]
    ForeignMessagingKey {
        /// The key the server has.
        messaging_key: String,
        /// How many generations were tried.
        tried: u32,
    },
    /// No contact has this name or key.
    #[error("there is no contact {name:?}")]
    UnknownContact {
        /// What was asked for.
        name: String,
    },
    /// The name is taken by another contact.
    #[error("there is another contact {name:?}; choose another name")]
    ContactNameTaken {
        /// The name.
        name: String,
    },
    /// Someone asks to be a contact and was not accepted.
    #[error("{name} asks to be a contact; accept them first")]
    NotAccepted {
        /// The name.
        name: String,
    },
    /// No more contacts.
    #[error("a wallet has at most {CONTACTS_MAX} contacts; remove some first")]
    TooManyContacts,
    /// The contact takes messages of a stranger only, and those are small.
    #[error(
        "until the contact has written back a message holds at most {KNOCK_CONTENT_BYTES_MAX} bytes, got {actual}; send a short one first"
    )]
    TooLongForStranger {
        /// How many bytes were given.
        actual: usize,
    },
    /// The server asks strangers for more work than this wallet is willing to do.
    #[error("the server asks for {bits} bits of work, this wallet does at most {max}")]
    TooMuchWork {
        /// How many bits the server asks for.
        bits: u32,
        /// How many this wallet is willing to do.
        max: u32,
    },
    /// A backup cannot be read.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A file must not be overwritten.
    #[error("there is a file {} already", path.display())]
    FileExists {
        /// Which.
        path: PathBuf,
    },
    /// A backup goes into a wallet that was made of its words and not used yet.
    #[error("this wallet is in use; a backup goes into a new one, restored from the same words")]
    NotFresh,
    /// The card is the wallet's own.
    #[error("the card is this wallet's own")]
    OwnCard,
    /// Too many messages wait to be sent.
    #[error("{waiting} messages wait to be sent; the server must take some first")]
    OutboxFull {
        /// How many.
        waiting: usize,
    },
    /// The code did not come in time.
    #[error("no push arrived in {seconds} s; is the push service reachable for the server?")]
    NoPush {
        /// How long it was waited.
        seconds: u64,
    },
    /// There is no subscription to wait at.
    #[error("this wallet has no push target; set one first")]
    NoPushTarget,
    /// The server has no push key.
    #[error("the server offers no Web Push")]
    NoVapidKey,
}
