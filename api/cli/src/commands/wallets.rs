//! Making a wallet.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::Context as _;
use satpost_client::seed::{Seed, SeedLength};
use satpost_client::wallet::{NewWallet, Wallet, WalletOptions};
use serde_json::json;

use crate::arguments::{CreateArguments, RestoreArguments, Words};
use crate::output::Output;

/// Longer input is no list of words.
const WORDS_BYTES_MAX: u64 = 4 * 1024;

/// Makes a new wallet and shows its words, once.
pub(crate) fn create(
    arguments: CreateArguments,
    options: WalletOptions,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let length = match arguments.words {
        Words::Twelve => SeedLength::Words12,
        Words::TwentyFour => SeedLength::Words24,
    };
    let seed = Seed::generate(length, options.http.entropy.as_ref());
    let words = seed.words();
    let sealed = options.passphrase.is_some();
    let new = NewWallet {
        display_name: arguments.name,
        network: arguments.network,
        restored: false,
    };
    let wallet = Wallet::create(seed, new, options)?;
    output.hint("Write these words down; they are the wallet, and they are not shown again:");
    output.show(
        &words,
        &json!({
            "words": words.as_str(),
            "client_id": wallet.client_id().to_string(),
            "messaging_key": wallet.messaging_key().to_string(),
        }),
    );
    if !sealed {
        output.hint("The seed is on disk without a passphrase; see --passphrase-file.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a wallet from words on standard input.
pub(crate) fn restore(
    arguments: RestoreArguments,
    options: WalletOptions,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    output.hint("Type the words and end with Ctrl-D:");
    let mut words = String::new();
    std::io::stdin()
        .take(WORDS_BYTES_MAX)
        .read_to_string(&mut words)
        .context("the words cannot be read from standard input")?;
    let seed: Seed = words.parse()?;
    let new = NewWallet {
        display_name: arguments.name,
        network: arguments.network,
        restored: true,
    };
    let wallet = Wallet::create(seed, new, options)?;
    output.show(
        &format!("restored client {}", wallet.client_id()),
        &json!({
            "client_id": wallet.client_id().to_string(),
            "messaging_key": wallet.messaging_key().to_string(),
        }),
    );
    output.hint("Run register-client to find its registration again.");
    Ok(ExitCode::SUCCESS)
}
