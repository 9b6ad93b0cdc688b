//! How the real `satpostd` starts, refuses to start, and stops.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use satpost_tests::process::{ServerProcess, binaries, free_address};

/// The configuration or the data folder cannot be used.
const EXIT_CONFIG: Option<i32> = Some(78);

/// Runs `satpostd serve`, which is expected to end by itself.
fn serve(data_dir: &Path, extra: &[&str]) -> Output {
    Command::new(binaries().join("satpostd"))
        .args(["serve", "--listen", &free_address().to_string()])
        .args(["--operator-listen", &free_address().to_string()])
        .args(extra)
        .arg("--data-dir")
        .arg(data_dir)
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn stops_on_sigterm_and_starts_again_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(&folder.path().join("satpost"), &[]);
    assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
    server.start_again();
    assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
}

#[test]
fn refuses_a_data_folder_that_another_process_uses() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("satpost");
    let _server = ServerProcess::start(&data_dir, &[]);
    let second = serve(&data_dir, &[]);
    assert_eq!(second.status.code(), EXIT_CONFIG, "{}", told(&second));
    assert!(
        told(&second).contains(&*data_dir.to_string_lossy()),
        "{}",
        told(&second)
    );
}

#[test]
fn operator_tools_read_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("satpost");
    let _server = ServerProcess::start(&data_dir, &[]);
    for tool in [&["events"][..], &["replay"], &["rebuild", "--check"]] {
        let output = Command::new(binaries().join("satpostd"))
            .args(tool)
            .arg("--data-dir")
            .arg(&data_dir)
            .output()
            .unwrap();
        assert!(output.status.success(), "{tool:?}: {}", told(&output));
    }
}

#[test]
fn refuses_to_replace_snapshots_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("satpost");
    let _server = ServerProcess::start(&data_dir, &[]);
    let output = Command::new(binaries().join("satpostd"))
        .args(["rebuild", "--apply", "--data-dir"])
        .arg(&data_dir)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).contains("without --apply"),
        "{}",
        told(&output)
    );
}

#[test]
fn refuses_a_data_folder_of_another_version() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("satpost");
    let mut server = ServerProcess::start(&data_dir, &[]);
    server.stop();
    let format = data_dir.join("format");
    let text = fs::read_to_string(&format).unwrap();
    let other: String = text
        .chars()
        .map(|c| if c == '1' { '9' } else { c })
        .collect();
    assert_ne!(text, other, "the format names its version");
    fs::write(&format, other).unwrap();
    let output = serve(&data_dir, &[]);
    assert_eq!(output.status.code(), EXIT_CONFIG, "{}", told(&output));
    assert!(told(&output).contains("format"), "{}", told(&output));
}

#[test]
fn refuses_settings_that_would_show_it_to_the_world() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("satpost");
    let output = Command::new(binaries().join("satpostd"))
        .args(["serve", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(&data_dir)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), EXIT_CONFIG);
    assert!(
        told(&output).contains("behind_tls_proxy"),
        "{}",
        told(&output)
    );
    assert!(
        !data_dir.exists(),
        "nothing is made before the settings are checked"
    );
}

#[test]
fn refuses_push_credentials_that_cannot_be_used_and_says_which_file() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("satpost");
    let (key, settings) = (
        folder.path().join("key"),
        folder.path().join("satpost.toml"),
    );
    fs::write(&key, "{\"private_key\":\"do not show me\"}").unwrap();
    let at_google = format!("[push.fcm]\ncredentials_file = {key:?}\n");
    let at_apple = format!(
        "[push.apns]\nkey_file = {key:?}\nkey_id = \"ABCDE12345\"\nteam_id = \"TEAM567890\"\ntopics = [\"com.example\"]\n"
    );
    for text in [at_google, at_apple] {
        fs::write(&settings, text).unwrap();
        let output = serve(&data_dir, &["--config", &settings.to_string_lossy()]);
        assert_eq!(output.status.code(), EXIT_CONFIG, "{}", told(&output));
        assert!(
            told(&output).contains(&*key.to_string_lossy()),
            "{}",
            told(&output)
        );
        assert!(!told(&output).contains("do not show me"));
    }
}

#[test]
fn refuses_a_port_that_is_taken_and_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&folder.path().join("first"), &[]);
    let taken = server.api.to_string();
    let output = Command::new(binaries().join("satpostd"))
        .args(["serve", "--listen", &taken, "--data-dir"])
        .arg(folder.path().join("second"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), EXIT_CONFIG);
    assert!(told(&output).contains(&taken), "{}", told(&output));
}
