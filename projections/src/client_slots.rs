//! Something for each client that has any, by a small number, which takes less memory than the client
//! wherever it is named.

use std::collections::HashMap;

use satpost_domain::ClientId;

const GONE: &str = "nothing names what was dropped";

/// Values of clients by their places; the place of one that was dropped is used again.
#[derive(Debug)]
pub(crate) struct ClientSlots<T> {
    slots: Vec<Option<Box<T>>>,
    free: Vec<u32>,
    by_client: HashMap<ClientId, u32>,
}

impl<T> Default for ClientSlots<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_client: HashMap::new(),
        }
    }
}

impl<T> ClientSlots<T> {
    pub(crate) fn find(&self, client: &ClientId) -> Option<u32> {
        self.by_client.get(client).copied()
    }

    /// The place of the client, with a value that is made when it has none.
    pub(crate) fn find_or_add(&mut self, client: ClientId, make: impl FnOnce() -> T) -> u32 {
        if let Some(place) = self.find(&client) {
            return place;
        }
        let added = Some(Box::new(make()));
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[place as usize] = added;
                place
            }
            None => {
                self.slots.push(added);
                u32::try_from(self.slots.len() - 1).expect("there are fewer than 2^32 clients")
            }
        };
        self.by_client.insert(client, place);
        place
    }

    pub(crate) fn at(&self, place: u32) -> &T {
        self.slots[place as usize].as_deref().expect(GONE)
    }

    pub(crate) fn at_mut(&mut self, place: u32) -> &mut T {
        self.slots[place as usize].as_deref_mut().expect(GONE)
    }

    /// Drops what the client has.
    pub(crate) fn remove(&mut self, client: &ClientId) {
        if let Some(place) = self.by_client.remove(client) {
            self.slots[place as usize] = None;
            self.free.push(place);
        }
    }

    /// Who has something, in no order.
    pub(crate) fn clients(&self) -> impl Iterator<Item = &ClientId> {
        self.by_client.keys()
    }

    /// By ascending place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten().map(AsRef::as_ref)
    }

    /// How many bytes of memory it holds on to, without the values.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<usize>()
            + self.free.capacity() * size_of::<u32>()
            + self.by_client.capacity() * (size_of::<(ClientId, u32)>() + 1)
    }
}
