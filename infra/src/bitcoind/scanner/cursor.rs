//! Reads from bytes that may end anywhere.

use super::{MalformedBlock, Part, Problem};

/// What is left of an answer of the node.
pub(super) struct Cursor<'a> {
    part: Part,
    length: usize,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(part: Part, bytes: &'a [u8]) -> Self {
        Self {
            part,
            length: bytes.len(),
            rest: bytes,
        }
    }

    /// What was not read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `N` bytes.
    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], MalformedBlock> {
        match self.rest.split_first_chunk() {
            Some((array, rest)) => {
                self.rest = rest;
                Ok(array)
            }
            None => Err(self.truncated(N as u64)),
        }
    }

    /// The next `count` bytes are passed over.
    #[inline]
    pub(super) fn skip(&mut self, count: usize) -> Result<(), MalformedBlock> {
        match self.rest.get(count..) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(self.truncated(count as u64)),
        }
    }

    /// A number of 8 bytes, little-endian.
    #[inline]
    pub(super) fn u64(&mut self) -> Result<u64, MalformedBlock> {
        self.array().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// A number of 1 to 9 bytes: below 253 itself, else 253, 254 or 255 and the number in 2, 4 or 8
    /// bytes, little-endian. Bitcoin Core calls it CompactSize and refuses a form that is longer
    /// than needed.
    #[inline]
    pub(super) fn compact_size(&mut self) -> Result<u64, MalformedBlock> {
        let [first] = *self.array()?;
        if first < 253 {
            return Ok(u64::from(first));
        }
        self.long_compact_size(first)
    }

    #[cold]
    fn long_compact_size(&mut self, first: u8) -> Result<u64, MalformedBlock> {
        let (number, least) = match first {
            253 => (u64::from(u16::from_le_bytes(*self.array()?)), 253),
            254 => (u64::from(u32::from_le_bytes(*self.array()?)), 1 << 16),
            _ => (self.u64()?, 1 << 32),
        };
        if number < least {
            return Err(self.problem(Problem::NotShortest { number }));
        }
        Ok(number)
    }

    /// A CompactSize and as many bytes.
    #[inline]
    pub(super) fn sized(&mut self) -> Result<&'a [u8], MalformedBlock> {
        let size = self.compact_size()?;
        let split = usize::try_from(size)
            .ok()
            .and_then(|size| self.rest.split_at_checked(size));
        match split {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.truncated(size)),
        }
    }

    /// A CompactSize that must be `expected`.
    pub(super) fn count(&mut self, expected: u64) -> Result<(), MalformedBlock> {
        let found = self.compact_size()?;
        if found != expected {
            return Err(self.problem(Problem::OtherCount { expected, found }));
        }
        Ok(())
    }

    /// A byte that must be `expected`.
    pub(super) fn flag(&mut self, expected: u8) -> Result<(), MalformedBlock> {
        let [flag] = *self.array()?;
        if flag != expected {
            return Err(self.problem(Problem::UnknownFlag { flag }));
        }
        Ok(())
    }

    /// Nothing must be left.
    pub(super) fn end(&self) -> Result<(), MalformedBlock> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(self.problem(Problem::Trailing { bytes })),
        }
    }

    #[cold]
    fn truncated(&self, wanted: u64) -> MalformedBlock {
        let left = self.rest.len();
        self.problem(Problem::Truncated { wanted, left })
    }

    #[cold]
    fn problem(&self, problem: Problem) -> MalformedBlock {
        MalformedBlock {
            part: self.part,
            offset: self.length - self.rest.len(),
            problem,
        }
    }
}
