//! What is kept in memory of a stream: how long it is, where it ends, and which full segments hold
//! a part of it. Where in a segment its events are, the segment's index file says.
//!
//! A stream takes 57 bytes in a table that is between half and seven eighths full, so about 90 on
//! average. Each full segment with events of the stream adds 3 to 6 bytes, the first 15 of which
//! are in those 57 already.

/// One stream.
#[derive(Default)]
pub(super) struct Stream {
    /// How many events it has: its last revision is one less.
    pub(super) events: u64,
    /// The position of its last event.
    pub(super) last: u64,
    /// Its parts in full segments; what is not in them is in the segments behind.
    pub(super) history: History,
}

/// The part of a stream that is in one full segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// The number of the segment.
    pub(super) segment: u32,
    /// How many events there are.
    pub(super) events: u32,
    /// Where in the segment's table of places they begin.
    pub(super) start: u32,
}

/// How many bytes of a history need no memory of their own.
const INLINE_BYTES: usize = 15;

/// Shares by ascending segment. Three numbers for each, seven bits a byte, the lowest first; the
/// high bit says that more follow.
pub(super) enum History {
    Short { used: u8, bytes: [u8; INLINE_BYTES] },
    Long(Vec<u8>),
}

impl Default for History {
    fn default() -> Self {
        Self::Short {
            used: 0,
            bytes: [0; INLINE_BYTES],
        }
    }
}

impl History {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { used, bytes } => &bytes[..usize::from(*used)],
            Self::Long(bytes) => bytes,
        }
    }

    /// Adds the share in the next segment that has one.
    pub(super) fn push(&mut self, share: Share) {
        let mut encoded = [0; 15];
        let mut length = 0;
        for number in [share.segment, share.events, share.start] {
            let mut rest = number;
            while rest >= 0x80 {
                encoded[length] = (rest & 0x7f) as u8 | 0x80;
                length += 1;
                rest >>= 7;
            }
            encoded[length] = rest as u8;
            length += 1;
        }
        let encoded = &encoded[..length];
        match self {
            Self::Short { used, bytes } => {
                let start = usize::from(*used);
                if let Some(free) = bytes.get_mut(start..start + length) {
                    free.copy_from_slice(encoded);
                    *used += length as u8;
                } else {
                    let mut long = Vec::with_capacity(2 * INLINE_BYTES + 2);
                    long.extend_from_slice(&bytes[..start]);
                    long.extend_from_slice(encoded);
                    *self = Self::Long(long);
                }
            }
            Self::Long(bytes) => {
                if bytes.capacity() - bytes.len() < length {
                    // Less than doubling: most of this is never used.
                    bytes.reserve_exact(length.max(32).max(bytes.len() / 4));
                }
                bytes.extend_from_slice(encoded);
            }
        }
    }

    /// The shares by ascending segment.
    pub(super) fn shares(&self) -> impl Iterator<Item = Share> + '_ {
        let mut rest = self.bytes();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            Some(Share {
                segment: take(&mut rest),
                events: take(&mut rest),
                start: take(&mut rest),
            })
        })
    }
}

fn take(rest: &mut &[u8]) -> u32 {
    let mut number = 0;
    let mut shift = 0;
    while let Some((byte, behind)) = rest.split_first() {
        *rest = behind;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_share_in_order() {
        let shares: Vec<_> = (1..2_000_u32)
            .map(|number| Share {
                segment: number,
                events: number.wrapping_mul(0x9e37_79b9) >> (number % 32),
                start: u32::MAX >> (number % 32),
            })
            .collect();
        let mut history = History::default();
        for (count, share) in shares.iter().enumerate() {
            assert!(history.shares().eq(shares[..count].iter().copied()));
            history.push(*share);
        }
    }

    #[test]
    fn takes_as_little_memory_as_the_documentation_says() {
        assert_eq!(size_of::<History>(), 24);
        assert_eq!(size_of::<(super::super::index::StreamKey, Stream)>(), 56);
        let mut history = History::default();
        for number in 100..103 {
            history.push(Share {
                segment: number,
                events: 3,
                start: 100_000,
            });
        }
        assert!(matches!(history, History::Short { used: 15, .. }));
    }
}
