//! The usual forms of output scripts, and the bytes in which scripts of one form differ.

use std::ops::Deref;

use satpost_domain::limits::SCRIPT_BYTES_MAX;

/// A form of scripts. The first three differ in 20 bytes, the next three in 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Pay to public key hash.
    Pkh,
    /// Pay to script hash (BIP-16).
    Sh,
    /// Pay to witness public key hash (BIP-141).
    Wpkh,
    /// Pay to witness script hash (BIP-141).
    Wsh,
    /// Pay to taproot (BIP-341).
    Tr,
    /// A script of which only the SHA-256 is known.
    Hash,
    /// Anything else, kept as it is.
    Other,
}

impl Form {
    /// By index. There are 8 codes in the 3 bits of a slot; the last is not in use.
    pub(super) const ALL: [Self; 8] = [
        Self::Pkh,
        Self::Sh,
        Self::Wpkh,
        Self::Wsh,
        Self::Tr,
        Self::Hash,
        Self::Other,
        Self::Other,
    ];

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// A form, and what distinguishes a script of that form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) form: Form,
    pub(super) bytes: &'a [u8],
}

pub(super) const fn split(script: &[u8]) -> Parts<'_> {
    match script {
        [0x76, 0xa9, 0x14, bytes @ .., 0x88, 0xac] if bytes.len() == 20 => Parts {
            form: Form::Pkh,
            bytes,
        },
        [0xa9, 0x14, bytes @ .., 0x87] if bytes.len() == 20 => Parts {
            form: Form::Sh,
            bytes,
        },
        [0x00, 0x14, bytes @ ..] if bytes.len() == 20 => Parts {
            form: Form::Wpkh,
            bytes,
        },
        [0x00, 0x20, bytes @ ..] if bytes.len() == 32 => Parts {
            form: Form::Wsh,
            bytes,
        },
        [0x51, 0x20, bytes @ ..] if bytes.len() == 32 => Parts {
            form: Form::Tr,
            bytes,
        },
        bytes => Parts {
            form: Form::Other,
            bytes,
        },
    }
}

/// The script of its parts; of a hash, the hash.
pub(super) fn join(parts: Parts<'_>) -> ScriptBytes {
    let (before, after): (&[u8], &[u8]) = match parts.form {
        Form::Pkh => (&[0x76, 0xa9, 0x14], &[0x88, 0xac]),
        Form::Sh => (&[0xa9, 0x14], &[0x87]),
        Form::Wpkh => (&[0x00, 0x14], &[]),
        Form::Wsh => (&[0x00, 0x20], &[]),
        Form::Tr => (&[0x51, 0x20], &[]),
        Form::Hash | Form::Other => (&[], &[]),
    };
    let mut script = ScriptBytes {
        bytes: [0; SCRIPT_BYTES_MAX],
        len: 0,
    };
    for part in [before, parts.bytes, after] {
        script.bytes[script.len..script.len + part.len()].copy_from_slice(part);
        script.len += part.len();
    }
    script
}

/// The bytes of a script, put together without allocation. They order like their bytes.
#[derive(Debug, Clone, Copy)]
pub struct ScriptBytes {
    bytes: [u8; SCRIPT_BYTES_MAX],
    len: usize,
}

impl Deref for ScriptBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl PartialEq for ScriptBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for ScriptBytes {}

impl PartialOrd for ScriptBytes {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ScriptBytes {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

impl From<&[u8]> for ScriptBytes {
    /// # Panics
    /// When there are more than [`SCRIPT_BYTES_MAX`].
    fn from(bytes: &[u8]) -> Self {
        join(Parts {
            form: Form::Other,
            bytes,
        })
    }
}
