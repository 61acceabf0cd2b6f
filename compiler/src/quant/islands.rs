//! `DequantizeLinear -> op -> QuantizeLinear` becomes `op` on integers: its inputs are the values before the
//! DequantizeLinear, its output is the value behind the QuantizeLinear.
//!
//! An operator converts when every input has an integer form in its role, and everything that reads its outputs is a
//! QuantizeLinear to int8, per tensor, with the same parameters. Operators whose rule says `Float` stay.

use super::annotate::parameters;
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::{InputRole, Op, OutputRole};
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
        if graph.get(id).is_some() && convert(graph, id).is_some() {
            converted += 1;
        }
    }
    Ok(converted)
}

/// Converts one operator, or leaves it as it is.
fn convert(graph: &mut Graph, id: NodeId) -> Option<()> {
    let op = &graph.node(id).op;
    if matches!(op, Op::QuantizeLinear(_) | Op::DequantizeLinear(_) | Op::FlipSign(_)) {
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
    let inputs = integer_inputs(graph, id)?;
    if let OutputRole::SameAs(i) = rule.output {
        let x = graph.value(inputs.get(i).copied().flatten()?).qparams.clone()?;
        // A mover has no arithmetic with which to change the scale; MaxPool does.
        let rescales = matches!(graph.node(id).op, Op::MaxPool(_) | Op::GlobalMaxPool(_));
        if !rescales && outputs.iter().any(|q| q.params.as_ref().is_some_and(|p| *p != x)) {
            return None;
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
        graph.node_mut(id).outputs[index] = new;
    }
    Some(())
}

/// The QuantizeLinear nodes that read a float value, all with the same parameters.
#[derive(Default)]
struct Quantizers {
    nodes: Vec<NodeId>,
    params: Option<QParams>,
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
        let params =
            output.qparams.clone().filter(|q| q.is_per_tensor() && output.ty.elem == ElemType::I8)?;
        if found.params.as_ref().is_some_and(|p| *p != params) {
            return None;
        }
        found.params = Some(params);
        found.nodes.push(node);
    }
    Some(found)
}

/// The integer forms of all inputs, by their roles.
fn integer_inputs(graph: &mut Graph, id: NodeId) -> Option<Vec<Option<ValueId>>> {
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
                if !params.is_per_tensor() || graph.value(value).ty.elem != ElemType::I8 {
                    return None;
                }
                value
            }
            InputRole::Weight { axis } => {
                let (value, params) = dequantized(graph, input)?;
                // MatMul also takes a second activation.
                let per_channel = graph.constant(value).is_some() && params.axis == Some(axis);
                let int8 = graph.value(value).ty.elem == ElemType::I8;
                if !int8 || !(params.is_per_tensor() || per_channel) {
                    return None;
                }
                value
            }
            InputRole::Bias => bias(graph, input, &result)?,
        };
        result.push(Some(integer));
    }
    Some(result)
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

/// The bias as int32 in units of `scale_x * scale_w`, whatever units it comes in.
fn bias(graph: &mut Graph, input: ValueId, before: &[Option<ValueId>]) -> Option<ValueId> {
    let scale_of = |i: usize| graph.value(before.get(i).copied().flatten()?).qparams.clone();
    let (x, w) = (scale_of(0)?, scale_of(1)?);
    let (values, scales): (Vec<f64>, QParams) = match graph.constant(input) {
        Some(float) => (float.to_f32s().iter().map(|&b| b as f64).collect(), QParams::per_tensor(1.0, 0)),
        None => {
            let (value, params) = dequantized(graph, input)?;
            let integers = graph.constant(value)?.to_i64s();
            (integers.iter().map(|&b| b as f64).collect(), params)
        }
    };
    let pick = |list: &[f32], i: usize| if list.len() == 1 { list[0] } else { list.get(i).copied().unwrap_or(list[0]) } as f64;
    let channels = values.len().max(w.scale.len());
    let mut quantized = Vec::with_capacity(channels);
    for c in 0..channels {
        let b = if values.len() == 1 { values[0] } else { *values.get(c)? };
        let (own, unit) = (pick(&scales.scale, c), x.scale[0] as f64 * pick(&w.scale, c));
        let zero = scales.zero_point[if scales.zero_point.len() == 1 { 0 } else { c }] as f64;
        let ratio = own / unit;
        // Files store the product rounded to f32: then the integers are meant as they are.
        let q = if (ratio - 1.0).abs() < 1e-5 { b - zero } else { ((b - zero) * ratio).round() };
        quantized.push(q.clamp(i32::MIN as f64, i32::MAX as f64) as i32);
    }
    let name = format!("{}_i32", graph.value(input).name);
    let id = graph.add_constant(&name, Tensor::from_i32(&[channels], &quantized));
    let scale = (0..channels).map(|c| (x.scale[0] as f64 * pick(&w.scale, c)) as f32).collect::<Vec<_>>();
    let zero_point = vec![0; channels];
    graph.value_mut(id).qparams = Some(QParams { scale, zero_point, axis: Some(0) });
    Some(id)
}
