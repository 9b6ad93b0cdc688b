//! The command line.

mod birthday;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use satpost_api_types::addresses::Birthday;
use satpost_domain::network::Network;

use birthday::birthday;

/// A self-sovereign wallet that uses a Satpost server without trusting it.
#[derive(Debug, Parser)]
#[command(name = "satpost", version, about, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Arguments {
    /// The wallet's folder [default: ~/.satpost]
    #[arg(long, global = true, value_name = "DIR", env = "SATPOST_HOME")]
    pub(crate) home: Option<PathBuf>,
    /// The server [default: the one the wallet registered with, else http://127.0.0.1:8420]
    #[arg(long, global = true, value_name = "URL", env = "SATPOST_SERVER")]
    pub(crate) server: Option<String>,
    /// Print one JSON object a line instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// A file whose first line is the passphrase of the wallet's seed
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Trust the certificates in this PEM file too
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Allow http to other machines; anyone on the way can then see who talks to whom
    #[arg(long, global = true)]
    pub(crate) allow_plain_http: bool,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  satpost create --name Alice             make a wallet; write the words down
  satpost register-client                 tell the server
  satpost show-card                       what to give to one other person
  satpost add-contact satpost1:abc… --name Bob
  satpost send-message Bob \"Lunch on Friday?\"
  satpost fetch-messages --wait 30
  satpost watch-address                   watch a new receive address
  satpost list-transactions --verify
  satpost listen

