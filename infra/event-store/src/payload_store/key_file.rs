//! The key file: slots of 64 bytes, one key in each, that never move. A free slot is all zeros.
//!
//! A slot lies inside one disk sector, so a power cut leaves it as it was or as it should be.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use satpost_domain::{PayloadId, limits};
use zeroize::Zeroizing;

use self::growth::{Growth, Pace};
use super::seal::{KEY_BYTES, PayloadKey};
use crate::embedded::data_folder::LogId;
use crate::storage::{Access, OpenError, Storage, StorageFile, is_out_of_space, read_whole};

mod growth;

/// The name of the key file.
pub(crate) const NAME: &str = "keys";
/// What it is called until its header is durable.
pub(crate) const UNNAMED: &str = "keys.tmp";
/// How many bytes a slot has.
pub(crate) const SLOT_BYTES: usize = 64;
/// How many slots the file grows by: 1 MiB.
const GROWTH_SLOTS: u32 = 16 * 1024;
/// With fewer free slots the file grows, in the background.
const LOW_SLOTS: u32 = GROWTH_SLOTS / 2;
const MAGIC: &[u8; 8] = b"SATPKEY\n";
const VERSION: u32 = 1;

/// The number of a slot. Slot 0 is the header of the file.
pub(crate) type Slot = u32;

/// What a used slot holds.
pub(crate) struct KeyRecord {
    pub(crate) id: PayloadId,
    /// The position of the event that the payload belongs to.
    pub(crate) position: u64,
    pub(crate) key: PayloadKey,
}

impl KeyRecord {
    fn encode(&self) -> Zeroizing<[u8; SLOT_BYTES]> {
        let mut bytes = Zeroizing::new([0; SLOT_BYTES]);
        bytes[..16].copy_from_slice(self.id.as_bytes());
        bytes[16..24].copy_from_slice(&self.position.to_le_bytes());
        bytes[24..24 + KEY_BYTES].copy_from_slice(self.key.as_ref());
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Nothing when the slot is free or damaged.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let checksum = u32::from_le_bytes(bytes.get(60..SLOT_BYTES)?.try_into().ok()?);
        // An all-zero slot does not have a zero checksum, so it is refused here as well.
        if crc32c::crc32c(&bytes[..60]) != checksum {
            return None;
        }
        let mut key = PayloadKey::default();
        key.copy_from_slice(&bytes[24..24 + KEY_BYTES]);
        Some(Self {
            id: PayloadId::new(bytes[..16].try_into().ok()?),
            position: u64::from_le_bytes(bytes[16..24].try_into().ok()?),
            key,
        })
    }
}

fn offset(slot: Slot) -> u64 {
    u64::from(slot) * SLOT_BYTES as u64
}

/// Reads one slot.
pub(crate) fn read_slot(file: &dyn StorageFile, slot: Slot) -> io::Result<Option<KeyRecord>> {
    let mut bytes = Zeroizing::new([0; SLOT_BYTES]);
    let read = file.read_at(bytes.as_mut(), offset(slot))?;
    Ok(KeyRecord::decode(&bytes[..read]))
}

/// The key file, seen by the one who writes it.
pub(crate) struct KeyFile {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    file: Arc<dyn StorageFile>,
    /// One bit a slot, set when it is used.
    used: Vec<u64>,
    slots: u32,
    free: u32,
    /// Where the search for a free slot goes on, so that slots taken together lie together.
    cursor: Slot,
    /// Keys that were put and are not in the file yet.
    unwritten: Vec<(Slot, Zeroizing<[u8; SLOT_BYTES]>)>,
    growth: Option<Growth>,
    /// True when there was no room for the last growth: the next one waits until it is needed.
    no_room: bool,
}

/// The key file as it was found.
pub(crate) struct FoundKeys {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn StorageFile>,
    bytes: Zeroizing<Vec<u8>>,
}

/// Opens the key file; nothing when there is none.
pub(crate) fn find(
    storage: &dyn Storage,
    folder: &Path,
    log_id: &LogId,
    access: Access,
) -> Result<Option<FoundKeys>, OpenError> {
    find_at(storage, folder.join(NAME), log_id, access)
}

/// The same for a key file that lies elsewhere.
pub(super) fn find_at(
    storage: &dyn Storage,
    path: PathBuf,
    log_id: &LogId,
    access: Access,
) -> Result<Option<FoundKeys>, OpenError> {
    let file = match storage.open(&path, access) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::io("open", &path)(error)),
    };
    let bytes = Zeroizing::new(read_whole(&*file).map_err(OpenError::io("read", &path))?);
    let whole = bytes.len().is_multiple_of(SLOT_BYTES);
    if !whole || bytes.get(..SLOT_BYTES) != Some(header(log_id).as_slice()) {
        return Err(OpenError::Damaged {
            file: path,
            offset: 0,
            reason: "this is not the key file of this log".to_owned(),
        });
    }
    Ok(Some(FoundKeys { path, file, bytes }))
}

