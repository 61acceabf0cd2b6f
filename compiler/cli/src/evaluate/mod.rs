//! What a compiled model loses against its float model, measured on samples.

mod layers;
mod metrics;
mod report;
mod tally;
mod task;

pub use layers::LayerSnr;
pub use metrics::{argmax, auc, snr_db};
pub use report::{Evaluation, Score};
pub use task::Task;

use crate::data::{Dataset, convert};
use kiln_compiler::diag::Diagnostic;
use kiln_compiler::driver::Artifact;
use kiln_compiler::graph::Graph;
use kiln_compiler::program::{Executor, Port, Program};
use kiln_compiler::quant::Samples;
use kiln_compiler::tensor::{ElemType, QParams, Tensor};
use layers::Layers;
use tally::Tally;
use task::{Labels, Seen};

/// What is compared, on which samples, and how.
pub struct Comparison<'a> {
    /// The model that is judged.
    pub compiled: &'a Artifact,
    /// The float model that it was made from.
    pub float: Option<&'a Artifact>,
    /// The float model as calibration sees it, and as its file has it, for the table of layers.
    pub layers: Option<[&'a Graph; 2]>,
    /// Opened for the inputs of `compiled`.
    pub data: &'a Dataset,
    /// What the model does; `None` decides from its shapes and the labels.
    pub task: Option<Task>,
    /// Index of the output that the labels are about.
    pub output: usize,
    /// Threads, at least 1. Results are the same for every number.
    pub threads: usize,
    /// Called after each sample.
    pub progress: &'a (dyn Fn() + Sync),
}

/// What one sample says.
struct Record {
    compiled: Seen,
    float: Option<Seen>,
    /// Squares of all outputs of the float model, and of the differences from them.
    power: (f64, f64),
    /// The same for each watched value.
    layers: Vec<(f64, f64)>,
}

impl Comparison<'_> {
    /// Runs both models on every sample.
    ///
    /// # Errors
    /// `E0606` when labels or the two models do not go together, what [`Dataset::sample`] says, and what lowering says.
    pub fn run(&self) -> Result<Evaluation, Diagnostic> {
        let labels = Labels::new(self.data, &self.compiled.program, self.output, self.task)?;
        if let Some(float) = self.float {
            same_signature(&self.compiled.program, &float.program)?;
        }
        let layers = self.layers.filter(|_| self.float.is_some());
        let layers = layers.map(|graphs| Layers::new(&self.compiled.graph, graphs)).transpose()?;
        let mut tallies = (Tally::default(), self.float.map(|_| Tally::default()));
        let (mut power, mut agree) = ((0.0, 0.0), 0usize);
        let mut watched = vec![(0.0, 0.0); layers.as_ref().map_or(0, Layers::len)];
        let worker = || Worker {
            compiled: placed(self.compiled),
            float: self.float.filter(|f| !std::ptr::eq(*f, self.compiled)).map(placed),
        };
        let samples = Samples {
            count: self.data.len(),
            load: &|i| self.data.stored(i),
            threads: self.threads,
            progress: self.progress,
        };
        let all: Vec<usize> = (0..samples.count).collect();
        let mut next = all.iter();
        let step = |w: &mut Worker, stored: Vec<Tensor>| self.sample(w, layers.as_ref(), &labels, &stored);
        samples.fold(&all, worker, step, |record| {
            let Some(&i) = next.next() else { return };
            let ours = labels.judge(i, &record.compiled);
            tallies.0.add(&labels, i, &ours);
            if let (Some(tally), Some(seen)) = (&mut tallies.1, &record.float) {
                let theirs = labels.judge(i, seen);
                tally.add(&labels, i, &theirs);
                agree += (ours.answer == theirs.answer) as usize;
            }
            let sums = std::iter::once(&mut power).chain(&mut watched);
            for (sum, (signal, noise)) in sums.zip(std::iter::once(&record.power).chain(&record.layers)) {
                sum.0 += signal;
                sum.1 += noise;
            }
        })?;
        let layers = layers.map_or(vec![], |l| l.finish(&watched));
        Ok(Evaluation::new(&labels, tallies, samples.count, agree, power, layers))
    }

    fn sample(
        &self,
        worker: &mut Worker,
        layers: Option<&Layers>,
        labels: &Labels,
        stored: &[Tensor],
    ) -> Result<Record, Diagnostic> {
        let program = &self.compiled.program;
        let inputs = stored.iter().zip(&program.inputs).map(|(t, p)| convert(t, p));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let seen = |outputs: &[Vec<f64>], inputs: &[Tensor], ports: &[Port]| Seen {
            output: outputs[self.output].clone(),
            input: if labels.repeats() { reals(&inputs[0], ports[0].qparams.as_ref()) } else { vec![] },
        };
        let ours = real(worker.compiled.run(&inputs, &mut |_, _| {})?, &program.outputs);
        let compiled = seen(&ours, &inputs, &program.inputs);
        let Some(float) = self.float else {
            return Ok(Record { compiled, float: None, power: (0.0, 0.0), layers: vec![] });
        };
        let float_inputs = real_inputs(stored, &program.inputs, &float.program.inputs)?;
        // A float model that is compiled as it is computes the same twice.
        let theirs = match &mut worker.float {
            Some(executor) => real(executor.run(&float_inputs, &mut |_, _| {})?, &float.program.outputs),
            None => ours.clone(),
        };
        let mut power = (0.0, 0.0);
        for (a, b) in theirs.iter().flatten().zip(ours.iter().flatten()) {
            power.0 += a * a;
            power.1 += (a - b) * (a - b);
        }
        let layers = layers.map_or(Ok(vec![]), |l| l.measure(&inputs, &float_inputs))?;
        let float = Some(seen(&theirs, &float_inputs, &float.program.inputs));
        Ok(Record { compiled, float, power, layers })
    }
}

