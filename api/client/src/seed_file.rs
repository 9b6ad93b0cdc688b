//! Where a wallet without a platform keychain keeps its seed: one JSON file, readable by its owner
//! only, sealed under a passphrase when there is one.
//!
//! On a phone the seed belongs into the platform's keychain instead, see `docs/client.md`.

use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::Path;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::pbkdf2;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::ports::{Entropy, draw};
use crate::seed::Seed;
use crate::store::{StoreError, create_folder, io_error, replace_file, sync_folder};

/// The name of the file in the wallet's folder.
const FILE: &str = "seed";
/// Rounds of PBKDF2-HMAC-SHA256: what OWASP's password storage cheat sheet asks for (2023).
const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).expect("not zero");
/// Files that ask for more were not written by a wallet, and would only stall it.
const ROUNDS_MAX: u32 = 100_000_000;

/// The seed file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeedFileError {
    /// There is none: no wallet here.
    #[error("there is no wallet in {}", folder.display())]
    Missing {
        /// Where it was looked for.
        folder: std::path::PathBuf,
    },
    /// There is one: it must not be overwritten.
    #[error("there is a wallet in {} already", folder.display())]
    Exists {
        /// Where.
        folder: std::path::PathBuf,
    },
    /// The seed is sealed and no passphrase was given.
    #[error("the wallet's seed is sealed with a passphrase")]
    PassphraseNeeded,
    /// Wrong, or the file was changed.
    #[error("the passphrase is wrong, or the seed file was changed")]
    WrongPassphrase,
    /// The file is no seed file.
    #[error("the seed file does not parse")]
    Malformed,
    /// The disk said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "protection", rename_all = "snake_case", deny_unknown_fields)]
enum SeedFile {
    /// Only the file's mode protects it.
    None { entropy: String },
    /// ChaCha20-Poly1305 under PBKDF2-HMAC-SHA256 of a passphrase.
    Passphrase {
        rounds: NonZeroU32,
        salt: String,
        sealed: String,
    },
}

/// True when there is a seed file in `folder`.
#[must_use]
pub fn exists(folder: &Path) -> bool {
    folder.join(FILE).exists()
}

/// Writes the seed file of a new wallet.
///
/// # Errors
/// [`SeedFileError`]; [`SeedFileError::Exists`] when there is one.
pub fn write(
    folder: &Path,
    seed: &Seed,
    passphrase: Option<&str>,
    entropy: &dyn Entropy,
) -> Result<(), SeedFileError> {
    create_folder(folder)?;
    if exists(folder) {
        return Err(SeedFileError::Exists {
            folder: folder.to_owned(),
        });
    }
    let mut file = match passphrase {
        None => SeedFile::None {
            entropy: hex::encode(seed.entropy()),
        },
        Some(passphrase) => {
            let salt = draw::<16>(entropy);
            let mut sealed = seed.entropy().to_vec();
            key(passphrase, &salt, ROUNDS)
                .seal_in_place_append_tag(nonce(), Aad::empty(), &mut sealed)
                .expect("a seed is far below the size that ChaCha20 can seal");
            SeedFile::Passphrase {
                rounds: ROUNDS,
                salt: hex::encode(salt),
                sealed: hex::encode(sealed),
            }
        }
    };
    let text = Zeroizing::new(serde_json::to_vec(&file).expect("a seed file has text keys only"));
    if let SeedFile::None { entropy } = &mut file {
        entropy.zeroize();
    }
    replace_file(&folder.join(FILE), &text)?;
    sync_folder(folder)?;
    Ok(())
}

/// Reads the seed of the wallet in `folder`.
///
/// # Errors
/// [`SeedFileError`].
pub fn read(folder: &Path, passphrase: Option<&str>) -> Result<Seed, SeedFileError> {
    let path = folder.join(FILE);
    let text = match fs::read(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SeedFileError::Missing {
                folder: folder.to_owned(),
            });
        }
        Err(source) => return Err(io_error(&path, "read", source).into()),
    };
    let file: SeedFile = serde_json::from_slice(&text).map_err(|_| SeedFileError::Malformed)?;
    let unhex = |text: &str| hex::decode(text).map_err(|_| SeedFileError::Malformed);
    let entropy = match file {
        SeedFile::None { entropy } => Zeroizing::new(unhex(&Zeroizing::new(entropy))?),
        SeedFile::Passphrase {
            rounds,
            salt,
            sealed,
        } => {
            let passphrase = passphrase.ok_or(SeedFileError::PassphraseNeeded)?;
            if rounds.get() > ROUNDS_MAX {
                return Err(SeedFileError::Malformed);
            }
            let mut sealed = Zeroizing::new(unhex(&sealed)?);
            let length = key(passphrase, &unhex(&salt)?, rounds)
                .open_in_place(nonce(), Aad::empty(), &mut sealed)
                .map_err(|_| SeedFileError::WrongPassphrase)?
                .len();
            sealed.truncate(length);
            sealed
        }
    };
    Seed::from_entropy(&entropy).map_err(|_| SeedFileError::Malformed)
}

fn key(passphrase: &str, salt: &[u8], rounds: NonZeroU32) -> LessSafeKey {
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        salt,
        passphrase.as_bytes(),
        key.as_mut_slice(),
    );
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).expect("a key has 32 bytes");
    LessSafeKey::new(key)
}

/// The salt makes the key fresh, and the key seals once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::testing::Counting;

    fn seed() -> Seed {
        Seed::from_entropy(&[0xab; 16]).unwrap()
    }

    #[test]
    fn keeps_a_seed_without_a_passphrase_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &seed(), None, &Counting::default()).unwrap();
        let mode = fs::metadata(folder.path().join("seed")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        let read = read(folder.path(), None).unwrap();
        assert_eq!(read.entropy(), seed().entropy());
    }

    #[test]
    fn a_passphrase_is_needed_where_one_was_set() {
        let folder = tempfile::tempdir().unwrap();
        let entropy = Counting::default();
        write(folder.path(), &seed(), Some("open sesame"), &entropy).unwrap();
        let text = fs::read_to_string(folder.path().join("seed")).unwrap();
        assert!(!text.contains(&"ab".repeat(16)), "{text}");
        assert!(matches!(
            read(folder.path(), None),
            Err(SeedFileError::PassphraseNeeded)
        ));
        assert!(matches!(
            read(folder.path(), Some("open says me")),
            Err(SeedFileError::WrongPassphrase)
        ));
        let read = read(folder.path(), Some("open sesame")).unwrap();
        assert_eq!(read.entropy(), seed().entropy());
    }

    #[test]
    fn never_overwrites_a_wallet() {
        let folder = tempfile::tempdir().unwrap();
        let entropy = Counting::default();
        assert!(matches!(
            read(folder.path(), None),
            Err(SeedFileError::Missing { .. })
        ));
        write(folder.path(), &seed(), None, &entropy).unwrap();
        assert!(matches!(
            write(folder.path(), &seed(), None, &entropy),
            Err(SeedFileError::Exists { .. })
        ));
    }
}
