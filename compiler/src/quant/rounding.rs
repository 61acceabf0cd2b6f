//! Weight rounding that minimises the error of the layer's output, instead of that of each weight.
//!
//! For weights `w` of one output channel, integers `q` and a scale `s`, the output is off by `x^T (w - s q)`; its mean goes
//! into the bias ([`super::bias_correction`]), so what is left to minimise is `e^T C e` with `e = w - s q` and `C` the
//! covariance of the layer's inputs on the calibration samples ([`super::layer_inputs`]): no labels, no gradients.
//!
//! 1. **Scale**: of several scales up to the plain one (`max |w| / 127`, or 7 for int4), that of least error when rounded to nearest. A
//!    smaller scale cuts off outliers.
//! 2. **Sequential rounding with error feedback**: weights are rounded one after the other, those of the largest variance
//!    first; the error of each is taken over by those not rounded yet, `w[k] -= e[j] * U[j][k] / U[j][j]`, `U^T U = C^-1`
//!    (E. Frantar et al., "GPTQ", arXiv:2210.17323, equations 2 and 3; P. Nayak et al. and AdaRound, arXiv:2004.10568,
//!    pose the same problem).
//! 3. **Descent**: steps of one integer up or down as long as one lowers `e^T C e`, the best first. The paper stops
//!    before this; at 8 bits it finds what the fixed order missed.
//! 4. The scale that fits the integers best, `s = q^T C w / q^T C q`. Where blocks of a channel have scales of their own, `s` is
//!    a factor of all of them.
//!
//! It never does worse on its samples than rounding to nearest, by construction: the best of both is kept. It leaves alone
//! layers that are not Conv or Gemm, weights that are computed, and channels whose inputs never vary.

use super::layer_inputs::{Geometry, Moments};
use super::linalg::{Matrix, dot};
use super::scheme::Weights;
use crate::tensor::Tensor;

/// Candidates for the scale of a channel, relative to the plain one.
const SCALES: [f64; 8] = [1.0, 0.97, 0.94, 0.91, 0.88, 0.84, 0.8, 0.75];

/// Steps of the descent, for each weight of a channel.
const STEPS_PER_WEIGHT: usize = 4;

/// Rounds the weights of one layer. `plain` has the scales to start from; `noise` is the variance of the rounding of the
/// layer's input, in real units. Returns the weights and the sum over channels of the error that nearest rounding makes,
/// and of what is left of it.
pub fn round(
    geometry: &Geometry,
    moments: &Moments,
    noise: f64,
    floats: &Tensor,
    plain: &Weights,
) -> (Weights, [f64; 2]) {
    let values = floats.to_f32s();
    let mut integers = plain.integers.to_i8s();
    let mut params = plain.params.clone();
    let scales = plain.params.indices(floats.shape());
    let mut errors = [0.0; 2];
    let mut factored: Option<(usize, Problem)> = None;
    for output in 0..geometry.outputs {
        let group = geometry.group(output);
        if factored.as_ref().is_none_or(|(g, _)| *g != group) {
            let problem = Problem::new(moments.covariance(group, noise), plain.limit());
            factored = problem.map(|p| (group, p));
        }
        let Some((_, problem)) = &factored else { continue };
        let places: Vec<usize> = geometry.weights(output).collect();
        if !places.iter().any(|p| integers[*p].abs() as f64 > plain.limit() / 2.0) {
            // Zeros, or a scale that the bias needs so large.
            continue;
        }
        let channel = Channel {
            w: places.iter().map(|p| values[*p] as f64).collect(),
            steps: places.iter().map(|p| plain.params.scale[scales[*p]] as f64).collect(),
        };
        let nearest: Vec<f64> = places.iter().map(|p| integers[*p] as f64).collect();
        let before = problem.error(&channel, &nearest, 1.0);
        let (q, s) = problem.solve(&channel);
        let after = problem.error(&channel, &q, s);
        errors[0] += before;
        errors[1] += after.min(before);
        if after < before {
            for (p, q) in places.iter().zip(&q) {
                // Several weights may share a scale.
                params.scale[scales[*p]] = (plain.params.scale[scales[*p]] as f64 * s) as f32;
                integers[*p] = *q as i8;
            }
        }
    }
    let rounded = Tensor::from_i8(floats.shape(), &integers);
    let integers = rounded.reinterpret(plain.integers.elem()).unwrap_or(rounded);
    (Weights { integers, params }, errors)
}

/// The weights of one output channel, and the plain scale of each.
struct Channel {
    w: Vec<f64>,
    steps: Vec<f64>,
}

/// `e^T C e` for one group of inputs.
struct Problem {
    covariance: Matrix,
    /// Inputs by falling variance.
    order: Vec<usize>,
    /// `U` for inputs in that order.
    factor: Matrix,
    /// Largest magnitude of an integer.
    limit: f64,
}

