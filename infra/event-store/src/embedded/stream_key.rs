//! What stands for a stream in memory and in index files, and tables by it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use sha2::{Digest as _, Sha256};

use super::data_folder::LogId;

/// How many tables the streams are spread over. A table that grows holds up the writer for as long
/// as it takes to move its entries; many small tables make that short. Each is worked on by one
/// thread when the log is opened.
pub(super) const SHARDS: usize = 256;

/// How many bytes a key has.
pub(super) const KEY_BYTES: usize = 16;

/// Stands for a stream's name: the first 16 bytes of SHA-256 over the log's secret id and the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct StreamKey([u8; KEY_BYTES]);

impl StreamKey {
    pub(super) fn new(log_id: &LogId, stream: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(log_id.as_bytes());
        hasher.update(stream.as_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        Self(*digest.first_chunk().expect("32 bytes have a first 16"))
    }

    /// A key that was stored.
    pub(super) fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The table it belongs to: sorted keys are sorted by table, too.
    pub(super) fn shard(&self) -> usize {
        self.0[0].into()
    }
}

/// How many keys a cache remembers.
const CACHED_KEYS: usize = 4096;

/// The keys of the streams that were met last. To make a key takes as long as everything else that
/// is done with an event when a segment is read.
pub(super) struct KeyCache {
    log_id: LogId,
    /// Each name has one place, which it shares with others.
    places: Vec<Option<(String, StreamKey)>>,
}

impl KeyCache {
    pub(super) fn new(log_id: &LogId) -> Self {
        Self {
            log_id: *log_id,
            places: vec![None; CACHED_KEYS],
        }
    }

    /// The key of a stream.
    pub(super) fn get(&mut self, stream: &str) -> StreamKey {
        let place = &mut self.places[crc32c::crc32c(stream.as_bytes()) as usize % CACHED_KEYS];
        match place {
            Some((name, key)) if name == stream => *key,
            _ => {
                let key = StreamKey::new(&self.log_id, stream);
                let (name, known) = place.get_or_insert_with(|| (String::new(), key));
                name.clear();
                name.push_str(stream);
                *known = key;
                key
            }
        }
    }
}

/// For keys of which nobody can choose the last bytes: hashes, and ids that the server draws.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

/// Tables by such keys.
pub(crate) type RandomKeys = BuildHasherDefault<KeyHasher>;

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // The last bytes: the first one chooses the table.
        if let Some(bytes) = bytes.last_chunk() {
            self.0 = u64::from_le_bytes(*bytes);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

/// A table by stream.
pub(super) type ByStream<V> = HashMap<StreamKey, V, RandomKeys>;

/// A table by stream that is never moved as a whole.
pub(super) struct Sharded<V>(Vec<ByStream<V>>);

impl<V> Default for Sharded<V> {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| ByStream::default()).collect())
    }
}

impl<V> Sharded<V> {
    pub(super) fn get(&self, key: &StreamKey) -> Option<&V> {
        self.0[key.shard()].get(key)
    }

    pub(super) fn entry(&mut self, key: StreamKey) -> Entry<'_, StreamKey, V> {
        self.0[key.shard()].entry(key)
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(HashMap::len).sum()
    }

    /// All tables, by the first byte of the keys in them.
    pub(super) fn shards(&self) -> &[ByStream<V>] {
        &self.0
    }

    pub(super) fn shards_mut(&mut self) -> &mut [ByStream<V>] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_gives_every_stream_its_own_key() {
        let log_id = LogId::from_bytes([3; 16]);
        let mut cache = KeyCache::new(&log_id);
        let names: Vec<_> = (0..3 * CACHED_KEYS)
            .map(|n| format!("mailbox-{n}"))
            .collect();
        for name in names.iter().chain(names.iter().rev()) {
            assert_eq!(cache.get(name), StreamKey::new(&log_id, name), "{name}");
        }
    }
}
