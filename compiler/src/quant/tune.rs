//! The accuracy tools together: which of them, and how strongly, is decided by what is left of the output.
//!
//! Half of the samples (every other one) are fitted to, the other half judges ([`super::score`]): ranges and rounded
//! weights that fit the samples too closely lose there. When all is decided, weights are rounded and biases corrected
//! anew on both halves. A tool that does not help on the judging half is left out, so the result is a plain scheme where
//! nothing helps.
//!
//! In this order, each with what the earlier ones chose:
//!
//! 1. [`super::equalize`]: not at all, by weights, or by activations in several strengths, weights rounded and biases
//!    corrected. A stronger one has to be better by 1 dB: it relies more on the samples.
//! 2. [`super::rounding`] and [`super::bias_correction`], each left out once.
//! 3. The observers, the best one for each value ([`super::calibrate`]), in place of smallest and largest value.
//! 4. [`super::ranges`]: ranges, one after the other, as the outputs of both halves tell.
//! 5. [`super::fallback`], when asked for.
//!
//! What it may cost is bounded: models too large for that get fewer trials.

use super::bias_correction;
use super::calibrate::{Choice, bounds, calibrate};
use super::equalize::{Balance, ChannelRanges, equalize};
use super::fallback;
use super::layer_inputs::{Geometry, Moments};
use super::logits;
use super::method::Method;
use super::ranges;
use super::rounding;
use super::samples::Samples;
use super::scheme::{Precision, Scheme, WeightBits};
use super::score::{Judge, Score};
use super::sites::Sites;
use super::trace::Trace;
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// Multiply-accumulates that each half of the samples may cost in one run.
const RUN: u64 = 100_000_000;

/// Samples of each half, at the most and at the least.
const HALF: (usize, usize) = (100, 2);

/// Multiply-accumulates of all trials of the tools, and of those of the ranges.
const BUDGET: (u64, u64) = (12_000_000_000, 8_000_000_000);

/// Multiply-accumulates that correcting biases by what the program computes may cost.
const MEASURED: u64 = 500_000_000;

/// What a stronger equalization must gain, in dB.
const GAIN: f64 = 1.0;

/// What is tried for equalization, after nothing.
const BALANCES: [Balance; 5] = [
    Balance::Weights,
    Balance::Activations(0.25),
    Balance::Activations(0.5),
    Balance::Activations(0.75),
    Balance::Activations(1.0),
];

/// Bounds of real values.
pub type Bounds = BTreeMap<ValueId, (f32, f32)>;

/// Precision of layers and width of their weights.
pub type Widths = BTreeMap<NodeId, (Precision, WeightBits)>;

/// What is asked of the tools.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Aim {
    /// Precision of the layers.
    pub precision: Precision,
    /// Precision of the first and the last layer, where it is to be another one; their weights then stay at int8.
    pub ends: Option<Precision>,
    /// How weights are stored.
    pub weights: WeightBits,
    /// What may be lost, in percent ([`super::fallback`]); nothing falls back without it.
    pub max_loss: Option<f64>,
}

/// Which tools to use.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Equalization.
    pub balance: Option<Balance>,
    /// Logits shifted to meet in their largest.
    pub shift: bool,
    /// Rounding of weights by output error, instead of to nearest.
    pub rounding: bool,
    /// Correction of biases.
    pub correction: bool,
    /// Where ranges come from.
    pub choice: Choice,
}

/// A float graph, equalized, and its scheme.
#[derive(Debug, Clone)]
pub struct Tuned {
    /// The graph; ids are those of the graph that it was made of.
    pub graph: Graph,
    /// The scheme for it.
    pub scheme: Scheme,
    /// Ranges of the values that were measured.
    pub ranges: Bounds,
}

/// One decision with the score that it was taken by, in dB.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// What was tried.
    pub name: String,
    /// Its score.
    pub score: f64,
}

