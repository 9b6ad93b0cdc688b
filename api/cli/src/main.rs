//! `satpost`: a wallet for the command line, on top of the client SDK.
//!
//! # Layout
//! - [`arguments`]: what can be said on the command line; verbs are the names of the commands.
//! - [`commands`]: one function for each verb.
//! - [`output`]: the only place that prints, as text for people or JSON for programs.
//! - [`exit`]: the exit codes.

mod arguments;
mod commands;
mod exit;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Arguments;
use crate::output::Output;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.json);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a process can have one thread with timers and sockets");
    match runtime.block_on(commands::run(arguments, &output)) {
        Ok(code) => code,
        Err(error) => {
            output.failure(&error);
            exit::code_of(&error)
        }
    }
}
