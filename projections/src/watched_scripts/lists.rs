//! The lists of all clients.

use std::collections::HashMap;
use std::hash::RandomState;

use satpost_domain::{ClientId, WatchId};

use super::client_list::{ClientList, Moved, Terms};
use crate::script_table::Slot;

/// An entry of a list: which list, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) list: u32,
    pub(super) number: u32,
}

/// Lists by their places; an empty list is dropped and its place used again.
#[derive(Debug, Default)]
pub(super) struct Lists {
    lists: Vec<Option<Box<ClientList>>>,
    free: Vec<u32>,
    by_client: HashMap<ClientId, u32>,
    key: RandomState,
}

const GONE: &str = "a list is dropped together with its last entry";

impl Lists {
    pub(super) fn find(&self, client: &ClientId) -> Option<u32> {
        self.by_client.get(client).copied()
    }

    pub(super) fn find_or_add(&mut self, client: ClientId) -> u32 {
        if let Some(list) = self.find(&client) {
            return list;
        }
        let added = Some(Box::new(ClientList::new(client)));
        let list = match self.free.pop() {
            Some(list) => {
                self.lists[list as usize] = added;
                list
            }
            None => {
                self.lists.push(added);
                u32::try_from(self.lists.len() - 1).expect("there are fewer than 2^32 clients")
            }
        };
        self.by_client.insert(client, list);
        list
    }

    pub(super) fn at(&self, list: u32) -> &ClientList {
        self.lists[list as usize].as_deref().expect(GONE)
    }

    pub(super) fn at_mut(&mut self, list: u32) -> &mut ClientList {
        self.lists[list as usize].as_deref_mut().expect(GONE)
    }

    pub(super) fn get(&self, owner: Owner) -> &ClientList {
        self.at(owner.list)
    }

    pub(super) fn push(&mut self, list: u32, id: WatchId, slot: Slot, terms: Terms) {
        let key = &self.key;
        let list = self.lists[list as usize].as_deref_mut().expect(GONE);
        list.push(key, id, slot, terms);
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
        let place = list as usize;
        let found = self.lists[place].as_deref_mut().expect(GONE);
        if found.len() == 0 {
            self.by_client.remove(&found.client());
            self.lists[place] = None;
            self.free.push(list);
            return None;
        }
        found.close_gaps(&self.key)
    }

    /// By ascending place.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ClientList> {
        self.lists.iter().flatten().map(AsRef::as_ref)
    }

    /// By ascending client.
    pub(super) fn sorted(&self) -> Vec<&ClientList> {
        let mut lists: Vec<_> = self.iter().collect();
        lists.sort_unstable_by_key(|list| list.client());
        lists
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let lists: usize = self.iter().map(ClientList::memory_bytes).sum();
        lists
            + self.lists.capacity() * size_of::<usize>()
            + self.free.capacity() * size_of::<u32>()
            + self.by_client.capacity() * (size_of::<(ClientId, u32)>() + 1)
    }
}
