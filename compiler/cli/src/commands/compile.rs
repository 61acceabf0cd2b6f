//! `kiln compile`.

use super::quantize::Calibration;
use super::run;
use crate::model::{ModelArgs, write_if_changed};
use crate::target::{BudgetArgs, TargetArgs};
use clap::Args;
use kiln_compiler::driver::{self, Options};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Compile {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    budget: BudgetArgs,
    /// Quantize to int8 with these inputs, as `kiln quantize` does, and write no profile
    #[arg(long, value_name = "DATA", conflicts_with = "precision")]
    calibrate: Option<PathBuf>,
    #[command(flatten)]
    calibration: Calibration,
    /// Where to write the Rust file; large tables go to `NAME.weights.bin` beside it
    #[arg(short, long, value_name = "FILE.rs")]
    output: PathBuf,
    /// Also run the compiled program on an input, and print its outputs
    #[arg(long, value_name = "[NAME=]FILE.npy")]
    run: Vec<String>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Compile {
    pub(super) fn run(self) -> Result<ExitCode, String> {
        let name = self.output.file_stem().map(|s| s.to_string_lossy().into_owned());
        let family = self.target.family()?;
        let artifact = match &self.calibrate {
            None => self.model.compile_for(name.as_deref(), family, self.budget.into())?,
            Some(data) => {
                let bytes = self.calibration.quantize(&self.model, data)?.0.onnx;
                // The file holds everything.
                let mut beside = |_: &str, _: u64, _: Option<u64>| Err("not in this file".into());
                let options =
                    Options { budget: self.budget.into(), ..self.model.options(name.as_deref(), family) };
                driver::compile(&bytes, &mut beside, &options).map_err(|d| d.to_string())?
            }
        };
        if let Some(weights) = &artifact.weights {
            write_if_changed(&self.output.with_file_name(&artifact.weights_file), weights)?;
        }
        write_if_changed(&self.output, artifact.text.as_bytes())?;
        if self.json {
            println!("{}", artifact.report.to_json());
            return Ok(ExitCode::SUCCESS);
        }
        println!("{}", artifact.report);
        println!("wrote {}", self.output.display());
        if artifact.report.is_float() {
            println!(
                "note: this model computes in f32; int8 takes a quarter of the flash and RAM and a fraction of the time:\n      \
                 `kiln quantize {} --calibrate DATA`",
                self.model.model.display()
            );
        }
        if !self.run.is_empty() {
            println!();
            let inputs = run::inputs(&artifact.program, &self.run, None)?;
            run::print(&artifact.program, &run::execute(&artifact, &inputs)?);
        }
        Ok(ExitCode::SUCCESS)
    }
}
