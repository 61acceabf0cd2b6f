//! `kiln quantize`.

use crate::data::{DataArgs, Dataset};
use crate::model::{ModelArgs, write_if_changed};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use kiln_compiler::build;
use kiln_compiler::driver::{self, QuantizeOptions, Quantized};
use kiln_compiler::quant::tune::{Aim, Plan};
use kiln_compiler::quant::{Choice, Method, Precision, Profile, Samples, WeightBits};
use kiln_compiler::sha256::sha256;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How the ranges of activations are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodName {
    /// Try all of them for each activation; keep what loses least at the outputs
    Auto,
    /// Smallest and largest value
    Minmax,
    /// Moving average of each sample's smallest and largest value
    Average,
    /// The 0.01th and 99.99th percentile
    Percentile,
    /// Least Kullback-Leibler divergence
    Entropy,
    /// Least mean squared error
    Mse,
}

/// Width of activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Activations {
    Int8,
    /// Two bytes each; the noise of the weights remains
    Int16,
}

/// Width of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WeightNames {
    Int8,
    /// Two weights in a byte
    Int4,
}

/// Precision of the first and the last layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ends {
    Int8,
    /// int16 activations
    Int16,
    Float,
}

/// Flags of calibration, for every command that may calibrate.
#[derive(Debug, Clone, Args)]
pub(super) struct Calibration {
    /// How the ranges of activations are chosen
    #[arg(long, value_enum, default_value_t = MethodName::Auto)]
    method: MethodName,
    /// Width of activations
    #[arg(long, value_enum, default_value_t = Activations::Int8)]
    activations: Activations,
    /// Width of weights
    #[arg(long, value_enum, default_value_t = WeightNames::Int8)]
    weights: WeightNames,
    /// Input channels that share a scale of int4 weights; all of an output channel when not given
    #[arg(long, value_name = "CHANNELS", value_parser = clap::value_parser!(u32).range(1..))]
    block: Option<u32>,
    /// Leave a layer in float; may be given several times
    #[arg(long = "float", value_name = "LAYER")]
    float: Vec<String>,
    /// Most that may be lost, in percent: of the samples' most probable classes, or of an output's energy. Layers that cost
    /// most then get int16 activations, or stay in float (with `--method auto`)
    #[arg(long, value_name = "PERCENT")]
    max_loss: Option<f64>,
    /// Precision of the first and the last layer, where it is to be another one than that of the others. Their weights
    /// then are int8
    #[arg(long, value_enum)]
    ends: Option<Ends>,
    /// Threads that calibrate; the result does not depend on them [default: all processors]
    #[arg(long)]
    threads: Option<usize>,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, Args)]
pub(super) struct Quantize {
    #[command(flatten)]
    model: ModelArgs,
    /// Inputs like those that the device will see: .npz, .npy, a folder of .npy, .pb, PNG or JPEG
    #[arg(long, value_name = "DATA")]
    calibrate: Option<PathBuf>,
    #[command(flatten)]
    calibration: Calibration,
    /// Where to write the quantized model; `MODEL.int8.onnx` beside the model when not given
    #[arg(short, long, value_name = "FILE.onnx")]
    output: Option<PathBuf>,
    /// Print what `auto` tried, with the decibels that it kept of the outputs of other samples
    #[arg(short, long)]
    verbose: bool,
}

