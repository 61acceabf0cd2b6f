//! Calibration: from samples to the range of every activation.

use super::method::Method;
use super::observe::{Statistics, observe};
use super::replay::{self, Candidates};
use super::{Samples, Scheme, Sites, Trace};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, ValueId};
use crate::ops::Op;
use crate::passes::{self, DeadCode, Pass};
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// Multiply-accumulates that `auto` spends on trying ranges: under a minute on a laptop.
const BUDGET: u64 = 20_000_000_000;

/// Multiply-accumulates for comparing whole schemes, each.
const COMPARISON: u64 = 1_000_000_000;

/// A range other than the plain one, and a scheme, has to make this much less noise to be taken: smaller gains on the samples
/// are chance, and do not carry over to other data.
const GAIN: f64 = 0.8;

/// How ranges are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// Every method is tried for every value, and the one kept whose rounding makes least noise at the outputs. The result
    /// is compared with each method used throughout, so that it is never worse on the samples.
    #[default]
    Auto,
    /// One method for all.
    Only(Method),
}

/// The range of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Smallest real value.
    pub low: f32,
    /// Largest real value.
    pub high: f32,
    /// Who found it.
    pub method: Method,
}

/// Measures the free values of `sites` on all samples and chooses their ranges.
///
/// # Errors
/// As [`observe`].
pub fn calibrate(
    graph: &Graph,
    sites: &Sites,
    samples: &Samples,
    choice: Choice,
) -> Result<BTreeMap<ValueId, Range>, Diagnostics> {
    let values = sites.measured(graph);
    let histograms = match choice {
        Choice::Auto => true,
        Choice::Only(method) => method.needs_histogram(),
    };
    let statistics = observe(graph, &values, samples, histograms)?;
    let plain = |method: Method| -> BTreeMap<ValueId, Range> {
        values.iter().zip(&statistics).map(|(v, s)| (*v, Range::of(method, s))).collect()
    };
    match choice {
        Choice::Only(method) => Ok(plain(method)),
        Choice::Auto => {
            let mixed = least_noise(graph, &values, &statistics, samples)?;
            let candidates: Vec<_> = Method::ALL.map(plain).into_iter().chain([mixed]).collect();
            let mut noises = vec![];
            for ranges in &candidates {
                noises.push(scheme_noise(graph, &Scheme::new(graph, sites, &bounds(ranges)), samples)?);
            }
            Ok(candidates[clearly_least(&noises)].clone())
        }
    }
}

/// The bounds alone, as [`Scheme::new`] takes them.
pub fn bounds(ranges: &BTreeMap<ValueId, Range>) -> BTreeMap<ValueId, (f32, f32)> {
    ranges.iter().map(|(v, r)| (*v, (r.low, r.high))).collect()
}

impl Range {
    fn of(method: Method, statistics: &Statistics) -> Range {
        let (low, high) = method.range(statistics);
        Range { low, high, method }
    }
}

/// For each value the range whose rounding alone makes least noise at the outputs.
fn least_noise(
    graph: &Graph,
    values: &[ValueId],
    statistics: &[Statistics],
    samples: &Samples,
) -> Result<BTreeMap<ValueId, Range>, Diagnostics> {
    let mut ranges: Vec<Vec<Range>> = vec![];
    for s in statistics {
        let mut distinct: Vec<Range> = vec![];
        for range in Method::ALL.map(|method| Range::of(method, s)) {
            if distinct.iter().all(|d| (d.low, d.high) != (range.low, range.high)) {
                distinct.push(range);
            }
        }
        ranges.push(distinct);
    }
    let pairs = |list: &[Range]| list.iter().map(|r| (r.low, r.high)).collect();
    let candidates: Vec<Candidates> = values.iter().zip(&ranges).map(|(v, r)| (*v, pairs(r))).collect();
    let noises = replay::noise(&before_saturation(graph), &candidates, samples, BUDGET)?;
    let chosen = values.iter().zip(&ranges).zip(&noises);
    Ok(chosen.map(|((v, ranges), noises)| (*v, ranges[clearly_least(noises)])).collect())
}

