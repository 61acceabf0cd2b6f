//! uint8 to int8: `q - 128` with zero point `z - 128` is the same real value, exactly.
//!
//! The model's own inputs and outputs keep their type: a [`FlipSign`] stands between them and the graph. Values that
//! something else than QuantizeLinear, DequantizeLinear and movers touches stay uint8.

use super::annotate::moved;
use crate::diag::Diagnostic;
use crate::graph::{Graph, Origin, ValueId};
use crate::ops::{FlipSign, Op};
use crate::tensor::{ElemType, Tensor, TensorType};

/// Shifts every uint8 value with parameters.
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
            let signed = flip(graph, id, &format!("{}_i8", graph.value(id).name.clone()))?;
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
            graph.value_mut(id).name = format!("{name}_i8");
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

/// Whether only conversions and movers touch a uint8 value.
fn shiftable(graph: &Graph, id: ValueId) -> bool {
    let value = graph.value(id);
    if value.ty.elem != ElemType::U8 || value.qparams.is_none() {
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

/// Makes a value int8, its data and zero points 128 less.
fn retype(graph: &mut Graph, id: ValueId) {
    let value = graph.value_mut(id);
    value.ty = TensorType::new(ElemType::I8, value.ty.shape.clone());
    if let Some(q) = &mut value.qparams {
        q.zero_point.iter_mut().for_each(|z| *z -= 128);
    }
    if let Some(data) = &value.data {
        let shifted: Vec<i8> = data.to_u8s().iter().map(|&x| (x ^ 0x80) as i8).collect();
        value.data = Some(Tensor::from_i8(&value.ty.shape, &shifted));
    }
}

/// Adds a FlipSign that reads `from`; its output is called `name` and has the shifted parameters.
fn flip(graph: &mut Graph, from: ValueId, name: &str) -> Result<ValueId, Diagnostic> {
    let origin = Origin { nodes: vec![], op_type: "FlipSign".into() };
    let to = graph.insert(name, Op::FlipSign(FlipSign), vec![Some(from)], origin)?;
    let shift = if graph.value(to).ty.elem == ElemType::I8 { -128 } else { 128 };
    let mut params = graph.value(from).qparams.clone();
    if let Some(q) = &mut params {
        q.zero_point.iter_mut().for_each(|z| *z += shift);
    }
    graph.value_mut(to).qparams = params;
    Ok(to)
}

/// The QuantizeLinear that makes the value gets an int8 zero point.
fn shift_producer(graph: &mut Graph, id: ValueId) {
    if let Some((node, _)) = graph.producer(id)
        && matches!(graph.node(node).op, Op::QuantizeLinear(_))
    {
        set_zero_point(graph, node, id);
    }
}

/// Every DequantizeLinear that reads the value gets an int8 zero point.
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
    let points: Vec<i8> = q.zero_point.iter().map(|&z| z as i8).collect();
    let zero_point = if points.len() == shape.iter().product::<usize>() {
        Tensor::from_i8(&shape, &points)
    } else {
        Tensor::from_i8(&shape, &vec![points[0]; shape.iter().product()])
    };
    let name = format!("{}_zero_point", graph.value(value).name);
    let constant = graph.add_constant(&name, zero_point);
    let inputs = &mut graph.node_mut(node).inputs;
    inputs.resize(3, None);
    inputs[2] = Some(constant);
}
