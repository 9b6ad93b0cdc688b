//! Sealed files: `"SATPOST" ‖ version (1) ‖ salt (32) ‖ ciphertext`, replaced atomically.
//!
//! Each writing derives its own key, `HKDF-SHA256(salt, store key, "satpost/store-file/1" ‖ role)`, for
//! ChaCha20-Poly1305 with a zero nonce: no number of writings can repeat a key and nonce. The role
//! is in the key, so that one file of a wallet cannot be put in the place of another.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

use super::{StoreError, io_error};
use crate::keys::StoreKey;
use crate::ports::{Entropy, draw};

const MAGIC: &[u8; 7] = b"SATPOST";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = MAGIC.len() + 1 + SALT_BYTES;
const SALT_BYTES: usize = 32;
const INFO: &[u8] = b"satpost/store-file/1";

/// Reads and opens a file; nothing when there is none.
pub(super) fn read(
    path: &Path,
    key: &StoreKey,
    role: &str,
) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => open_bytes(&bytes, path, key, role).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(io_error(path, "read", source)),
    }
}

/// Opens what was read from `path`.
pub(crate) fn open_bytes(
    bytes: &[u8],
    path: &Path,
    key: &StoreKey,
    role: &str,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let unreadable = || StoreError::Unreadable {
        path: path.to_owned(),
    };
    let (header, ciphertext) = bytes
        .split_at_checked(HEADER_BYTES)
        .ok_or_else(unreadable)?;
    let (magic, rest) = header.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(unreadable());
    }
    let (version, salt) = rest.split_at(1);
    if version != [VERSION] {
        return Err(StoreError::UnknownVersion {
            path: path.to_owned(),
            version: version[0],
        });
    }
    let mut content = Zeroizing::new(ciphertext.to_vec());
    let length = file_key(key, role, salt)
        .open_in_place(zero_nonce(), Aad::from(header), &mut content)
        .map_err(|_| unreadable())?
        .len();
    content.truncate(length);
    Ok(content)
}

/// Seals and replaces a file. The rename is durable only once its folder is synced.
pub(super) fn write(
    path: &Path,
    key: &StoreKey,
    role: &str,
    content: &[u8],
    entropy: &dyn Entropy,
) -> Result<(), StoreError> {
    replace(path, &seal_bytes(key, role, content, entropy))
}

/// Seals `content`; no two times alike.
pub(crate) fn seal_bytes(
    key: &StoreKey,
    role: &str,
    content: &[u8],
    entropy: &dyn Entropy,
) -> Vec<u8> {
    let salt = draw::<SALT_BYTES>(entropy);
    let header = [MAGIC, &[VERSION][..], &salt].concat();
    let mut sealed = content.to_vec();
    file_key(key, role, &salt)
        .seal_in_place_append_tag(zero_nonce(), Aad::from(&header), &mut sealed)
        .expect("a wallet's file is far below the 256 GiB that ChaCha20 can seal");
    [header, sealed].concat()
}

/// Writes `bytes` beside `path`, syncs, and moves them there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(beside, path)
    };
    write().map_err(|source| io_error(path, "written", source))
}

fn file_key(key: &StoreKey, role: &str, salt: &[u8]) -> LessSafeKey {
    let prk = Salt::new(HKDF_SHA256, salt).extract(key.as_bytes());
    let info = [INFO, role.as_bytes()];
    let okm = prk
        .expand(&info, &CHACHA20_POLY1305)
        .expect("HKDF-SHA256 gives up to 255 times 32 bytes");
    LessSafeKey::new(UnboundKey::from(okm))
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}
