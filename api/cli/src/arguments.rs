//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use satpost_domain::network::Network;

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
  satpost show-card                       what to give to others
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
    /// Show the card that others add as a contact
    ShowCard {
        /// Name the next receive address on it
        #[arg(long)]
        with_address: bool,
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
    /// List the contacts
    ListContacts,
    /// Give out the next receive address (BIP-86)
    NewAddress,
    /// Let the server watch an address
    #[command(
        after_help = "Examples:\n  satpost watch-address              a new receive address\n  satpost watch-address bc1p…"
    )]
    WatchAddress {
        /// The addresses [default: a new receive address]
        addresses: Vec<String>,
    },
    /// Let the server watch an address no longer
    UnwatchAddress {
        /// The addresses
        #[arg(required = true)]
        addresses: Vec<String>,
    },
    /// List the addresses the server watches
    ListAddresses,
    /// List the transactions of the watched addresses
    ListTransactions(ListTransactionsArguments),
    /// Show what happens to the transactions of the watched addresses, as it happens
    #[command(
        after_help = "Goes on where `list-transactions --new` or `listen` ended, over any number of lost connections.\nExit code 6 when nothing came in time."
    )]
    Listen(ListenArguments),
    /// Send a text to a contact; what could not be sent before goes along
    SendMessage {
        /// The contact's name, messaging key or .onion name
        contact: String,
        /// The text, up to about 16,000 bytes
        text: String,
        /// How long it may wait for its recipient, in seconds
        #[arg(long, value_name = "SECONDS", value_parser = seconds)]
        ttl: Option<Duration>,
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
    /// Show how much waits at the server
    ShowQueue,
    /// Change the messaging key and tell the contacts
    RotateMessagingKey,
    /// End the registration for good; the server erases what it keeps
    RetireClient {
        /// Needed, because it cannot be undone
        #[arg(long)]
        yes: bool,
    },
    /// Be woken through a push service (RFC 8030)
    SetPushTarget {
        /// The push service
        #[arg(long, value_name = "URL")]
        service: String,
        /// How long to wait for the server's code
        #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
        timeout: Duration,
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
