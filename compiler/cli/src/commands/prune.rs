//! `kiln prune`.

use super::quantize::{bar, no_data};
use crate::data::{DataArgs, Dataset};
use crate::model::{ModelArgs, write_if_changed};
use clap::{ArgGroup, Args, ValueEnum};
use kiln_compiler::driver;
use kiln_compiler::prune::{Importance, LayerChange, PruneOptions, Pruned};
use kiln_compiler::quant::Samples;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// How channels are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ImportanceName {
    /// Error of the layers that read it, as far as other channels cannot make up for it
    Layers,
    /// The same, by how much of it arrives at the outputs; needs samples of all kinds
    Output,
    /// Sum of the magnitudes of the weights
    L1,
    /// Root of the sum of their squares
    L2,
    /// Mean square of the activation
    Activation,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).multiple(true).args(["flops", "max_loss"]))]
pub(super) struct Prune {
    #[command(flatten)]
    model: ModelArgs,
    /// Inputs like those that the device will see: .npz, .npy, a folder of .npy, .pb, PNG or JPEG
    #[arg(long, value_name = "DATA")]
    calibrate: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    /// Share of the multiply-accumulates to keep, 0 to 1
    #[arg(long, value_name = "SHARE", value_parser = share)]
    flops: Option<f64>,
    /// Most that may be lost, in percent: of the samples' most probable classes, or of an output's energy
    #[arg(long, value_name = "PERCENT")]
    max_loss: Option<f64>,
    /// How channels are chosen
    #[arg(long, value_enum, default_value_t = ImportanceName::Layers)]
    importance: ImportanceName,
    /// Leave the remaining weights as they are, instead of fitting them to what the layers computed before
    #[arg(long)]
    no_refit: bool,
    /// Where to write the pruned model; `MODEL.pruned.onnx` beside the model when not given
    #[arg(short, long, value_name = "FILE.onnx")]
    output: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|s| *s > 0.0 && *s < 1.0);
    share.ok_or_else(|| "expected a share between 0 and 1, for instance 0.5".to_string())
}

impl Prune {
    pub(super) fn run(self) -> Result<ExitCode, String> {
        let Some(data) = &self.calibrate else { return Err(no_data(&self.model.model, "prune")) };
        let output = self.output.clone().unwrap_or_else(|| self.model.model.with_extension("pruned.onnx"));
        let (_, graph, ports) = self.model.float_graph()?;
        let dataset = Dataset::open(data, &ports, &self.data).map_err(|d| d.to_string())?;
        let bar = bar();
        let samples = Samples {
            count: dataset.len(),
            load: &|i| dataset.sample(i),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            progress: &|| bar.inc(1),
        };
        let options = PruneOptions {
            keep: self.flops,
            max_loss: self.max_loss,
            importance: match self.importance {
                ImportanceName::Layers => Importance::Layers,
                ImportanceName::Output => Importance::Output,
                ImportanceName::L1 => Importance::L1,
                ImportanceName::L2 => Importance::L2,
                ImportanceName::Activation => Importance::Activation,
            },
            refit: !self.no_refit,
        };
        let model = driver::prune(&graph, &samples, &options).map_err(|d| d.to_string())?;
        bar.finish_and_clear();
        write_if_changed(&output, &model.onnx)?;
        if self.json {
            println!("{:#}", json(&model.pruned));
        } else {
            table(&model.pruned);
            println!("wrote {}", output.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn json(pruned: &Pruned) -> serde_json::Value {
    let layer = |l: &LayerChange| {
        json!({
            "name": l.layer,
            "channels_before": l.channels.0, "channels_after": l.channels.1,
            "macs_before": l.macs.0, "macs_after": l.macs.1,
            "params_before": l.params.0, "params_after": l.params.1,
        })
    };
    json!({
        "macs_before": pruned.macs().0, "macs_after": pruned.macs().1,
        "params_before": pruned.params().0, "params_after": pruned.params().1,
        "snr_db": pruned.snr_db, "loss_percent": pruned.loss,
        "layers": pruned.layers.iter().map(layer).collect::<Vec<_>>(),
    })
}

fn table(pruned: &Pruned) {
    let width = pruned.layers.iter().map(|l| l.layer.len()).max().unwrap_or(0).clamp(5, 40);
    println!("{:width$}  {:>11}  {:>21}  {:>17}", "layer", "channels", "macs", "params");
    let row = |name: &str, channels: String, macs: (u64, u64), params: (u64, u64)| {
        let name: String = name.chars().rev().take(width).collect::<Vec<_>>().into_iter().rev().collect();
        let pair = |(a, b): (u64, u64)| format!("{a} -> {b}");
        println!("{name:width$}  {channels:>11}  {:>21}  {:>17}", pair(macs), pair(params));
    };
    for l in &pruned.layers {
        row(&l.layer, format!("{} -> {}", l.channels.0, l.channels.1), l.macs, l.params);
    }
    row("all", String::new(), pruned.macs(), pruned.params());
    println!(
        "{:.1} dB at the outputs, {:.2} % lost on the samples, {:.1} % of the multiply-accumulates kept",
        pruned.snr_db,
        pruned.loss,
        100.0 * pruned.macs().1 as f64 / pruned.macs().0.max(1) as f64
    );
}
