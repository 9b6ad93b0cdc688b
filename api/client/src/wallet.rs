//! A wallet: the flows a person knows, each safe against a crash at any point.
//!
//! What is sent is stored with its idempotency key before it is sent; what is received is stored
//! before it is acknowledged. So a flow that was cut off is finished by running it again.

mod backing_up;
mod contacts;
mod descriptors;
mod error;
mod holding;
mod import_parts;
mod intake;
mod introducing;
mod listening;
mod pushing;
mod receiving;
mod registration;
mod sending;
mod speaking;
mod streaming;
mod tokens;
mod watching;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use satpost_domain::network::Network;
use satpost_domain::{ClientId, MessagingKey, Timestamp};

use crate::base_url;
use crate::http::{HttpClient, HttpOptions};
use crate::keys::{IdentitySecret, MessagingSecret, StoreKey};
use crate::seed::Seed;
use crate::seed_file;
use crate::store::{Record, State, Store};

pub use backing_up::RestoredBackup;
pub use contacts::{CARD_TOKENS_MAX, CONTACTS_MAX};
pub use descriptors::{DescriptorReach, DescriptorWatch};
pub use error::WalletError;
pub use listening::{ChangeFeed, MessageBell, ProvenTransaction};
pub use receiving::{Notice, ReceiveReport};
pub use sending::{KnockReason, SendOptions, SendOutcome};
pub use streaming::MessageFeed;
pub use watching::TransactionList;

/// The server a wallet uses when none is named: one on this machine.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8420";
/// The most work a wallet does for one message unless told otherwise, in bits: 64 times what a server
/// asks for by default, about a minute on a phone.
pub const WORK_BITS_MAX: u32 = 26;

/// Where a wallet is and how it reaches its server.
#[derive(Clone)]
pub struct WalletOptions {
    /// The wallet's folder.
    pub folder: PathBuf,
    /// The server to use instead of the one the wallet knows.
    pub server: Option<String>,
    /// The passphrase of the seed file, if it has one.
    pub passphrase: Option<String>,
    /// The most work done for one message to someone who has given no token, in bits.
    pub work_bits_max: u32,
    /// How calls are made.
    pub http: HttpOptions,
}

impl WalletOptions {
    /// The wallet in `folder`, with its own server and without a passphrase.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            server: None,
            passphrase: None,
            work_bits_max: WORK_BITS_MAX,
            http: HttpOptions::default(),
        }
    }
}

/// What a new wallet begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWallet {
    /// What others see on its card.
    pub display_name: String,
    /// The Bitcoin network; the server's when not said.
    pub network: Option<Network>,
    /// True when the seed was in use before: the server may know it already.
    pub restored: bool,
}

/// An open wallet. No other process can open it meanwhile.
pub struct Wallet {
    seed: Seed,
    identity: IdentitySecret,
    store: Store,
    state: State,
    options: WalletOptions,
    http: OnceLock<Arc<HttpClient>>,
}

impl Wallet {
    /// Makes a wallet of `seed` in a folder that has none.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn create(seed: Seed, new: NewWallet, options: WalletOptions) -> Result<Self, WalletError> {
        let state = State {
            restored: new.restored,
            display_name: new.display_name,
            network: new.network.map(|network| network.to_string()),
            ..State::default()
        };
        if let Some(server) = &options.server {
            base_url::parse(server)?;
        }
        let entropy = Arc::clone(&options.http.entropy);
        seed_file::write(
            &options.folder,
            &seed,
            options.passphrase.as_deref(),
            entropy.as_ref(),
        )?;
        let mut wallet = Self::assemble(seed, options)?;
        wallet.commit(state)?;
        Ok(wallet)
    }

    /// Opens the wallet in a folder.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn open(options: WalletOptions) -> Result<Self, WalletError> {
        let seed = seed_file::read(&options.folder, options.passphrase.as_deref())?;
        Self::assemble(seed, options)
    }

    fn assemble(seed: Seed, options: WalletOptions) -> Result<Self, WalletError> {
        let store = Store::open(&options.folder, StoreKey::derive(&seed))?;
        Ok(Self {
            identity: IdentitySecret::derive(&seed),
            // A crash between the seed file and the first state leaves a wallet that knows nothing.
            state: store.load()?.unwrap_or_default(),
            store,
            seed,
            options,
            http: OnceLock::new(),
        })
    }

    /// What this wallet knows.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The client's id at the server.
    #[must_use]
    pub fn client_id(&self) -> ClientId {
        self.identity.client_id()
    }

    /// The key that messages to this wallet are addressed to.
    #[must_use]
    pub fn messaging_key(&self) -> MessagingKey {
        self.messaging(self.state.generation).public()
    }

    /// Every message that was received or sent, by the time the server took it.
    ///
    /// # Errors
    /// [`WalletError::Store`].
    pub fn records(&self) -> Result<Vec<Record>, WalletError> {
        Ok(self.store.read_records()?)
    }

    /// The address of the server this wallet uses now.
    #[must_use]
    pub fn server(&self) -> &str {
        self.options
            .server
            .as_deref()
            .or(self.state.server.url.as_deref())
            .unwrap_or(DEFAULT_SERVER)
    }

    /// The client of the server this wallet uses now, for calls that no flow covers.
    ///
    /// # Errors
    /// [`WalletError`] when the address cannot be used.
    pub fn http(&self) -> Result<Arc<HttpClient>, WalletError> {
        if let Some(http) = self.http.get() {
            return Ok(Arc::clone(http));
        }
        let base = base_url::parse(self.server())?;
        let http = Arc::new(HttpClient::new(base, self.options.http.clone())?);
        let position = self.state.position.as_deref().map(str::parse);
        if let Some(Ok(position)) = position {
            http.remember_position(position);
        }
        Ok(Arc::clone(self.http.get_or_init(|| http)))
    }

    fn messaging(&self, generation: u32) -> MessagingSecret {
        MessagingSecret::derive(&self.seed, generation)
    }

    fn now(&self) -> Timestamp {
        self.options.http.clock.now()
    }

    /// Makes `state` the wallet's state, on disk first.
    fn commit(&mut self, mut state: State) -> Result<(), WalletError> {
        if let Some(position) = self.http.get().and_then(|http| http.position()) {
            state.position = Some(position.to_string());
        }
        self.store
            .save(&state, self.options.http.entropy.as_ref())?;
        self.state = state;
        Ok(())
    }

    fn registered(&self) -> Result<(), WalletError> {
        match self.state.registered_at {
            Some(_) => Ok(()),
            None => Err(WalletError::NotRegistered),
        }
    }

    /// The key the server signs with, as pinned at registration.
    fn server_key(&self) -> Result<ClientId, WalletError> {
        self.state
            .server
            .key
            .map(ClientId::from_stored)
            .ok_or(WalletError::NotRegistered)
    }

    /// The network of the server the wallet registered with.
    ///
    /// # Errors
    /// [`WalletError::NetworkUnknown`] before that.
    pub fn network(&self) -> Result<Network, WalletError> {
        self.state
            .network
            .as_deref()
            .and_then(|name| name.parse().ok())
            .ok_or(WalletError::NetworkUnknown)
    }
}

#[cfg(test)]
mod tests;