/// The best scheme that the tools find. `float` says which operators stay in float. The trials say how.
///
/// # Errors
/// Those of lowering and of loading samples.
pub fn tune(
    graph: &Graph,
    float: &dyn Fn(NodeId) -> bool,
    samples: &Samples,
    aim: Aim,
) -> Result<(Tuned, Plan, Vec<Trial>), Diagnostics> {
    let [fit, held, both] = halves(graph, samples)?;
    let widths = fallback::asked(graph, &Sites::of(graph, float), aim);
    let macs = Trace::new(graph, &[])?.macs().max(1);
    // A trial runs the float graph on one half up to three times, and the integers on the other.
    let trials = (BUDGET.0 / (4 * macs * fit.len().max(1) as u64)) as usize;
    let mut search = Search {
        graph,
        float,
        samples,
        fit: &fit,
        judge: Judge::new(graph, samples, &held)?,
        widths: &widths,
        trials: vec![],
    };
    let (plan, tuned) = search.tools(trials)?;
    let judge = Judge::new(graph, samples, &both)?;
    let trials = (BUDGET.1 / (macs * both.len().max(1) as u64)) as usize;
    let sites = Sites::of(&tuned.graph, float);
    let (refined, score) = ranges::refine(&tuned, &sites, &judge, trials)?;
    let mut done = search.trials;
    done.push(Trial { name: "refined ranges".into(), score: score.db() });
    // The other samples take part in what the refinement did not cut.
    let all: Vec<usize> = (0..samples.count).collect();
    let mut extents = extents(&tuned.graph, &sites, samples, &all)?;
    logits::faint(&tuned.graph, &sites, samples, &all, &mut extents)?;
    let mut seen = self::extents(&tuned.graph, &sites, samples, &fit)?;
    logits::faint(&tuned.graph, &sites, samples, &fit, &mut seen)?;
    let ranges = ranges::widen(&refined, &seen, &extents);
    let scheme = plan.scheme(&tuned.graph, &sites, &ranges, &widths, samples, &both)?;
    let score = judge.score(&tuned.graph, &scheme)?.db();
    done.push(Trial { name: "on all samples".into(), score });
    let mut tuned = Tuned { graph: tuned.graph, scheme, ranges };
    if let Some(max_loss) = aim.max_loss {
        let aim = (&widths, max_loss);
        done.extend(fallback::fall_back(&mut tuned, &plan, &sites, (samples, &both), &judge, aim)?);
    }
    Ok((tuned, plan, done))
}

/// Samples to fit to, samples to judge by, and both: alternating, spread over all, as many as the model's size allows. A
/// single sample is both.
fn halves(graph: &Graph, samples: &Samples) -> Result<[Vec<usize>; 3], Diagnostics> {
    let macs = Trace::new(graph, &[])?.macs().max(1);
    let half = ((RUN / macs) as usize).clamp(HALF.1, HALF.0);
    let which = samples.spread(2 * half);
    if which.len() < 2 {
        return Ok([which.clone(), which.clone(), which]);
    }
    let every = |first: usize| which.iter().skip(first).step_by(2).copied().collect();
    Ok([every(0), every(1), which])
}

struct Search<'a> {
    graph: &'a Graph,
    float: &'a dyn Fn(NodeId) -> bool,
    samples: &'a Samples<'a>,
    fit: &'a [usize],
    widths: &'a Widths,
    judge: Judge<'a>,
    trials: Vec<Trial>,
}

impl Search<'_> {
    /// Chooses the tools, with at most `trials` trials.
    fn tools(&mut self, trials: usize) -> Result<(Plan, Tuned), Diagnostics> {
        let minmax = Choice::Only(Method::MinMax);
        let plan = Plan { balance: None, shift: false, rounding: true, correction: true, choice: minmax };
        let mut best = (self.score("no equalization", &plan)?, plan);
        for balance in BALANCES {
            let plan = Plan { balance: Some(balance), ..best.1.clone() };
            self.challenge(&mut best, &format!("equalization by {balance:?}"), plan, GAIN, trials)?;
        }
        let plan = Plan { shift: true, ..best.1.clone() };
        self.challenge(&mut best, "shifted logits", plan, GAIN, trials)?;
        let plan = best.1.clone();
        for (name, rounding, correction) in [
            ("nearest rounding", false, true),
            ("no bias correction", true, false),
            ("neither", false, false),
        ] {
            self.challenge(&mut best, name, Plan { rounding, correction, ..plan.clone() }, 0.0, trials)?;
        }
        let plan = Plan { choice: Choice::Auto, ..best.1.clone() };
        self.challenge(&mut best, "the best observer for each value", plan, 0.0, trials)?;
        let tuned = best.1.fit(self.graph, self.float, self.widths, self.samples, self.fit)?;
        Ok((best.1, tuned))
    }

    fn challenge(
        &mut self,
        best: &mut (Score, Plan),
        name: &str,
        plan: Plan,
        gain: f64,
        trials: usize,
    ) -> Result<(), Diagnostics> {
        if self.trials.len() < trials {
            // A scheme that cannot be compiled, for sums that would overflow, is not a better one.
            let Ok(score) = self.score(name, &plan) else { return Ok(()) };
            if score.beats(&best.0, gain) {
                *best = (score, plan);
            }
        }
        Ok(())
    }

    fn score(&mut self, name: &str, plan: &Plan) -> Result<Score, Diagnostics> {
        let tuned = plan.fit(self.graph, self.float, self.widths, self.samples, self.fit)?;
        let score = self.judge.score(&tuned.graph, &tuned.scheme)?;
        self.trials.push(Trial { name: name.to_string(), score: score.db() });
        Ok(score)
    }
}

