//! What a wallet keeps when a server's account of a mailbox does not hold: everything the server
//! signed, to be shown to others.
//!
//! One JSON file in `evidence/` of the wallet's folder. It has no body of a message and no secret, so it
//! is not sealed. What makes it evidence are the signatures: two heads of one place with different
//! chains can only be the server's own doing (see [`Evidence::contradiction`]).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use satpost_api_types::messages::{
    AcknowledgeMessagesResponse, FetchMessagesResponse, SignedHead, head_bytes,
};
use satpost_domain::ids::{ChainHash, parse_hex};
use satpost_domain::{ClientId, MessagingKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::mailbox_check::{KeptReceipt, VerifiedHead};
use crate::store::{StoreError, create_folder, io_error, replace_file, sync_folder};

/// The folder in the wallet's.
const FOLDER: &str = "evidence";
/// The only version of the file.
const VERSION: u32 = 1;
/// Larger files were not written by a wallet: a fetch has at most 256 messages, here without bodies.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What a server broke, and what it signed about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// 1.
    pub version: u32,
    /// When the wallet found out, in milliseconds since the Unix epoch.
    pub found_at: u64,
    /// The server's address.
    pub server: String,
    /// The key it signs with, pinned at registration.
    pub server_key: ClientId,
    /// The key of the mailbox.
    pub mailbox: MessagingKey,
    /// Its generation in the wallet.
    pub generation: u32,
    /// What does not hold, in words.
    pub fault: String,
    /// The last message that the wallet had verified.
    pub known: Option<VerifiedHead>,
    /// The heads that the server had signed before, oldest first.
    pub heads: Vec<SignedHead>,
    /// Its receipts of deletion before, oldest first.
    pub receipts: Vec<KeptReceipt>,
    /// The answer that does not hold, without the bodies of messages.
    pub answer: Option<FetchMessagesResponse>,
    /// The answer to an acknowledgement of everything through `known` that does not hold.
    pub acknowledgement: Option<AcknowledgeMessagesResponse>,
}

impl Evidence {
    /// Evidence about one mailbox; what it shows is added by the caller.
    #[must_use]
    pub fn new(
        found_at: Timestamp,
        server: &str,
        server_key: ClientId,
        mailbox: (MessagingKey, u32),
        fault: String,
    ) -> Self {
        Self {
            version: VERSION,
            found_at: found_at.as_millis(),
            server: server.to_owned(),
            server_key,
            mailbox: mailbox.0,
            generation: mailbox.1,
            fault,
            known: None,
            heads: Vec::new(),
            receipts: Vec::new(),
            answer: None,
            acknowledgement: None,
        }
    }

    /// With the answer that does not hold; bodies are left out.
    #[must_use]
    pub fn with_answer(mut self, mut answer: FetchMessagesResponse) -> Self {
        for delivery in &mut answer.messages {
            delivery.body = None;
        }
        self.answer = Some(answer);
        self
    }

    /// Two chains for one place of the mailbox, both signed by the server: what it said before, and what
    /// it says now. Nobody else can have made them, and no honest server does.
    #[must_use]
    pub fn contradiction(&self) -> Option<(&SignedHead, &SignedHead)> {
        let now = self.answer.iter().map(|answer| &answer.head);
        let all: Vec<_> = self.heads.iter().chain(now).collect();
        all.iter().enumerate().find_map(|(index, one)| {
            let other = all[index + 1..]
                .iter()
                .find(|other| other.seq == one.seq && other.chain != one.chain)?;
            (self.is_signed(one) && self.is_signed(other)).then_some((*one, *other))
        })
    }

    fn is_signed(&self, head: &SignedHead) -> bool {
        let chain: Option<ChainHash> = head.chain.parse().ok();
        let signature = parse_hex(&head.signature).ok();
        chain.zip(signature).is_some_and(|(chain, signature)| {
            let signed = head_bytes(self.mailbox.as_bytes(), head.seq, chain.as_bytes());
            self.server_key.verify(&signed, &signature).is_ok()
        })
    }
}

/// Writes evidence into the wallet's `folder`; gives the name of the file.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn write(folder: &Path, evidence: &Evidence) -> Result<String, StoreError> {
    let folder = folder.join(FOLDER);
    create_folder(&folder)?;
    let name = format!("{}-{}.json", evidence.found_at, evidence.generation);
    let json = serde_json::to_vec_pretty(evidence).expect("evidence has text keys only");
    replace_file(&folder.join(&name), &json)?;
    sync_folder(&folder)?;
    Ok(name)
}

/// Where the evidence with this name lies.
pub(crate) fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(FOLDER).join(name)
}

/// All evidence in the wallet's `folder`, by the names of its files. Files that are none are left out.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn read_all(folder: &Path) -> Result<Vec<(PathBuf, Evidence)>, StoreError> {
    let folder = folder.join(FOLDER);
    let failed = |source| io_error(&folder, "read", source);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let is_small = fs::metadata(&path).is_ok_and(|file| file.len() <= FILE_BYTES_MAX);
        if path.extension().is_none_or(|kind| kind != "json") || !is_small {
            continue;
        }
        let text = fs::read(&path).map_err(|source| io_error(&path, "read", source))?;
        if let Ok(evidence) = serde_json::from_slice::<Evidence>(&text)
            && evidence.version == VERSION
        {
            found.push((path, evidence));
        }
    }
    found.sort_by(|one, two| one.0.cmp(&two.0));
    Ok(found)
}

#[cfg(test)]
mod tests;
