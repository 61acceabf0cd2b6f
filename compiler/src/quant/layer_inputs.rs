//! What a layer multiplies its weights with, as statistics: for each group of a Conv (one for a Gemm), the mean and the
//! second moments of the inputs of one output, gathered as the convolution gathers them (im2col, padding included).
//!
//! The weights of one output channel are a vector `w` of `k` numbers in the order of the ONNX weights, so the layer's error
//! for weights `v` in place of `w` is `(w - v)^T E[x x^T] (w - v)`.

use super::linalg::Matrix;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::tensor::{Tensor, strides};

/// Positions of one sample that are looked at, at most: neighbours tell much the same.
const POSITIONS: usize = 256;

/// A Conv or a Gemm with constant weights, seen as products of vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Geometry {
    /// Groups; each has its own inputs.
    pub groups: usize,
    /// Output channels.
    pub outputs: usize,
    /// Products for one output.
    pub k: usize,
    /// For each position that is looked at, where the `k` inputs of group 0 lie in the input tensor; `None` is padding.
    gather: Vec<Vec<Option<usize>>>,
    /// Distance of a group's inputs from those of the group before.
    group_stride: usize,
    /// Where weight `(output, i)` lies among the weights: `output * steps.0 + i * steps.1`.
    steps: (usize, usize),
}

impl Geometry {
    /// `None` for other nodes, and for convolutions of a batch.
    pub fn of(graph: &Graph, id: NodeId) -> Option<Geometry> {
        let node = graph.node(id);
        let value = |i: usize| node.inputs.get(i).copied().flatten();
        let x = &graph.value(value(0)?).ty.shape;
        let w = graph.constant(value(1)?)?.shape().to_vec();
        match &node.op {
            Op::Conv(op) if x[0] == 1 => {
                let window = op.window.resolve(&x[2..], Some(&w[2..])).ok()?;
                let (inner, k) = (strides(x), w[1..].iter().product());
                let space = x.len() - 2;
                let positions: usize = window.output.iter().product();
                let step = positions.div_ceil(POSITIONS).max(1);
                let mut gather = vec![];
                for position in (0..positions).step_by(step) {
                    let at = unravel(position, &window.output);
                    let tap = |i: usize| {
                        let index = unravel(i, &w[1..]);
                        let mut offset = index[0] * inner[1];
                        for a in 0..space {
                            let row = at[a] * window.strides[a] + index[a + 1] * window.dilations[a];
                            let row = row.checked_sub(window.pad_start[a]).filter(|r| *r < x[a + 2])?;
                            offset += row * inner[a + 2];
                        }
                        Some(offset)
                    };
                    gather.push((0..k).map(tap).collect());
                }
                let group_stride = w[1] * inner[1];
                Some(Geometry { groups: op.groups, outputs: w[0], k, gather, group_stride, steps: (k, 1) })
            }
            Op::Gemm(op) if !op.trans_a => {
                let (n, k) = if op.trans_b { (w[0], w[1]) } else { (w[1], w[0]) };
                let rows = (0..x[0]).map(|r| (0..k).map(|i| Some(r * k + i)).collect()).collect();
                let steps = if op.trans_b { (k, 1) } else { (1, n) };
                Some(Geometry { groups: 1, outputs: n, k, gather: rows, group_stride: 0, steps })
            }
            _ => None,
        }
    }

    /// The group that an output channel belongs to.
    pub fn group(&self, output: usize) -> usize {
        output / (self.outputs / self.groups).max(1)
    }

    /// Where the `k` weights of an output channel lie in the tensor.
    pub fn weights(&self, output: usize) -> impl Iterator<Item = usize> {
        let (outer, inner) = self.steps;
        (0..self.k).map(move |i| output * outer + i * inner)
    }
}

/// The mean of the inputs of one output, for each group; the sums behind [`Moments::mean`] without the products.
#[derive(Debug, Clone)]
pub struct Means {
    count: f64,
    sum: Vec<Vec<f64>>,
}

impl Means {
    /// Nothing yet.
    pub fn new(geometry: &Geometry) -> Means {
        Means { count: 0.0, sum: vec![vec![0.0; geometry.k]; geometry.groups] }
    }

    /// Adds one input of the layer.
    pub fn add(&mut self, geometry: &Geometry, values: &[f32]) {
        for taps in &geometry.gather {
            for (group, sum) in self.sum.iter_mut().enumerate() {
                let base = group * geometry.group_stride;
                for (s, tap) in sum.iter_mut().zip(taps) {
                    *s += tap.map_or(0.0, |t| values[base + t] as f64);
                }
            }
            self.count += 1.0;
        }
    }

    /// `E[x]` of a group.
    pub fn of(&self, group: usize) -> Vec<f64> {
        self.sum[group].iter().map(|s| s / self.count.max(1.0)).collect()
    }
}

/// Sums over samples and positions.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Number of positions summed.
    pub count: f64,
    /// For each group, `sum(x)`.
    pub sum: Vec<Vec<f64>>,
    /// For each group, `sum(x * x^T)`.
    pub products: Vec<Matrix>,
}

impl Moments {
    /// Nothing yet.
    pub fn new(geometry: &Geometry) -> Moments {
        let Geometry { groups, k, .. } = *geometry;
        Moments { count: 0.0, sum: vec![vec![0.0; k]; groups], products: vec![Matrix::zeros(k); groups] }
    }

    /// Adds one input of the layer.
    pub fn add(&mut self, geometry: &Geometry, input: &Tensor) {
        let values = input.to_f32s();
        let mut column = vec![0f64; geometry.k];
        for taps in &geometry.gather {
            for group in 0..geometry.groups {
                let base = group * geometry.group_stride;
                for (c, tap) in column.iter_mut().zip(taps) {
                    *c = tap.map_or(0.0, |t| values[base + t] as f64);
                }
                self.add_column(group, &column);
            }
            self.count += 1.0;
        }
    }

