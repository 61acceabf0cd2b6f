//! `kiln bench`.

use super::run::{execute, inputs};
use crate::bench::{self, BenchModel, BenchOptions};
use crate::model::ModelArgs;
use crate::target;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Bench {
    #[command(flatten)]
    model: ModelArgs,
    /// Target triple, or cortex-m0plus, m3, m4, m33, rv32imc
    #[arg(long, default_value = "thumbv7em-none-eabihf")]
    target: String,
    /// Optimisation of the firmware: 1, 2, 3, s or z
    #[arg(long, default_value = "3")]
    opt_level: String,
    /// An input; without any, seeded random ones are used
    #[arg(long = "input", value_name = "[NAME=]FILE.npy")]
    inputs: Vec<String>,
    /// Seed of random inputs
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(super) fn run(self) -> Result<ExitCode, String> {
        let artifact = self.model.compile_for(None, target::family(&self.target)?)?;
        let inputs = inputs(&artifact.program, &self.inputs, Some(self.seed))?;
        let host: Vec<Vec<u8>> = execute(&artifact, &inputs)?.iter().map(|t| t.bytes().to_vec()).collect();
        let model = BenchModel::new(&artifact, &inputs);
        let options = BenchOptions { opt_level: self.opt_level.clone(), ..BenchOptions::new(&self.target) };
        let results = bench::run(&[model], &options).map_err(|e| format!("error: {e}"))?;
        let Some(result) = results.first() else { return Err("error: the bench reported nothing".into()) };
        let json = result.json(artifact.report.macs, &host);
        if self.json {
            println!("{json}");
        } else if let Some(members) = json.as_object() {
            for (name, value) in members {
                println!("{name:20} {}", value.as_str().map_or(value.to_string(), str::to_string));
            }
        }
        // Different bits on the device would break the first promise of all.
        Ok(if result.outputs == host { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