impl FoundKeys {
    /// All slots but the header.
    pub(crate) fn slots(&self) -> Range<Slot> {
        let count = self.bytes.len() / SLOT_BYTES;
        1..Slot::try_from(count).unwrap_or(Slot::MAX)
    }

    /// What a slot holds; nothing when it is free or damaged.
    pub(crate) fn slot(&self, slot: Slot) -> Option<KeyRecord> {
        let start = slot as usize * SLOT_BYTES;
        KeyRecord::decode(self.bytes.get(start..start + SLOT_BYTES)?)
    }

    /// Whether a slot is all zeros.
    pub(crate) fn is_free(&self, slot: Slot) -> bool {
        let start = slot as usize * SLOT_BYTES;
        let bytes = self.bytes.get(start..start + SLOT_BYTES);
        bytes.is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0))
    }

    /// All keys as a key file holds them, without the free slots behind the last one; a slot that is
    /// damaged is free there. Gives how many keys these are, too.
    pub(super) fn compact(&self) -> (Zeroizing<Vec<u8>>, u64) {
        let mut bytes = Zeroizing::new(self.bytes.to_vec());
        let (mut keys, mut end) = (0, SLOT_BYTES);
        for slot in self.slots() {
            let start = slot as usize * SLOT_BYTES;
            let content = &mut bytes[start..start + SLOT_BYTES];
            if KeyRecord::decode(content).is_some() {
                keys += 1;
                end = start + SLOT_BYTES;
            } else {
                content.fill(0);
            }
        }
        bytes.truncate(end);
        (bytes, keys)
    }

    /// Overwrites every slot that `keep` does not hold, whether it needs it or not: after a failed
    /// sync the page cache may show zeros that never reached the disk.
    pub(crate) fn sweep(mut self, storage: Arc<dyn Storage>, keep: &[u64]) -> io::Result<KeyFile> {
        let slots = self.slots();
        let mut free = 0;
        for slot in slots.clone() {
            if !bit(keep, slot) {
                let start = slot as usize * SLOT_BYTES;
                self.bytes[start..start + SLOT_BYTES].fill(0);
                free += 1;
            }
        }
        self.file.write_at(&self.bytes, 0)?;
        self.file.sync()?;
        let mut used = keep.to_vec();
        used.resize(words(slots.end), 0);
        used[0] |= 1;
        let keys = KeyFile {
            storage,
            path: self.path,
            file: self.file,
            used,
            slots: slots.end,
            free,
            cursor: 1,
            unwritten: Vec::new(),
            growth: None,
            no_room: false,
        };
        keys.begin()
    }
}

/// Whether the bit of `slot` is set.
fn bit(bits: &[u64], slot: Slot) -> bool {
    bits.get(slot as usize / 64)
        .is_some_and(|word| word >> (slot % 64) & 1 == 1)
}

/// How many words hold the bits of `slots` slots.
pub(crate) fn words(slots: u32) -> usize {
    (slots as usize).div_ceil(64)
}

/// What every key file of a log begins with.
pub(crate) fn header(log_id: &LogId) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..32].copy_from_slice(log_id.as_bytes());
    let checksum = crc32c::crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

impl KeyFile {
    /// Makes an empty key file. Its name is durable when this returns.
    pub(crate) fn create(
        storage: Arc<dyn Storage>,
        folder: &Path,
        log_id: &LogId,
    ) -> Result<Self, OpenError> {
        let path = folder.join(NAME);
        let made = || -> io::Result<Arc<dyn StorageFile>> {
            let unnamed = folder.join(UNNAMED);
            let file = storage.create(&unnamed)?;
            file.write_at(&header(log_id), 0)?;
            file.sync()?;
            storage.rename(&unnamed, &path)?;
            storage.sync_folder(folder)?;
            Ok(file)
        };
        let file = made().map_err(OpenError::io("create", &path))?;
        let keys = Self {
            storage,
            path,
            file,
            used: vec![1],
            slots: 1,
            free: 0,
            cursor: 1,
            unwritten: Vec::new(),
            growth: None,
            no_room: false,
        };
        let path = keys.path.clone();
        keys.begin().map_err(OpenError::io("extend", &path))
    }

    pub(crate) fn file(&self) -> &Arc<dyn StorageFile> {
        &self.file
    }

    /// Makes sure that `count` slots are free. Waits for the disk only when more slots are taken at
    /// a time than were made ahead. When there is no room, everything is as it was.
    pub(crate) fn make_room(&mut self, count: u32) -> io::Result<()> {
        if self.free < count || self.growth.as_ref().is_some_and(Growth::has_ended) {
            self.take_growth()?;
        }
        while self.free < count {
            self.grow()?;
        }
        self.grow_ahead();
        Ok(())
    }

