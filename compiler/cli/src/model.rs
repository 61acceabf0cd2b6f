//! Model files: reading, data beside them, options from flags.

use clap::{Args, ValueEnum};
use kiln_compiler::build::{self, Source, compile_source};
use kiln_compiler::diag::Diagnostics;
use kiln_compiler::driver::{self, Artifact, Budget, Options};
use kiln_compiler::graph::{self, Graph, ImportOptions};
use kiln_compiler::plan::Axis;
use kiln_compiler::program::Port;
use kiln_compiler::{files, lower, onnx};
use kiln_runtime_core::{FAMILY, Family};
use std::path::{Path, PathBuf};

/// The model, and how its dynamic dimensions become fixed.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// The ONNX file.
    pub model: PathBuf,
    /// What a dynamic first dimension becomes.
    #[arg(long, default_value_t = 1)]
    pub batch: usize,
    /// Fixes the shape of an input, for instance `--shape image=1x3x96x96`; may be given for several inputs.
    #[arg(long = "shape", value_name = "NAME=AxBxC", value_parser = parse_shape)]
    pub shapes: Vec<(String, Vec<usize>)>,
    /// Arithmetic; when not given, what the profile `MODEL.kiln.toml` says where there is one.
    #[arg(long, value_enum)]
    pub precision: Option<Precision>,
    /// The input comes row by row (`run_rows`), and never lies in memory as a whole.
    #[arg(long, conflicts_with = "stream")]
    pub stream_input: bool,
    /// Stream over time: the model takes one frame of its window a call (`step`), and computes only what is new. `time`, or the
    /// number of the input's axis that is time
    #[arg(long, value_name = "AXIS")]
    pub stream: Option<Axis>,
    /// What becomes of padding in time, which cannot be streamed
    #[arg(long, value_enum, default_value = "refuse", requires = "stream")]
    pub stream_pad: StreamPad,
}

/// Padding in time of a model that is streamed over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StreamPad {
    /// An error that names the layer.
    Refuse,
    /// It is left out: the window is that of the model without it.
    Drop,
}

/// Arithmetic of the compiled model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// Quantized, as the profile says.
    Int8,
    /// The model as it is, whatever a profile says.
    F32,
}

fn parse_shape(text: &str) -> Result<(String, Vec<usize>), String> {
    let (name, shape) = text.rsplit_once('=').ok_or("expected NAME=AxBxC")?;
    let extents = shape.split('x').map(|d| d.parse::<usize>().ok().filter(|d| *d > 0));
    let shape = extents
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| format!("`{shape}` is not a shape like 1x3x96x96"))?;
    Ok((name.to_string(), shape))
}

impl ModelArgs {
    /// Compiles the model with the kernels that are fast on this machine, to run it here.
    ///
    /// # Errors
    /// The diagnostics, as text.
    pub fn compile_for_here(&self) -> Result<Artifact, String> {
        self.compile_for(None, FAMILY, Budget::default())
    }

    /// Compiles the model for a device with kernels of `family`; `name` is the generated module's, the file's stem where it is
    /// not given.
    ///
    /// # Errors
    /// The diagnostics, as text.
    pub fn compile_for(
        &self,
        name: Option<&str>,
        family: Family,
        budget: Budget,
    ) -> Result<Artifact, String> {
        let options = Options { budget, ..self.options(name, family) };
        compile_source(&self.source()?, &options).map_err(|d| d.to_string())
    }

    /// What is compiled: the model, or the quantized one that its profile names.
    ///
    /// # Errors
    /// The diagnostics, as text.
    pub fn source(&self) -> Result<Source, String> {
        let precision = match self.precision {
            None => build::Precision::Profile,
            Some(Precision::Int8) => build::Precision::Int8,
            Some(Precision::F32) => build::Precision::F32,
        };
        build::source(&self.model, precision).map_err(|d| d.to_string())
    }

    /// Options of the driver.
    pub fn options(&self, name: Option<&str>, family: Family) -> Options {
        let stem = || self.model.file_stem().map(|s| s.to_string_lossy().into_owned());
        Options {
            name: name.map(str::to_string).or_else(stem),
            source: self.model.file_name().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default(),
            batch: self.batch,
            shapes: self.shapes.iter().cloned().collect(),
            family,
            stream_input: self.stream_input,
            stream: self.stream,
            drop_time_padding: self.stream_pad == StreamPad::Drop,
            budget: Budget::default(),
        }
    }

    /// The model file itself, its fused float graph, and the inputs that it takes.
    ///
    /// # Errors
    /// The diagnostics, as text.
    pub fn float_graph(&self) -> Result<(Vec<u8>, Graph, Vec<Port>), String> {
        let bytes = build::read_file(&self.model).map_err(|d| d.to_string())?;
        let folder = self.model.parent().unwrap_or(Path::new("."));
        let options = self.options(None, Family::Plain);
        let graph = driver::calibration_graph(&bytes, &mut files::external(folder), &options, &mut vec![]);
        let graph = graph.map_err(|d| d.to_string())?;
        let ports = lower::lower(&graph).map_err(|d| d.to_string())?.inputs;
        Ok((bytes, graph, ports))
    }
}

impl ModelArgs {
    /// The graph as the file has it, before any rewrite.
    ///
    /// # Errors
    /// The diagnostics, as text.
    pub fn import(&self) -> Result<Graph, String> {
        let fail = |d: Diagnostics| d.to_string();
        let bytes =
            std::fs::read(&self.model).map_err(|e| format!("error: `{}`: {e}", self.model.display()))?;
        let folder = self.model.parent().unwrap_or(Path::new("."));
        let model = onnx::read(&bytes, &mut files::external(folder)).map_err(fail)?;
        let options = ImportOptions { batch: self.batch, shapes: self.shapes.iter().cloned().collect() };
        graph::import(&model, &options, &lower::evaluate).map_err(fail)
    }
}

/// Writes a file unless it holds these bytes already.
///
/// # Errors
/// When the file cannot be written.
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<(), String> {
    files::write_if_changed(path, bytes).map(|_| ()).map_err(|e| format!("error: `{}`: {e}", path.display()))
}
