//! Is this still the process that was spoken to before? A node that was started again counts its
//! notifications and the changes of its mempool anew, so that nothing of it can be compared.

/// How far the start of the node may seem to move, in seconds: uptime has no fractions, and the
/// clock of the server may be set.
const START_TIME_SLACK_SECS: u64 = 3;

/// What is known of the running process of the node.
#[derive(Debug, Default)]
pub struct Epoch {
    /// When it was started, in Unix seconds.
    started_secs: Option<u64>,
}

impl Epoch {
    /// Takes note of its uptime; true when it was started after the last note.
    pub fn restarted(&mut self, now_secs: u64, uptime_secs: u64) -> bool {
        let started = now_secs.saturating_sub(uptime_secs);
        let before = self.started_secs.replace(started);
        before.is_some_and(|before| started > before.saturating_add(START_TIME_SLACK_SECS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_node_that_goes_on_running() {
        let mut epoch = Epoch::default();
        assert!(!epoch.restarted(1_000, 10));
        assert!(!epoch.restarted(2_000, 1_009));
        assert!(!epoch.restarted(3_000, 2_012));
    }

    #[test]
    fn notices_a_node_that_was_started_again() {
        let mut epoch = Epoch::default();
        assert!(!epoch.restarted(1_000, 10));
        assert!(epoch.restarted(1_020, 5));
        assert!(!epoch.restarted(1_021, 6));
    }

    #[test]
    fn takes_a_clock_that_was_set_back_for_no_restart() {
        let mut epoch = Epoch::default();
        assert!(!epoch.restarted(5_000, 10));
        assert!(!epoch.restarted(1_000, 20));
    }
}
