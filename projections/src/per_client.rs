//! A map from clients that holds one entry nearly always: who watches a script.

use std::collections::BTreeMap;

use satpost_domain::ClientId;

/// At least one client, each with a value. A tree with one entry would take ten times its memory,
/// and there is one of these for each watched script.
#[derive(Debug, Clone)]
pub(crate) enum PerClient<V> {
    One(ClientId, V),
    /// Two or more.
    Many(BTreeMap<ClientId, V>),
}

impl<V> PerClient<V> {
    /// Sets the value of a client.
    pub(crate) fn insert(&mut self, client: ClientId, value: V) {
        match self {
            Self::One(present, old) if *present == client => *old = value,
            Self::Many(map) => {
                map.insert(client, value);
            }
            Self::One(..) => {
                let many = Self::Many(BTreeMap::from([(client, value)]));
                if let (Self::One(first, old), Self::Many(map)) =
                    (std::mem::replace(self, many), self)
                {
                    map.insert(first, old);
                }
            }
        }
    }

    /// Takes a client out. Gives back its value and whether anybody is left; when nobody is, the
    /// caller drops the map.
    pub(crate) fn remove(&mut self, client: &ClientId) -> Option<(V, bool)>
    where
        V: Copy,
    {
        match self {
            Self::One(present, value) => (present == client).then_some((*value, false)),
            Self::Many(map) => {
                let value = map.remove(client)?;
                if map.len() == 1
                    && let Some((last, rest)) = map.pop_first()
                {
                    *self = Self::One(last, rest);
                }
                Some((value, true))
            }
        }
    }

    /// The value of a client.
    pub(crate) fn get(&self, client: &ClientId) -> Option<&V> {
        match self {
            Self::One(present, value) => (present == client).then_some(value),
            Self::Many(map) => map.get(client),
        }
    }

    /// Every client with its value, by ascending id.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ClientId, &V)> {
        let (one, many) = match self {
            Self::One(client, value) => (Some((client, value)), None),
            Self::Many(map) => (None, Some(map.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Every client with its value, by ascending id.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&ClientId, &mut V)> {
        let (one, many) = match self {
            Self::One(client, value) => (Some((&*client, value)), None),
            Self::Many(map) => (None, Some(map.iter_mut())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(byte: u8) -> ClientId {
        ClientId::from_stored([byte; 32])
    }

    fn entries(map: &PerClient<u64>) -> Vec<(ClientId, u64)> {
        map.iter()
            .map(|(client, value)| (*client, *value))
            .collect()
    }

    #[test]
    fn keeps_every_client_by_ascending_id() {
        let mut map = PerClient::One(client(2), 20);
        map.insert(client(3), 30);
        map.insert(client(1), 10);
        map.insert(client(3), 33);
        assert_eq!(
            entries(&map),
            [(client(1), 10), (client(2), 20), (client(3), 33)]
        );
    }

    #[test]
    fn says_when_nobody_is_left() {
        let mut map = PerClient::One(client(1), 10);
        map.insert(client(2), 20);
        assert_eq!(map.remove(&client(9)), None);
        assert_eq!(map.remove(&client(1)), Some((10, true)));
        assert!(matches!(map, PerClient::One(..)));
        assert_eq!(map.remove(&client(2)), Some((20, false)));
    }

    #[test]
    fn replaces_the_value_of_its_only_client() {
        let mut map = PerClient::One(client(1), 10);
        map.insert(client(1), 11);
        assert_eq!(entries(&map), [(client(1), 11)]);
    }
}
