//! What rounding one value costs at the outputs: the float program, stopped at that value, goes on with the quantized one.

use super::Samples;
use super::scheme::int8_params;
use crate::diag::Diagnostics;
use crate::graph::{Graph, ValueId};
use crate::lower;
use crate::program::{BufferId, Executor, Placement, Program, View};
use crate::tensor::{ElemType, QParams, Tensor};
use kiln_runtime_core::{Block, view, view_mut};
use std::collections::BTreeSet;

/// A value with the ranges to try.
pub(super) type Candidates = (ValueId, Vec<(f32, f32)>);

/// A float program whose every buffer has its own place, so that any part of it can be run again.
struct Replay {
    program: Program,
    placement: Placement,
    /// For each value: where it lies, and the steps that depend on it.
    places: Vec<(View, Vec<usize>)>,
}

/// For each value and each of its ranges, how much noise its rounding alone makes at the outputs, as a share of their
/// energy, averaged over outputs. Computes on samples that are spread over all of them, as many as `budget`
/// multiply-accumulates allow, but at least two.
///
/// # Errors
/// Those of lowering and of loading samples.
pub(super) fn noise(
    graph: &Graph,
    candidates: &[Candidates],
    samples: &Samples,
    budget: u64,
) -> Result<Vec<Vec<f64>>, Diagnostics> {
    let replay = Replay::new(graph, candidates)?;
    let which = samples.spread((budget / replay.cost(candidates).max(1)).clamp(2, 64) as usize);
    let mut sums: Vec<f64> = vec![];
    samples.fold(
        &which,
        || Executor::new(&replay.program, &replay.placement),
        |executor, inputs| replay.sample(executor, &inputs, candidates),
        |part: Vec<f64>| {
            sums.resize(part.len(), 0.0);
            sums.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
        },
    )?;
    let outputs = replay.program.outputs.len();
    let energy: Vec<f64> = sums.iter().take(outputs).map(|e| e.max(f64::MIN_POSITIVE)).collect();
    let mut noises = sums[outputs.min(sums.len())..].chunks(outputs.max(1));
    let mut next = || noises.next().map_or(0.0, |n| n.iter().zip(&energy).map(|(n, e)| n / e).sum::<f64>());
    Ok(candidates.iter().map(|(_, ranges)| ranges.iter().map(|_| next()).collect()).collect())
}

impl Replay {
    fn new(graph: &Graph, candidates: &[Candidates]) -> Result<Replay, Diagnostics> {
        let (program, operands) = lower::lower_with_operands(graph)?;
        let placement = Placement::unplanned(&program);
        let mut places = vec![];
        for (value, _) in candidates {
            let view = operands.get(value).and_then(|o| o.view.clone());
            let view = view.unwrap_or_else(|| View::new(BufferId(0), ElemType::F32, &[0]));
            let steps = downstream(&program, view.buffer);
            places.push((view, steps));
        }
        Ok(Replay { program, placement, places })
    }

    /// Multiply-accumulates for one sample.
    fn cost(&self, candidates: &[Candidates]) -> u64 {
        let macs = |steps: &[usize]| steps.iter().map(|i| self.program.steps[*i].kernel.macs()).sum::<u64>();
        let again =
            self.places.iter().zip(candidates).map(|((_, steps), (_, c))| macs(steps) * c.len() as u64);
        self.program.macs() + again.sum::<u64>()
    }

    /// Energy of each output, then for each candidate the noise at each output.
    fn sample(
        &self,
        executor: &mut Executor,
        inputs: &[Tensor],
        candidates: &[Candidates],
    ) -> Result<Vec<f64>, crate::diag::Diagnostic> {
        executor.run(inputs, &mut |_, _| {})?;
        let clean = executor.memory().to_vec();
        let reference = self.outputs(&clean);
        let mut sums: Vec<f64> = reference.iter().map(|o| o.iter().map(|x| x * x).sum()).collect();
        for ((view, steps), (_, ranges)) in self.places.iter().zip(candidates) {
            for range in ranges {
                executor.memory_mut().copy_from_slice(&clean);
                self.round(executor.memory_mut(), view, &int8_params(*range));
                steps.iter().for_each(|i| executor.step(*i));
                for (a, b) in reference.iter().zip(self.outputs(executor.memory())) {
                    sums.push(a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum());
                }
            }
        }
        Ok(sums)
    }

    /// Rounds a value in memory to its int8 steps.
    fn round(&self, mem: &mut [Block], place: &View, params: &QParams) {
        let base = self.placement.buffers[place.buffer.0] / 4 + place.offset;
        let reals = view_mut::<f32>(mem);
        let mut index = vec![0usize; place.shape.len()];
        for _ in 0..place.elements() {
            let at = base + index.iter().zip(&place.strides).map(|(i, s)| i * s).sum::<usize>();
            reals[at] = (params.quantize(reals[at]) as i32 - params.zero_point[0]) as f32 * params.scale[0];
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < place.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
    }

    /// The float outputs; others are empty.
    fn outputs(&self, mem: &[Block]) -> Vec<Vec<f64>> {
        let read = |port: &crate::program::Port| {
            let (at, buffer) =
                (self.placement.buffers[port.buffer.0] / 4, &self.program.buffers[port.buffer.0]);
            match buffer.elem {
                ElemType::F32 => view::<f32>(mem)[at..at + buffer.len].iter().map(|x| *x as f64).collect(),
                _ => vec![],
            }
        };
        self.program.outputs.iter().map(read).collect()
    }
}

/// The steps that depend on what is in a buffer when it is complete.
fn downstream(program: &Program, buffer: BufferId) -> Vec<usize> {
    let complete = program.steps.iter().rposition(|s| s.writes.contains(&buffer)).map_or(0, |i| i + 1);
    let mut changed = BTreeSet::from([buffer]);
    let mut steps = vec![];
    for (index, step) in program.steps.iter().enumerate().skip(complete) {
        if step.reads.iter().flatten().any(|b| changed.contains(b)) {
            changed.extend(&step.writes);
            steps.push(index);
        }
    }
    steps
}
