//! Scales and zero points, from the inputs of QuantizeLinear and DequantizeLinear onto the values.

use crate::diag::Diagnostic;
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::{Op, OutputRole};
use crate::tensor::{ElemType, QParams};

/// Gives every integer value next to a QuantizeLinear or DequantizeLinear its parameters, and carries
/// them through operators that only move values.
///
/// # Errors
/// `E0310` when a scale or zero point is computed at run time.
pub fn annotate(graph: &mut Graph) -> Result<(), Diagnostic> {
    for id in graph.node_ids() {
        let node = graph.node(id);
        let value = match node.op {
            Op::QuantizeLinear(_) => node.outputs[0],
            Op::DequantizeLinear(_) => match node.inputs[0] {
                Some(value) => value,
                None => continue,
            },
            _ => continue,
        };
        let params = parameters(graph, id)?;
        if graph.value(value).qparams.is_none() {
            graph.value_mut(value).qparams = Some(params);
        }
    }
    while spread(graph) {}
    Ok(())
}

/// The parameters that a QuantizeLinear or DequantizeLinear states. A per-channel list of equal entries is per tensor.
///
/// # Errors
/// `E0310` when they are computed at run time.
pub fn parameters(graph: &Graph, id: NodeId) -> Result<QParams, Diagnostic> {
    let node = graph.node(id);
    let constant = |i: usize| node.inputs.get(i).copied().flatten().map(|v| graph.constant(v));
    let dynamic = || {
        let d = Diagnostic::new("E0310", "scale and zero point must be constant")
            .help("quantize statically (QDQ or QOperator format) at export");
        graph.locate(d, id)
    };
    let scale = constant(1).flatten().ok_or_else(dynamic)?.to_f32s();
    let zero_point = match constant(2) {
        Some(tensor) => tensor.ok_or_else(dynamic)?.to_i32s(),
        None => vec![0; scale.len()],
    };
    if scale.is_empty()
        || zero_point.len() != scale.len()
        || scale.iter().any(|s| !s.is_finite() || *s <= 0.0)
    {
        let d = Diagnostic::new("E0311", "scales must be positive, with one zero point each")
            .fact("scales", scale.len())
            .fact("zero points", zero_point.len());
        return Err(graph.locate(d, id));
    }
    let (axis, block) = match &node.op {
        Op::QuantizeLinear(op) => (op.axis, 0),
        Op::DequantizeLinear(op) => (op.axis, op.block),
        _ => (1, 0),
    };
    let rank = node.inputs[0].map_or(0, |v| graph.value(v).ty.shape.len());
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    if scale.len() == 1 {
        return Ok(QParams::per_tensor(scale[0], zero_point[0]));
    }
    Ok(QParams { scale, zero_point, axis: usize::try_from(axis).ok().filter(|a| *a < rank), block })
}

/// One sweep through the movers, both ways; whether anything was learned.
fn spread(graph: &mut Graph) -> bool {
    let mut changed = false;
    for id in graph.node_ids() {
        for (a, b) in moved(graph, id) {
            for (from, to) in [(a, b), (b, a)] {
                let params = graph.value(from).qparams.clone().filter(QParams::is_per_tensor);
                if let (Some(params), None) = (params, &graph.value(to).qparams) {
                    graph.value_mut(to).qparams = Some(params);
                    changed = true;
                }
            }
        }
    }
    changed
}

/// The (input, output) pairs of 8-bit and 16-bit values that a node moves without changing them.
pub fn moved(graph: &Graph, id: NodeId) -> Vec<(ValueId, ValueId)> {
    let node = graph.node(id);
    let OutputRole::SameAs(i) = node.op.operator().quantize().output else { return vec![] };
    let Some(input) = node.inputs.get(i).copied().flatten() else { return vec![] };
    let narrow = |v: ValueId| {
        matches!(graph.value(v).ty.elem, ElemType::I8 | ElemType::U8 | ElemType::I16 | ElemType::U16)
    };
    node.outputs.iter().filter(|o| narrow(input) && narrow(**o)).map(|o| (input, *o)).collect()
}
