//! Millions of scripts in little memory, found by their bytes in the time of one cache miss.
//!
//! A script of a usual form is kept as the 20 or 32 bytes that make it different from others of its
//! form. Two hash tables hold nothing but slots: one finds a script by its bytes, the other by its
//! hash. The one byte of a hash that such a table keeps for each bucket is the fingerprint that
//! turns nearly every foreign script away before its bytes are looked at; what passes is compared
//! byte by byte. Tables are cut into shards that grow one at a time, so that no growth holds a reader
//! up for long.
//!
//! Scripts are chosen by anybody who can pay to one, so both tables hash with `SipHash` under a key
//! that is drawn for each table: nobody can choose scripts that fall together.

use std::num::NonZeroU32;

use satpost_domain::ids::ScriptHash;
use satpost_domain::script::Script;
use satpost_domain::watchlist::WatchTarget;

mod arena;
mod form;
mod index;
mod kept;
#[cfg(test)]
mod tests;

pub use form::ScriptBytes;
use form::{Form, Parts};
use index::Index;
use kept::Kept;

/// Where a script is; stays the same until the script is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(NonZeroU32);

/// Scripts, and hashes of scripts that are not known, each with a value. At most 2²⁹ of each form.
#[derive(Debug)]
pub struct ScriptTable<V> {
    by_bytes: Index,
    by_hash: Index,
    kept: Kept<V>,
}

impl<V> Default for ScriptTable<V> {
    fn default() -> Self {
        Self {
            by_bytes: Index::default(),
            by_hash: Index::default(),
            kept: Kept::default(),
        }
    }
}

impl<V: Copy> ScriptTable<V> {
    /// How many scripts and hashes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slot of exactly this script. Constant time, no allocation.
    #[must_use]
    pub fn find(&self, script: &[u8]) -> Option<Slot> {
        let parts = form::split(script);
        if self.kept.len_of(parts.form) == 0 {
            return None;
        }
        let key = self.by_bytes.key_of_script(&parts);
        self.by_bytes
            .find(key, |slot| self.kept.parts(slot) == parts)
    }

    /// The hash of `script` when the table has the script or its hash. Called for every output of
    /// every transaction; as long as no hash is in the table without its script, a foreign script is
    /// not hashed with SHA-256.
    #[must_use]
    pub fn lookup(&self, script: &[u8]) -> Option<ScriptHash> {
        if self.find(script).is_some() {
            return Some(hash_of(script));
        }
        if self.kept.len_of(Form::Hash) == 0 {
            return None;
        }
        let hash = hash_of(script);
        self.find_bare_hash(&hash).map(|_| hash)
    }

    /// The slots of a script by its hash: of the script itself, and of the hash that stands alone.
    pub fn find_hash(&self, hash: &ScriptHash) -> impl Iterator<Item = Slot> + use<V> {
        let script = self.find_where(hash, |form| form != Form::Hash);
        let some = self.kept.len_of(Form::Hash) > 0;
        let bare = some.then(|| self.find_bare_hash(hash)).flatten();
        script.into_iter().chain(bare)
    }

    /// The slot of a target and its value; `value` is set when it is new.
    pub fn insert(&mut self, target: &WatchTarget, value: V) -> (Slot, &mut V) {
        let found = match target {
            WatchTarget::Script(script) => self.find(script.as_bytes()),
            WatchTarget::Hash(hash) => self.find_bare_hash(hash),
        };
        let slot = found.unwrap_or_else(|| self.insert_new(target, value));
        (slot, self.value_mut(slot))
    }

    fn insert_new(&mut self, target: &WatchTarget, value: V) -> Slot {
        let parts = match target {
            WatchTarget::Script(script) => form::split(script.as_bytes()),
            WatchTarget::Hash(hash) => Parts {
                form: Form::Hash,
                bytes: hash.as_bytes(),
            },
        };
        let Self {
            by_bytes,
            by_hash,
            kept,
        } = self;
        let slot = kept.store(parts, value);
        if parts.form != Form::Hash {
            let key = by_bytes.key_of_script(&parts);
            by_bytes.insert(key, slot, |index, slot| {
                index.key_of_script(&kept.parts(slot))
            });
        }
        let key = by_hash.key_of_hash(&target.hash());
        by_hash.insert(key, slot, |index, slot| index.key_of_hash(&kept.hash(slot)));
        slot
    }

    /// Removes what is in a slot, and overwrites it.
    pub fn remove(&mut self, slot: Slot) {
        let key = self.by_hash.key_of_hash(&self.kept.hash(slot));
        self.by_hash.remove(key, slot);
        let parts = self.kept.parts(slot);
        if parts.form != Form::Hash {
            let key = self.by_bytes.key_of_script(&parts);
            self.by_bytes.remove(key, slot);
        }
        self.kept.remove(slot);
    }

    /// The value of a slot.
    #[must_use]
    pub fn value(&self, slot: Slot) -> V {
        self.kept.value(slot)
    }

    /// The value of a slot, to be changed.
    pub fn value_mut(&mut self, slot: Slot) -> &mut V {
        self.kept.value_mut(slot)
    }

    /// The script in a slot; nothing when only its hash is known.
    #[must_use]
    pub fn script(&self, slot: Slot) -> Option<ScriptBytes> {
        let parts = self.kept.parts(slot);
        (parts.form != Form::Hash).then(|| form::join(parts))
    }

    /// The hash of the script in a slot.
    #[must_use]
    pub fn hash(&self, slot: Slot) -> ScriptHash {
        self.kept.hash(slot)
    }

    /// What is in a slot.
    #[must_use]
    pub fn target(&self, slot: Slot) -> WatchTarget {
        match self.script(slot) {
            Some(script) => {
                let script = Script::new(&script).expect("only the bytes of scripts are kept");
                WatchTarget::Script(script)
            }
            None => WatchTarget::Hash(self.hash(slot)),
        }
    }

    /// Every slot that is in use, in no order.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.by_hash.slots()
    }

    /// How many bytes of memory the table holds on to.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.by_bytes.memory_bytes() + self.by_hash.memory_bytes() + self.kept.memory_bytes()
    }

    fn find_bare_hash(&self, hash: &ScriptHash) -> Option<Slot> {
        self.find_where(hash, |form| form == Form::Hash)
    }

    fn find_where(&self, hash: &ScriptHash, wanted: impl Fn(Form) -> bool) -> Option<Slot> {
        let key = self.by_hash.key_of_hash(hash);
        self.by_hash.find(key, |slot| {
            wanted(slot.split().0) && self.kept.hash(slot) == *hash
        })
    }
}

fn hash_of(script: &[u8]) -> ScriptHash {
    ScriptHash::new(*satpost_domain::hash::sha256(script).as_bytes())
}

/// A form in the upper 3 bits and a place in its arena in the others, all of them inverted: 0 would be
/// a form that there is not, so that an `Option` takes no more memory.
impl Slot {
    const PLACE_BITS: u32 = 29;

    fn join(form: Form, place: u32) -> Self {
        assert!(place >> Self::PLACE_BITS == 0, "a table of scripts is full");
        let form = u32::try_from(form.index()).expect("there are few forms");
        let code = NonZeroU32::new(!(form << Self::PLACE_BITS | place));
        Self(code.expect("the last form is not in use"))
    }

    const fn split(self) -> (Form, u32) {
        let code = !self.0.get();
        let form = Form::ALL[(code >> Self::PLACE_BITS) as usize];
        (form, code & ((1 << Self::PLACE_BITS) - 1))
    }
}
