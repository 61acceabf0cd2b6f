//! Range refinement: the range of each activation, one after the other, as wide as suits the output best.
//!
//! Coordinate descent on `low` and `high` of every measured value, relative to the smallest and largest value of the
//! samples: the scheme with one bound moved is made, run as the integer program that it is, and scored by the output
//! ([`super::score`]). Narrower ranges cut off outliers for a finer step, wider ones leave room for what the samples
//! did not show; the samples that judge are others than those whose extent it is. Values near the output come first: logits
//! gain most, for what lies far below the largest may saturate.
//!
//! It leaves alone values whose scale the operator states and those of 16 bits, and stops when a round of all values gains nothing.

use super::scheme::int8_params;
use super::score::{Judge, Score};
use super::sites::Sites;
use super::tune::{Bounds, Tuned};
use crate::diag::Diagnostics;
use crate::graph::ValueId;

/// Steps of a bound, tried in this order: onwards while it gains.
const STEPS: [f64; 4] = [0.85, 0.7, 1.15, 1.4];

/// What a change must gain to be kept, in dB: less may be chance.
const GAIN: f64 = 0.05;

/// Rounds over all values.
const ROUNDS: usize = 2;

/// Refines the ranges of a scheme with at most `trials` scores. Returns the ranges, and what they score.
///
/// # Errors
/// Those of lowering and of loading samples.
pub fn refine(
    tuned: &Tuned,
    sites: &Sites,
    judge: &Judge,
    trials: usize,
) -> Result<(Bounds, Score), Diagnostics> {
    let best = judge.score(&tuned.graph, &tuned.scheme)?;
    let mut search = Search { tuned, sites, judge, ranges: tuned.ranges.clone(), best, trials };
    let mut order = sites.measured(&tuned.graph);
    // At 16 bits there is nothing to gain.
    order.retain(|v| tuned.scheme.values.get(v).is_some_and(|a| a.bits == 8));
    order.reverse();
    for _ in 0..ROUNDS {
        let before = search.best.db();
        for &value in &order {
            let (low, high) = tuned.ranges.get(&value).copied().unwrap_or((0.0, 0.0));
            if high > 0.0 {
                search.bound(value, |(low, high), k| (low, high * k))?;
            }
            if low < 0.0 {
                search.bound(value, |(low, high), k| (low * k, high))?;
            }
        }
        if search.best.db() < before + GAIN {
            break;
        }
    }
    Ok((search.ranges, search.best))
}

/// Bounds that lie at or outside of what the samples `seen` reach also hold what `all` samples reach; those that cut
/// something off stay.
pub fn widen(refined: &Bounds, seen: &Bounds, all: &Bounds) -> Bounds {
    let wide = |(v, &(low, high)): (&ValueId, &(f32, f32))| {
        let (Some(seen), Some(all)) = (seen.get(v), all.get(v)) else { return (*v, (low, high)) };
        let low = if low <= seen.0.min(0.0) { low.min(all.0) } else { low };
        let high = if high >= seen.1.max(0.0) { high.max(all.1) } else { high };
        (*v, (low, high))
    };
    refined.iter().map(wide).collect()
}

struct Search<'a> {
    tuned: &'a Tuned,
    sites: &'a Sites,
    judge: &'a Judge<'a>,
    ranges: Bounds,
    best: Score,
    trials: usize,
}

impl Search<'_> {
    /// Moves one bound as far as it gains.
    fn bound(
        &mut self,
        value: ValueId,
        scaled: impl Fn((f32, f32), f32) -> (f32, f32),
    ) -> Result<(), Diagnostics> {
        for step in STEPS {
            let mut improved = false;
            while self.trials > 0 {
                let mut ranges = self.ranges.clone();
                let Some(range) = ranges.get_mut(&value) else { break };
                *range = scaled(*range, step as f32);
                // A scheme that cannot be compiled, for sums that would overflow, is not a better one.
                let Ok(score) = self.score(&ranges) else { break };
                if !score.beats(&self.best, GAIN) {
                    break;
                }
                (self.best, self.ranges, improved) = (score, ranges, true);
            }
            if improved {
                break;
            }
        }
        Ok(())
    }

    fn score(&mut self, ranges: &Bounds) -> Result<Score, Diagnostics> {
        self.trials -= 1;
        let mut scheme = self.tuned.scheme.clone();
        for (value, root) in &self.sites.roots {
            if let (Some(range), Some(activation)) = (ranges.get(root), scheme.values.get_mut(value))
                && activation.bits == 8
            {
                activation.params = int8_params(*range);
            }
        }
        self.judge.score(&self.tuned.graph, &scheme)
    }
}
