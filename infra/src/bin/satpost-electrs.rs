//! The binary `satpost-electrs`: starts where a test harness expects `electrs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    satpost_infra::electrs::main()
}
