//! `kiln bench`.

use super::run::{execute, inputs};
use crate::bench::{self, BenchModel, BenchOptions};
use crate::model::ModelArgs;
use crate::target;
use clap::Args;
use kiln_compiler::driver::Artifact;
use kiln_compiler::program::Step;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Bench {
    #[command(flatten)]
    model: ModelArgs,
    /// Target triple, or cortex-m0plus, m3, m4, m33, m55, rv32imc
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
    /// Show what each layer takes
    #[arg(long)]
    per_layer: bool,
    /// A plugin of QEMU that estimates cycles, for instance that of `codegen-tests/cycles`
    #[arg(long, value_name = "PLUGIN.so")]
    cycles: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Show what moved since an earlier result, as `--json` printed it
    #[arg(long, value_name = "OLD.json", conflicts_with = "json")]
    compare: Option<PathBuf>,
}

impl Bench {
    pub(super) fn run(self) -> Result<ExitCode, String> {
        let old = self.compare.as_deref().map(read).transpose()?;
        let artifact = self.model.compile_for(None, target::family(&self.target)?)?;
        let inputs = inputs(&artifact.program, &self.inputs, Some(self.seed))?;
        let host: Vec<Vec<u8>> = execute(&artifact, &inputs)?.iter().map(|t| t.bytes().to_vec()).collect();
        let mut models = vec![BenchModel::new(&artifact, &inputs)];
        if self.per_layer {
            models.push(BenchModel::marked(&artifact, &inputs));
        }
        let options = BenchOptions {
            opt_level: self.opt_level.clone(),
            plugin: self.cycles.clone(),
            ..BenchOptions::new(&self.target)
        };
        let results = bench::run(&models, &options).map_err(|e| format!("error: {e}"))?;
        let Some(result) = results.first() else { return Err("error: the bench reported nothing".into()) };
        let mut json = result.json(artifact.report.macs, &host);
        let layers = layers(&artifact, results.get(1).map_or(&[], |marked| &marked.steps));
        if self.per_layer && (self.json || old.is_some()) {
            json["layers"] = layers.iter().map(Layer::json).collect();
        }
        if self.json {
            println!("{json}");
        } else if let Some(old) = old {
            for change in bench::compare(&old, &json) {
                println!("{change}");
            }
        } else if let Some(members) = json.as_object() {
            for (name, value) in members {
                println!("{name:20} {}", value.as_str().map_or(value.to_string(), str::to_string));
            }
            for layer in &layers {
                println!("{layer}");
            }
        }
        // Different bits on the device would break the first promise of all.
        Ok(if result.outputs == host { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// An earlier result.
fn read(path: &Path) -> Result<serde_json::Value, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("error: `{}`: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| {
        let help = "give the output of an earlier `kiln bench --json`";
        format!("error: `{}` is no result of the bench: {e}\n   = help: {help}", path.display())
    })
}

/// What one step takes.
struct Layer {
    name: String,
    kernel: &'static str,
    macs: u64,
    instructions: u64,
}

fn layers(artifact: &Artifact, instructions: &[u64]) -> Vec<Layer> {
    let layer = |(step, &instructions): (&Step, &u64)| Layer {
        name: step.layer.clone(),
        kernel: step.kernel.function(),
        macs: step.kernel.macs(),
        instructions,
    };
    artifact.program.steps.iter().zip(instructions).map(layer).collect()
}

impl Layer {
    fn per_mac(&self) -> Option<f64> {
        (self.macs > 0).then(|| (self.instructions as f64 / self.macs as f64 * 1e3).round() / 1e3)
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name,
            "kernel": self.kernel,
            "macs": self.macs,
            "instructions": self.instructions,
            "instructions_per_mac": self.per_mac(),
        })
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_mac = self.per_mac().map_or(String::new(), |x| format!("{x:.3}"));
        // Exporters chain the names of what they fused: the end of it tells layers apart.
        let name: String = self.name.chars().take(40).collect();
        write!(f, "{:>10} {:>9} MACs {per_mac:>7}  {:26} {name}", self.instructions, self.macs, self.kernel)
    }
}
