//! A scheme: everything that quantization decides, as data. Calibration makes one, the accuracy tools change it,
//! [`Scheme::apply`] writes it into the graph as QuantizeLinear and DequantizeLinear.

use super::sites::{Sites, weights};
use crate::graph::{Graph, NodeId, ValueId};
use crate::tensor::{ElemType, QParams, Tensor};
use std::collections::BTreeMap;

/// Largest magnitude of an int8 weight: symmetric, so that -128 is not used.
pub const WEIGHT_MAX: f32 = 127.0;

/// Largest magnitude of an int4 weight: symmetric, so that -8 is not used.
pub const INT4_MAX: f32 = 7.0;

/// Largest magnitude of a bias in steps, which leaves the accumulator room for the products.
const BIAS_MAX: f64 = (1u64 << 30) as f64;

/// How an activation is quantized.
#[derive(Debug, Clone, PartialEq)]
pub struct Activation {
    /// Scale and zero point, one for the tensor.
    pub params: QParams,
    /// Bits of the integer.
    pub bits: u8,
}

/// Quantized weights of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// The integers, in the shape of the float weights. Rounding tools may change each of them.
    pub integers: Tensor,
    /// A scale for each output channel, or for each block; zero points are 0.
    pub params: QParams,
}

impl Weights {
    /// The real numbers that the integers stand for.
    pub fn reals(&self) -> Vec<f64> {
        let places = self.params.indices(self.integers.shape());
        let real = |(q, place): (i8, &usize)| q as f64 * self.params.scale[*place] as f64;
        self.integers.to_i8s().into_iter().zip(&places).map(real).collect()
    }

    /// Largest magnitude of an integer.
    pub fn limit(&self) -> f64 {
        if self.integers.elem() == ElemType::I4 { INT4_MAX as f64 } else { WEIGHT_MAX as f64 }
    }
}

/// How the weights of layers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightBits {
    /// int8, a scale for each output channel.
    #[default]
    Int8,
    /// int4, two in a byte. A scale for each output channel where `block` is 0, or for each `block` input channels.
    Int4 {
        /// Input channels that share a scale.
        block: usize,
    },
}

/// The arithmetic of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// int8 activations and weights.
    #[default]
    Int8,
    /// int16 activations.
    Int16,
    /// The float kernel.
    Float,
}

impl Precision {
    /// The name that the profile has for it.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Int8 => "int8",
            Precision::Int16 => "int16",
            Precision::Float => "float",
        }
    }
}

/// Decisions for one fused float graph, by its ids. What is not listed stays in float.
#[derive(Debug, Clone, Default)]
pub struct Scheme {
    /// The layers that become integer.
    pub nodes: BTreeMap<NodeId, Precision>,
    /// Activations, constant operands among them. Values that are moved have the parameters of what they are moved from.
    pub values: BTreeMap<ValueId, Activation>,
    /// Weights by layer and index of its input.
    pub weights: BTreeMap<(NodeId, usize), Weights>,
    /// What is added to the bias of a layer, one number for each output channel, in real units.
    pub corrections: BTreeMap<NodeId, Vec<f64>>,
}

impl Scheme {
    /// The plain scheme: activations as `ranges` says for the measured roots of `sites`, weights rounded to the nearest
    /// step of their channel's largest magnitude. Where an operator states the parameters, they hold unless there is a range. A root without range stays in float, and so do its layers.
    pub fn new(graph: &Graph, sites: &Sites, ranges: &BTreeMap<ValueId, (f32, f32)>) -> Scheme {
        let mut scheme = Scheme::default();
        for (&value, root) in &sites.roots {
            let params = match (ranges.get(root), sites.fixed.get(root), graph.constant(*root)) {
                (Some(range), ..) => int8_params(*range),
                (None, Some(fixed), _) => fixed.clone(),
                (None, None, Some(constant)) => int8_params(extent(&constant.to_f32s())),
                (None, None, None) => continue,
            };
            scheme.values.insert(value, Activation { params, bits: 8 });
        }
        for &id in &sites.nodes {
            let node = graph.node(id);
            let ready = |v: &ValueId| !sites.roots.contains_key(v) || scheme.values.contains_key(v);
            if node.inputs.iter().flatten().chain(&node.outputs).all(ready) {
                scheme.nodes.insert(id, Precision::Int8);
                scheme.quantize_weights(graph, id);
            }
        }
        scheme
    }

