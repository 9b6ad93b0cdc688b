//! `satpostd`: the Satpost server and its operator tools.

use std::process::ExitCode;

fn main() -> ExitCode {
    satpost_infra::cli::main()
}
