//! The server's own keys, made at the first start: the Ed25519 key of receipts and heads, and the
//! P-256 key of Web Push (VAPID). They sign; nothing is ever encrypted to them.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use satpost_event_store::storage::{Disk, replace_file};
use zeroize::Zeroizing;

use crate::system::SystemIds;

const SIGNING_KEY_FILE: &str = "signing.key";
const VAPID_KEY_FILE: &str = "vapid.key";

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerKeysError {
    /// A key file cannot be read or written.
    #[error("the key file {path} cannot be used")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A key file does not hold a key.
    #[error(
        "the key file {path} does not hold 64 hexadecimal characters that make a key; restore it from a backup"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
    },
}

/// The keys of this server. Does not print.
pub struct ServerKeys {
    signing: Ed25519KeyPair,
    vapid: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for ServerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerKeys(..)")
    }
}

impl ServerKeys {
    /// Loads the keys from `folder`, making what is missing.
    ///
    /// # Errors
    /// [`ServerKeysError`].
    pub fn load_or_create(folder: &Path, random: &SystemIds) -> Result<Self, ServerKeysError> {
        fs::create_dir_all(folder).map_err(|source| ServerKeysError::File {
            path: folder.to_owned(),
            source,
        })?;
        let signing_path = folder.join(SIGNING_KEY_FILE);
        let seed = load_or_create(&signing_path, || random.bytes())?;
        let signing = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .map_err(|_| ServerKeysError::Damaged { path: signing_path })?;
        let vapid_path = folder.join(VAPID_KEY_FILE);
        let vapid = load_or_create(&vapid_path, || fresh_p256_scalar(random))?;
        if p256::SecretKey::from_slice(vapid.as_slice()).is_err() {
            return Err(ServerKeysError::Damaged { path: vapid_path });
        }
        Ok(Self { signing, vapid })
    }

    /// Loads the keys from `folder`; nothing when one of them is not there.
    ///
    /// # Errors
    /// [`ServerKeysError`].
    pub fn load(folder: &Path) -> Result<Option<Self>, ServerKeysError> {
        let is_there = |name| folder.join(name).exists();
        if !is_there(SIGNING_KEY_FILE) || !is_there(VAPID_KEY_FILE) {
            return Ok(None);
        }
        Self::load_or_create(folder, &SystemIds::new()).map(Some)
    }

    /// The names of the key files.
    pub const FILES: [&'static str; 2] = [SIGNING_KEY_FILE, VAPID_KEY_FILE];

    /// The public key of receipts, heads and checkpoints.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.signing.public_key().as_ref());
        key
    }

    /// Signs a receipt or a head.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.signing.sign(message).as_ref());
        signature
    }

    /// The secret scalar of the Web Push key.
    #[must_use]
    pub fn vapid_secret(&self) -> &[u8; 32] {
        &self.vapid
    }
}

/// A scalar of P-256 that is neither zero nor past the order; the first draw fits all but never.
fn fresh_p256_scalar(random: &SystemIds) -> [u8; 32] {
    loop {
        let bytes = random.bytes();
        if p256::SecretKey::from_slice(&bytes).is_ok() {
            return bytes;
        }
    }
}

fn load_or_create(
    path: &Path,
    make: impl FnOnce() -> [u8; 32],
) -> Result<Zeroizing<[u8; 32]>, ServerKeysError> {
    let failed = |source| ServerKeysError::File {
        path: path.to_owned(),
        source,
    };
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let mut key = Zeroizing::new([0; 32]);
            hex::decode_to_slice(text.trim_end(), key.as_mut_slice()).map_err(|_| {
                ServerKeysError::Damaged {
                    path: path.to_owned(),
                }
            })?;
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = Zeroizing::new(make());
            let text = Zeroizing::new(format!("{}\n", hex::encode(key.as_slice())));
            replace_file(&Disk, path, text.as_bytes()).map_err(failed)?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keeps_the_keys_of_the_first_start() {
        let folder = tempfile::tempdir().unwrap();
        let random = SystemIds::new();
        let first = ServerKeys::load_or_create(folder.path(), &random).unwrap();
        let second = ServerKeys::load_or_create(folder.path(), &random).unwrap();
        assert_eq!(first.public_key(), second.public_key());
        assert_eq!(first.vapid_secret(), second.vapid_secret());
        let mode = fs::metadata(folder.path().join(SIGNING_KEY_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn refuses_a_damaged_key_instead_of_making_another_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(SIGNING_KEY_FILE), "short").unwrap();
        let error = ServerKeys::load_or_create(folder.path(), &SystemIds::new()).unwrap_err();
        assert!(matches!(error, ServerKeysError::Damaged { .. }));
    }
}
