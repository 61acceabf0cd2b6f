//! Operators whose activations have different widths: which width they compute in, and the conversions around them.

use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::{InputRole, Op, Requantize};
use crate::tensor::{ElemType, QParams, Tensor, TensorType};

/// What an int8 step is in steps of its exact int16 form: `q * 256` with scale `s / 256` and zero point `z * 256`.
const STEPS: i32 = 256;

/// A Requantize to parameters.
pub fn requantize(params: &QParams, elem: ElemType) -> Op {
    Op::Requantize(Requantize { elem, scale: params.scale[0], zero_point: params.zero_point[0] })
}

/// Whether constant weights have kernels: int8 or symmetric int4, with one scale, a scale for each index of the output axis,
/// or, for int4, scales for blocks of another axis.
pub fn is_weight(graph: &Graph, value: ValueId, params: &QParams, axis: usize) -> bool {
    let ty = &graph.value(value).ty;
    let symmetric = params.zero_point.iter().all(|z| *z == 0);
    match (ty.elem, params.block) {
        (ElemType::I8, 0) => params.is_per_tensor() || params.axis == Some(axis),
        (ElemType::I4, 0) => symmetric && (params.is_per_tensor() || params.axis == Some(axis)),
        // A block of one weight, as in a depthwise convolution, would have a factor for each weight.
        (ElemType::I4, _) => symmetric && params.axis.is_some_and(|a| a != axis && ty.shape[a] > 1),
        _ => false,
    }
}

/// Whether an operator computes in int16: an input or an output has that type.
pub fn is_wide<'a>(
    graph: &Graph,
    id: NodeId,
    inputs: &[Option<ValueId>],
    mut outputs: impl Iterator<Item = &'a (QParams, ElemType)>,
) -> bool {
    let rule = graph.node(id).op.operator().quantize();
    let reads = |(i, v): (usize, &Option<ValueId>)| {
        v.is_some_and(|v| widens(graph, rule.role(i), v) && graph.value(v).ty.elem == ElemType::I16)
    };
    outputs.any(|(_, elem)| *elem == ElemType::I16) || inputs.iter().enumerate().any(reads)
}

/// Whether an input takes part in the choice: activations do, also those in the place of a weight.
fn widens(graph: &Graph, role: InputRole, value: ValueId) -> bool {
    match role {
        InputRole::Activation => true,
        InputRole::Weight { .. } => graph.constant(value).is_none(),
        InputRole::Bias | InputRole::Shape => false,
    }
}

/// The exact int16 form of int8 parameters.
fn widened(params: &QParams) -> QParams {
    QParams::per_tensor(params.scale[0] / STEPS as f32, params.zero_point[0] * STEPS)
}

/// Puts a Requantize to int16, which is exact, before every int8 activation.
pub fn widen(graph: &mut Graph, id: NodeId, inputs: &mut [Option<ValueId>]) -> Option<()> {
    let rule = graph.node(id).op.operator().quantize();
    for (i, input) in inputs.iter_mut().enumerate() {
        let Some(value) = *input else { continue };
        let ty = graph.value(value).ty.clone();
        if !widens(graph, rule.role(i), value) || ty.elem != ElemType::I8 {
            continue;
        }
        let params = widened(&graph.value(value).qparams.clone()?);
        let name = format!("{}_i16", graph.value(value).name);
        let wide = match graph.constant(value) {
            Some(tensor) => {
                let values: Vec<i16> = tensor.to_i8s().iter().map(|&q| q as i16 * STEPS as i16).collect();
                graph.add_constant(&name, Tensor::from_i16(&ty.shape, &values))
            }
            None => {
                let origin = graph.node(id).origin.clone();
                graph.insert(&name, requantize(&params, ElemType::I16), vec![Some(value)], origin).ok()?
            }
        };
        graph.value_mut(wide).qparams = Some(params);
        *input = Some(wide);
    }
    Some(())
}

/// Lets output `index` of an operator be the exact int16 form of the int8 value `to`, which a Requantize makes of it.
pub fn narrow(graph: &mut Graph, id: NodeId, index: usize, to: ValueId) {
    let value = graph.value(to);
    let (Some(params), name, shape) = (value.qparams.clone(), value.name.clone(), value.ty.shape.clone())
    else {
        return;
    };
    let wide = graph.add_value(&format!("{name}_i16"), TensorType::new(ElemType::I16, shape));
    graph.value_mut(wide).qparams = Some(widened(&params));
    graph.node_mut(id).outputs[index] = wide;
    let origin = graph.node(id).origin.clone();
    graph.add_node(&name, requantize(&params, ElemType::I8), vec![Some(wide)], vec![to], origin);
}
