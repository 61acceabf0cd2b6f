//! `kiln compile`.

use super::run;
use crate::model::{ModelArgs, write_if_changed};
use crate::target::TargetArgs;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Compile {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    target: TargetArgs,
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
        let artifact = self.model.compile_for(name.as_deref(), self.target.family()?)?;
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
                "note: this model computes in f32; quantize it to int8 for a quarter of the flash and RAM and a fraction of \
                 the time,\n      for instance with `onnxruntime.quantization.quantize_static(.., quant_format=QDQ)`"
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
