//! How much of the float model's output a quantized one keeps, as one number in dB, without labels.
//!
//! The measure is the signal-to-noise ratio of the outputs, `10 log10(sum y^2 / sum (y - q)^2)`. Behind a Softmax it is a poor
//! guide: on samples of which the model is sure, the outputs are 0 and 1 whatever the noise, so a handful of samples decide,
//! and which ones is chance. There, it is the ratio for `softmax(z / T)` of the logits `z` that the Softmax reads, with
//! `T` = `TEMPERATURE`: more samples count, while what lies far below the largest logit still may saturate, and a number
//! added to all logits still does not matter.

use super::calibrate::integer_graph;
use super::samples::Samples;
use super::scheme::Scheme;
use super::trace::Trace;
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, ValueId};
use crate::ops::Op;
use crate::tensor::{QParams, Tensor};

/// Divides logits. At 1, the outputs themselves are compared.
const TEMPERATURE: f64 = 2.0;

/// Multiply-accumulates that the ratio of a report may cost.
const REPORT: u64 = 1_000_000_000;

/// Energies of signal and noise, summed over samples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Energy {
    /// Of the float model.
    pub signal: f64,
    /// Of the difference.
    pub noise: f64,
}

impl Energy {
    /// The ratio in dB; infinite without noise, and minus infinity for noise that is not a number.
    pub fn db(self) -> f64 {
        if self.noise.is_nan() {
            return f64::NEG_INFINITY;
        }
        10.0 * (self.signal / self.noise).log10()
    }

    /// Adds another sample's.
    pub fn add(&mut self, other: Energy) {
        self.signal += other.signal;
        self.noise += other.noise;
    }
}

/// A graph whose outputs are looked at: for an output that a Softmax makes, what that reads.
#[derive(Debug)]
pub struct Observed {
    trace: Trace,
    /// For each output, whether it is logits, and what undoes its integers.
    outputs: Vec<(bool, Option<QParams>)>,
}

impl Observed {
    /// Prepares a graph: a float one, or one after [`super::integers`].
    ///
    /// # Errors
    /// As [`Trace::new`].
    pub fn new(graph: &Graph) -> Result<Observed, Diagnostics> {
        let found: Vec<(bool, ValueId)> = graph
            .outputs
            .iter()
            .map(|o| softmax_input(graph, *o).map_or((false, *o), |z| (true, z)))
            .collect();
        let wanted: Vec<ValueId> = found.iter().map(|(_, v)| *v).collect();
        let outputs = found.iter().map(|(logits, v)| (*logits, graph.value(*v).qparams.clone())).collect();
        Ok(Observed { trace: Trace::new(graph, &wanted)?, outputs })
    }

    /// The outputs for one sample, as real numbers.
    ///
    /// # Errors
    /// As [`Trace::run`].
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Vec<f32>>, Diagnostic> {
        let mut seen = vec![];
        self.trace.run(inputs, &mut |i, tensor| {
            let values = tensor.to_f32s();
            seen.push(match &self.outputs[i].1 {
                Some(q) => values.iter().map(|v| (v - q.zero_point[0] as f32) * q.scale[0]).collect(),
                None => values,
            });
        })?;
        Ok(seen)
    }

    /// Energies of one sample: `float` is what this graph, the float one, gave for it, `quantized` the other's.
    pub fn compare(&self, float: &[Vec<f32>], quantized: &[Vec<f32>]) -> Energy {
        let mut total = Energy::default();
        for (((logits, _), y), q) in self.outputs.iter().zip(float).zip(quantized) {
            total.add(if *logits { decision(y, q) } else { plain(y, q) });
        }
        total
    }
}

/// What the Softmax behind an output reads, moves between them aside.
pub fn softmax_input(graph: &Graph, output: ValueId) -> Option<ValueId> {
    let mut value = output;
    loop {
        let (id, _) = graph.producer(value)?;
        let input = graph.node(id).inputs.first().copied().flatten()?;
        match graph.node(id).op {
            // One vector: along several, the weights would mix.
            Op::Softmax(_) if is_vector(graph, input) => return Some(input),
            Op::Reshape(_)
            | Op::Flatten(_)
            | Op::Squeeze(_)
            | Op::Unsqueeze(_)
            | Op::Identity(_)
            | Op::DequantizeLinear(_)
            | Op::QuantizeLinear(_) => value = input,
            _ => return None,
        }
    }
}

fn is_vector(graph: &Graph, value: ValueId) -> bool {
    let shape = &graph.value(value).ty.shape;
    shape.iter().filter(|d| **d > 1).count() == 1
}

/// `y` against `q`, element by element.
pub fn plain(y: &[f32], q: &[f32]) -> Energy {
    let pairs = y.iter().zip(q).map(|(y, q)| (*y as f64, *q as f64));
    pairs.fold(Energy::default(), |e, (y, q)| Energy {
        signal: e.signal + y * y,
        noise: e.noise + (y - q) * (y - q),
    })
}

/// Logits against logits, as the module says.
pub fn decision(z: &[f32], q: &[f32]) -> Energy {
    let (p, q) = (softened(z), softened(q));
    plain(&p, &q)
}

fn softened(z: &[f32]) -> Vec<f32> {
    let largest = z.iter().copied().fold(f32::NEG_INFINITY, f32::max) as f64;
    let terms: Vec<f64> = z.iter().map(|z| ((*z as f64 - largest) / TEMPERATURE).exp()).collect();
    let sum: f64 = terms.iter().sum();
    terms.into_iter().map(|e| (e / sum) as f32).collect()
}

