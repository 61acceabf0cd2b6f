//! `kiln evaluate`.

use super::run::{execute, fit};
use crate::model::ModelArgs;
use crate::npy;
use clap::Args;
use indicatif::ProgressBar;
use kiln_compiler::driver::Artifact;
use kiln_compiler::tensor::Tensor;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Evaluate {
    #[command(flatten)]
    model: ModelArgs,
    /// Arrays `x` (samples) and `y` (class of each sample)
    #[arg(long, value_name = "TEST.npz")]
    data: PathBuf,
    /// The float model that this one was made from: its accuracy, and how often both agree, are printed too
    #[arg(long, value_name = "FLOAT.onnx")]
    reference: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    pub(super) fn run(self) -> Result<ExitCode, String> {
        let compiled = self.model.compile(None)?;
        let reference = match &self.reference {
            Some(path) => Some(ModelArgs { model: path.clone(), ..self.model.clone() }.compile(None)?),
            None => None,
        };
        let (x, y) = (npy::read_npz(&self.data, "x")?, npy::read_npz(&self.data, "y")?.to_i64s());
        let ours = answers(&compiled, &x, y.len())?;
        let theirs = reference.as_ref().map(|r| answers(r, &x, y.len())).transpose()?;
        let accuracy = |answers: &[Vec<f64>]| {
            let hits = answers.iter().zip(&y).filter(|(a, y)| argmax(a) as i64 == **y).count();
            hits as f64 / y.len().max(1) as f64
        };
        let agreement = theirs.as_ref().map(|t| {
            let same = ours.iter().zip(t).filter(|(a, b)| argmax(a) == argmax(b)).count();
            same as f64 / y.len().max(1) as f64
        });
        if self.json {
            println!(
                "{}",
                serde_json::json!({
                    "n": y.len(),
                    "metric": "accuracy",
                    "compiled": accuracy(&ours),
                    "float": theirs.as_deref().map(accuracy),
                    "argmax_agreement": agreement,
                    "snr_db": theirs.as_ref().map(|t| snr(t, &ours)),
                })
            );
            return Ok(ExitCode::SUCCESS);
        }
        println!("samples   {}", y.len());
        println!("compiled  {:.2} % correct", 100.0 * accuracy(&ours));
        if let (Some(theirs), Some(agreement)) = (&theirs, agreement) {
            println!("float     {:.2} % correct", 100.0 * accuracy(theirs));
            println!("agreement {:.2} % same answer, {:.1} dB", 100.0 * agreement, snr(theirs, &ours));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The first output for each sample, as real values.
fn answers(artifact: &Artifact, x: &Tensor, count: usize) -> Result<Vec<Vec<f64>>, String> {
    let [input] = &artifact.program.inputs[..] else {
        return Err(format!(
            "error: the model has {} inputs; evaluation needs one",
            artifact.program.inputs.len()
        ));
    };
    if x.shape().first() != Some(&count) {
        return Err(format!("error: `x` has {:?} samples, `y` has {count} labels", x.shape().first()));
    }
    let (size, sample_shape) = (x.bytes().len() / count.max(1), &x.shape()[1..]);
    let output = &artifact.program.outputs[0];
    let (scale, zero) =
        output.qparams.as_ref().map_or((1.0, 0.0), |q| (q.scale[0] as f64, q.zero_point[0] as f64));
    let progress = ProgressBar::new(count as u64);
    let mut answers = Vec::with_capacity(count);
    for i in 0..count {
        let ty = kiln_compiler::tensor::TensorType::new(x.elem(), sample_shape);
        let sample =
            Tensor::new(ty, x.bytes()[i * size..(i + 1) * size].to_vec()).map_err(|d| d.to_string())?;
        let outputs = execute(artifact, &[fit(quantized(sample, input), &input.ty)])?;
        answers.push(outputs[0].to_f64s().iter().map(|v| (v - zero) * scale).collect());
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(answers)
}

/// Float samples for an integer input are quantized as its parameters say.
fn quantized(sample: Tensor, input: &kiln_compiler::program::Port) -> Tensor {
    use kiln_compiler::tensor::ElemType;
    match (&input.qparams, input.ty.elem, sample.elem()) {
        (Some(q), ElemType::I8, ElemType::F32) => {
            let values: Vec<i8> = sample.to_f32s().iter().map(|v| q.quantize(*v)).collect();
            Tensor::from_i8(sample.shape(), &values)
        }
        (Some(q), ElemType::U8, ElemType::F32) => {
            let signed = kiln_compiler::tensor::QParams::per_tensor(q.scale[0], q.zero_point[0] - 128);
            let values: Vec<u8> = sample.to_f32s().iter().map(|v| signed.quantize(*v) as u8 ^ 0x80).collect();
            Tensor::from_u8(sample.shape(), &values)
        }
        _ => sample,
    }
}

/// The first of the largest values.
fn argmax(values: &[f64]) -> usize {
    (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}

/// Signal-to-noise ratio of all outputs, in dB.
fn snr(reference: &[Vec<f64>], ours: &[Vec<f64>]) -> f64 {
    let pairs = || reference.iter().flatten().zip(ours.iter().flatten());
    let signal: f64 = pairs().map(|(a, _)| a * a).sum();
    let noise: f64 = pairs().map(|(a, b)| (a - b).powi(2)).sum();
    if noise == 0.0 { f64::INFINITY } else { 10.0 * (signal / noise).log10() }
}
