//! `DequantizeLinear -> op -> QuantizeLinear` becomes `op` on integers: its inputs are the values before the
//! DequantizeLinear, its output is the value behind the QuantizeLinear.
//!
//! An operator converts when every input has an integer form in its role, and everything that reads its outputs is a
//! QuantizeLinear to int8 or int16, per tensor, with the same parameters. Operators whose rule says `Float` stay.
//!
//! It computes in the wider of the types of its activations: an int8 input of an int16 operator is widened before it
//! (`precision`), an int8 output narrowed behind it. `DequantizeLinear -> QuantizeLinear` with nothing between is one
//! Requantize.

use super::annotate::parameters;
use super::precision::{self, requantize};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::{InputRole, Op, OutputRole, QuantRule};
use crate::tensor::{ElemType, QParams, Tensor};

/// Converts every island; returns how many.
///
/// # Errors
/// `E0902`, an internal error, on a cycle.
pub fn islands(graph: &mut Graph) -> Result<usize, Diagnostics> {
    let order = graph.topological().map_err(|id| {
        Diagnostic::new("E0902", format!("internal error: `{}` depends on itself", graph.node(id).name))
    })?;
    let mut converted = 0;
    for id in order {
        if graph.get(id).is_some() && (convert(graph, id).is_some() || seam(graph, id).is_some()) {
            converted += 1;
        }
    }
    Ok(converted)
}

/// Converts one operator, or leaves it as it is.
fn convert(graph: &mut Graph, id: NodeId) -> Option<()> {
    let op = &graph.node(id).op;
    if matches!(op, Op::QuantizeLinear(_) | Op::DequantizeLinear(_) | Op::FlipSign(_) | Op::Requantize(_)) {
        return None;
    }
    let rule = op.operator().quantize();
    if rule.output == OutputRole::Float {
        return None;
    }
    let outputs: Vec<Quantizers> =
        graph.node(id).outputs.iter().map(|o| quantizers(graph, *o)).collect::<Option<_>>()?;
    if outputs.iter().all(|q| q.nodes.is_empty()) {
        return None;
    }
    let mut inputs = integer_inputs(graph, id)?;
    if let OutputRole::SameAs(i) = rule.output {
        let x = graph.value(inputs.get(i).copied().flatten()?);
        let (params, elem) = (x.qparams.clone()?, x.ty.elem);
        // A mover has no arithmetic with which to change the scale; MaxPool does.
        let rescales = matches!(graph.node(id).op, Op::MaxPool(_) | Op::GlobalMaxPool(_));
        let differs = |q: &Quantizers| q.params.as_ref().is_some_and(|p| (&p.0, p.1) != (&params, elem));
        if !rescales && outputs.iter().any(differs) {
            return None;
        }
    }
    let wide = precision::is_wide(graph, id, &inputs, outputs.iter().filter_map(|q| q.params.as_ref()));
    if wide {
        precision::widen(graph, id, &mut inputs)?;
    }
    for i in 0..inputs.len() {
        if let (InputRole::Bias, Some(input)) = (rule.role(i), inputs[i]) {
            inputs[i] = Some(bias(graph, &rule, input, &inputs)?);
        }
    }
    graph.node_mut(id).inputs = inputs;
    for (index, q) in outputs.into_iter().enumerate() {
        let Some((&first, others)) = q.nodes.split_first() else { continue };
        let new = graph.node(first).outputs[0];
        for &other in others {
            let old = graph.node(other).outputs[0];
            graph.remove_node(other);
            graph.replace_uses(old, new);
        }
        graph.remove_node(first);
        if wide && graph.value(new).ty.elem == ElemType::I8 {
            precision::narrow(graph, id, index, new);
        } else {
            graph.node_mut(id).outputs[index] = new;
        }
    }
    Some(())
}

/// A QuantizeLinear of a DequantizeLinear: the integers of one in the scale of the other.
fn seam(graph: &mut Graph, id: NodeId) -> Option<()> {
    let node = graph.node(id);
    if !matches!(node.op, Op::QuantizeLinear(_)) {
        return None;
    }
    let to = graph.value(node.outputs[0]);
    let (params, elem) = (to.qparams.clone()?, to.ty.elem);
    let (value, from) = dequantized(graph, node.inputs[0]?)?;
    let integer = |elem| matches!(elem, ElemType::I8 | ElemType::I16);
    let is_constant = graph.constant(value).is_some();
    if is_constant || !from.is_per_tensor() || !params.is_per_tensor() {
        return None;
    }
    if !integer(elem) || !integer(graph.value(value).ty.elem) || parameters(graph, id).ok()? != params {
        return None;
    }
    let node = graph.node_mut(id);
    node.op = requantize(&params, elem);
    node.inputs = vec![Some(value)];
    Some(())
}

/// The QuantizeLinear nodes that read a float value, all with the same parameters.
#[derive(Default)]
struct Quantizers {
    nodes: Vec<NodeId>,
    params: Option<(QParams, ElemType)>,
}

