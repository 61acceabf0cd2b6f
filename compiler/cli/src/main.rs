//! The `kiln` command.

use clap::Parser;
use kiln_cli::commands::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    // A reader that has seen enough, `head` for one, ends the program instead of making it panic.
    sigpipe::reset();
    match Cli::parse().run() {
        Ok(code) => code,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
