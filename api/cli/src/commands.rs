//! One function for each verb.

mod addresses;
mod backups;
mod balance;
mod contacts;
mod evidence;
mod listen;
mod messages;
mod prices;
mod push;
mod received;
mod registration;
mod transactions;
mod wallets;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use satpost_client::wallet::{SendOptions, Wallet, WalletOptions};

use crate::arguments::{Arguments, Command};
use crate::output::Output;

/// Carries out what the command line asks for.
pub(crate) async fn run(arguments: Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let options = options(&arguments)?;
    let command = match arguments.command {
        Command::Create(arguments) => return wallets::create(arguments, options, output),
        Command::Restore(arguments) => return wallets::restore(arguments, options, output),
        Command::ServerInfo => return registration::server_info(options, output).await,
        Command::Price { currency } => return prices::price(options, &currency, output).await,
        command => command,
    };
    let mut wallet = Wallet::open(options)?;
    match command {
        Command::Create(_) | Command::Restore(_) | Command::ServerInfo | Command::Price { .. } => {
            unreachable!("these need no wallet and were carried out above")
        }
        Command::RegisterClient => registration::register_client(&mut wallet, output).await,
        Command::RotateMessagingKey => {
            registration::rotate_messaging_key(&mut wallet, output).await
        }
        Command::RetireClient { yes } => {
            registration::retire_client(&mut wallet, yes, output).await
        }
        Command::ShowCard {
            with_address,
            no_token,
        } => contacts::show_card(&mut wallet, with_address, no_token, output).await,
        Command::AddContact { card, name } => {
            contacts::add_contact(&mut wallet, &card, name.as_deref(), output)
        }
        Command::AcceptContact { contact, name } => {
            contacts::accept_contact(&mut wallet, &contact, name.as_deref(), output).await
        }
        Command::RemoveContact { contact } => {
            contacts::remove_contact(&mut wallet, &contact, output).await
        }
        Command::ListContacts => contacts::list_contacts(&wallet, output),
        Command::SetStrangerPolicy { policy } => {
            contacts::set_stranger_policy(&wallet, policy, output).await
        }
        Command::NewAddress => transactions::new_address(&mut wallet, output),
        Command::WatchAddress(arguments) => {
            addresses::watch_address(&mut wallet, arguments, output).await
        }
        Command::UnwatchAddress {
            addresses,
            scripts,
            script_hashes,
        } => {
            let entries = addresses::entries(addresses, scripts, script_hashes);
            addresses::unwatch_address(&mut wallet, &entries, output).await
        }
        Command::WatchDescriptor(arguments) => {
            addresses::watch_descriptor(&mut wallet, arguments, output).await
        }
        Command::ImportAddresses { file } => {
            addresses::import_addresses(&mut wallet, file.as_deref(), output).await
        }
        Command::ListAddresses => addresses::list_addresses(&mut wallet, output).await,
        Command::GetBalance => balance::get_balance(&wallet, output).await,
        Command::ListUtxos => balance::list_utxos(&wallet, output).await,
        Command::RescanAddresses {
            from_height,
            addresses,
        } => balance::rescan_addresses(&wallet, &addresses, from_height, output).await,
        Command::ListTransactions(arguments) => {
            transactions::list_transactions(&mut wallet, &arguments, output).await
        }
        Command::Listen(arguments) => listen::listen(&mut wallet, &arguments, output).await,
        Command::SendMessage {
            contact,
            text,
            ttl,
            signed,
        } => {
            let options = SendOptions { ttl, signed };
            messages::send_message(&mut wallet, &contact, &text, options, output).await
        }
        Command::FetchMessages {
            wait,
            resynchronise,
        } => messages::fetch_messages(&mut wallet, wait, resynchronise, output).await,
        Command::ListMessages => messages::list_messages(&wallet, output),
        Command::ShowEvidence => evidence::show_evidence(&wallet, output),
        Command::ExportBackup { file } => backups::export_backup(&wallet, &file, output),
        Command::ImportBackup { file } => backups::import_backup(&mut wallet, &file, output),
        Command::ShowQueue => messages::show_queue(&wallet, output).await,
        Command::SetPushTarget(arguments) => {
            push::set_push_target(&mut wallet, arguments, output).await
        }
        Command::VerifyPushTarget { content } => {
            push::verify_push_target(&mut wallet, &content, output).await
        }
        Command::WaitForWake { timeout } => push::wait_for_wake(&mut wallet, timeout, output).await,
        Command::RemovePushTarget => push::remove_push_target(&mut wallet, output).await,
    }
}

fn options(arguments: &Arguments) -> anyhow::Result<WalletOptions> {
    let home = arguments
        .home
        .clone()
        .or_else(default_home)
        .context("the home folder is not known; name the wallet's folder with --home")?;
    let mut options = WalletOptions::new(&home);
    options.server.clone_from(&arguments.server);
    options.http.allow_plain_http = arguments.allow_plain_http;
    if let Some(path) = &arguments.passphrase_file {
        let text = fs::read_to_string(path)
            .with_context(|| format!("the passphrase file {} cannot be read", path.display()))?;
        options.passphrase = Some(text.lines().next().unwrap_or_default().to_owned());
    }
    if let Some(path) = &arguments.ca_file {
        let pem = fs::read(path)
            .with_context(|| format!("the certificate file {} cannot be read", path.display()))?;
        options.http.extra_root_certificates.push(pem);
    }
    Ok(options)
}

fn default_home() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".satpost"))
}