    /// Gives a layer plain weights, from the floats of the graph and the scale of its input as it is now.
    pub fn quantize_weights(&mut self, graph: &Graph, id: NodeId) {
        for (input, value, axis) in weights(graph, id) {
            let Some(floats) = graph.constant(value) else { continue };
            let least = self.least_scales(graph, id, input, floats.shape()[axis]);
            self.weights.insert((id, input), per_channel(floats, axis, &least));
        }
    }

    /// The smallest weight scales for which the bias, in steps of `scale_x * scale_w`, is at most [`BIAS_MAX`]: a channel of
    /// almost no weights may have a large bias.
    fn least_scales(&self, graph: &Graph, id: NodeId, input: usize, channels: usize) -> Vec<f32> {
        let mut least = vec![f32::MIN_POSITIVE; channels];
        let node = graph.node(id);
        let x = node.inputs[0].and_then(|v| self.values.get(&v)).map(|a| a.params.scale[0] as f64);
        let bias = node.inputs.get(input + 1).copied().flatten().and_then(|b| graph.constant(b));
        if let (Some(x), Some(bias)) = (x, bias.map(|b| b.to_f32s()).filter(|b| !b.is_empty())) {
            for (c, least) in least.iter_mut().enumerate() {
                let b = bias[if bias.len() == 1 { 0 } else { c }].abs() as f64;
                *least = least.max((b / BIAS_MAX / x) as f32);
            }
        }
        least
    }
}

/// Smallest and largest value; NaN is left out.
pub fn extent(values: &[f32]) -> (f32, f32) {
    let fold = |f: fn(f32, f32) -> f32, start| values.iter().fold(start, |m, &v| f(m, v));
    (fold(f32::min, f32::INFINITY), fold(f32::max, f32::NEG_INFINITY))
}

/// Scale and zero point of int8 for a range of real values, extended to hold 0, which has to be exact (padding, Relu):
/// `scale = (max - min) / 255`, `zero_point = round(-128 - min / scale)`.
pub fn int8_params((low, high): (f32, f32)) -> QParams {
    let (low, high) = (low.min(0.0) as f64, high.max(0.0) as f64);
    // Denormal scales have lost digits, and a range of one point has none: any scale shows a zero.
    let scale = ((high - low) / 255.0) as f32;
    let scale = if scale.is_normal() { scale } else { 1.0 };
    let zero_point = (-128.0 - low / scale as f64).round().clamp(-128.0, 127.0) as i32;
    QParams::per_tensor(scale, zero_point)
}

/// Symmetric weights: `scale = max |w| / 127` for each index of `axis`, but not below `least`.
pub fn per_channel(weights: &Tensor, axis: usize, least: &[f32]) -> Weights {
    let values = weights.to_f32s();
    let channels = weights.shape()[axis];
    let inner: usize = weights.shape()[axis + 1..].iter().product();
    let channel = |i: usize| i / inner % channels;
    let mut largest = vec![0f32; channels];
    for (i, v) in values.iter().enumerate() {
        let m = &mut largest[channel(i)];
        *m = m.max(v.abs());
    }
    // A channel of zeros takes the scale of another one, so that its multiplier is an ordinary one.
    let spare = largest.iter().copied().fold(0f32, f32::max);
    let spare = if spare / WEIGHT_MAX > f32::MIN_POSITIVE { spare } else { WEIGHT_MAX };
    let plain = |m: f32| if m == 0.0 { spare / WEIGHT_MAX } else { m / WEIGHT_MAX };
    let scale: Vec<f32> = largest.iter().zip(least).map(|(&m, &least)| plain(m).max(least)).collect();
    let params = QParams::per_axis(scale, vec![0; channels], Some(axis));
    let integers: Vec<i8> =
        values.iter().enumerate().map(|(i, v)| nearest(*v, params.scale[channel(i)])).collect();
    Weights { integers: Tensor::from_i8(weights.shape(), &integers), params }
}

/// The nearest int8 weight.
pub fn nearest(value: f32, scale: f32) -> i8 {
    (value / scale).round_ties_even().clamp(-WEIGHT_MAX, WEIGHT_MAX) as i8
}