impl Quantize {
    pub(super) fn run(self) -> Result<ExitCode, String> {
        let Some(data) = &self.calibrate else { return Err(no_data(&self.model.model, "quantize")) };
        let output = self.output.clone().unwrap_or_else(|| self.model.model.with_extension("int8.onnx"));
        let (quantized, mut profile) = self.calibration.quantize(&self.model, data)?;
        profile.quantized.0 = relative(&output, &self.model.model);
        let path = build::profile_path(&self.model.model);
        let new = !path.exists();
        write_if_changed(&output, &quantized.onnx)?;
        write_if_changed(&path, profile.to_string().as_bytes())?;
        if new {
            notice(&self.model.model);
        }
        let integer = quantized.layers.iter().filter(|(_, p)| p != "float").count();
        println!(
            "{integer} of {} layers in integers, {:.1} dB at the outputs",
            quantized.layers.len(),
            quantized.snr_db
        );
        if let Some(plan) = &quantized.plan {
            println!("{}", chosen(plan));
        }
        if self.verbose {
            quantized.trials.iter().for_each(|t| println!("  {:9.4}  {}", t.score, t.name));
        }
        println!("wrote {} and {}", output.display(), path.display());
        if profile.samples < FEW {
            println!(
                "note: {} samples may not show the whole range of the activations; some dozens to some hundreds are usual",
                profile.samples
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Fewer samples than this get a note.
const FEW: usize = 16;

impl Calibration {
    /// Quantizes a model on data. The profile does not yet say where the quantized model is.
    pub(super) fn quantize(&self, model: &ModelArgs, data: &Path) -> Result<(Quantized, Profile), String> {
        let (bytes, graph, ports) = model.float_graph()?;
        let dataset = Dataset::open(data, &ports, &self.data).map_err(|d| d.to_string())?;
        let bar = bar();
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
        let samples = Samples {
            count: dataset.len(),
            load: &|i| dataset.sample(i),
            threads: threads.unwrap_or(1).max(1),
            progress: &|| bar.inc(1),
        };
        let options = QuantizeOptions { choice: self.choice(), float: self.float.clone(), aim: self.aim()? };
        let quantized = driver::quantize(&graph, &samples, &options).map_err(|d| d.to_string())?;
        let folder = model.model.parent().unwrap_or(Path::new(""));
        let hash = build::model_hash(&bytes, folder).map_err(|d| d.to_string())?;
        let data_hash = dataset.hash().map_err(|d| d.to_string())?;
        bar.finish_and_clear();
        let profile = Profile {
            tool: format!("kiln {}", env!("CARGO_PKG_VERSION")),
            model: (file_name(&model.model), hash),
            quantized: (String::new(), sha256(&quantized.onnx)),
            data: (data.to_string_lossy().into_owned(), data_hash),
            samples: dataset.len(),
            method: self.method.to_possible_value().map(|v| v.get_name().to_string()).unwrap_or_default(),
            snr_db: (quantized.snr_db * 10.0).round() / 10.0,
            layers: quantized.layers.clone(),
            ranges: quantized.ranges.clone(),
        };
        Ok((quantized, profile))
    }

    fn aim(&self) -> Result<Aim, String> {
        let precision = match self.activations {
            Activations::Int8 => Precision::Int8,
            Activations::Int16 => Precision::Int16,
        };
        let ends = self.ends.map(|ends| match ends {
            Ends::Int8 => Precision::Int8,
            Ends::Int16 => Precision::Int16,
            Ends::Float => Precision::Float,
        });
        let weights = match (self.weights, self.block) {
            (WeightNames::Int8, None) => WeightBits::Int8,
            (WeightNames::Int8, Some(_)) => return Err("--block is for --weights int4".into()),
            (WeightNames::Int4, block) => WeightBits::Int4 { block: block.unwrap_or(0) as usize },
        };
        Ok(Aim { precision, ends, weights, max_loss: self.max_loss })
    }

    fn choice(&self) -> Choice {
        match self.method {
            MethodName::Auto => Choice::Auto,
            MethodName::Minmax => Choice::Only(Method::MinMax),
            MethodName::Average => Choice::Only(Method::MovingAverage),
            MethodName::Percentile => Choice::Only(Method::Percentile),
            MethodName::Entropy => Choice::Only(Method::Entropy),
            MethodName::Mse => Choice::Only(Method::Mse),
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The tools that were used, as a sentence.
fn chosen(plan: &Plan) -> String {
    let balance = plan.balance.map(|b| format!("channels equalized ({b:?})"));
    let tools = [
        balance,
        plan.shift.then(|| "logits shifted".to_string()),
        plan.rounding.then(|| "weights rounded by output error".to_string()),
        plan.correction.then(|| "biases corrected".to_string()),
        Some("ranges refined".to_string()),
    ];
    tools.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The path of a file as seen from the folder of another.
fn relative(path: &Path, beside: &Path) -> String {
    let folder = |p: &Path| p.parent().unwrap_or(Path::new("")).to_path_buf();
    match folder(path) == folder(beside) {
        true => file_name(path),
        false => {
            std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).to_string_lossy().into_owned()
        }
    }
}

/// Cargo repeats a build when the model changes, not when a file comes into being beside it.
fn notice(model: &Path) {
    if let Ok(file) = std::fs::File::options().append(true).open(model) {
        let _ = file.set_modified(std::time::SystemTime::now());
    }
}

/// Progress of calibration.
pub(super) fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} runs of the model, {elapsed}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// What a command that has no samples says.
pub(super) fn no_data(model: &Path, command: &str) -> String {
    format!(
        "error: `kiln {command}` needs calibration data\n   = help: give inputs like those that the device will see, some dozens \
         to some hundreds:\n           `kiln {command} {} --calibrate DATA`, where DATA is an .npz with an array for each \
         input (samples along\n           the first axis), an .npy, or a folder of .npy, .pb, PNG or JPEG files; labels are not \
         needed",
        model.display()
    )
}
