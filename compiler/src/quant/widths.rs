//! Other widths than 8 bits in a scheme: int16 activations of single layers, int4 weights.

use super::scheme::{INT4_MAX, Precision, Scheme, Weights};
use super::sites::{Sites, is_activation, weights};
use crate::graph::{Graph, NodeId, ValueId};
use crate::tensor::{ElemType, QParams, Tensor};
use std::collections::BTreeSet;

/// Steps of int16 in a step of int8 of the same range: `(2^16 - 1) / (2^8 - 1)`.
const FINER: f32 = 257.0;

/// Room beyond the measured range of an int16 activation. Its noise is far below that of the weights, so that a bit can be
/// spared; a value that calibration did not see then does not saturate.
const HEADROOM: f32 = 2.0;

impl Scheme {
    /// Gives a layer int16 activations, of twice the range that they have where it was measured. What is moved or selected from one of them has 16
    /// bits too; neighbours convert where they stay at 8.
    pub fn int16(&mut self, graph: &Graph, sites: &Sites, id: NodeId) {
        if !matches!(self.nodes.get(&id), Some(Precision::Int8)) {
            return;
        }
        self.nodes.insert(id, Precision::Int16);
        let node = graph.node(id);
        let rule = node.op.operator().quantize();
        let inputs = node.inputs.iter().enumerate();
        let read = inputs.filter_map(|(i, v)| v.filter(|v| is_activation(graph, rule.role(i), *v)));
        let roots: BTreeSet<ValueId> =
            read.chain(node.outputs.iter().copied()).filter_map(|v| sites.roots.get(&v).copied()).collect();
        for (value, activation) in &mut self.values {
            if let (8, Some(root)) = (activation.bits, sites.roots.get(value).filter(|r| roots.contains(r))) {
                let headroom = if sites.fixed.contains_key(root) { 1.0 } else { HEADROOM };
                activation.params = finer(&activation.params, headroom);
                activation.bits = 16;
            }
        }
        // The bias has finer units, for which the weights may need larger scales.
        self.quantize_weights(graph, id);
    }

    /// Gives a layer symmetric int4 weights, rounded to the nearest step, with a scale for each output channel, or, where
    /// `block` is not 0 and the layer is dense or a convolution over all channels, for each `block` input channels.
    pub fn int4(&mut self, graph: &Graph, id: NodeId, block: usize) {
        for (input, value, axis) in weights(graph, id) {
            let Some(floats) = graph.constant(value).filter(|_| self.weights.contains_key(&(id, input)))
            else {
                continue;
            };
            let along = usize::from(axis == 0);
            let blocked = block != 0 && floats.shape()[along] > 1;
            let params = QParams {
                scale: vec![],
                zero_point: vec![],
                axis: Some(if blocked { along } else { axis }),
                block: if blocked { block } else { 0 },
            };
            self.weights.insert((id, input), rounded(floats, params));
        }
    }
}

/// int16 parameters of `headroom` times the range of int8 ones.
fn finer(params: &QParams, headroom: f32) -> QParams {
    let low = (-128 - params.zero_point[0]) as f32;
    let zero_point = (-32_768.0 - low * FINER).round().clamp(-32_768.0, 32_767.0) as i32;
    QParams::per_tensor(params.scale[0] * headroom / FINER, zero_point)
}

/// Weights as int4, the scales from the largest magnitude that each is for.
fn rounded(floats: &Tensor, mut params: QParams) -> Weights {
    let (values, places) = (floats.to_f32s(), {
        // More than one scale, so that the axis counts.
        params.scale = vec![0.0; 2];
        params.indices(floats.shape())
    });
    params.scale = vec![0.0; params.scales_of(floats.shape())];
    params.zero_point = vec![0; params.scale.len()];
    for (value, &place) in values.iter().zip(&places) {
        params.scale[place] = params.scale[place].max(value.abs() / INT4_MAX);
    }
    let spare = params.scale.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    params.scale.iter_mut().filter(|s| !s.is_normal()).for_each(|s| *s = spare);
    let step = |(value, &place): (&f32, &usize)| {
        (value / params.scale[place]).round_ties_even().clamp(-INT4_MAX, INT4_MAX) as i8
    };
    let integers: Vec<i8> = values.iter().zip(&places).map(step).collect();
    let bytes = Tensor::from_i8(floats.shape(), &integers);
    Weights { integers: bytes.reinterpret(ElemType::I4).unwrap_or(bytes), params }
}
