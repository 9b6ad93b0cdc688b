//! The real server is killed between a trigger and its push; the wake-up comes all the same.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use satpost_tests::process::{ServerProcess, binaries};
use satpost_tests::push_service::{Answer, PushService};

/// A wallet on the command line.
struct Wallet {
    home: PathBuf,
    server: String,
}

impl Wallet {
    fn create(folder: &Path, name: &str, server: &ServerProcess) -> Self {
        let wallet = Self {
            home: folder.join(name),
            server: server.url(),
        };
        wallet.run(&["create", "--name", name]);
        wallet.run(&["register-client"]);
        wallet
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn output(&self, arguments: &[&str]) -> Output {
        Command::new(binaries().join("satpost"))
            .arg("--home")
            .arg(&self.home)
            .args(["--server", &self.server])
            .args(arguments)
            .output()
            .unwrap()
    }

    fn is_woken(&self) -> bool {
        let output = self.output(&["wait-for-wake", "--timeout", "20"]);
        output.status.success()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_trigger_is_lost_when_the_server_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let service = PushService::start();
    let allow = ["--push-allow", "127.0.0.1"].map(str::to_owned);
    let mut server = ServerProcess::start(&folder.path().join("satpost"), &allow);
    let alice = Wallet::create(folder.path(), "alice", &server);
    let bob = Wallet::create(folder.path(), "bob", &server);
    bob.run(&["set-push-target", "--service", &service.url()]);
    alice.run(&["add-contact", &bob.run(&["show-card"]), "--name", "Bob"]);

    // Tried, and not taken: the trigger is in the log, the wake-up nowhere.
    service.answer_with(Answer::Status(503));
    let before = service.pushes();
    alice.run(&["send-message", "Bob", "first"]);
    while service.pushes() == before {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    server.kill();
    service.answer_with(Answer::Store);
    server.start_again();
    assert!(bob.is_woken(), "{}", server.log_tail());
    bob.run(&["fetch-messages"]);

    // Killed as soon as the message was acknowledged, whatever became of its push.
    for round in 1..=3 {
        alice.run(&["send-message", "Bob", &format!("round {round}")]);
        server.kill();
        server.start_again();
        assert!(bob.is_woken(), "round {round}: {}", server.log_tail());
        bob.run(&["fetch-messages"]);
    }
    assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
}
