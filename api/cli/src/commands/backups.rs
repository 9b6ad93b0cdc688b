//! Backups: everything beside the words, into a file and back.

use std::path::Path;
use std::process::ExitCode;

use satpost_client::wallet::Wallet;
use serde_json::json;

use crate::output::Output;

/// Writes a backup.
pub(crate) fn export_backup(
    wallet: &Wallet,
    file: &Path,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    wallet.export_backup(file)?;
    output.show(
        &format!("wrote {}", file.display()),
        &json!({ "file": file.display().to_string() }),
    );
    output.hint("Only the wallet's words open it; keep them elsewhere.");
    Ok(ExitCode::SUCCESS)
}

/// Takes over a backup.
pub(crate) fn import_backup(
    wallet: &mut Wallet,
    file: &Path,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let restored = wallet.import_backup(file)?;
    output.show(
        &format!(
            "{} contacts, {} messages, {} waiting to be sent",
            restored.contacts, restored.messages, restored.waiting
        ),
        &json!({
            "made_at": restored.made_at.as_millis(),
            "contacts": restored.contacts,
            "messages": restored.messages,
            "waiting": restored.waiting,
        }),
    );
    output.hint("Run register-client to find the registration again.");
    Ok(ExitCode::SUCCESS)
}