Exit codes: 0 done, 1 other, 2 usage, 3 refused, 4 unreachable (safe to repeat),
5 something does not verify, 6 nothing came in time.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new wallet and show its words, once
    #[command(after_help = "Example:\n  satpost create --name Alice --words 24")]
    Create(CreateArguments),
    /// Make a wallet from its words, read from standard input
    #[command(
        after_help = "Example:\n  satpost --home ~/again restore --name Alice < words.txt\n  satpost --home ~/again register-client"
    )]
    Restore(RestoreArguments),
    /// Register with the server, or find a restored wallet's registration again
    RegisterClient,
    /// Show a card for one person to add as a contact
    #[command(
        after_help = "Each card has a token of its own that lets its holder write first, once; the latest 64 cards are good.\nA card without a token is for everybody: whoever has it must work before the first message.\n\nExamples:\n  satpost show-card\n  satpost show-card --no-token --with-address"
    )]
    ShowCard {
        /// Name the next receive address on it
        #[arg(long)]
        with_address: bool,
        /// Leave the token out, for a card that everybody may see; needs no server
        #[arg(long)]
        no_token: bool,
    },
    /// Add the owner of a card
    #[command(after_help = "Example:\n  satpost add-contact satpost1:mfrgg… --name Bob")]
    AddContact {
        /// The card, as `show-card` printed it
        card: String,
        /// What to call the contact [default: the name on the card]
        #[arg(long)]
        name: Option<String>,
    },
    /// Accept someone who knocked, and let them write
    #[command(after_help = "Example:\n  satpost accept-contact 7s4a…d.onion --name Carol")]
    AcceptContact {
        /// The name, messaging key or .onion name, as `list-contacts` shows it
        contact: String,
        /// What to call the contact
        #[arg(long)]
        name: Option<String>,
    },
    /// Remove a contact, or someone who asks to be one; they are strangers again
    #[command(visible_alias = "revoke-contact")]
    RemoveContact {
        /// The contact's name, messaging key or .onion name
        contact: String,
    },
    /// List the contacts, and those who ask to be one
    ListContacts,
    /// Say what becomes of messages of strangers
    #[command(
        after_help = "refuse  they are refused\nknock   a few small ones wait, when work was done for them (as a new wallet has it)\nopen    they are taken like any other\n\nExample:\n  satpost set-stranger-policy refuse"
    )]
    SetStrangerPolicy {
        /// What becomes of them
        #[arg(value_enum)]
        policy: Policy,
    },
    /// Give out the next receive address (BIP-86)
    NewAddress,
    /// Let the server watch an address
    #[command(
        after_help = "Examples:\n  satpost watch-address              a new receive address\n  satpost watch-address bc1p…\n  satpost watch-address --depth 2 --depth 6 --birthday 2024-01-31 bc1p…"
    )]
    WatchAddress(WatchAddressArguments),
    /// Let the server watch an address no longer
    UnwatchAddress {
        /// The addresses
        #[arg(required_unless_present_any = ["scripts", "script_hashes"])]
        addresses: Vec<String>,
        /// An output script in hexadecimal
        #[arg(long = "script", value_name = "HEX")]
        scripts: Vec<String>,
        /// SHA-256 of an output script in hexadecimal
        #[arg(long = "script-hash", value_name = "HEX")]
        script_hashes: Vec<String>,
    },
    /// Let the server watch the scripts of an output descriptor; the descriptor stays here
    #[command(
        after_help = "The descriptor has its checksum and public keys only; put it into quotes.\n\nExample:\n  satpost watch-descriptor \"wpkh(tpub…/<0;1>/*)#checksum\" --birthday 2024-01-31 --follow"
    )]
    WatchDescriptor(WatchDescriptorArguments),
    /// Let the server watch the addresses in a file
    #[command(
        after_help = "One address a line, or a JSON object: {\"address\": …} or {\"script\": …} or {\"script_hash\": …},\nwith \"depths\": [2, 6] and \"birthday\": {\"height\": 800000} where wanted.\n\nExample:\n  satpost import-addresses addresses.txt"
    )]
    ImportAddresses {
        /// The file [default: standard input]
        file: Option<PathBuf>,
    },
    /// List the addresses the server watches
    ListAddresses,
    /// Show what the watched addresses have
    #[command(visible_alias = "balance")]
    GetBalance,
    /// List the coins of the watched addresses
    #[command(visible_alias = "utxos")]
    ListUtxos,
    /// Have the history of watched addresses read; the same again shows the progress
    #[command(visible_alias = "rescan")]
    RescanAddresses {
        /// The height of the first block that can have their transactions
        #[arg(long)]
        from_height: u32,
        /// The addresses
        #[arg(required = true)]
        addresses: Vec<String>,
    },
    /// List the transactions of the watched addresses
    ListTransactions(ListTransactionsArguments),
    /// Show messages and what happens to the transactions of the watched addresses, as it happens
    #[command(
        after_help = "Goes on where `list-transactions --new` or `listen` ended, over any number of lost connections.\nMessages are fetched as `fetch-messages` does it.\nExit code 6 when nothing came in time.\n\nExample:\n  satpost listen --json"
    )]
    Listen(ListenArguments),
    /// Send a text to a contact; what could not be sent before goes along
    #[command(
        after_help = "The server is not told who sends. Until the contact has written back, a message holds about 1,800 bytes.\n\nExamples:\n  satpost send-message Bob \"Lunch on Friday?\"\n  satpost send-message Bob --ttl 3600 \"The code is 1234\""
    )]
    SendMessage {
        /// The contact's name, messaging key or .onion name
        contact: String,
        /// The text, up to about 16,000 bytes
        text: String,
        /// How long it may wait for its recipient, in seconds
        #[arg(long, value_name = "SECONDS", value_parser = seconds)]
        ttl: Option<Duration>,
        /// Tell the server who sends, instead of working; only a mailbox open to strangers takes it
        #[arg(long)]
        signed: bool,
    },
    /// Fetch, verify, decrypt, store and acknowledge the waiting messages
    FetchMessages {
        /// How long to wait for one when there is none
        #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
        wait: Duration,
        /// Take the server's word for where the mailbox stands, after a mismatch was looked into
        #[arg(long)]
        resynchronise: bool,
    },
    /// List the stored messages
    ListMessages,
    /// Show what the server broke: the signed evidence, and where it lies
    #[command(
        after_help = "Exit code 5 when there is any.\n\nExample:\n  satpost show-evidence --json > evidence.jsonl"
    )]
    ShowEvidence,
    /// Show how much waits at the server
    ShowQueue,
    /// Write contacts, tokens and messages into a file that only the words open
    #[command(after_help = "Example:\n  satpost export-backup alice.backup")]
    ExportBackup {
        /// The file; it must not exist
        file: PathBuf,
    },
    /// Take over a backup, in a wallet just restored from the same words
    #[command(
        after_help = "Example:\n  satpost --home ~/again restore --name Alice < words.txt\n  satpost --home ~/again import-backup alice.backup\n  satpost --home ~/again register-client"
    )]
    ImportBackup {
        /// The file
        file: PathBuf,
    },
    /// Change the messaging key and tell the contacts
    RotateMessagingKey,
    /// End the registration for good; the server erases what it keeps
    RetireClient {
        /// Needed, because it cannot be undone
        #[arg(long)]
        yes: bool,
    },
    /// Be woken through a push service (RFC 8030), or wake a phone through Apple or Google
    #[command(
        after_help = "Examples:\n  satpost set-push-target --service https://push.example\n  satpost set-push-target --fcm-token cX9…   then: satpost verify-push-target CONTENT"
    )]
    SetPushTarget(SetPushTargetArguments),
    /// Give the server the code that came to a phone through Apple or Google
    VerifyPushTarget {
        /// The field `satpost` of the push
        content: String,
    },
    /// Wait until the server wakes this wallet; exit code 6 when it does not
    WaitForWake {
        /// How long
        #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
        timeout: Duration,
    },
    /// Be woken no longer
    RemovePushTarget,
    /// Show what a bitcoin costs, and who says so
    #[command(after_help = "Example:\n  satpost price USD")]
    Price {
        /// The currency
        currency: String,
    },
    /// Show what the server says about itself
    ServerInfo,
}

