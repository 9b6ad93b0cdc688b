//! The proof that no change of the mempool is missing, closed at every block.
//!
//! The node numbers every change of its mempool but does not announce the removals that a block
//! causes. The numbers skipped until the block is announced must therefore be as many as the
//! block's transactions that were in the mempool. Removals of transactions that conflict with
//! the block are announced before it, among the skipped numbers.

/// Where the counting stands.
#[derive(Debug, Default)]
pub struct Books {
    /// The number of the next change, if no block comes before it.
    next: u64,
    /// How many skipped numbers the next block must explain.
    owed: u64,
}

/// What a numbered announcement is to the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is older than the snapshot.
    Past,
    /// It is the next one.
    Next,
    /// Others before it are missing.
    Ahead,
}

impl Books {
    /// Begins at a snapshot, `sequence` being the number of the next change.
    #[must_use]
    pub const fn open(sequence: u64) -> Self {
        Self {
            next: sequence,
            owed: 0,
        }
    }

    /// The number of the next change, if no block comes before it.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// A transaction was added by change number `sequence`.
    pub fn added(&mut self, sequence: u64) -> Standing {
        if sequence < self.next {
            return Standing::Past;
        }
        let in_order = sequence == self.next && self.owed == 0;
        self.next = sequence + 1;
        self.owed = 0;
        if in_order {
            Standing::Next
        } else {
            Standing::Ahead
        }
    }

    /// A transaction was removed by change number `sequence`. Skipped numbers may be those of a
    /// block that is about to be announced.
    pub fn removed(&mut self, sequence: u64) -> Standing {
        if sequence < self.next {
            return Standing::Past;
        }
        self.owed += sequence - self.next;
        self.next = sequence + 1;
        Standing::Next
    }

    /// A block took `count` transactions out of the mempool; false when more numbers were skipped.
    #[must_use]
    pub const fn block_connected(&mut self, count: u64) -> bool {
        let explained = self.owed <= count;
        self.next += count.saturating_sub(self.owed);
        self.owed = 0;
        explained
    }

    /// True when numbers were skipped and the block that explains them is awaited.
    #[must_use]
    pub const fn awaits_block(&self) -> bool {
        self.owed > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_changes_in_order() {
        let mut books = Books::open(5);
        assert_eq!(books.added(5), Standing::Next);
        assert_eq!(books.removed(6), Standing::Next);
        assert_eq!(books.added(7), Standing::Next);
    }

    #[test]
    fn passes_over_what_the_snapshot_has() {
        let mut books = Books::open(5);
        assert_eq!(books.added(3), Standing::Past);
        assert_eq!(books.removed(4), Standing::Past);
        assert_eq!(books.added(5), Standing::Next);
    }

    #[test]
    fn explains_skipped_numbers_by_the_block() {
        let mut books = Books::open(5);
        assert!(books.block_connected(2));
        assert_eq!(books.added(7), Standing::Next);
    }

    #[test]
    fn explains_numbers_skipped_before_a_conflict_of_the_block() {
        let mut books = Books::open(5);
        // Two silent removals, a conflict, a silent removal, the block.
        assert_eq!(books.removed(7), Standing::Next);
        assert!(books.awaits_block());
        assert!(books.block_connected(3));
        assert!(!books.awaits_block());
        assert_eq!(books.added(9), Standing::Next);
    }

    #[test]
    fn notices_a_missing_addition() {
        assert_eq!(Books::open(5).added(6), Standing::Ahead);
    }

    #[test]
    fn notices_a_missing_change_before_a_removal_at_the_next_addition_or_block() {
        let mut books = Books::open(5);
        assert_eq!(books.removed(6), Standing::Next);
        assert_eq!(books.added(7), Standing::Ahead);
        let mut books = Books::open(5);
        assert_eq!(books.removed(6), Standing::Next);
        assert!(!books.block_connected(0));
    }

    #[test]
    fn notices_that_the_block_took_more_than_was_known() {
        let mut books = Books::open(5);
        assert!(books.block_connected(1));
        assert_eq!(books.added(7), Standing::Ahead);
    }
}
