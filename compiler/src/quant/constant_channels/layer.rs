//! Conv and Gemm with constant int8 weights, seen alike.

use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::ops::shared::{Clamp, FixedPoint};
use crate::tensor::{ElemType, QParams, Tensor};

/// An integer layer `acc[o] = bias[o] + sum (x[c] - zp_x)(w[o, c] - zp_w[o])` over taps and input channels.
pub(super) struct Layer {
    pub id: NodeId,
    pub x: ValueId,
    pub y: ValueId,
    /// Whether output channel `o` reads input channel `o` only.
    pub depthwise: bool,
    /// Whether taps may lie in the padding, where `x = zp_x`.
    pub padded: bool,
    /// Output channels.
    pub outputs: usize,
    /// Input channels that one output reads: 1 for depthwise.
    pub inputs: usize,
    /// Taps of each.
    pub taps: usize,
    /// `w - zp_w` as `[outputs][inputs][taps]`.
    pub weights: Vec<i32>,
    pub bias: Vec<i64>,
    pub x_zero_point: i64,
    pub y_zero_point: i32,
    fixed: Vec<FixedPoint>,
    clamp: (i8, i8),
    /// Positions of the output, for counting.
    pub positions: u64,
}

impl Layer {
    /// `None` for other operators, for grouped convolutions, and where something is not constant int8.
    pub fn of(graph: &Graph, id: NodeId) -> Option<Layer> {
        let node = graph.node(id);
        let operand = |i: usize| node.inputs.get(i).copied().flatten();
        let (x, w, y) = (operand(0)?, operand(1)?, *node.outputs.first()?);
        let (xv, wv, yv) = (graph.value(x), graph.value(w), graph.value(y));
        if [xv, wv, yv].iter().any(|v| v.ty.elem != ElemType::I8) || xv.data.is_some() {
            return None;
        }
        let weights = wv.data.as_ref()?;
        let (xq, wq, yq) = (xv.qparams.as_ref()?, wv.qparams.as_ref()?, yv.qparams.as_ref()?);
        let (weights, clamp, depthwise, padded) = shape_of(graph, id, weights)?;
        let (outputs, inputs) = (weights.shape()[0], weights.shape()[1]);
        let taps: usize = weights.shape()[2..].iter().product();
        let bias = match operand(2) {
            Some(b) => {
                graph.constant(b).filter(|b| b.elem() == ElemType::I32 && b.elements() == outputs)?.to_i64s()
            }
            None => vec![0; outputs],
        };
        let per = |o: usize| if wq.scale.len() == 1 { 0 } else { o };
        let fixed =
            |o| FixedPoint::new(xq.scale[0] as f64 * wq.scale[per(o)] as f64 / yq.scale[0] as f64).ok();
        let values = weights.to_i8s().into_iter().enumerate();
        let size = (inputs * taps).max(1);
        Some(Layer {
            id,
            x,
            y,
            depthwise,
            padded,
            outputs,
            inputs,
            taps,
            weights: values.map(|(i, w)| w as i32 - wq.zero_point[per(i / size)]).collect(),
            bias,
            x_zero_point: xq.zero_point[0] as i64,
            y_zero_point: yq.zero_point[0],
            fixed: (0..outputs).map(fixed).collect::<Option<_>>()?,
            clamp: clamp.bounds::<i8>(yq),
            positions: (yv.ty.elements() / outputs.max(1)) as u64,
        })
    }

    /// The input channel that is number `i` of those that output `o` reads.
    pub fn input(&self, o: usize, i: usize) -> usize {
        if self.depthwise { o } else { i }
    }

    /// `w - zp_w` of output `o` and the `i`th input that it reads.
    pub fn weights(&self, o: usize, i: usize) -> &[i32] {
        let start = (o * self.inputs + i) * self.taps;
        &self.weights[start..start + self.taps]
    }

    /// The output for an accumulator, as the kernel computes it: it never falls as the accumulator rises.
    pub fn requantize(&self, o: usize, acc: i64) -> i8 {
        let f = self.fixed[o];
        let scaled = ((acc << f.shift) * f.multiplier as i64 + (1 << 31)) >> 32;
        (self.y_zero_point as i64 + scaled).clamp(self.clamp.0 as i64, self.clamp.1 as i64) as i8
    }

    /// Multiply-accumulates with so many outputs that read so many inputs.
    pub fn macs(&self, outputs: usize, inputs: usize) -> u64 {
        self.positions * (outputs * inputs * self.taps) as u64
    }
}

/// Weights as `[outputs][inputs][taps..]`, the clamp, whether depthwise, whether padded.
fn shape_of(graph: &Graph, id: NodeId, weights: &Tensor) -> Option<(Tensor, Clamp, bool, bool)> {
    let node = graph.node(id);
    match &node.op {
        Op::Conv(op) => {
            let x = &graph.value(node.inputs[0]?).ty.shape;
            let depthwise = op.groups > 1;
            if depthwise && (op.groups != x[1] || weights.shape()[..2] != [op.groups, 1]) {
                return None;
            }
            let window = op.window.resolve(&x[2..], Some(&weights.shape()[2..])).ok()?;
            let padded = window.pad_start.iter().chain(&window.pad_end).any(|p| *p > 0);
            Some((weights.clone(), op.clamp, depthwise, padded))
        }
        Op::Gemm(op) if !op.trans_a && op.alpha == 1.0 && op.beta == 1.0 => {
            let weights = if op.trans_b { weights.clone() } else { weights.transpose(&[1, 0]) };
            Some((weights, op.clamp, false, false))
        }
        _ => None,
    }
}

/// The parameters of one channel of a value, `(scale, zero_point)`.
pub(super) fn channel_params(q: &QParams, channel: usize) -> (f32, i32) {
    let at = if q.scale.len() == 1 { 0 } else { channel };
    (q.scale[at], q.zero_point[at])
}
