//! File systems that are mounted for a moment.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// How often unmounting is tried: something may still be closing its files.
const UNMOUNT_TRIES: usize = 100;

/// A mounted file system. Unmounted when dropped.
pub(crate) struct Mount {
    folder: PathBuf,
}

/// What is missing to mount images; nothing when all is there.
pub(crate) fn missing() -> Option<String> {
    missing_for_tmpfs().or_else(|| {
        if !Path::new("/dev/loop-control").exists() {
            return Some("there are no loop devices (/dev/loop-control)".to_owned());
        }
        (!is_there("mkfs.ext4")).then(|| "mkfs.ext4 is not installed (e2fsprogs)".to_owned())
    })
}

/// What is missing to mount a file system in memory.
pub(crate) fn missing_for_tmpfs() -> Option<String> {
    let id = Command::new("id").arg("-u").output();
    if !id.is_ok_and(|id| id.stdout == b"0\n") {
        return Some("only root can mount".to_owned());
    }
    (!is_there("mount")).then(|| "mount is not installed".to_owned())
}

/// Whether a program can be started.
pub(crate) fn is_there(program: &str) -> bool {
    let tried = Command::new(program)
        .arg("-V")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    tried.is_ok()
}

/// Runs a command, which has to succeed.
pub(crate) fn command(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    ensure!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

impl Mount {
    /// Mounts an image.
    pub(crate) fn image(image: &Path, folder: &Path, options: &str) -> anyhow::Result<Self> {
        let options = format!("loop,{options}");
        command(
            Command::new("mount")
                .args(["-o", &options])
                .arg(image)
                .arg(folder),
        )?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Mounts a file system in memory of `mib` MiB.
    pub(crate) fn memory(folder: &Path, mib: u64) -> anyhow::Result<Self> {
        let size = format!("size={mib}m");
        command(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
                .arg(folder),
        )?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        for _ in 0..UNMOUNT_TRIES {
            if command(Command::new("umount").arg(&self.folder)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // Detached at least, so that the folder can be removed.
        command(Command::new("umount").arg("-l").arg(&self.folder)).ok();
    }
}