impl Plan {
    /// Carries the plan out, with what the samples `which` show.
    ///
    /// # Errors
    /// Those of lowering and of loading samples.
    pub fn fit(
        &self,
        graph: &Graph,
        float: &dyn Fn(NodeId) -> bool,
        widths: &Widths,
        samples: &Samples,
        which: &[usize],
    ) -> Result<Tuned, Diagnostics> {
        let mut graph = graph.clone();
        if let Some(balance) = self.balance {
            let ranges = match balance {
                Balance::Weights => ChannelRanges::new(),
                Balance::Activations(_) => channel_ranges(&graph, samples, which)?,
            };
            equalize(&mut graph, balance, &ranges)?;
        }
        if self.shift {
            logits::shift(&mut graph, samples, which)?;
        }
        let sites = Sites::of(&graph, float);
        let load = |i: usize| (samples.load)(which[i]);
        let chosen = Samples { count: which.len(), load: &load, ..*samples };
        let mut ranges = bounds(&calibrate(&graph, &sites, &chosen, self.choice)?);
        logits::tail(&graph, &sites, samples, which, &mut ranges)?;
        logits::faint(&graph, &sites, samples, which, &mut ranges)?;
        let scheme = self.scheme(&graph, &sites, &ranges, widths, samples, which)?;
        Ok(Tuned { graph, scheme, ranges })
    }

    /// The scheme for ranges: weights rounded and biases corrected.
    ///
    /// # Errors
    /// As [`Plan::fit`].
    pub fn scheme(
        &self,
        graph: &Graph,
        sites: &Sites,
        ranges: &Bounds,
        widths: &Widths,
        samples: &Samples,
        which: &[usize],
    ) -> Result<Scheme, Diagnostics> {
        let mut scheme = Scheme::new(graph, sites, ranges);
        fallback::widen(graph, sites, widths, &mut scheme);
        if !self.rounding && !self.correction {
            return Ok(scheme);
        }
        let layers = layers(graph, &scheme);
        let moments = moments(graph, &layers, samples, which)?;
        for (layer, moments) in layers.iter().zip(&moments) {
            let key = (layer.id, 1);
            let Some(plain) = scheme.weights.get(&key).cloned() else { continue };
            let weights = if self.rounding {
                let step = scheme.values.get(&layer.input).map_or(0.0, |a| a.params.scale[0] as f64);
                rounding::round(&layer.geometry, moments, step * step / 12.0, &layer.floats, &plain).0
            } else {
                plain
            };
            if self.correction {
                let shift = bias_correction::empirical(&layer.geometry, moments, &layer.floats, &weights);
                scheme.corrections.insert(layer.id, shift);
            }
            scheme.weights.insert(key, weights);
        }
        // Half of the program, on average, for each layer.
        let macs = Trace::new(graph, &[])?.macs() * (layers.len() * which.len() / 2) as u64;
        if self.correction && macs <= MEASURED {
            let layers: Vec<_> = layers.iter().map(|l| (l.id, &l.geometry)).collect();
            bias_correction::measured(graph, &mut scheme, &layers, samples, which)?;
        }
        Ok(scheme)
    }
}

/// A layer whose weights the tools can work on.
#[derive(Debug)]
struct Layer {
    id: NodeId,
    input: ValueId,
    geometry: Geometry,
    floats: Tensor,
}