/// What a thread owns.
struct Worker<'a> {
    compiled: Executor<'a>,
    /// `None` when it is the compiled one.
    float: Option<Executor<'a>>,
}

fn placed(artifact: &Artifact) -> Executor<'_> {
    Executor::new(&artifact.program, &artifact.plan.placement)
}

/// The float model must have the same inputs and outputs, in other element types perhaps, or with other axes of extent 1.
fn same_signature(compiled: &Program, float: &Program) -> Result<(), Diagnostic> {
    let long = |p: &Port| p.ty.shape.iter().copied().filter(|d| *d != 1).collect::<Vec<_>>();
    let shapes = |ports: &[Port]| ports.iter().map(long).collect::<Vec<_>>();
    let text = |p: &Program| {
        let list = |ports: &[Port]| ports.iter().map(|p| p.ty.to_string()).collect::<Vec<_>>().join(", ");
        format!("{} -> {}", list(&p.inputs), list(&p.outputs))
    };
    let elements = |ports: &[Port]| ports.iter().map(|p| p.ty.elements()).collect::<Vec<_>>();
    if shapes(&compiled.inputs) == shapes(&float.inputs)
        && elements(&compiled.outputs) == elements(&float.outputs)
    {
        return Ok(());
    }
    Err(Diagnostic::new("E0606", "the two models take or give other shapes")
        .fact("compiled", text(compiled))
        .fact("float", text(float))
        .help("give the float model that the other one was made from"))
}

/// Stored values for the float model: integers that were stored for quantized inputs mean `scale * (q - zero_point)`.
fn real_inputs(stored: &[Tensor], ours: &[Port], theirs: &[Port]) -> Result<Vec<Tensor>, Diagnostic> {
    let one = |((tensor, ours), theirs): ((&Tensor, &Port), &Port)| {
        let tensor = tensor.reshape(&theirs.ty.shape)?;
        match &ours.qparams {
            Some(q) if tensor.elem() == ours.ty.elem && theirs.ty.elem == ElemType::F32 => {
                let values: Vec<f32> = reals(&tensor, Some(q)).iter().map(|v| *v as f32).collect();
                Ok(Tensor::from_f32(tensor.shape(), &values))
            }
            _ => convert(&tensor, theirs),
        }
    };
    stored.iter().zip(ours).zip(theirs).map(one).collect()
}

/// Outputs as real numbers.
fn real(outputs: Vec<Tensor>, ports: &[Port]) -> Vec<Vec<f64>> {
    outputs.iter().zip(ports).map(|(t, p)| reals(t, p.qparams.as_ref())).collect()
}

/// What a tensor's values mean.
fn reals(tensor: &Tensor, params: Option<&QParams>) -> Vec<f64> {
    let values = tensor.to_f64s();
    match params {
        Some(q) if q.is_per_tensor() && tensor.elem().is_integer() => {
            let (scale, zero) = (q.scale[0] as f64, q.zero_point[0] as f64);
            values.iter().map(|v| (v - zero) * scale).collect()
        }
        _ => values,
    }
}
