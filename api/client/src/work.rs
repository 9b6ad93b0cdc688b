//! The work a stranger does for a message: in parts, on a thread of its own, until it is found or
//! nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use satpost_domain::mailbox::{WorkProof, WorkSubject};

use crate::http::HttpClient;

/// How many nonces are tried between two looks at whether anybody still waits.
const TRIES_PER_LOOK: u64 = 1 << 16;
/// After how many looks the work is dated anew: some seconds, far below the age the server takes.
/// Nothing is lost by that, for no try brings the next one nearer.
const LOOKS_PER_DATE: u64 = 64;

/// Stops the work when the one who waits for it is gone.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Works for `subject` by the server's clock as `http` knows it. Dropping the future stops the work.
pub(crate) async fn work(http: Arc<HttpClient>, subject: WorkSubject, bits: u32) -> WorkProof {
    let stop = Arc::new(AtomicBool::new(false));
    let _stop_on_drop = StopOnDrop(Arc::clone(&stop));
    let working = tokio::task::spawn_blocking(move || {
        let now = || http.server_now().as_millis() / 1_000;
        search(&subject, bits, TRIES_PER_LOOK, now, &stop)
    });
    let found = working.await.expect("hashing does not panic");
    found.expect("work is stopped only when nobody waits for it")
}

fn search(
    subject: &WorkSubject,
    bits: u32,
    tries_per_look: u64,
    now: impl Fn() -> u64,
    stop: &AtomicBool,
) -> Option<WorkProof> {
    let mut created = now();
    for look in 0..u64::MAX / tries_per_look {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        if look % LOOKS_PER_DATE == 0 {
            created = now();
        }
        let first = look * tries_per_look;
        let nonces = first..=first + tries_per_look - 1;
        if let Some(proof) = subject.try_nonces(created, bits, nonces) {
            return Some(proof);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use satpost_domain::hash::sha256;
    use satpost_domain::{CommandId, MessagingKey, Timestamp};

    use super::*;

    fn subject() -> WorkSubject {
        WorkSubject {
            recipient: MessagingKey::from_stored([3; 32]),
            digest: sha256(b"sealed"),
            command_id: CommandId::new([7; 16]),
        }
    }

    #[test]
    fn finds_work_that_holds() {
        let proof = search(&subject(), 10, 16, || 1_000, &AtomicBool::new(false)).unwrap();
        assert!(proof.holds(&subject(), 10, Timestamp::from_millis(1_000_000)));
    }

    #[test]
    fn long_work_is_dated_anew_until_it_is_stopped() {
        let (asked, stop) = (Cell::new(0), AtomicBool::new(false));
        let now = || {
            asked.set(asked.get() + 1);
            stop.store(asked.get() == 3, Ordering::Relaxed);
            asked.get()
        };
        // No hash has 257 leading zero bits.
        assert_eq!(search(&subject(), 257, 16, now, &stop), None);
        assert_eq!(asked.get(), 3);
    }
}