/// `None` when something else reads the value, or the parameters differ or have no int8 form.
fn quantizers(graph: &Graph, value: ValueId) -> Option<Quantizers> {
    if graph.outputs.contains(&value) || graph.value(value).ty.elem != ElemType::F32 {
        return None;
    }
    let mut found = Quantizers::default();
    for (node, input) in graph.consumers(value) {
        if input != 0 || !matches!(graph.node(node).op, Op::QuantizeLinear(_)) {
            return None;
        }
        let output = graph.value(graph.node(node).outputs[0]);
        let elem = output.ty.elem;
        let params = output.qparams.clone().filter(QParams::is_per_tensor)?;
        if !matches!(elem, ElemType::I8 | ElemType::I16) {
            return None;
        }
        let params = (params, elem);
        if found.params.as_ref().is_some_and(|p| *p != params) {
            return None;
        }
        found.params = Some(params);
        found.nodes.push(node);
    }
    Some(found)
}

/// The integer forms of all inputs but biases, by their roles.
fn integer_inputs(graph: &Graph, id: NodeId) -> Option<Vec<Option<ValueId>>> {
    let rule = graph.node(id).op.operator().quantize();
    let inputs = graph.node(id).inputs.clone();
    let mut result: Vec<Option<ValueId>> = Vec::with_capacity(inputs.len());
    for (i, input) in inputs.iter().enumerate() {
        let Some(input) = *input else {
            result.push(None);
            continue;
        };
        let integer = match rule.role(i) {
            InputRole::Shape => input,
            InputRole::Activation => {
                let (value, params) = dequantized(graph, input)?;
                if !params.is_per_tensor() || !is_activation(graph, value) {
                    return None;
                }
                value
            }
            InputRole::Weight { axis } => {
                let (value, params) = dequantized(graph, input)?;
                // MatMul also takes a second activation.
                let fits = match graph.constant(value).is_some() {
                    true => precision::is_weight(graph, value, &params, axis),
                    false => params.is_per_tensor() && is_activation(graph, value),
                };
                if !fits {
                    return None;
                }
                value
            }
            // Its units are those of the others, which are not settled yet.
            InputRole::Bias => input,
        };
        result.push(Some(integer));
    }
    Some(result)
}

fn is_activation(graph: &Graph, value: ValueId) -> bool {
    matches!(graph.value(value).ty.elem, ElemType::I8 | ElemType::I16)
}

/// The integer value behind a DequantizeLinear, with its parameters.
fn dequantized(graph: &Graph, value: ValueId) -> Option<(ValueId, QParams)> {
    let (node, _) = graph.producer(value)?;
    if !matches!(graph.node(node).op, Op::DequantizeLinear(_)) {
        return None;
    }
    let integer = graph.node(node).inputs[0]?;
    let params = graph.value(integer).qparams.clone()?;
    // Two readers may state different parameters for one value; the value carries the first one's.
    (parameters(graph, node).ok()? == params).then_some((integer, params))
}

/// The bias as integers in units of `scale_x * scale_w`, whatever units it comes in: int32, or int64 where that is too
/// narrow for the units of int16 activations.
fn bias(graph: &mut Graph, rule: &QuantRule, input: ValueId, before: &[Option<ValueId>]) -> Option<ValueId> {
    let scale_of = |i: usize| graph.value(before.get(i).copied().flatten()?).qparams.clone();
    let (x, w) = (scale_of(0)?, scale_of(1)?);
    let weights = before.get(1).copied().flatten()?;
    let InputRole::Weight { axis } = rule.role(1) else { return None };
    let units = w.units(&graph.value(weights).ty.shape, axis);
    let (values, scales): (Vec<f64>, QParams) = match graph.constant(input) {
        Some(float) => (float.to_f32s().iter().map(|&b| b as f64).collect(), QParams::per_tensor(1.0, 0)),
        None => {
            let (value, params) = dequantized(graph, input)?;
            let integers = graph.constant(value)?.to_i64s();
            (integers.iter().map(|&b| b as f64).collect(), params)
        }
    };
    let pick = |list: &[f32], i: usize| if list.len() == 1 { list[0] } else { list.get(i).copied().unwrap_or(list[0]) } as f64;
    let channels = values.len().max(units.len());
    let unit_of = |c: usize| {
        x.scale[0] as f64 * units.get(if units.len() == 1 { 0 } else { c }).copied().unwrap_or(units[0])
    };
    let mut quantized = Vec::with_capacity(channels);
    for c in 0..channels {
        let b = if values.len() == 1 { values[0] } else { *values.get(c)? };
        let (own, unit) = (pick(&scales.scale, c), unit_of(c));
        let zero = scales.zero_point[if scales.zero_point.len() == 1 { 0 } else { c }] as f64;
        let ratio = own / unit;
        // Files store the product rounded to f32: then the integers are meant as they are.
        let q = if (ratio - 1.0).abs() < 1e-5 { b - zero } else { ((b - zero) * ratio).round() };
        // Beyond 2^53 steps a float has no units any more, and no accumulator has room.
        quantized.push(q.clamp(-9e15, 9e15) as i64);
    }
    let narrow: Result<Vec<i32>, _> = quantized.iter().map(|&q| i32::try_from(q)).collect();
    let (name, tensor) = match narrow {
        Ok(narrow) => ("i32", Tensor::from_i32(&[channels], &narrow)),
        Err(_) => ("i64", Tensor::from_i64(&[channels], &quantized)),
    };
    let name = format!("{}_{name}", graph.value(input).name);
    let id = graph.add_constant(&name, tensor);
    let scale = (0..channels).map(|c| unit_of(c) as f32).collect::<Vec<_>>();
    graph.value_mut(id).qparams = Some(QParams::per_axis(scale, vec![0; channels], Some(0)));
    Some(id)
}
