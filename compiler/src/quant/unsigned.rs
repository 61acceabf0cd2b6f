//! Unsigned to signed: `q - 128` with zero point `z - 128` is the same real value of a uint8, exactly; of a uint16 it is
//! `q - 32768`, of a uint4 weight `q - 8`.
//!
//! The model's own inputs and outputs keep their type: a [`FlipSign`] stands between them and the graph. Values that
//! something else than QuantizeLinear, DequantizeLinear and movers touches stay unsigned.

use super::annotate::moved;
use crate::diag::Diagnostic;
use crate::graph::{Graph, Origin, ValueId};
use crate::ops::{FlipSign, Op};
use crate::tensor::{ElemType, Tensor, TensorType};

/// Shifts every unsigned value with parameters.
///
/// # Errors
/// Those of type inference, which would be internal errors.
pub fn shift_unsigned(graph: &mut Graph) -> Result<(), Diagnostic> {
    let ids: Vec<ValueId> = graph.value_ids().collect();
    for id in ids {
        if !shiftable(graph, id) {
            continue;
        }
        if graph.inputs.contains(&id) {
            let signed = flip(graph, id, &signed_name(graph, id))?;
            for (node, input) in graph.consumers(id) {
                if !matches!(graph.node(node).op, Op::FlipSign(_)) {
                    graph.node_mut(node).inputs[input] = Some(signed);
                }
            }
            shift_readers(graph, signed);
            continue;
        }
        if let Some(index) = graph.outputs.iter().position(|o| *o == id) {
            let name = graph.value(id).name.clone();
            graph.value_mut(id).name = signed_name(graph, id);
            retype(graph, id);
            let unsigned = flip(graph, id, &name)?;
            graph.outputs[index] = unsigned;
        } else {
            retype(graph, id);
        }
        shift_producer(graph, id);
        shift_readers(graph, id);
    }
    Ok(())
}

fn signed_name(graph: &Graph, id: ValueId) -> String {
    let value = graph.value(id);
    format!("{}_{}", value.name, value.ty.elem.signed())
}

/// The value that zero becomes negative by: half of the unsigned type's range.
fn shift(elem: ElemType) -> i32 {
    elem.bounds().0 - elem.signed().bounds().0
}

/// Whether only conversions and movers touch an unsigned value.
fn shiftable(graph: &Graph, id: ValueId) -> bool {
    let value = graph.value(id);
    let elem = value.ty.elem;
    if !matches!(elem, ElemType::U4 | ElemType::U8 | ElemType::U16) || value.qparams.is_none() {
        return false;
    }
    let producer_ok = graph.producer(id).is_none_or(|(node, _)| {
        matches!(graph.node(node).op, Op::QuantizeLinear(_)) || !moved(graph, node).is_empty()
    });
    let consumers = graph.consumers(id);
    // The zero point of a conversion is uint8 as well; it has no parameters of its own, so it does not come here.
    producer_ok
        && consumers.iter().all(|(node, _)| {
            matches!(graph.node(*node).op, Op::DequantizeLinear(_)) || !moved(graph, *node).is_empty()
        })
}

/// Makes a value signed, its data and zero points less by half the range.
fn retype(graph: &mut Graph, id: ValueId) {
    let value = graph.value_mut(id);
    let (elem, shape) = (value.ty.elem, value.ty.shape.clone());
    value.ty = TensorType::new(elem.signed(), shape.clone());
    if let Some(q) = &mut value.qparams {
        q.zero_point.iter_mut().for_each(|z| *z -= shift(elem));
    }
    if let Some(data) = &value.data {
        let shifted: Vec<i32> = data.to_i32s().iter().map(|x| x - shift(elem)).collect();
        value.data = Some(integers(elem.signed(), &shape, &shifted));
    }
}

/// Integers that fit a type of at most 16 bits.
fn integers(elem: ElemType, shape: &[usize], values: &[i32]) -> Tensor {
    if elem == ElemType::I16 {
        return Tensor::from_i16(shape, &values.iter().map(|&v| v as i16).collect::<Vec<_>>());
    }
    let bytes = Tensor::from_i8(shape, &values.iter().map(|&v| v as i8).collect::<Vec<_>>());
    bytes.reinterpret(elem).unwrap_or(bytes)
}

/// Adds a FlipSign that reads `from`; its output is called `name` and has the shifted parameters.
fn flip(graph: &mut Graph, from: ValueId, name: &str) -> Result<ValueId, Diagnostic> {
    let origin = Origin { nodes: vec![], op_type: "FlipSign".into() };
    let to = graph.insert(name, Op::FlipSign(FlipSign), vec![Some(from)], origin)?;
    let (old, new) = (graph.value(from).ty.elem, graph.value(to).ty.elem);
    let shift = new.bounds().0 - old.bounds().0;
    let mut params = graph.value(from).qparams.clone();
    if let Some(q) = &mut params {
        q.zero_point.iter_mut().for_each(|z| *z += shift);
    }
    graph.value_mut(to).qparams = params;
    Ok(to)
}

/// The QuantizeLinear that makes the value gets a signed zero point.
fn shift_producer(graph: &mut Graph, id: ValueId) {
    if let Some((node, _)) = graph.producer(id)
        && matches!(graph.node(node).op, Op::QuantizeLinear(_))
    {
        set_zero_point(graph, node, id);
    }
}

/// Every DequantizeLinear that reads the value gets a signed zero point.
fn shift_readers(graph: &mut Graph, id: ValueId) {
    for (node, input) in graph.consumers(id) {
        if input == 0 && matches!(graph.node(node).op, Op::DequantizeLinear(_)) {
            set_zero_point(graph, node, id);
        }
    }
}

fn set_zero_point(graph: &mut Graph, node: crate::graph::NodeId, value: ValueId) {
    let Some(q) = graph.value(value).qparams.clone() else { return };
    let shape = graph.node(node).inputs[1].map_or(vec![], |s| graph.value(s).ty.shape.clone());
    let count: usize = shape.iter().product();
    let points = if q.zero_point.len() == count { q.zero_point } else { vec![q.zero_point[0]; count] };
    let zero_point = integers(graph.value(value).ty.elem, &shape, &points);
    let name = format!("{}_zero_point", graph.value(value).name);
    let constant = graph.add_constant(&name, zero_point);
    let inputs = &mut graph.node_mut(node).inputs;
    inputs.resize(3, None);
    inputs[2] = Some(constant);
}
