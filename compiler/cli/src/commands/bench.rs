//! `kiln bench`.

use super::run::{execute, inputs};
use crate::bench::{self, BenchModel, BenchOptions, Timed, timed};
use crate::model::ModelArgs;
use crate::target::{self, LinkedBudgetArgs};
use clap::Args;
use kiln_compiler::driver::Artifact;
use kiln_compiler::program::Step;
use kiln_runtime_core::Family;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Bench {
    #[command(flatten)]
    model: ModelArgs,
    /// Target triple, or cortex-m0plus, m3, m4, m33, m55, rv32imc, aarch64: instructions under QEMU; host, wasm32: wall time
    #[arg(long, default_value = "thumbv7em-none-eabihf")]
    target: String,
    /// Optimisation of the firmware: 1, 2, 3, s or z
    #[arg(long, default_value = "3")]
    opt_level: String,
    #[command(flatten)]
    budget: LinkedBudgetArgs,
    /// An input; without any, seeded random ones are used
    #[arg(long = "input", value_name = "[NAME=]FILE.npy")]
    inputs: Vec<String>,
    /// Seed of random inputs
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Show what each layer takes
    #[arg(long)]
    per_layer: bool,
    /// Use the plain kernels, which run everywhere, to see what those of the target gain; wasm32 is built without vectors then
    #[arg(long)]
    plain: bool,
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
        let family = if self.plain { Family::Plain } else { target::family(&self.target)? };
        let artifact = self.model.compile_for(None, family, self.budget.model.into())?;
        let inputs = inputs(&artifact.program, &self.inputs, Some(self.seed))?;
        let host: Vec<Vec<u8>> = execute(&artifact, &inputs)?.iter().map(|t| t.bytes().to_vec()).collect();
        let options = BenchOptions {
            opt_level: self.opt_level.clone(),
            plain: self.plain,
            plugin: self.cycles.clone(),
            ..BenchOptions::new(&self.target)
        };
        let timed = Timed::find(&self.target);
        if timed.is_some() && self.cycles.is_some() {
            let help = "leave `--cycles` out, or give a microcontroller as `--target`, for instance m4";
            return Err(format!(
                "error: `--cycles` takes a plugin of QEMU, but `{}` is not emulated: it has a clock\n   = help: {help}",
                self.target
            ));
        }
        let mut models = vec![BenchModel::new(&artifact, &inputs)];
        if self.per_layer {
            let mark = if timed.is_some() { timed::MARK } else { bench::MARK };
            models.push(BenchModel::marked(&artifact, &inputs, mark));
        }
        let macs = artifact.report.macs;
        let mut over = vec![];
        let (mut json, same, steps, unit) = match timed {
            Some(timed) => {
                let results: Result<Vec<_>, _> =
                    models.iter().map(|model| timed.run(model, &options)).collect();
                let results = results.map_err(|e| format!("error: {e}"))?;
                let steps = results.get(1).map_or(vec![], |marked| marked.steps.clone());
                (results[0].json(macs, &host), results[0].outputs == host, steps, "nanoseconds")
            }
            None => {
                let results = bench::run(&models, &options).map_err(|e| format!("error: {e}"))?;
                let Some(result) = results.first() else {
                    return Err("error: the bench reported nothing".into());
                };
                over = self.budget.exceeded(result.flash_code + result.flash_weights, &result.stack_bound);
                let steps = results.get(1).map_or(vec![], |marked| marked.steps.clone());
                (result.json(macs, &host), result.outputs == host, steps, "instructions")
            }
        };
        let layers = layers(&artifact, &steps, unit);
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
        over.iter().for_each(|what| eprintln!("error: {what}"));
        // Different bits on the device would break the first promise of all.
        Ok(if same && over.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    /// Instructions, or nanoseconds.
    cost: u64,
    unit: &'static str,
}

fn layers(artifact: &Artifact, costs: &[u64], unit: &'static str) -> Vec<Layer> {
    let layer = |(step, &cost): (&Step, &u64)| Layer {
        name: step.layer.clone(),
        kernel: step.kernel.function(),
        macs: step.kernel.macs(),
        cost,
        unit,
    };
    artifact.program.steps.iter().zip(costs).map(layer).collect()
}

impl Layer {
    fn per_mac(&self) -> Option<f64> {
        (self.macs > 0).then(|| (self.cost as f64 / self.macs as f64 * 1e3).round() / 1e3)
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name,
            "kernel": self.kernel,
            "macs": self.macs,
            self.unit: self.cost,
            (format!("{}_per_mac", self.unit)): self.per_mac(),
        })
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_mac = self.per_mac().map_or(String::new(), |x| format!("{x:.3}"));
        // Exporters chain the names of what they fused: the end of it tells layers apart.
        let name: String = self.name.chars().take(40).collect();
        write!(f, "{:>10} {:>9} MACs {per_mac:>7}  {:26} {name}", self.cost, self.macs, self.kernel)
    }
}