    /// The lower triangle only; [`Moments::second`] mirrors it.
    fn add_column(&mut self, group: usize, column: &[f64]) {
        let (sum, products) = (&mut self.sum[group], &mut self.products[group]);
        for (i, &x) in column.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            sum[i] += x;
            let row = &mut products.values[i * column.len()..][..i + 1];
            for (p, y) in row.iter_mut().zip(column) {
                *p += x * y;
            }
        }
    }

    /// `E[x]` of a group.
    pub fn mean(&self, group: usize) -> Vec<f64> {
        self.sum[group].iter().map(|s| s / self.count.max(1.0)).collect()
    }

    /// The covariance of a group's inputs, with `noise` added to each variance: what rounding the inputs adds
    /// (`scale^2 / 12` for a step of `scale`), which also keeps the matrix regular.
    pub fn covariance(&self, group: usize, noise: f64) -> Matrix {
        let mean = self.mean(group);
        let n = mean.len();
        let mut result = Matrix::zeros(n);
        for i in 0..n {
            for j in 0..=i {
                let v = self.products[group].values[i * n + j] / self.count.max(1.0) - mean[i] * mean[j];
                result.values[i * n + j] = v;
                result.values[j * n + i] = v;
            }
        }
        let trace: f64 = (0..n).map(|i| result.values[i * n + i].max(0.0)).sum();
        let ridge = noise + 1e-6 * trace / n.max(1) as f64 + f64::MIN_POSITIVE;
        for i in 0..n {
            result.values[i * n + i] = result.values[i * n + i].max(0.0) + ridge;
        }
        result
    }
}

/// What a layer reads in two programs, the original one and a changed one: second moments of the changed inputs, and of those
/// with the original ones.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Of the changed inputs.
    changed: Moments,
    /// `sum(x)` of the original inputs, for each group.
    sum: Vec<Vec<f64>>,
    /// `sum(x' * x^T)`: rows are changed inputs.
    products: Vec<Matrix>,
}

impl Pair {
    /// Nothing yet.
    pub fn new(geometry: &Geometry) -> Pair {
        let Geometry { groups, k, .. } = *geometry;
        Pair {
            changed: Moments::new(geometry),
            sum: vec![vec![0.0; k]; groups],
            products: vec![Matrix::zeros(k); groups],
        }
    }

    /// Adds an input of the layer in the original program and in the changed one.
    pub fn add(&mut self, geometry: &Geometry, original: &[f32], changed: &[f32]) {
        let k = geometry.k;
        let (mut x, mut y) = (vec![0f64; k], vec![0f64; k]);
        for taps in &geometry.gather {
            for group in 0..geometry.groups {
                let base = group * geometry.group_stride;
                for (i, tap) in taps.iter().enumerate() {
                    x[i] = tap.map_or(0.0, |t| original[base + t] as f64);
                    y[i] = tap.map_or(0.0, |t| changed[base + t] as f64);
                }
                self.changed.add_column(group, &y);
                self.sum[group].iter_mut().zip(&x).for_each(|(s, x)| *s += x);
                for (i, y) in y.iter().enumerate().filter(|(_, y)| **y != 0.0) {
                    let row = &mut self.products[group].values[i * k..(i + 1) * k];
                    row.iter_mut().zip(&x).for_each(|(p, x)| *p += x * y);
                }
            }
            self.changed.count += 1.0;
        }
    }

    fn count(&self) -> f64 {
        self.changed.count.max(1.0)
    }

    /// Means of a group's original inputs and of the changed ones.
    pub fn means(&self, group: usize) -> (Vec<f64>, Vec<f64>) {
        (self.sum[group].iter().map(|s| s / self.count()).collect(), self.changed.mean(group))
    }

    /// Covariance of changed input `i` and original input `j`.
    pub fn cross(&self, group: usize, i: usize, j: usize) -> f64 {
        let product = self.products[group].values[i * self.products[group].n + j] / self.count();
        product - self.changed.sum[group][i] * self.sum[group][j] / (self.count() * self.count())
    }

    /// Covariance of two changed inputs.
    pub fn own(&self, group: usize, i: usize, j: usize) -> f64 {
        let (i, j) = (i.max(j), i.min(j));
        let product = self.changed.products[group].values[i * self.products[group].n + j] / self.count();
        product - self.changed.sum[group][i] * self.changed.sum[group][j] / (self.count() * self.count())
    }

    /// The inverse of the covariance of the changed inputs `kept`, with a ridge on the variances: a share `ridge.0` of their
    /// mean, or `ridge.1` for as many inputs as there are observations. `None` when they do not vary.
    pub fn inverse(&self, group: usize, kept: &[usize], ridge: (f64, f64)) -> Option<Matrix> {
        let n = kept.len();
        let mut covariance = Matrix::zeros(n);
        for (a, &i) in kept.iter().enumerate() {
            for (b, &j) in kept.iter().enumerate() {
                covariance.values[a * n + b] = self.own(group, i, j);
            }
        }
        let mean = (0..n).map(|i| covariance.values[i * n + i].max(0.0)).sum::<f64>() / n.max(1) as f64;
        let share = ridge.0.max(ridge.1 * n as f64 / self.count());
        for i in 0..n {
            covariance.values[i * n + i] = covariance.values[i * n + i].max(0.0) + share * mean;
        }
        covariance.cholesky().map(|l| l.invert_lower().transposed_product())
    }
}

/// Row-major coordinates.
fn unravel(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut result = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        result[axis] = index % shape[axis];
        index /= shape[axis];
    }
    result
}
