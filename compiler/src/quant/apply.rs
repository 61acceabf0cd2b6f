//! A scheme written into the float graph: standard QuantizeLinear and DequantizeLinear nodes, which [`super::integers`] turns
//! into integer arithmetic and `graph::export` into a QDQ file.

use super::scheme::{Activation, Precision, Scheme, Weights};
use super::sites::{is_activation, weight};
use crate::diag::Diagnostic;
use crate::graph::{Graph, NodeId, Origin, ValueId};
use crate::ops::{DequantizeLinear, InputRole, Op, QuantizeLinear};
use crate::tensor::{ElemType, Tensor, TensorType};
use std::collections::BTreeMap;

/// Of biases, along their only axis.
const PER_CHANNEL: DequantizeLinear = DequantizeLinear { axis: 0, block: 0 };
/// Of activations, which have one scale.
const PER_TENSOR: DequantizeLinear = DequantizeLinear { axis: 1, block: 0 };

impl Scheme {
    /// The graph with the scheme in it, which computes what the integer program will, up to rounding of biases and sums.
    ///
    /// # Errors
    /// Those of type inference, which would be internal errors.
    pub fn apply(&self, graph: &Graph) -> Result<Graph, Diagnostic> {
        let mut result = graph.clone();
        let integer = |id: NodeId| self.nodes.get(&id).is_some_and(|p| *p != Precision::Float);
        let order = graph.topological().unwrap_or_default();
        let nodes: Vec<NodeId> = order.into_iter().filter(|id| integer(*id)).collect();
        for &id in &nodes {
            self.layer_constants(graph, &mut result, id)?;
        }
        // Where each value is first read or made decides the order in which the conversions are made.
        let mut wrapped: BTreeMap<ValueId, ()> = BTreeMap::new();
        for &id in &nodes {
            let node = graph.node(id);
            let rule = node.op.operator().quantize();
            let inputs = node.inputs.iter().enumerate();
            let read = inputs.filter_map(|(i, v)| v.filter(|v| is_activation(graph, rule.role(i), *v)));
            for value in read.chain(node.outputs.iter().copied()) {
                if let (Some(activation), None) = (self.values.get(&value), wrapped.insert(value, ())) {
                    wrap(graph, &mut result, value, activation, &integer)?;
                }
            }
        }
        Ok(result)
    }

    /// Weights and bias of a layer as dequantized integers.
    fn layer_constants(&self, graph: &Graph, result: &mut Graph, id: NodeId) -> Result<(), Diagnostic> {
        let node = graph.node(id);
        let rule = node.op.operator().quantize();
        for i in 0..node.inputs.len().max(3) {
            let input = node.inputs.get(i).copied().flatten();
            let replaced = match (rule.role(i), self.weights.get(&(id, i)), input) {
                (InputRole::Weight { .. }, Some(weights), Some(value)) => {
                    let name = graph.value(value).name.clone();
                    Some(dequantized_weights(result, &name, weights)?)
                }
                (InputRole::Bias, ..) if rule.inputs.get(i) == Some(&InputRole::Bias) => {
                    self.bias(graph, result, id, input)?
                }
                _ => None,
            };
            if let Some(replaced) = replaced {
                let inputs = &mut result.node_mut(id).inputs;
                inputs.resize(inputs.len().max(i + 1), None);
                inputs[i] = Some(replaced);
            }
        }
        Ok(())
    }

    /// `round((bias + correction) / (scale_x * scale_w))`, dequantized; `None` where there is neither.
    fn bias(
        &self,
        graph: &Graph,
        result: &mut Graph,
        id: NodeId,
        input: Option<ValueId>,
    ) -> Result<Option<ValueId>, Diagnostic> {
        let correction = self.corrections.get(&id);
        if input.is_none() && correction.is_none() {
            return Ok(None);
        }
        let Some(scales) = self.bias_scales(graph, id) else { return Ok(None) };
        let floats = input.and_then(|v| graph.constant(v)).map(|t| t.to_f32s()).unwrap_or_default();
        let pick =
            |list: &[f64], c: usize| list.get(if list.len() == 1 { 0 } else { c }).copied().unwrap_or(0.0);
        let floats: Vec<f64> = floats.into_iter().map(f64::from).collect();
        let steps: Vec<i32> = scales
            .iter()
            .enumerate()
            .map(|(c, scale)| {
                let real = pick(&floats, c) + correction.map_or(0.0, |list| pick(list, c));
                (real / scale).round_ties_even().clamp(i32::MIN as f64, i32::MAX as f64) as i32
            })
            .collect();
        let name =
            input.map_or_else(|| format!("{}/bias", graph.node(id).name), |v| graph.value(v).name.clone());
        let integers =
            result.add_constant(&format!("{name}_quantized"), Tensor::from_i32(&[steps.len()], &steps));
        let scales: Vec<f32> = scales.iter().map(|s| *s as f32).collect();
        let scale = result.add_constant(&format!("{name}_scale"), Tensor::from_f32(&[scales.len()], &scales));
        dequantize(result, &name, vec![Some(integers), Some(scale)], PER_CHANNEL).map(Some)
    }