/// Index of the least, where it is clearly less than the first; otherwise 0.
fn clearly_least(noises: &[f64]) -> usize {
    let least = (0..noises.len()).min_by(|&a, &b| noises[a].total_cmp(&noises[b])).unwrap_or(0);
    if noises[least] < GAIN * noises[0] { least } else { 0 }
}

/// The graph whose outputs errors are measured at: a Softmax, Sigmoid or Tanh at the end is left out. It squeezes all that is
/// sure to one value, so that behind it a few undecided samples would make up all of the error.
pub fn before_saturation(graph: &Graph) -> Graph {
    let mut result = graph.clone();
    for index in 0..result.outputs.len() {
        let mut value = result.outputs[index];
        while let Some((id, _)) = graph.producer(value) {
            let node = graph.node(id);
            let saturates = matches!(node.op, Op::Softmax(_) | Op::Sigmoid(_) | Op::Tanh(_));
            let moves =
                matches!(node.op, Op::Reshape(_) | Op::Transpose(_) | Op::Flatten(_) | Op::Squeeze(_));
            let Some(input) = node.inputs[0].filter(|_| saturates || moves) else { break };
            value = input;
            if saturates && !result.outputs.contains(&value) {
                result.outputs[index] = value;
                break;
            }
        }
    }
    DeadCode.run(&mut result).map(|_| result).unwrap_or_else(|_| graph.clone())
}

/// How much a scheme changes the outputs: the energy of the difference as a share of the outputs' energy, summed over the
/// outputs of the model, which are taken [`before_saturation`]. The integer program runs against the float one, on samples spread over all of them.
/// `-10 log10` of it is the signal-to-noise ratio in dB.
///
/// # Errors
/// Those of lowering and of loading samples.
pub fn scheme_noise(graph: &Graph, scheme: &Scheme, samples: &Samples) -> Result<f64, Diagnostics> {
    let graph = before_saturation(graph);
    let integer = integer_graph(&graph, scheme)?;
    let (float, integer) = (Trace::new(&graph, &[])?, Trace::new(&integer, &[])?);
    let count = (COMPARISON / float.macs().max(1)).clamp(4, 256) as usize;
    let (mut energy, mut noise) = (vec![], vec![]);
    let compare = |(): &mut (), inputs: Vec<Tensor>| -> Result<Vec<(f64, f64)>, Diagnostic> {
        let (a, b) = (float.run(&inputs, &mut |_, _| {})?, integer.run(&inputs, &mut |_, _| {})?);
        let pair = |(a, b): (&Tensor, &Tensor)| {
            let (a, b) = (a.to_f64s(), b.to_f64s());
            let noise = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            (a.iter().map(|x| x * x).sum::<f64>(), noise)
        };
        Ok(a.iter().zip(&b).map(pair).collect())
    };
    samples.fold(
        &samples.spread(count),
        || (),
        compare,
        |sums| {
            energy.resize(sums.len(), 0.0);
            noise.resize(sums.len(), 0.0);
            for (i, (e, n)) in sums.into_iter().enumerate() {
                energy[i] += e;
                noise[i] += n;
            }
        },
    )?;
    Ok(energy.iter().zip(&noise).map(|(e, n)| n / e.max(f64::MIN_POSITIVE)).sum())
}

/// The graph that is compiled: the scheme applied, integers made of it, what is left over cleaned up.
///
/// # Errors
/// Internal errors.
pub fn integer_graph(graph: &Graph, scheme: &Scheme) -> Result<Graph, Diagnostics> {
    let mut graph = scheme.apply(graph)?;
    super::integers(&mut graph)?;
    passes::run(&mut graph, &passes::cleanup_passes(), &mut vec![])?;
    Ok(graph)
}
