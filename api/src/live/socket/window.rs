//! How much may be told over a socket before its client says more.

use std::collections::VecDeque;

use satpost_domain::limits::SOCKET_CREDIT_MAX;

use crate::problem::ApiError;

/// The credit that the client gave, and what was told and is not acknowledged. Either bounds what may
/// be told next: an acknowledgement makes room, and a credit says that it may be used.
#[derive(Debug, Default)]
pub(super) struct Window {
    credit: usize,
    /// By ascending seq.
    outstanding: VecDeque<u64>,
}

impl Window {
    /// How many deliveries may be told now.
    pub(super) fn room(&self) -> usize {
        self.credit
            .min(SOCKET_CREDIT_MAX.saturating_sub(self.outstanding.len()))
    }

    /// Gives room for `n` more.
    ///
    /// # Errors
    /// `limit-exceeded` when `n` is 0 or more than [`SOCKET_CREDIT_MAX`].
    pub(super) fn give(&mut self, n: u64) -> Result<(), ApiError> {
        let given = usize::try_from(n).unwrap_or(usize::MAX);
        if !(1..=SOCKET_CREDIT_MAX).contains(&given) {
            return Err(ApiError::credit(n));
        }
        self.credit = (self.credit + given).min(SOCKET_CREDIT_MAX);
        Ok(())
    }

    /// Message `seq` is told.
    pub(super) fn told(&mut self, seq: u64) {
        self.credit = self.credit.saturating_sub(1);
        self.outstanding.push_back(seq);
    }

    /// Everything up to `seq` is acknowledged.
    pub(super) fn acknowledged(&mut self, seq: u64) {
        while self.outstanding.front().is_some_and(|told| *told <= seq) {
            self.outstanding.pop_front();
        }
        if self.outstanding.is_empty() {
            // A socket on which little happens keeps no room for much.
            self.outstanding = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use satpost_api_types::problem::ProblemCode;

    use super::*;

    #[test]
    fn tells_nothing_without_credit() {
        let mut window = Window::default();
        assert_eq!(window.room(), 0);
        window.give(2).unwrap();
        assert_eq!(window.room(), 2);
        window.told(1);
        window.told(2);
        assert_eq!(window.room(), 0);
        window.acknowledged(2);
        assert_eq!(window.room(), 0, "room, but no credit");
    }

    #[test]
    fn has_never_more_outstanding_than_its_bound() {
        let mut window = Window::default();
        let max = SOCKET_CREDIT_MAX as u64;
        window.give(max).unwrap();
        window.give(max).unwrap();
        assert_eq!(window.room(), SOCKET_CREDIT_MAX, "credit is not piled up");
        for seq in 1..=max {
            window.told(seq);
        }
        window.give(10).unwrap();
        assert_eq!(window.room(), 0, "credit, but nothing is acknowledged");
        window.acknowledged(3);
        assert_eq!(window.room(), 3);
        window.acknowledged(2);
        assert_eq!(window.room(), 3, "a late word changes nothing");
        window.acknowledged(u64::MAX);
        assert_eq!(window.room(), 10);
    }

    #[test]
    fn refuses_a_credit_that_no_client_means() {
        let mut window = Window::default();
        for n in [0, SOCKET_CREDIT_MAX as u64 + 1, u64::MAX] {
            let refusal = window.give(n).unwrap_err();
            assert_eq!(refusal.code, ProblemCode::LimitExceeded);
            assert_eq!(refusal.limit, Some(SOCKET_CREDIT_MAX as u64));
        }
        assert_eq!(window.room(), 0);
    }
}
