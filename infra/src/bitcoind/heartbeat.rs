//! The comparison once a second: a loss at the end of what was announced shows only by asking.

use satpost_domain::ids::BlockHash;

/// What the node said at the last heartbeat and the follower has not said since. An announcement
/// on its way dispels it; what stands at the next heartbeat was never announced.
#[derive(Debug, Default)]
pub struct Doubt {
    tip: Option<BlockHash>,
    mempool_size: Option<usize>,
}

impl Doubt {
    /// The node has this tip and so many transactions in its mempool.
    #[must_use]
    pub const fn raise(tip: BlockHash, mempool_size: usize) -> Self {
        Self {
            tip: Some(tip),
            mempool_size: Some(mempool_size),
        }
    }

    /// True while the follower has not come to what the node said.
    #[must_use]
    pub const fn stands(&self) -> bool {
        self.tip.is_some() || self.mempool_size.is_some()
    }

    /// The follower remembers certain blocks, and its mempool has a size.
    pub fn dispel(&mut self, remembers: impl Fn(&BlockHash) -> bool, mempool_size: usize) {
        if self.tip.is_some_and(|tip| remembers(&tip)) {
            self.tip = None;
        }
        if self.mempool_size == Some(mempool_size) {
            self.mempool_size = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIP: BlockHash = BlockHash::new([7; 32]);

    #[test]
    fn is_dispelled_when_tip_and_size_were_reached_one_after_the_other() {
        let mut doubt = Doubt::raise(TIP, 3);
        doubt.dispel(|_| false, 3);
        assert!(doubt.stands());
        // The size has moved on, but it was the right one.
        doubt.dispel(|tip| *tip == TIP, 4);
        assert!(!doubt.stands());
    }

    #[test]
    fn stands_while_the_size_was_never_right() {
        let mut doubt = Doubt::raise(TIP, 3);
        doubt.dispel(|_| true, 2);
        doubt.dispel(|_| true, 4);
        assert!(doubt.stands());
    }

    #[test]
    fn there_is_none_before_the_node_was_asked() {
        assert!(!Doubt::default().stands());
    }
}