    /// The unit of a layer's bias, for each output channel: `scale_x * scale_w`, finer for weights with blocks.
    pub fn bias_scales(&self, graph: &Graph, id: NodeId) -> Option<Vec<f64>> {
        let x = graph.node(id).inputs[0].and_then(|v| self.values.get(&v))?.params.scale[0] as f64;
        let (value, axis) = weight(graph, id)?;
        let input = graph.node(id).inputs.iter().position(|v| *v == Some(value))?;
        let weights = self.weights.get(&(id, input))?;
        let units = weights.params.units(weights.integers.shape(), axis);
        Some(units.into_iter().map(|w| x * w).collect())
    }
}

/// Puts a QuantizeLinear and a DequantizeLinear behind a value. Behind an integer layer everybody reads the
/// DequantizeLinear; behind a float one, or an input of the model, only the integer layers do.
fn wrap(
    graph: &Graph,
    result: &mut Graph,
    value: ValueId,
    activation: &Activation,
    integer: &dyn Fn(NodeId) -> bool,
) -> Result<(), Diagnostic> {
    let name = graph.value(value).name.clone();
    let params = &activation.params;
    let scale = result.add_constant(&format!("{name}_scale"), Tensor::from_f32(&[], &params.scale[..1]));
    let elem = if activation.bits == 16 { ElemType::I16 } else { ElemType::I8 };
    let zero_point = integers_of(elem, &[], params.zero_point[..1].iter().copied())?;
    let zero_point = result.add_constant(&format!("{name}_zero_point"), zero_point);
    let readers = graph.consumers(value);
    let integers = match graph.constant(value) {
        Some(constant) => {
            let steps = constant.to_f32s().into_iter().map(|v| params.quantize_to(v, elem));
            result.add_constant(&format!("{name}_quantized"), integers_of(elem, constant.shape(), steps)?)
        }
        None => {
            let op = Op::QuantizeLinear(QuantizeLinear { axis: 1, elem });
            let origin = Origin { nodes: vec![], op_type: "QuantizeLinear".into() };
            let inputs = vec![Some(value), Some(scale), Some(zero_point)];
            result.insert(&format!("{name}_quantized"), op, inputs, origin)?
        }
    };
    let real = dequantize(result, &name, vec![Some(integers), Some(scale), Some(zero_point)], PER_TENSOR)?;
    let made_of_integers = graph.producer(value).is_some_and(|(id, _)| integer(id));
    for (id, i) in readers {
        let rule = graph.node(id).op.operator().quantize();
        let reads_integers = integer(id) && is_activation(graph, rule.role(i), value);
        if made_of_integers || reads_integers {
            result.node_mut(id).inputs[i] = Some(real);
        }
    }
    if made_of_integers && graph.outputs.contains(&value) {
        // The model's output keeps its name.
        result.value_mut(real).name = name.clone();
        result.value_mut(value).name = format!("{name}_real");
        result.outputs.iter_mut().filter(|o| **o == value).for_each(|o| *o = real);
    }
    Ok(())
}

fn dequantized_weights(result: &mut Graph, name: &str, weights: &Weights) -> Result<ValueId, Diagnostic> {
    let params = &weights.params;
    let mut shape = vec![params.channels()];
    if let (Some(axis), true) = (params.axis, params.block != 0) {
        shape = weights.integers.shape().to_vec();
        shape[axis] = shape[axis].div_ceil(params.block);
    }
    let integers = result.add_constant(&format!("{name}_quantized"), weights.integers.clone());
    let scale = Tensor::from_f32(&shape, &params.scale);
    let scale = result.add_constant(&format!("{name}_scale"), scale);
    let zero_point = integers_of(weights.integers.elem(), &shape, params.zero_point.iter().copied())?;
    let zero_point = result.add_constant(&format!("{name}_zero_point"), zero_point);
    let op = DequantizeLinear { axis: params.axis.unwrap_or(0) as i64, block: params.block };
    dequantize(result, name, vec![Some(integers), Some(scale), Some(zero_point)], op)
}

/// Integers of a type of at most 16 bits.
fn integers_of(
    elem: ElemType,
    shape: &[usize],
    values: impl Iterator<Item = i32>,
) -> Result<Tensor, Diagnostic> {
    let bytes: Vec<u8> = values.flat_map(|q| q.to_le_bytes().into_iter().take(elem.size())).collect();
    Tensor::new(TensorType::new(elem, shape), bytes)
}

fn dequantize(
    result: &mut Graph,
    name: &str,
    inputs: Vec<Option<ValueId>>,
    op: DequantizeLinear,
) -> Result<ValueId, Diagnostic> {
    let origin = Origin { nodes: vec![], op_type: "DequantizeLinear".into() };
    result.insert(&format!("{name}_dequantized"), Op::DequantizeLinear(op), inputs, origin)
}
