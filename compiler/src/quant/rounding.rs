//! Weight rounding that minimises the error of the layer's output, instead of that of each weight.
//!
//! For weights `w` of one output channel, integers `q` and a scale `s`, the output is off by `x^T (w - s q)`; its mean goes
//! into the bias ([`super::bias_correction`]), so what is left to minimise is `e^T C e` with `e = w - s q` and `C` the
//! covariance of the layer's inputs on the calibration samples ([`super::layer_inputs`]): no labels, no gradients.
//!
//! 1. **Scale**: of several scales up to the plain one (`max |w| / 127`), that of least error when rounded to nearest. A
//!    smaller scale cuts off outliers.
//! 2. **Sequential rounding with error feedback**: weights are rounded one after the other, those of the largest variance
//!    first; the error of each is taken over by those not rounded yet, `w[k] -= e[j] * U[j][k] / U[j][j]`, `U^T U = C^-1`
//!    (E. Frantar et al., "GPTQ", arXiv:2210.17323, equations 2 and 3; P. Nayak et al. and AdaRound, arXiv:2004.10568,
//!    pose the same problem).
//! 3. **Descent**: steps of one integer up or down as long as one lowers `e^T C e`, the best first. The paper stops
//!    before this; at 8 bits it finds what the fixed order missed.
//! 4. The scale that fits the integers best, `s = q^T C w / q^T C q`.
//!
//! It never does worse on its samples than rounding to nearest, by construction: the best of both is kept. It leaves alone
//! layers that are not Conv or Gemm, weights that are computed, and channels whose inputs never vary.

use super::layer_inputs::{Geometry, Moments};
use super::linalg::{Matrix, dot};
use super::scheme::{WEIGHT_MAX, Weights};
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
    let mut errors = [0.0; 2];
    let mut factored: Option<(usize, Problem)> = None;
    for output in 0..geometry.outputs {
        let group = geometry.group(output);
        if factored.as_ref().is_none_or(|(g, _)| *g != group) {
            factored = Problem::new(moments.covariance(group, noise)).map(|p| (group, p));
        }
        let Some((_, problem)) = &factored else { continue };
        let full = geometry.weights(output).any(|p| integers[p].abs() as f32 > WEIGHT_MAX / 2.0);
        if !full {
            // Zeros, or a scale that the bias needs so large.
            continue;
        }
        let places: Vec<usize> = geometry.weights(output).collect();
        let w: Vec<f64> = places.iter().map(|p| values[*p] as f64).collect();
        let nearest: Vec<f64> = places.iter().map(|p| integers[*p] as f64).collect();
        let scale = params.scale[output] as f64;
        let before = problem.error(&w, &nearest, scale);
        let (q, s) = problem.solve(&w, scale);
        let after = problem.error(&w, &q, s as f32 as f64);
        errors[0] += before;
        errors[1] += after.min(before);
        if after < before {
            params.scale[output] = s as f32;
            places.iter().zip(&q).for_each(|(p, q)| integers[*p] = *q as i8);
        }
    }
    (Weights { integers: Tensor::from_i8(floats.shape(), &integers), params }, errors)
}

/// `e^T C e` for one group of inputs.
struct Problem {
    covariance: Matrix,
    /// Inputs by falling variance.
    order: Vec<usize>,
    /// `U` for inputs in that order.
    factor: Matrix,
}

impl Problem {
    fn new(covariance: Matrix) -> Option<Problem> {
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
        Some(Problem { covariance, order, factor })
    }

    fn error(&self, w: &[f64], q: &[f64], s: f64) -> f64 {
        let e: Vec<f64> = w.iter().zip(q).map(|(w, q)| w - s * q).collect();
        self.covariance.quadratic(&e)
    }

    /// Integers and scale.
    fn solve(&self, w: &[f64], plain: f64) -> (Vec<f64>, f64) {
        let rounded = |s: f64| w.iter().map(|w| grid(w / s)).collect::<Vec<_>>();
        let candidates = SCALES.iter().map(|c| c * plain);
        let scored = candidates.map(|s| (self.error(w, &rounded(s), s), s));
        let scale = scored.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(plain, |(_, s)| s);
        let mut best = (f64::INFINITY, rounded(scale), scale);
        for start in [self.sequential(w, scale), rounded(scale)] {
            let q = self.descend(w, start, scale);
            let s = self.refit(w, &q).unwrap_or(scale);
            let error = self.error(w, &q, s);
            if error < best.0 {
                best = (error, q, s);
            }
        }
        (best.1, best.2)
    }

    fn sequential(&self, w: &[f64], s: f64) -> Vec<f64> {
        let n = w.len();
        let mut rest: Vec<f64> = self.order.iter().map(|i| w[*i]).collect();
        let mut q = vec![0.0; n];
        for j in 0..n {
            let integer = grid(rest[j] / s);
            q[self.order[j]] = integer;
            let row = self.factor.row(j);
            let error = (rest[j] - s * integer) / row[j];
            for (r, u) in rest[j + 1..].iter_mut().zip(&row[j + 1..]) {
                *r -= error * u;
            }
        }
        q
    }

    /// Changing `q[j]` by `d` changes the error by `d^2 s^2 C[j][j] - 2 d s (C e)[j]`.
    fn descend(&self, w: &[f64], mut q: Vec<f64>, s: f64) -> Vec<f64> {
        let n = w.len();
        let e: Vec<f64> = w.iter().zip(&q).map(|(w, q)| w - s * q).collect();
        let mut gradient: Vec<f64> = (0..n).map(|i| dot(self.covariance.row(i), &e)).collect();
        for _ in 0..STEPS_PER_WEIGHT * n {
            let mut best = (0.0, 0, 0.0);
            for j in 0..n {
                let d = gradient[j].signum();
                let change = s * s * self.covariance.values[j * n + j] - 2.0 * s * gradient[j].abs();
                if change < best.0 && (q[j] + d).abs() <= WEIGHT_MAX as f64 {
                    best = (change, j, d);
                }
            }
            let (change, j, d) = best;
            if change >= 0.0 {
                break;
            }
            q[j] += d;
            for (g, c) in gradient.iter_mut().zip(self.covariance.row(j)) {
                *g -= d * s * c;
            }
        }
        q
    }

    /// The best scale for integers; `None` when it is no positive number.
    fn refit(&self, w: &[f64], q: &[f64]) -> Option<f64> {
        let cq: Vec<f64> = (0..self.covariance.n).map(|i| dot(self.covariance.row(i), q)).collect();
        let s = dot(&cq, w) / dot(&cq, q);
        (s.is_finite() && s > f32::MIN_POSITIVE as f64).then_some(s)
    }
}

fn grid(x: f64) -> f64 {
    x.round_ties_even().clamp(-WEIGHT_MAX as f64, WEIGHT_MAX as f64)
}