    /// Makes more slots at once.
    fn grow(&mut self) -> io::Result<()> {
        let slots = self.slots_after_growth().ok_or_else(|| {
            let max = limits::PAYLOADS_MAX;
            io::Error::new(
                io::ErrorKind::QuotaExceeded,
                format!("all slots for {max} payloads are taken"),
            )
        })?;
        let range = (offset(self.slots), offset(slots));
        growth::grow(&*self.storage, &self.path, range, Pace::Urgent)?;
        self.add_slots(slots);
        Ok(())
    }

    /// Sees to it that the first payloads find slots. Without room for them nothing is changed.
    fn begin(mut self) -> io::Result<Self> {
        if self.free < LOW_SLOTS && self.slots_after_growth().is_some() {
            match self.grow() {
                Err(error) if is_out_of_space(&error) => self.no_room = true,
                outcome => outcome?,
            }
        }
        Ok(self)
    }

    /// How many slots the next growth leads to; nothing when there are as many as there may be.
    fn slots_after_growth(&self) -> Option<u32> {
        let fits = self.slots as usize + GROWTH_SLOTS as usize <= limits::PAYLOADS_MAX + 1;
        // The first growth ends on a multiple of the growth, header included.
        fits.then(|| (self.slots / GROWTH_SLOTS + 1) * GROWTH_SLOTS)
    }

    fn add_slots(&mut self, slots: u32) {
        self.free += slots - self.slots;
        self.slots = slots;
        self.used.resize(words(slots), 0);
        self.no_room = false;
    }

    /// Takes over the slots that were made ahead.
    fn take_growth(&mut self) -> io::Result<()> {
        let Some(growth) = self.growth.take() else {
            return Ok(());
        };
        let slots = growth.slots;
        match growth.wait() {
            Ok(()) => self.add_slots(slots),
            // It is tried again when it is needed, and then somebody is told.
            Err(error) if is_out_of_space(&error) => self.no_room = true,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Begins to make slots ahead when few are free.
    fn grow_ahead(&mut self) {
        if self.free >= LOW_SLOTS || self.growth.is_some() || self.no_room {
            return;
        }
        if let Some(slots) = self.slots_after_growth() {
            let (storage, path) = (Arc::clone(&self.storage), self.path.clone());
            let range = (offset(self.slots), offset(slots));
            // Without a thread the file grows when it must.
            self.growth = Growth::begin(storage, path, range, slots).ok();
        }
    }

    /// Gives a key a free slot, which [`Self::make_room`] has made sure of. [`Self::write`] writes
    /// it.
    pub(crate) fn put(&mut self, record: &KeyRecord) -> Slot {
        let slot = self.take_free();
        self.unwritten.push((slot, record.encode()));
        slot
    }

    /// Writes the keys that were put, neighbours together. Not synced.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        self.unwritten.sort_unstable_by_key(|(slot, _)| *slot);
        for neighbours in self.unwritten.chunk_by(|(a, _), (b, _)| a + 1 == *b) {
            let mut bytes = Zeroizing::new(Vec::with_capacity(neighbours.len() * SLOT_BYTES));
            for (_, record) in neighbours {
                bytes.extend_from_slice(record.as_ref());
            }
            self.file.write_at(&bytes, offset(neighbours[0].0))?;
        }
        self.unwritten.clear();
        Ok(())
    }

    fn take_free(&mut self) -> Slot {
        assert!(self.free > 0, "room was made before");
        let words = self.used.len();
        let start = self.cursor as usize / 64;
        for word in (start..words).chain(0..start) {
            let bit = self.used[word].trailing_ones();
            let slot = word as u32 * 64 + bit;
            if bit < 64 && slot < self.slots {
                self.used[word] |= 1 << bit;
                self.free -= 1;
                self.cursor = slot;
                return slot;
            }
        }
        unreachable!("the count of free slots says that there is one")
    }

    /// Overwrites slots with zeros, neighbours together. Not synced.
    pub(crate) fn destroy(&mut self, slots: &[Slot]) -> io::Result<()> {
        let mut slots = slots.to_vec();
        slots.sort_unstable();
        for neighbours in slots.chunk_by(|a, b| a + 1 == *b) {
            let zeros = vec![0; neighbours.len() * SLOT_BYTES];
            self.file.write_at(&zeros, offset(neighbours[0]))?;
        }
        Ok(())
    }

    /// Gives slots back that are destroyed, durably.
    pub(crate) fn release(&mut self, slots: &[Slot]) {
        for &slot in slots {
            self.used[slot as usize / 64] &= !(1 << (slot % 64));
        }
        self.free += u32::try_from(slots.len()).expect("slots are counted in 32 bits");
    }
}
