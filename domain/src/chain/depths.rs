//! At which depths a wallet wants to hear of a confirmed transaction.

use crate::limits::{DEPTH_MAX, DEPTHS_PER_WATCH_MAX};

/// A set of depths, ascending. A transaction in the tip has depth 1, which its confirmation says
/// already, so the smallest is 2; the largest is [`DEPTH_MAX`]. At most [`DEPTHS_PER_WATCH_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DepthSet {
    /// Ascending; unused places are 0 and come last.
    depths: [u8; DEPTHS_PER_WATCH_MAX],
}

/// The depths of a wish cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DepthError {
    /// A depth nobody can wait for.
    #[error("a depth is 2 to {DEPTH_MAX}, got {got}")]
    OutOfRange {
        /// The depth.
        got: u32,
    },
    /// Too many.
    #[error("at most {DEPTHS_PER_WATCH_MAX} depths can be waited for, got {got}")]
    TooMany {
        /// How many different ones.
        got: usize,
    },
}

impl DepthSet {
    /// No depth: only the confirmation itself is of interest.
    pub const NONE: Self = Self {
        depths: [0; DEPTHS_PER_WATCH_MAX],
    };

    /// Takes depths in any order; the same one twice counts once.
    ///
    /// # Errors
    /// [`DepthError`] when one is out of range or there are too many.
    pub fn new(wished: impl IntoIterator<Item = u32>) -> Result<Self, DepthError> {
        let mut sorted = std::collections::BTreeSet::new();
        for got in wished {
            match u8::try_from(got) {
                Ok(depth @ 2..=DEPTH_MAX) => sorted.insert(depth),
                _ => return Err(DepthError::OutOfRange { got }),
            };
        }
        if sorted.len() > DEPTHS_PER_WATCH_MAX {
            return Err(DepthError::TooMany { got: sorted.len() });
        }
        let mut depths = [0; DEPTHS_PER_WATCH_MAX];
        for (place, depth) in depths.iter_mut().zip(sorted) {
            *place = depth;
        }
        Ok(Self { depths })
    }

    /// The depths, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.depths
            .iter()
            .take_while(|depth| **depth != 0)
            .map(|depth| u32::from(*depth))
    }

    /// True when `depth` is one of them.
    #[must_use]
    pub fn contains(&self, depth: u32) -> bool {
        self.iter().any(|wished| wished == depth)
    }
}

impl Default for DepthSet {
    /// 3 and 6, what wallets show as "safe for small" and "safe" amounts.
    fn default() -> Self {
        let mut depths = [0; DEPTHS_PER_WATCH_MAX];
        (depths[0], depths[1]) = (3, 6);
        Self { depths }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_depths_sorted_and_once() {
        let set = DepthSet::new([6, 2, 6, 144]).unwrap();
        assert_eq!(set.iter().collect::<Vec<_>>(), [2, 6, 144]);
        assert!(set.contains(6));
        assert!(!set.contains(3) && !set.contains(0));
        assert_eq!(DepthSet::new([]), Ok(DepthSet::NONE));
        assert_eq!(DepthSet::new([3, 6]), Ok(DepthSet::default()));
    }

    #[test]
    fn refuses_depths_that_cannot_be_waited_for() {
        for got in [0, 1, 145, 256, u32::MAX] {
            assert_eq!(DepthSet::new([got]), Err(DepthError::OutOfRange { got }));
        }
        assert_eq!(DepthSet::new(2..=10), Err(DepthError::TooMany { got: 9 }));
    }
}