/// What becomes of messages of strangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Policy {
    /// They are refused.
    Refuse,
    /// A few small ones wait.
    Knock,
    /// They are taken like any other.
    Open,
}

/// What to watch, and what to hear of it.
#[derive(Debug, Args)]
pub(crate) struct WatchAddressArguments {
    /// The addresses [default: a new receive address]
    pub(crate) addresses: Vec<String>,
    /// An output script in hexadecimal
    #[arg(long = "script", value_name = "HEX")]
    pub(crate) scripts: Vec<String>,
    /// SHA-256 of an output script in hexadecimal
    #[arg(long = "script-hash", value_name = "HEX")]
    pub(crate) script_hashes: Vec<String>,
    /// A depth to be told of, from 2 to 144 [default: 3 and 6]
    #[arg(long = "depth", value_name = "BLOCKS")]
    pub(crate) depths: Vec<u32>,
    /// From when on the history is wanted: a height, or a date like 2024-01-31
    #[arg(long, value_name = "HEIGHT|DATE", value_parser = birthday)]
    pub(crate) birthday: Option<Birthday>,
}

/// Which descriptor, and what to hear of its scripts.
#[derive(Debug, Args)]
pub(crate) struct WatchDescriptorArguments {
    /// The descriptor
    pub(crate) descriptor: String,
    /// How many unused scripts are watched behind the last used one
    #[arg(long, value_name = "SCRIPTS", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) gap: u32,
    /// A depth to be told of, from 2 to 144 [default: 3 and 6]
    #[arg(long = "depth", value_name = "BLOCKS")]
    pub(crate) depths: Vec<u32>,
    /// From when on the history is wanted: a height, or a date like 2024-01-31
    #[arg(long, value_name = "HEIGHT|DATE", value_parser = birthday)]
    pub(crate) birthday: Option<Birthday>,
    /// Go on, and watch further scripts when others are used
    #[arg(long)]
    pub(crate) follow: bool,
}

/// What a new wallet begins with.
#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// What others see on the wallet's card
    #[arg(long, default_value = "Satpost wallet")]
    pub(crate) name: String,
    /// How many words the seed has
    #[arg(long, value_enum, default_value = "12")]
    pub(crate) words: Words,
    /// The Bitcoin network [default: the server's]
    #[arg(long)]
    pub(crate) network: Option<Network>,
}

/// What a restored wallet begins with.
#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// What others see on the wallet's card
    #[arg(long, default_value = "Satpost wallet")]
    pub(crate) name: String,
    /// The Bitcoin network [default: the server's]
    #[arg(long)]
    pub(crate) network: Option<Network>,
}

/// Which transactions.
#[derive(Debug, Args)]
pub(crate) struct ListTransactionsArguments {
    /// Only what changed since the last `list-transactions`
    #[arg(long)]
    pub(crate) new: bool,
    /// Prove those in a block: fetch the Merkle paths and check them here
    #[arg(long)]
    pub(crate) verify: bool,
    /// Go on printing what changes
    #[arg(long)]
    pub(crate) follow: bool,
    /// Stop following after this time
    #[arg(long, value_name = "SECONDS", requires = "follow", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
}

/// From where, and for how long.
#[derive(Debug, Args)]
pub(crate) struct ListenArguments {
    /// Begin with everything that ever happened; what is shown is not remembered
    #[arg(long)]
    pub(crate) all: bool,
    /// Stop after this time
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
}

/// Where to be woken: one of the three.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("target").required(true).args(["service", "apns_token", "fcm_token"])))]
pub(crate) struct SetPushTargetArguments {
    /// The push service; this wallet waits there itself
    #[arg(long, value_name = "URL")]
    pub(crate) service: Option<String>,
    /// How long to wait for the server's code
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds, requires = "service")]
    pub(crate) timeout: Duration,
    /// The device token of an iPhone
    #[arg(long, value_name = "HEX", requires = "apns_topic")]
    pub(crate) apns_token: Option<String>,
    /// The bundle id of the app on it
    #[arg(long, value_name = "BUNDLE", requires = "apns_token")]
    pub(crate) apns_topic: Option<String>,
    /// The app is one in development
    #[arg(long, requires = "apns_token")]
    pub(crate) apns_sandbox: bool,
    /// The registration token of a phone with Google's services
    #[arg(long, value_name = "TOKEN")]
    pub(crate) fcm_token: Option<String>,
}

/// The length of a seed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Words {
    /// 128 bits.
    #[value(name = "12")]
    Twelve,
    /// 256 bits.
    #[value(name = "24")]
    TwentyFour,
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_verb_explains_itself() {
        for verb in Arguments::command().get_subcommands() {
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
        }
    }
}
