//! The lists of all clients.

use std::hash::RandomState;

use satpost_domain::{ClientId, WatchId};

use super::client_list::{ClientList, Moved, Terms};
use crate::client_slots::ClientSlots;
use crate::script_table::Slot;

/// An entry of a list: which list, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) list: u32,
    pub(super) number: u32,
}

/// Lists by their places; an empty list is dropped.
#[derive(Debug, Default)]
pub(super) struct Lists {
    lists: ClientSlots<ClientList>,
    key: RandomState,
}

impl Lists {
    pub(super) fn find(&self, client: &ClientId) -> Option<u32> {
        self.lists.find(client)
    }

    pub(super) fn find_or_add(&mut self, client: ClientId) -> u32 {
        self.lists.find_or_add(client, || ClientList::new(client))
    }

    pub(super) fn at(&self, list: u32) -> &ClientList {
        self.lists.at(list)
    }

    pub(super) fn at_mut(&mut self, list: u32) -> &mut ClientList {
        self.lists.at_mut(list)
    }

    pub(super) fn get(&self, owner: Owner) -> &ClientList {
        self.at(owner.list)
    }

    pub(super) fn push(&mut self, list: u32, id: WatchId, slot: Slot, terms: Terms) {
        self.lists.at_mut(list).push(&self.key, id, slot, terms);
    }

    /// The list, number and slot of an entry by its id.
    pub(super) fn find_entry(&self, client: &ClientId, id: WatchId) -> Option<(u32, u32, Slot)> {
        let list = self.find(client)?;
        let (number, slot) = self.at(list).find(&self.key, id)?;
        Some((list, number, slot))
    }

    /// Drops a list that is empty, and closes the gaps in one that consists mostly of them. Gives
    /// back what has another number now.
    pub(super) fn tidy(&mut self, list: u32) -> Option<Vec<Moved>> {
        let found = self.lists.at_mut(list);
        if found.len() == 0 {
            let client = found.client();
            self.lists.remove(&client);
            return None;
        }
        found.close_gaps(&self.key)
    }

    /// By ascending place.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ClientList> {
        self.lists.iter()
    }

    /// By ascending client.
    pub(super) fn sorted(&self) -> Vec<&ClientList> {
        let mut lists: Vec<_> = self.iter().collect();
        lists.sort_unstable_by_key(|list| list.client());
        lists
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let lists: usize = self.iter().map(ClientList::memory_bytes).sum();
        lists + self.lists.memory_bytes()
    }
}
