//! Messages and what became of them: one sealed file each, written once.

use std::fs;
use std::path::PathBuf;

use satpost_domain::{CommandId, MessageId, MessagingKey, Timestamp};
use serde::{Deserialize, Serialize};

use super::{RECORDS_FOLDER, Store, StoreError, io_error, sealed_file, sync_folder};
use crate::link::Continuity;
use crate::ports::Entropy;

/// Names a record. The same message has the same name, so that writing it again after a crash
/// does not double it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordId {
    /// From a mailbox of this wallet.
    Mailbox {
        /// The generation of the mailbox's key.
        generation: u32,
        /// The place in the mailbox.
        seq: u64,
    },
    /// To a contact.
    Sent(CommandId),
}

impl RecordId {
    fn file_name(self) -> String {
        match self {
            Self::Mailbox { generation, seq } => format!("mailbox-{generation:010}-{seq:020}"),
            Self::Sent(command) => format!("sent-{command}"),
        }
    }
}

/// A message that was received or sent, or what is known of one that could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A message to this wallet.
    Received {
        /// Who wrote it; its signature was verified.
        sender: MessagingKey,
        /// The contact it belongs to, if any: [`super::Contact::id`].
        contact: Option<MessagingKey>,
        /// The kind of its content, see [`crate::envelope`].
        kind: u8,
        /// Its content.
        text: String,
        /// The sender's clock.
        sent_at: Timestamp,
        /// When the server took it.
        accepted_at: Timestamp,
        /// How it joins those before.
        continuity: Continuity,
        /// True when it came as a stranger's.
        knock: bool,
    },
    /// A message from this wallet.
    Sent {
        /// To whom: [`super::Contact::id`].
        contact: MessagingKey,
        /// The kind of its content.
        kind: u8,
        /// Its content.
        text: String,
        /// When it was written.
        sent_at: Timestamp,
        /// When the server took it.
        accepted_at: Timestamp,
        /// When it stops waiting for its recipient.
        expires_at: Timestamp,
        /// The server's signed word that it took it.
        #[serde(with = "serde_signature")]
        receipt: [u8; 64],
    },
    /// A message that ended before it was fetched.
    Gone {
        /// `expired` or `wiped`.
        reason: String,
        /// When the server had taken it.
        accepted_at: Timestamp,
    },
    /// A message that could not be opened; it is parked at the server.
    Unreadable {
        /// Its id there.
        id: MessageId,
        /// Why.
        reason: String,
        /// When the server took it.
        accepted_at: Timestamp,
    },
}

impl Record {
    /// When the server took the message.
    #[must_use]
    pub const fn accepted_at(&self) -> Timestamp {
        match self {
            Self::Received { accepted_at, .. }
            | Self::Sent { accepted_at, .. }
            | Self::Gone { accepted_at, .. }
            | Self::Unreadable { accepted_at, .. } => *accepted_at,
        }
    }
}

impl Store {
    /// Writes records. When this returns, a power cut cannot undo it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn write_records(
        &self,
        records: &[(RecordId, Record)],
        entropy: &dyn Entropy,
    ) -> Result<(), StoreError> {
        let named = records
            .iter()
            .map(|(id, record)| (id.file_name(), record.clone()));
        self.write_named_records(&named.collect::<Vec<_>>(), entropy)
    }

    /// Writes records as [`Self::read_named_records`] gave them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn write_named_records(
        &self,
        records: &[(String, Record)],
        entropy: &dyn Entropy,
    ) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        for (name, record) in records {
            let bytes = zeroize::Zeroizing::new(
                postcard::to_stdvec(record).expect("a record has no type that postcard refuses"),
            );
            let path = self.records_folder().join(name);
            sealed_file::write(&path, &self.key, name, &bytes, entropy)?;
        }
        sync_folder(&self.records_folder())
    }

    /// Every record, by the time the server took it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read_records(&self) -> Result<Vec<Record>, StoreError> {
        let named = self.read_named_records()?;
        Ok(named.into_iter().map(|(_, record)| record).collect())
    }

    /// Every record with the name of its file, by the time the server took it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn read_named_records(&self) -> Result<Vec<(String, Record)>, StoreError> {
        let folder = self.records_folder();
        let failed = |source| io_error(&folder, "read", source);
        let mut records = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some(name) = name.to_str().filter(|name| !name.ends_with(".new")) else {
                continue;
            };
            let path = folder.join(name);
            let Some(bytes) = sealed_file::read(&path, &self.key, name)? else {
                continue;
            };
            let record: Record = postcard::from_bytes(&bytes)
                .map_err(|_| StoreError::Unreadable { path: path.clone() })?;
            records.push((name.to_owned(), record));
        }
        records.sort_by(|(one_name, one), (two_name, two)| {
            (one.accepted_at(), one_name).cmp(&(two.accepted_at(), two_name))
        });
        Ok(records)
    }

    fn records_folder(&self) -> PathBuf {
        self.folder.join(RECORDS_FOLDER)
    }
}

/// True for a name that a record can have: nothing of a backup is written anywhere else.
pub(crate) fn is_record_name(name: &str) -> bool {
    let known = name.starts_with("mailbox-") || name.starts_with("sent-");
    known
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// serde knows arrays up to 32; a signature is two of them.
mod serde_signature {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        signature: &[u8; 64],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let (halves, _) = signature.as_chunks::<32>();
        let halves: [[u8; 32]; 2] = [halves[0], halves[1]];
        halves.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 64], D::Error> {
        let halves = <[[u8; 32]; 2]>::deserialize(deserializer)?;
        let mut signature = [0; 64];
        signature.copy_from_slice(halves.as_flattened());
        Ok(signature)
    }
}