/// The float model's answers to some samples, against which schemes are judged.
#[derive(Debug)]
pub struct Judge<'a> {
    samples: Samples<'a>,
    which: Vec<usize>,
    observed: Observed,
    answers: Vec<Vec<Vec<f32>>>,
}

impl<'a> Judge<'a> {
    /// Runs the float graph on the samples `which`.
    ///
    /// # Errors
    /// Those of lowering and of loading samples.
    pub fn new(graph: &Graph, samples: &Samples<'a>, which: &[usize]) -> Result<Judge<'a>, Diagnostics> {
        let observed = Observed::new(graph)?;
        let mut answers = vec![];
        samples.fold(which, || (), |(), x| observed.run(&x), |y| answers.push(y))?;
        Ok(Judge { samples: *samples, which: which.to_vec(), observed, answers })
    }

    /// How near a scheme for a graph of the same function comes; see the module.
    ///
    /// # Errors
    /// Those of lowering and of loading samples.
    pub fn score(&self, graph: &Graph, scheme: &Scheme) -> Result<Score, Diagnostics> {
        let quantized = Observed::new(&integer_graph(graph, scheme)?)?;
        let mut answers = self.answers.iter();
        let mut energies = vec![];
        let step = |(): &mut (), x: Vec<Tensor>| quantized.run(&x);
        // Results come in the order of the samples.
        let add = |q: Vec<Vec<f32>>| {
            if let Some(y) = answers.next() {
                energies.push(self.observed.compare(y, &q));
            }
        };
        self.samples.fold(&self.which, || (), step, add)?;
        Ok(Score { energies })
    }
}

impl Judge<'_> {
    /// What a user notices, in percent: of outputs behind a Softmax the share of samples with another most probable class,
    /// of others the noise as a share of the signal; the largest of all outputs.
    ///
    /// # Errors
    /// As [`Judge::score`].
    pub fn loss(&self, graph: &Graph, scheme: &Scheme) -> Result<f64, Diagnostics> {
        let quantized = Observed::new(&integer_graph(graph, scheme)?)?;
        let mut answers = self.answers.iter();
        let mut totals = vec![Energy::default(); self.observed.outputs.len()];
        let step = |(): &mut (), x: Vec<Tensor>| quantized.run(&x);
        let add = |q: Vec<Vec<f32>>| {
            let Some(answer) = answers.next() else { return };
            let outputs = self.observed.outputs.iter().zip(answer).zip(&q);
            for (total, (((logits, _), y), q)) in totals.iter_mut().zip(outputs) {
                let wrong = (largest(y) != largest(q)) as usize as f64;
                total.add(if *logits { Energy { signal: 1.0, noise: wrong } } else { plain(y, q) });
            }
        };
        self.samples.fold(&self.which, || (), step, add)?;
        Ok(totals.iter().map(|e| 100.0 * e.noise / e.signal.max(f64::MIN_POSITIVE)).fold(0.0, f64::max))
    }
}

/// The signal-to-noise ratio in dB of the outputs themselves, over samples spread over all of them: what a comparison of the
/// two models shows.
///
/// # Errors
/// As [`Judge::score`].
pub fn output_db(graph: &Graph, scheme: &Scheme, samples: &Samples) -> Result<f64, Diagnostics> {
    between_db(graph, &integer_graph(graph, scheme)?, samples)
}

/// As [`output_db`], of a graph in place of another with the same inputs and outputs.
///
/// # Errors
/// As [`Judge::score`].
pub fn between_db(graph: &Graph, other: &Graph, samples: &Samples) -> Result<f64, Diagnostics> {
    let (float, quantized) = (Trace::new(graph, &[])?, Trace::new(other, &[])?);
    let count = (REPORT / float.macs().max(1)).clamp(4, 256) as usize;
    let step = |(): &mut (), x: Vec<Tensor>| -> Result<Energy, Diagnostic> {
        let (y, q) = (float.run(&x, &mut |_, _| {})?, quantized.run(&x, &mut |_, _| {})?);
        let mut energy = Energy::default();
        y.iter().zip(&q).for_each(|(y, q)| energy.add(plain(&y.to_f32s(), &q.to_f32s())));
        Ok(energy)
    };
    let mut total = Energy::default();
    samples.fold(&samples.spread(count), || (), step, |energy| total.add(energy))?;
    Ok(total.db())
}

/// Index of the largest, the first of equals.
fn largest(values: &[f32]) -> usize {
    (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// What a scheme leaves of the outputs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Score {
    /// For each sample.
    pub energies: Vec<Energy>,
}

impl Score {
    /// The signal-to-noise ratio over all samples.
    pub fn db(&self) -> f64 {
        let mut total = Energy::default();
        self.energies.iter().for_each(|e| total.add(*e));
        total.db()
    }

    /// Noise as a share of the signal.
    pub fn noise(&self) -> f64 {
        let mut total = Energy::default();
        self.energies.iter().for_each(|e| total.add(*e));
        total.noise / total.signal.max(f64::MIN_POSITIVE)
    }

    /// Whether this is better than another by `gain` dB, and not by chance: the sum of what samples gain and lose is more than
    /// its standard error. One sample of which luck has it that rounding errors cancel does not make a better scheme.
    pub fn beats(&self, other: &Score, gain: f64) -> bool {
        let n = self.energies.len() as f64;
        let gains: Vec<f64> =
            self.energies.iter().zip(&other.energies).map(|(a, b)| b.noise - a.noise).collect();
        let sum: f64 = gains.iter().sum();
        let variance = gains.iter().map(|g| (g - sum / n).powi(2)).sum::<f64>() * n / (n - 1.0).max(1.0);
        self.db() > other.db() + gain && (sum > variance.sqrt() || !other.db().is_finite())
    }
}
