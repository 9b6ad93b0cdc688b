//! `kill -9` in a loop over the real server under load, with a checker over what its clients saw.
//!
//! `SATPOST_CRASH_ROUNDS` sets the number of kills (20), `SATPOST_CRASH_SEED` when they fall.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test at the edge reads the clock and the environment"
)]

mod history;
mod recipient;
mod sender;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use satpost_tests::process::{ServerProcess, binaries, without_rate_limits};

use crate::recipient::Recipient;
use crate::sender::Sender;

/// How many queues are written to and read.
const RECIPIENTS: usize = 4;
/// How many clients write to all of them.
const SENDERS: usize = 4;
/// How long the server runs between two kills, in milliseconds: from before it has settled to well after.
const LIFE_MS: (u64, u64) = (50, 1_500);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {text}"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_by_kill_9() {
    let rounds = setting("SATPOST_CRASH_ROUNDS", 20);
    let seed = setting("SATPOST_CRASH_SEED", u64::from(std::process::id()));
    println!("SATPOST_CRASH_SEED={seed} SATPOST_CRASH_ROUNDS={rounds}");
    let folder = tempfile::tempdir().unwrap();
    let flags = without_rate_limits(folder.path());
    let mut server = ServerProcess::start(&folder.path().join("satpost"), &flags);
    let stop = Arc::new(AtomicBool::new(false));

    let mut recipients = Vec::new();
    for number in 0..RECIPIENTS {
        recipients.push(Recipient::register(&server.url(), number).await);
    }
    let keys: Vec<_> = recipients.iter().map(Recipient::key).collect();
    let readers: Vec<_> = recipients
        .into_iter()
        .map(|recipient| tokio::spawn(recipient.read_until(Arc::clone(&stop))))
        .collect();
    let mut writers = Vec::new();
    for number in 0..SENDERS {
        let sender = Sender::register(&server.url(), number, keys.clone()).await;
        writers.push(tokio::spawn(sender.write_until(Arc::clone(&stop))));
    }

    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_bytes(seed));
    for _ in 0..rounds {
        let life = LIFE_MS.0 + random.next_u64() % (LIFE_MS.1 - LIFE_MS.0);
        tokio::time::sleep(Duration::from_millis(life)).await;
        tokio::task::block_in_place(|| {
            server.kill();
            server.start_again();
        });
    }

    stop.store(true, Ordering::SeqCst);
    let mut sent = Vec::new();
    for writer in writers {
        sent.extend(writer.await.unwrap());
    }
    let mut received = Vec::new();
    for reader in readers {
        received.push(reader.await.unwrap().drain().await);
    }
    let faults = history::faults(&sent, &received);
    println!("{} messages sent over {rounds} kills", sent.len());
    assert!(
        sent.len() as u64 > rounds,
        "too little happened to show anything"
    );
    assert_eq!(faults, Vec::<String>::new(), "SATPOST_CRASH_SEED={seed}");
    assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
    rebuilt_projections_equal_the_live_ones(&server);
}

fn rebuilt_projections_equal_the_live_ones(server: &ServerProcess) {
    let output = Command::new(binaries().join("satpostd"))
        .args(["rebuild", "--check", "--data-dir"])
        .arg(&server.data_dir)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn seed_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}
