//! What calibration remembers of a value: extents, a running average of them, and a histogram. Its size does not depend on
//! the number of samples.

use super::Histogram;
use super::samples::Samples;
use super::trace::Trace;
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, ValueId};
use crate::tensor::Tensor;

/// Weight of a new sample in the moving average (Jacob et al. 2018 smooth the ranges of training batches likewise).
const MOVING_AVERAGE: f64 = 0.01;

/// Statistics of one value over all samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statistics {
    /// Smallest and largest.
    pub extent: (f32, f32),
    /// Exponential moving average, in the order of the samples, of each sample's smallest and largest.
    pub average: (f64, f64),
    /// All values; empty when only extents were asked for.
    pub histogram: Histogram,
}

/// Measures `values` (of type f32) of a graph over all samples. Without `histograms`, only the extents: twice as fast.
///
/// # Errors
/// `E0320` without samples, `E0321` when a value is not finite in one of them; those of lowering and of loading samples.
pub fn observe(
    graph: &Graph,
    values: &[ValueId],
    samples: &Samples,
    histograms: bool,
) -> Result<Vec<Statistics>, Diagnostics> {
    if samples.count == 0 {
        return Err(Diagnostic::new("E0320", "there are no samples to calibrate with")
            .help("give some dozens of inputs like those that the device will see")
            .into());
    }
    let trace = Trace::new(graph, values)?;
    let mut statistics = vec![Statistics::default(); values.len()];
    let mut first = true;
    let new = || vec![Histogram::default(); values.len()];
    let step = |state: &mut Vec<Histogram>, inputs: Vec<Tensor>| {
        let mut extents = Vec::with_capacity(values.len());
        let mut problem = None;
        trace.run(&inputs, &mut |i, tensor| {
            let reals = tensor.to_f32s();
            match finite_extent(&reals) {
                Some(extent) => {
                    if histograms {
                        state[i].add(&reals, extent.0.abs().max(extent.1.abs()));
                    }
                    extents.push(extent);
                }
                None => problem = problem.take().or(Some(i)),
            }
        })?;
        match problem {
            Some(i) => Err(not_finite(graph, values[i])),
            None => Ok(extents),
        }
    };
    let all: Vec<usize> = (0..samples.count).collect();
    let parts = samples.fold(&all, new, step, |extents| {
        for (s, extent) in statistics.iter_mut().zip(extents) {
            s.take(extent, first);
        }
        first = false;
    })?;
    for part in &parts {
        for (s, histogram) in statistics.iter_mut().zip(part) {
            s.histogram.merge(histogram);
        }
    }
    Ok(statistics)
}

impl Statistics {
    fn take(&mut self, (low, high): (f32, f32), first: bool) {
        let average = (low as f64, high as f64);
        if first {
            (self.extent, self.average) = ((low, high), average);
            return;
        }
        self.extent = (self.extent.0.min(low), self.extent.1.max(high));
        self.average.0 += MOVING_AVERAGE * (average.0 - self.average.0);
        self.average.1 += MOVING_AVERAGE * (average.1 - self.average.1);
    }
}

/// Smallest and largest value, `None` when one is infinite or no number.
fn finite_extent(values: &[f32]) -> Option<(f32, f32)> {
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    let mut finite = true;
    for &v in values {
        low = low.min(v);
        high = high.max(v);
        finite &= v.is_finite();
    }
    match values.is_empty() {
        true => Some((0.0, 0.0)),
        false => finite.then_some((low, high)),
    }
}

fn not_finite(graph: &Graph, value: ValueId) -> Diagnostic {
    let v = graph.value(value);
    let d = Diagnostic::new("E0321", format!("`{}` is infinite or no number", v.name)).fact("type", &v.ty);
    let d = match graph.producer(value) {
        Some((id, _)) => d.at(&graph.node(id).name, &graph.node(id).origin.op_type),
        None => d,
    };
    d.help("check that the samples are scaled as in training, and that the float model itself gives numbers for them")
}
