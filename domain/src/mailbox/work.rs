//! The work that strangers do for a message: a hash with many leading zero bits (hashcash).
//!
//! `challenge = tagged("satpost/knock-work/1", recipient ‖ digest ‖ idempotency key ‖ created)` and
//! `work = SHA-256(challenge ‖ nonce)`, with `created` in Unix seconds and both numbers in 8 bytes, big
//! endian. It is for one message to one recipient at one time, so none is of use twice; the second
//! hash fits one block of SHA-256, so a try costs a phone what it must and nothing more.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::hash::{sha256, tagged};
use crate::ids::{CommandId, Digest, parse_hex};
use crate::keys::MessagingKey;
use crate::limits::KNOCK_WORK_AGE_MAX;
use crate::time::Timestamp;

/// What work is done for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkSubject {
    /// Whom the message is for.
    pub recipient: MessagingKey,
    /// SHA-256 of its body.
    pub digest: Digest,
    /// The idempotency key it is sent with.
    pub command_id: CommandId,
}

/// Work that was done; its text is `created:nonce`, seconds in decimal and 16 hexadecimal characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkProof {
    /// When it was begun, in Unix seconds.
    pub created: u64,
    /// The number that was found.
    pub nonce: u64,
}

/// The text is no proof of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a proof of work is written <Unix seconds>:<16 hexadecimal characters>")]
pub struct ParseWorkError;

impl WorkSubject {
    /// Does the work: finds a nonce with `bits` leading zero bits, on average in `2^bits` tries.
    #[must_use]
    pub fn work(&self, created: u64, bits: u32) -> WorkProof {
        self.try_nonces(created, bits, 0..=u64::MAX)
            .expect("work is bounded to far fewer bits than a nonce has")
    }

    /// Does a part of the work: looks for a nonce among `nonces` only, for callers that want to stop
    /// or to be stopped in between.
    #[must_use]
    pub fn try_nonces(
        &self,
        created: u64,
        bits: u32,
        mut nonces: RangeInclusive<u64>,
    ) -> Option<WorkProof> {
        let challenge = self.challenge(created);
        let nonce = nonces.find(|nonce| leading_zeros(&challenge, *nonce) >= bits)?;
        Some(WorkProof { created, nonce })
    }

    fn challenge(&self, created: u64) -> [u8; 32] {
        let parts: [&[u8]; 4] = [
            self.recipient.as_bytes(),
            self.digest.as_bytes(),
            self.command_id.as_bytes(),
            &created.to_be_bytes(),
        ];
        tagged("satpost/knock-work/1", &parts)
    }
}

impl WorkProof {
    /// True when this is work of at least `bits` bits for `subject`, done at most
    /// [`KNOCK_WORK_AGE_MAX`] before `now`, or after it by a clock that is wrong by as much.
    #[must_use]
    pub fn holds(&self, subject: &WorkSubject, bits: u32, now: Timestamp) -> bool {
        let age = (now.as_millis() / 1_000).abs_diff(self.created);
        age <= KNOCK_WORK_AGE_MAX.as_secs()
            && leading_zeros(&subject.challenge(self.created), self.nonce) >= bits
    }
}

fn leading_zeros(challenge: &[u8; 32], nonce: u64) -> u32 {
    let mut block = [0; 40];
    block[..32].copy_from_slice(challenge);
    block[32..].copy_from_slice(&nonce.to_be_bytes());
    let work = sha256(&block);
    let (head, _) = work
        .as_bytes()
        .split_first_chunk()
        .expect("a digest has 32 bytes");
    u64::from_be_bytes(*head).leading_zeros()
}

impl fmt::Display for WorkProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:016x}", self.created, self.nonce)
    }
}

impl FromStr for WorkProof {
    type Err = ParseWorkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (created, nonce) = text.split_once(':').ok_or(ParseWorkError)?;
        if !created.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseWorkError);
        }
        let nonce = parse_hex(nonce).map_err(|_| ParseWorkError)?;
        Ok(Self {
            created: created.parse().map_err(|_| ParseWorkError)?,
            nonce: u64::from_be_bytes(nonce),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BITS: u32 = 8;

    fn subject() -> WorkSubject {
        WorkSubject {
            recipient: MessagingKey::from_stored([3; 32]),
            digest: sha256(b"sealed"),
            command_id: CommandId::new([7; 16]),
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn work_holds_for_its_message_and_its_time() {
        let proof = subject().work(10_000, BITS);
        assert!(proof.holds(&subject(), BITS, at(10_000)));
        for (now, holds) in [
            (10_600, true),
            (10_601, false),
            (9_400, true),
            (9_399, false),
        ] {
            assert_eq!(proof.holds(&subject(), BITS, at(now)), holds, "{now}");
        }
    }

    #[test]
    fn work_for_anything_else_does_not_hold() {
        let bits = 16;
        let proof = subject().work(10_000, bits);
        let others = [
            WorkSubject {
                recipient: MessagingKey::from_stored([4; 32]),
                ..subject()
            },
            WorkSubject {
                digest: sha256(b"other"),
                ..subject()
            },
            WorkSubject {
                command_id: CommandId::new([8; 16]),
                ..subject()
            },
        ];
        for other in others {
            assert!(!proof.holds(&other, bits, at(10_000)));
        }
        let later = WorkProof {
            created: 10_001,
            ..proof
        };
        assert!(!later.holds(&subject(), bits, at(10_000)));
    }

    #[test]
    fn work_in_parts_finds_the_same_nonce() {
        let whole = subject().work(10_000, BITS);
        let before = subject().try_nonces(10_000, BITS, 0..=whole.nonce - 1);
        assert_eq!(before, None, "a smaller nonce would have been found first");
        let rest = subject().try_nonces(10_000, BITS, whole.nonce..=u64::MAX);
        assert_eq!(rest, Some(whole));
    }

    #[test]
    fn prints_and_parses_the_same_text() {
        let proof = WorkProof {
            created: 1_700_000_000,
            nonce: 0xab,
        };
        assert_eq!(proof.to_string(), "1700000000:00000000000000ab");
        assert_eq!(proof.to_string().parse(), Ok(proof));
        for bad in [
            "",
            ":",
            "1:ab",
            "+1:00000000000000ab",
            "1:00000000000000zz",
            ":00000000000000ab",
        ] {
            assert_eq!(bad.parse::<WorkProof>(), Err(ParseWorkError), "{bad}");
        }
    }
}
