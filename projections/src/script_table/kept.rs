//! The bytes of scripts, each form in an arena of its own.

use satpost_domain::ids::ScriptHash;

use super::arena::Arena;
use super::form::{self, Form, Parts};
use super::{Slot, hash_of};

/// The arenas. Forms that differ in 20 bytes come first, then those that differ in 32.
#[derive(Debug)]
pub(super) struct Kept<V> {
    short: [Arena<[u8; 20], V>; 3],
    long: [Arena<[u8; 32], V>; 3],
    other: Arena<Box<[u8]>, V>,
}

impl<V> Default for Kept<V> {
    fn default() -> Self {
        Self {
            short: Default::default(),
            long: Default::default(),
            other: Arena::default(),
        }
    }
}

/// Does the same with the arena of a form, whatever its type is.
macro_rules! with_arena {
    ($kept:expr, $form:expr, $arena:ident => $what:expr) => {
        match $form.index() {
            form @ 0..=2 => {
                let $arena = &$kept.short[form];
                $what
            }
            form @ 3..=5 => {
                let $arena = &$kept.long[form - 3];
                $what
            }
            _ => {
                let $arena = &$kept.other;
                $what
            }
        }
    };
    (mut $kept:expr, $form:expr, $arena:ident => $what:expr) => {
        match $form.index() {
            form @ 0..=2 => {
                let $arena = &mut $kept.short[form];
                $what
            }
            form @ 3..=5 => {
                let $arena = &mut $kept.long[form - 3];
                $what
            }
            _ => {
                let $arena = &mut $kept.other;
                $what
            }
        }
    };
}

impl<V: Copy> Kept<V> {
    /// How many there are of a form.
    pub(super) fn len_of(&self, form: Form) -> usize {
        with_arena!(self, form, arena => arena.len())
    }

    pub(super) fn parts(&self, slot: Slot) -> Parts<'_> {
        let (form, place) = slot.split();
        let bytes = with_arena!(self, form, arena => arena.get(place).0.as_ref());
        Parts { form, bytes }
    }

    pub(super) fn hash(&self, slot: Slot) -> ScriptHash {
        let parts = self.parts(slot);
        match <[u8; 32]>::try_from(parts.bytes) {
            Ok(hash) if parts.form == Form::Hash => ScriptHash::new(hash),
            _ => hash_of(&form::join(parts)),
        }
    }

    pub(super) fn value(&self, slot: Slot) -> V {
        let (form, place) = slot.split();
        with_arena!(self, form, arena => *arena.get(place).1)
    }

    pub(super) fn value_mut(&mut self, slot: Slot) -> &mut V {
        let (form, place) = slot.split();
        with_arena!(mut self, form, arena => arena.value_mut(place))
    }

    pub(super) fn store(&mut self, parts: Parts<'_>, value: V) -> Slot {
        let bytes = parts.bytes;
        let place = match parts.form.index() {
            form @ 0..=2 => {
                let bytes = bytes.try_into().expect("these forms differ in 20 bytes");
                self.short[form].insert(bytes, value)
            }
            form @ 3..=5 => {
                let bytes = bytes.try_into().expect("these forms differ in 32 bytes");
                self.long[form - 3].insert(bytes, value)
            }
            _ => self.other.insert(bytes.into(), value),
        };
        Slot::join(parts.form, place)
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        let (form, place) = slot.split();
        with_arena!(mut self, form, arena => arena.remove(place));
    }

    pub(super) fn memory_bytes(&self) -> usize {
        Form::ALL
            .into_iter()
            .take(Form::Other.index() + 1)
            .map(|form| with_arena!(self, form, arena => arena.memory_bytes()))
            .sum()
    }
}
