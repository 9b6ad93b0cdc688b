//! Runs what `scripts/clients` has installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long one script may take for everything it does.
const DEADLINE: Duration = Duration::from_secs(100);

/// What runs a script.
#[derive(Clone, Copy)]
enum Runtime {
    Node,
    Python,
}

/// A script of `tests/clients`, or a program that was installed with the clients.
pub(crate) struct Script {
    command: Command,
}

impl Script {
    /// `tests/clients/node/<name>.cjs`.
    pub(crate) fn node(name: &str) -> Self {
        Self::of(Runtime::Node, name)
    }

    /// `tests/clients/python/<name>.py`.
    pub(crate) fn python(name: &str) -> Self {
        Self::of(Runtime::Python, name)
    }

    /// A program of the Python packages.
    pub(crate) fn installed(program: &str) -> Self {
        let program = home().join("python/bin").join(program);
        let mut command = Command::new(program);
        command.env("PYTHONPATH", scripts().join("python"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        Self { command }
    }

    fn of(runtime: Runtime, name: &str) -> Self {
        let command = match runtime {
            Runtime::Node => {
                let mut node = Command::new("node");
                node.env("NODE_PATH", home().join("node/node_modules"));
                node.arg(scripts().join("node").join(format!("{name}.cjs")));
                node
            }
            Runtime::Python => {
                let mut python = Self::installed("python").command;
                python.arg(scripts().join("python").join(format!("{name}.py")));
                python
            }
        };
        Self { command }
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in this folder.
    pub(crate) fn current_dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it to its end and gives what it printed.
    pub(crate) async fn run(mut self, arguments: &[&str]) -> String {
        assert!(
            home().join("stamp").exists(),
            "the clients are missing; run: scripts/clients"
        );
        self.command.args(arguments);
        let mut command = tokio::process::Command::from(self.command);
        command.kill_on_drop(true);
        let output = tokio::time::timeout(DEADLINE, command.output())
            .await
            .expect("the script ends in time")
            .expect("the script can be started; run: scripts/clients");
        assert!(
            output.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("the scripts print text")
    }
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate is a folder of the checkout")
        .to_owned()
}

fn home() -> PathBuf {
    checkout().join(".tools/clients")
}

fn scripts() -> PathBuf {
    checkout().join("tests/clients")
}
