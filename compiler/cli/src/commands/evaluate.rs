//! `kiln evaluate`.

use crate::data::{DataArgs, Dataset};
use crate::evaluate::{Comparison, Task};
use crate::model::{ModelArgs, Precision};
use clap::Args;
use indicatif::ProgressBar;
use kiln_compiler::driver::Artifact;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Evaluate {
    #[command(flatten)]
    model: ModelArgs,
    /// Samples, and labels if there are some: .npz, .npy, a folder of .npy or .pb, a folder of images
    #[arg(long, value_name = "TEST")]
    data: PathBuf,
    #[command(flatten)]
    samples: DataArgs,
    /// The float model that this one was made from
    #[arg(long, value_name = "FLOAT.onnx")]
    reference: Option<PathBuf>,
    /// What the model does; decided from its shapes and the labels unless given
    #[arg(long, value_enum)]
    task: Option<Task>,
    /// The output that the labels are about; the first unless given
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// Also the signal-to-noise ratio of every layer
    #[arg(long)]
    layers: bool,
    /// Threads; as many as the machine has unless given. The figures do not depend on it
    #[arg(long)]
    threads: Option<NonZero<usize>>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    /// The float model: the one that is named, or the model itself where its profile led to another file.
    fn float_model(&self) -> Result<Option<ModelArgs>, String> {
        let own = || self.model.model.clone();
        let path = match &self.reference {
            Some(path) => Some(path.clone()),
            None => self.model.source()?.profile.map(|_| own()),
        };
        let precision = Some(Precision::F32);
        Ok(path.map(|model| ModelArgs { model, precision, ..self.model.clone() }))
    }

    pub(super) fn run(self) -> Result<ExitCode, String> {
        let compiled = self.model.compile_for_here()?;
        let reference = self.float_model()?;
        let float = reference.as_ref().map(|r| r.compile_for_here()).transpose()?;
        // A float model that nothing has quantized is compiled as it is.
        let same = float.is_none() && compiled.report.is_float();
        let float_model = if same { Some(&compiled) } else { float.as_ref() };
        let layers = match (self.layers, &reference) {
            (false, _) => None,
            (true, Some(args)) => Some((args.float_graph()?.1, args.import()?)),
            (true, None) if same => Some((self.model.float_graph()?.1, self.model.import()?)),
            (true, None) => {
                return Err("error: `--layers` compares with the float model\n   = help: name it, `--reference FLOAT.onnx`".into());
            }
        };
        let data =
            Dataset::open(&self.data, &compiled.program.inputs, &self.samples).map_err(|d| d.to_string())?;
        let progress = ProgressBar::new(data.len() as u64);
        let threads =
            self.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZero::get);
        let comparison = Comparison {
            compiled: &compiled,
            float: float_model,
            layers: layers.as_ref().map(|(fused, imported)| [fused, imported]),
            data: &data,
            task: self.task,
            output: self.output_index(&compiled)?,
            threads,
            progress: &|| progress.inc(1),
        };
        let result = comparison.run();
        progress.finish_and_clear();
        let evaluation = result.map_err(|d| d.to_string())?;
        if self.json {
            println!("{}", evaluation.to_json());
            return Ok(ExitCode::SUCCESS);
        }
        print!("{evaluation}");
        if same {
            println!(
                "note: the model computes in f32, so both are the same; `--reference` names the float model of a quantized one"
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    fn output_index(&self, compiled: &Artifact) -> Result<usize, String> {
        let outputs = &compiled.program.outputs;
        let Some(name) = &self.output else { return Ok(0) };
        outputs.iter().position(|p| p.name == *name).ok_or_else(|| {
            let names = outputs.iter().map(|p| format!("`{}`", p.name)).collect::<Vec<_>>().join(", ");
            format!("error: there is no output `{name}`\n   = help: the outputs are {names}")
        })
    }
}
