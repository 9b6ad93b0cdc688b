//! The settings of messages: how much work strangers do for one.

use satpost_domain::limits::{KNOCK_WORK_BITS_DEFAULT, KNOCK_WORK_BITS_MAX};
use serde::{Deserialize, Serialize};

/// Messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesConfig {
    /// How many leading zero bits the work for a stranger's message has, up to
    /// [`KNOCK_WORK_BITS_MAX`].
    pub knock_work_bits: u32,
}

/// Why the settings of messages cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessagesConfigError {
    /// No phone would ever finish.
    #[error(
        "messages.knock_work_bits is {0}; every bit doubles the work, and {KNOCK_WORK_BITS_MAX} keep a phone busy for an hour, so no more are possible"
    )]
    TooMuchWork(u32),
}

impl Default for MessagesConfig {
    fn default() -> Self {
        Self {
            knock_work_bits: KNOCK_WORK_BITS_DEFAULT,
        }
    }
}

impl MessagesConfig {
    /// Checks what was read.
    pub(super) const fn check(&self) -> Result<(), MessagesConfigError> {
        match self.knock_work_bits {
            0..=KNOCK_WORK_BITS_MAX => Ok(()),
            bits => Err(MessagesConfigError::TooMuchWork(bits)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_work_that_no_phone_finishes() {
        let check = |knock_work_bits| MessagesConfig { knock_work_bits }.check();
        check(KNOCK_WORK_BITS_DEFAULT).unwrap();
        check(0).unwrap();
        check(KNOCK_WORK_BITS_MAX).unwrap();
        let bits = KNOCK_WORK_BITS_MAX + 1;
        assert_eq!(check(bits), Err(MessagesConfigError::TooMuchWork(bits)));
    }
}
