//! `kiln run`.

use crate::model::ModelArgs;
use crate::npy;
use clap::Args;
use kiln_compiler::driver::Artifact;
use kiln_compiler::program::{self, Program};
use kiln_compiler::tensor::{ElemType, Tensor, TensorType};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    model: ModelArgs,
    /// An input; the name may be left out when the model has one. Without inputs, seeded random ones are used
    #[arg(long = "input", value_name = "[NAME=]FILE.npy")]
    inputs: Vec<String>,
    /// Write the outputs, by name
    #[arg(short, long, value_name = "OUT.npz")]
    output: Option<PathBuf>,
    /// Seed of random inputs
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Run {
    pub(super) fn run(self) -> Result<ExitCode, String> {
        let artifact = self.model.compile_for_here()?;
        let inputs = inputs(&artifact.program, &self.inputs, Some(self.seed))?;
        let outputs = execute(&artifact, &inputs)?;
        match &self.output {
            Some(path) => {
                let names = artifact.program.outputs.iter().map(|p| p.name.as_str());
                npy::write_npz(path, names.zip(&outputs))?;
                println!("wrote {}", path.display());
            }
            None => print(&artifact.program, &outputs),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs the planned program.
pub(super) fn execute(artifact: &Artifact, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
    program::run_placed(&artifact.program, &artifact.plan.placement, inputs, &mut |_, _| {})
        .map_err(|d| d.to_string())
}

/// The model's inputs from `[NAME=]FILE.npy`, or random ones where none is given and `seed` is.
pub(super) fn inputs(program: &Program, given: &[String], seed: Option<u64>) -> Result<Vec<Tensor>, String> {
    if let (true, Some(seed)) = (given.is_empty(), seed) {
        return Ok(program.inputs.iter().enumerate().map(|(i, p)| random(&p.ty, seed + i as u64)).collect());
    }
    let names = || program.inputs.iter().map(|p| format!("`{}`", p.name)).collect::<Vec<_>>().join(", ");
    let mut tensors: Vec<Option<Tensor>> = vec![None; program.inputs.len()];
    for argument in given {
        let named = program.inputs.iter().position(|p| argument.starts_with(&format!("{}=", p.name)));
        let (index, path) = match named {
            Some(i) => (i, &argument[program.inputs[i].name.len() + 1..]),
            // A path may hold `=`, but one that is not there is more likely a wrong name.
            None if tensors.len() == 1 && (!argument.contains('=') || Path::new(argument).exists()) => {
                (0, argument.as_str())
            }
            None => {
                let name = argument.split('=').next().unwrap_or_default();
                return Err(format!(
                    "error: there is no input `{name}`\n   = help: the inputs are {}",
                    names()
                ));
            }
        };
        tensors[index] = Some(fit(npy::read(Path::new(path))?, &program.inputs[index].ty));
    }
    let missing = || format!("error: an input is missing\n   = help: give all of {}", names());
    tensors.into_iter().collect::<Option<Vec<_>>>().ok_or_else(missing)
}

/// A file that lacks the batch dimension of 1, or has one too many, means the same values.
pub(super) fn fit(tensor: Tensor, ty: &TensorType) -> Tensor {
    let without_ones = |s: &[usize]| s.iter().copied().filter(|d| *d != 1).collect::<Vec<_>>();
    if tensor.shape() != ty.shape && without_ones(tensor.shape()) == without_ones(&ty.shape) {
        return tensor.reshape(&ty.shape).unwrap_or(tensor);
    }
    tensor
}

/// Seeded values: integers of the whole range, floats from -1 to 1.
pub(super) fn random(ty: &TensorType, seed: u64) -> Tensor {
    let mut state = seed;
    let mut next = || {
        // SplitMix64 (Steele, Lea, Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let n = ty.elements();
    match ty.elem {
        ElemType::F32 => {
            let values: Vec<f32> = (0..n).map(|_| (next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect();
            Tensor::from_f32(&ty.shape, &values)
        }
        elem => {
            let bytes: Vec<u8> = (0..n * elem.size()).map(|_| next() as u8).collect();
            // As many bytes as the type needs: this cannot fail.
            Tensor::new(ty.clone(), bytes).unwrap_or_else(|_| Tensor::from_u8(&[0], &[]))
        }
    }
}

/// Prints outputs; of large ones the largest values, which are what a classifier says.
pub(super) fn print(program: &Program, outputs: &[Tensor]) {
    for (port, output) in program.outputs.iter().zip(outputs) {
        let values = output.to_f64s();
        println!("{}: {}", port.name, output.ty());
        let mut order: Vec<usize> = (0..values.len()).collect();
        if values.len() > 16 {
            order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
            order.truncate(5);
        }
        for i in order {
            println!("  [{i}] {}", values[i] as f32);
        }
    }
}
