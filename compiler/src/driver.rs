//! The pipeline as one pure function: bytes and options in, text, tables and report out. No I/O: the faces do that.

mod budget;
mod prune;
mod quantize;
mod remedy;
mod report;

pub use budget::{Budget, EXCEEDED};
pub use prune::{PrunedModel, prune};
pub use quantize::{QuantizeOptions, Quantized, quantize};
pub use report::{LayerReport, Report};

use crate::codegen::{self, Code};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{self, Graph, ImportOptions};
use crate::onnx::{self, External};
use crate::plan::{self, Axis, Plan};
use crate::program::{self, Program};
use crate::quant::Removed;
use crate::{lower, ops, passes, quant, select};
use kiln_runtime_core::Family;
use std::collections::BTreeMap;

/// What a user may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Name of the generated module; `None` takes the graph's.
    pub name: Option<String>,
    /// File name of the model, as generated text and reports show it.
    pub source: String,
    /// What a dynamic first dimension becomes.
    pub batch: usize,
    /// Shapes of inputs with other dynamic dimensions, by name.
    pub shapes: BTreeMap<String, Vec<usize>>,
    /// The kernels that the target has.
    pub family: Family,
    /// Whether the input comes row by row, and never lies in memory as a whole.
    pub stream_input: bool,
    /// The axis of the input that is time, of which one frame comes a call.
    pub stream: Option<Axis>,
    /// Whether padding in time (of rows, in front of and behind them) is left out of convolutions and pooling.
    pub drop_time_padding: bool,
    /// What the device has room for.
    pub budget: Budget,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            name: None,
            source: String::new(),
            batch: 1,
            shapes: BTreeMap::new(),
            family: Family::default(),
            stream_input: false,
            stream: None,
            drop_time_padding: false,
            budget: Budget::default(),
        }
    }
}

impl Options {
    /// The kernels that are taken: those with vectors of a host compute whole layers, so that what comes by rows takes the plain ones.
    fn kernels(&self) -> Family {
        match self.family {
            Family::Simd if self.stream_input || self.stream.is_some() => Family::Plain,
            family => family,
        }
    }
}

/// A compiled model with everything that it came from.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Name of the generated module.
    pub module: String,
    /// Rust text.
    pub text: String,
    /// Name of the file of tables that the text includes, if it does.
    pub weights_file: String,
    /// Contents of that file.
    pub weights: Option<Vec<u8>>,
    /// What the model costs.
    pub report: Report,
    /// The graph after all passes.
    pub graph: Graph,
    /// The program.
    pub program: Program,
    /// Where it lies in memory.
    pub plan: Plan,
    /// The graph's text after `import`, after each pass, and after `quant`.
    pub stages: Vec<(String, String)>,
}

/// Compiles a model. `external` reads tensors that are stored beside the model file.
///
/// # Errors
/// What is wrong with the model, all that can be known at once; `E0721` when it exceeds its budget, with what would help.
pub fn compile(bytes: &[u8], external: External, options: &Options) -> Result<Artifact, Diagnostics> {
    let model = unlimited(bytes, external, options)?;
    let Some(mut error) = options.budget.exceeded(&model.report) else { return Ok(model) };
    error.help = remedy::remedies(bytes, external, options, &model);
    Err(error.into())
}

/// Compiles a model whatever it needs.
fn unlimited(bytes: &[u8], external: External, options: &Options) -> Result<Artifact, Diagnostics> {
    let mut stages = vec![];
    let (graph, removed) = graph(bytes, external, options, &mut stages)?;
    let lowered = lower::lower(&graph)?;
    let mut program = match options.stream {
        Some(_) => select::select_over_time(lowered, options.kernels()),
        None => select::select(lowered, options.kernels()),
    };
    program::share_shapes(&mut program);
    program::verify(&program)
        .map_err(|e| Diagnostic::new("E0903", format!("internal error after `select`: {e}")))?;
    let order = plan::order(&program);
    let program = plan::reordered(program, &order);
    let planned = match options.stream {
        Some(axis) => plan::plan_over_time(&program, axis)?,
        None if options.stream_input => plan::plan_by_rows(&program)?,
        None => plan::plan(&program),
    };
    let plan = Plan { order_exact: order.exact, ..planned };
    plan::verify(&program, &plan)
        .map_err(|e| Diagnostic::new("E0904", format!("internal error after planning: {e}")))?;
    let name = options.name.clone().unwrap_or_else(|| graph.name.clone());
    let code_options = codegen::Options { name, source: options.source.clone(), after_step: None };
    let code = codegen::generate(&program, &plan, &code_options);
    let report = Report { removed, ..Report::new(&program, &plan, &code) };
    let Code { module, text, weights_file, weights } = code;
    Ok(Artifact { module, text, weights_file, weights, report, graph, program, plan, stages })
}

/// The first half: reads, imports and rewrites a model. `stages` receives the text after each step, also of those before an
/// error. Also says which channels were removed.
///
/// # Errors
/// As [`compile`].
pub fn graph(
    bytes: &[u8],
    external: External,
    options: &Options,
    stages: &mut Vec<(String, String)>,
) -> Result<(Graph, Vec<Removed>), Diagnostics> {
    let mut graph = float_graph(bytes, external, options, stages)?;
    quant::integers(&mut graph)?;
    graph::verify(&graph)
        .map_err(|e| Diagnostic::new("E0902", format!("internal error after `quant`: {e}")))?;
    stages.push(("quant".to_owned(), graph.to_string()));
    passes::run(&mut graph, &passes::cleanup_passes(), stages)?;
    let removed = quant::remove_constant_channels(&mut graph)?;
    graph::verify(&graph)
        .map_err(|e| Diagnostic::new("E0902", format!("internal error after `constant_channels`: {e}")))?;
    stages.push(("constant_channels".to_owned(), graph.to_string()));
    Ok((graph, removed))
}

/// [`graph()`] before `quant`: fused, in floats, or with the quantization nodes of the file. What is pruned and exported.
///
/// # Errors
/// As [`compile`].
pub fn float_graph(
    bytes: &[u8],
    external: External,
    options: &Options,
    stages: &mut Vec<(String, String)>,
) -> Result<Graph, Diagnostics> {
    fused(bytes, external, options, &[], stages)
}

/// [`float_graph`] in which layers that quantize their input at run time are floats: what is calibrated.
///
/// # Errors
/// As [`compile`].
pub fn calibration_graph(
    bytes: &[u8],
    external: External,
    options: &Options,
    stages: &mut Vec<(String, String)>,
) -> Result<Graph, Diagnostics> {
    fused(bytes, external, options, &passes::calibration_passes(), stages)
}

fn fused(
    bytes: &[u8],
    external: External,
    options: &Options,
    first: &[&dyn passes::Pass],
    stages: &mut Vec<(String, String)>,
) -> Result<Graph, Diagnostics> {
    let mut model = onnx::read(bytes, external)?;
    if options.drop_time_padding {
        ops::shared::drop_row_padding(&mut model);
    }
    let import = ImportOptions { batch: options.batch, shapes: options.shapes.clone() };
    let mut graph = graph::import(&model, &import, &lower::evaluate)?;
    stages.push(("import".to_owned(), graph.to_string()));
    passes::run(&mut graph, first, stages)?;
    passes::run(&mut graph, &passes::float_passes(), stages)?;
    Ok(graph)
}