impl Problem {
    fn new(covariance: Matrix, limit: f64) -> Option<Problem> {
        let n = covariance.n;
        let variance = |i: usize| covariance.values[i * n + i];
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| variance(*b).total_cmp(&variance(*a)).then(a.cmp(b)));
        let mut sorted = Matrix::zeros(n);
        for (i, &from) in order.iter().enumerate() {
            for (j, &at) in order.iter().enumerate() {
                sorted.values[i * n + j] = covariance.values[from * n + at];
            }
        }
        let factor = sorted.inverse_factor()?;
        Some(Problem { covariance, order, factor, limit })
    }

    /// The nearest integer.
    fn grid(&self, x: f64) -> f64 {
        x.round_ties_even().clamp(-self.limit, self.limit)
    }

    /// What is left of a channel at `s` times its scales.
    fn error(&self, channel: &Channel, q: &[f64], s: f64) -> f64 {
        self.covariance.quadratic(&channel.residue(q, s))
    }

    fn nearest(&self, channel: &Channel, s: f64) -> Vec<f64> {
        channel.w.iter().zip(&channel.steps).map(|(w, step)| self.grid(w / (s * step))).collect()
    }

    /// Integers, and what to multiply the scales by.
    fn solve(&self, channel: &Channel) -> (Vec<f64>, f64) {
        let scored = SCALES.iter().map(|&s| (self.error(channel, &self.nearest(channel, s), s), s));
        let scale = scored.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(1.0, |(_, s)| s);
        let mut best = (f64::INFINITY, self.nearest(channel, scale), scale);
        for start in [self.sequential(channel, scale), self.nearest(channel, scale)] {
            let q = self.descend(channel, start, scale);
            let s = self.refit(channel, &q).unwrap_or(scale);
            let error = self.error(channel, &q, s);
            if error < best.0 {
                best = (error, q, s);
            }
        }
        (best.1, best.2)
    }

    fn sequential(&self, channel: &Channel, s: f64) -> Vec<f64> {
        let n = channel.w.len();
        let mut rest: Vec<f64> = self.order.iter().map(|i| channel.w[*i]).collect();
        let mut q = vec![0.0; n];
        for j in 0..n {
            let step = s * channel.steps[self.order[j]];
            let integer = self.grid(rest[j] / step);
            q[self.order[j]] = integer;
            let row = self.factor.row(j);
            let error = (rest[j] - step * integer) / row[j];
            for (r, u) in rest[j + 1..].iter_mut().zip(&row[j + 1..]) {
                *r -= error * u;
            }
        }
        q
    }

    /// Changing `q[j]` by `d` changes the error by `d^2 s^2 C[j][j] - 2 d s (C e)[j]`, with the scale `s` of that weight.
    fn descend(&self, channel: &Channel, mut q: Vec<f64>, s: f64) -> Vec<f64> {
        let n = channel.w.len();
        let e = channel.residue(&q, s);
        let mut gradient: Vec<f64> = (0..n).map(|i| dot(self.covariance.row(i), &e)).collect();
        for _ in 0..STEPS_PER_WEIGHT * n {
            let mut best = (0.0, 0, 0.0);
            for j in 0..n {
                let (d, step) = (gradient[j].signum(), s * channel.steps[j]);
                let change = step * (step * self.covariance.values[j * n + j] - 2.0 * gradient[j].abs());
                if change < best.0 && (q[j] + d).abs() <= self.limit {
                    best = (change, j, d);
                }
            }
            let (change, j, d) = best;
            if change >= 0.0 {
                break;
            }
            q[j] += d;
            for (g, c) in gradient.iter_mut().zip(self.covariance.row(j)) {
                *g -= d * s * channel.steps[j] * c;
            }
        }
        q
    }

    /// The best factor of the scales for integers; `None` when it is no positive number.
    fn refit(&self, channel: &Channel, q: &[f64]) -> Option<f64> {
        let reals: Vec<f64> = q.iter().zip(&channel.steps).map(|(q, step)| q * step).collect();
        let cq: Vec<f64> = (0..self.covariance.n).map(|i| dot(self.covariance.row(i), &reals)).collect();
        let s = dot(&cq, &channel.w) / dot(&cq, &reals);
        (s.is_finite() && s > f32::MIN_POSITIVE as f64).then_some(s)
    }
}

impl Channel {
    /// `w - s q`.
    fn residue(&self, q: &[f64], s: f64) -> Vec<f64> {
        let terms = self.w.iter().zip(q).zip(&self.steps);
        terms.map(|((w, q), step)| w - s * step * q).collect()
    }
}