fn layers(graph: &Graph, scheme: &Scheme) -> Vec<Layer> {
    let layer = |id: &NodeId| {
        let node = graph.node(*id);
        let value = |i: usize| node.inputs.get(i).copied().flatten();
        scheme.weights.get(&(*id, 1))?;
        let (input, geometry) = (value(0)?, Geometry::of(graph, *id)?);
        Some(Layer { id: *id, input, geometry, floats: graph.constant(value(1)?)?.clone() })
    };
    let order = graph.topological().unwrap_or_default();
    order
        .iter()
        .filter(|id| scheme.nodes.get(id).is_some_and(|p| *p != Precision::Float))
        .filter_map(layer)
        .collect()
}

/// Statistics of the inputs of all layers. Sums of floats depend on their order, so every thread sees all samples in
/// order, for its share of the layers.
fn moments(
    graph: &Graph,
    layers: &[Layer],
    samples: &Samples,
    which: &[usize],
) -> Result<Vec<Moments>, Diagnostics> {
    let share = layers.len().div_ceil(samples.threads.max(1)).max(1);
    let alone = Samples { threads: 1, ..*samples };
    let one = |layers: &[Layer]| -> Result<Vec<Moments>, Diagnostics> {
        let wanted: Vec<ValueId> = layers.iter().map(|l| l.input).collect();
        let trace = Trace::new(graph, &wanted)?;
        let new = || layers.iter().map(|l| Moments::new(&l.geometry)).collect::<Vec<_>>();
        let step = |all: &mut Vec<Moments>, x: Vec<Tensor>| -> Result<(), Diagnostic> {
            trace.run(&x, &mut |i, tensor| all[i].add(&layers[i].geometry, tensor))?;
            Ok(())
        };
        Ok(alone.fold(which, new, step, |()| ())?.into_iter().next().unwrap_or_default())
    };
    let parts: Vec<Result<Vec<Moments>, Diagnostics>> = std::thread::scope(|scope| {
        let handles: Vec<_> = layers.chunks(share).map(|part| scope.spawn(|| one(part))).collect();
        handles.into_iter().map(|h| h.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
    });
    let parts = parts.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(parts.into_iter().flatten().collect())
}

/// Smallest and largest value of what a scheme needs ranges for.
fn extents(graph: &Graph, sites: &Sites, samples: &Samples, which: &[usize]) -> Result<Bounds, Diagnostics> {
    let load = |i: usize| (samples.load)(which[i]);
    let chosen = Samples { count: which.len(), load: &load, ..*samples };
    Ok(bounds(&calibrate(graph, sites, &chosen, Choice::Only(Method::MinMax))?))
}

/// The largest magnitude of each channel of the outputs of layers.
fn channel_ranges(graph: &Graph, samples: &Samples, which: &[usize]) -> Result<ChannelRanges, Diagnostics> {
    let nodes = graph.node_ids();
    let layer = |id: &&NodeId| super::channels::weight_axes(&graph.node(**id).op).is_some();
    let wanted: Vec<ValueId> = nodes.iter().filter(layer).map(|id| graph.node(*id).outputs[0]).collect();
    let trace = Trace::new(graph, &wanted)?;
    let extent = |i: usize| graph.value(wanted[i]).ty.shape.get(1).copied().unwrap_or(1);
    let new = || (0..wanted.len()).map(|i| vec![0f32; extent(i)]).collect::<Vec<_>>();
    // The largest of several does not depend on their order, so threads may keep their own.
    let step = |largest: &mut Vec<Vec<f32>>, x: Vec<Tensor>| -> Result<(), Diagnostic> {
        trace.run(&x, &mut |i, tensor| {
            let inner: usize = tensor.shape().get(2..).map_or(1, |s| s.iter().product());
            let channels = largest[i].len();
            for (at, value) in tensor.to_f32s().iter().enumerate() {
                let m = &mut largest[i][at / inner.max(1) % channels];
                *m = m.max(value.abs());
            }
        })?;
        Ok(())
    };
    let parts = samples.fold(which, new, step, |()| ())?;
    let mut result = ChannelRanges::new();
    for (i, value) in wanted.iter().enumerate() {
        let merged = (0..extent(i)).map(|c| parts.iter().map(|p| p[i][c]).fold(0f32, f32::max)).collect();
        result.insert(*value, merged);
    }
    Ok(result)
}
