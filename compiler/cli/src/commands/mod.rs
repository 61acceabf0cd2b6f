//! The subcommands, one file each.

mod bench;
mod check;
mod compile;
mod evaluate;
mod inspect;
mod prune;
mod quantize;
mod run;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Compiles trained neural networks (ONNX) to no_std Rust for microcontrollers.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the model at any stage: graph, program or memory plan
    Inspect(inspect::Inspect),
    /// Write the model as a Rust file, and report what it costs
    Compile(compile::Compile),
    /// Exit with 1 when a generated file is out of date
    Check(check::Check),
    /// Run the compiled program on the host, bit for bit as on the device
    Run(run::Run),
    /// Remove channels of a float model that its outputs hardly need
    Prune(prune::Prune),
    /// Make an int8 model of a float one, from sample inputs
    Quantize(quantize::Quantize),
    /// Accuracy on samples, float against compiled
    Evaluate(evaluate::Evaluate),
    /// Build firmware, run it in QEMU: instructions, flash, RAM, stack
    Bench(bench::Bench),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What to print on standard error before leaving with 1.
    pub fn run(self) -> Result<ExitCode, String> {
        match self.command {
            Command::Inspect(c) => c.run(),
            Command::Compile(c) => c.run(),
            Command::Check(c) => c.run(),
            Command::Run(c) => c.run(),
            Command::Prune(c) => c.run(),
            Command::Quantize(c) => c.run(),
            Command::Evaluate(c) => c.run(),
            Command::Bench(c) => c.run(),
        }
    }
}
