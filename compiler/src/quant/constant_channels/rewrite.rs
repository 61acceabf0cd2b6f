//! The graph without the channels that nothing needs.

use super::Removed;
use super::bounds::Bounds;
use super::keep::Keep;
use super::layer::{Layer, channel_params};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::{Args, Op};
use crate::tensor::{QParams, Tensor};

/// Rewrites layers, constants and shapes; says what became of each layer that changed.
pub(super) fn rewrite(graph: &mut Graph, bounds: &Bounds, keep: &Keep) -> Result<Vec<Removed>, Diagnostics> {
    let order = graph.topological().map_err(|id| {
        Diagnostic::new("E0902", format!("internal error: `{}` depends on itself", graph.node(id).name))
    })?;
    let layers: Vec<Layer> = order.iter().filter_map(|id| Layer::of(graph, *id)).collect();
    let mut removed = vec![];
    for layer in &layers {
        let Some(change) = Change::of(layer, bounds, keep) else { continue };
        removed.push(change.summary(graph, bounds));
        change.apply(graph, bounds)?;
    }
    for id in order {
        if !layers.iter().any(|l| l.id == id) {
            cut_constants(graph, id, keep);
        }
        let types = graph.infer(id)?;
        for (output, ty) in graph.node(id).outputs.clone().into_iter().zip(types) {
            graph.value_mut(output).ty = ty;
        }
    }
    Ok(removed)
}

/// A layer that loses channels, or whose constant channels are made small.
struct Change<'a> {
    layer: &'a Layer,
    outputs: &'a [usize],
    /// Of those that each output reads; `[0]` for depthwise.
    inputs: Vec<usize>,
}

impl<'a> Change<'a> {
    fn of(layer: &'a Layer, bounds: &Bounds, keep: &'a Keep) -> Option<Change<'a>> {
        let outputs = keep.channels(layer.y)?;
        let inputs = if layer.depthwise { vec![0] } else { keep.channels(layer.x)?.to_vec() };
        let smaller = outputs.len() < layer.outputs || inputs.len() < layer.inputs;
        let constant = outputs.iter().any(|&o| bounds.constant(layer.y, o).is_some());
        (smaller || constant).then_some(Change { layer, outputs, inputs })
    }

    /// The bias with what the removed inputs add to it.
    fn bias(&self, bounds: &Bounds, o: usize) -> i64 {
        let layer = self.layer;
        let gone = (0..layer.inputs).filter(|i| !self.inputs.contains(i));
        let added = gone.map(|i| {
            let weights: i64 = layer.weights(o, i).iter().map(|w| *w as i64).sum();
            let value = bounds.constant(layer.x, i).map_or(0, |k| k as i64 - layer.x_zero_point);
            value * weights
        });
        layer.bias[o] + added.sum::<i64>()
    }

    fn summary(&self, graph: &Graph, bounds: &Bounds) -> Removed {
        let layer = self.layer;
        Removed {
            layer: graph.node(layer.id).name.clone(),
            channels: layer.outputs,
            constant: (0..layer.outputs).filter(|&o| bounds.constant(layer.y, o).is_some()).count(),
            removed: layer.outputs - self.outputs.len(),
            macs_before: layer.macs(layer.outputs, layer.inputs),
            macs_after: layer.macs(self.outputs.len(), self.inputs.len()),
        }
    }

    fn apply(&self, graph: &mut Graph, bounds: &Bounds) -> Result<(), Diagnostic> {
        let layer = self.layer;
        let node = graph.node(layer.id).clone();
        let [Some(x), Some(w)] = node.inputs[..2] else { return Ok(()) };
        let (xq, wq) = (params(graph, x)?, params(graph, w)?);
        let yq = params(graph, layer.y)?;
        let (mut weights, mut bias) = (vec![], vec![]);
        let (mut scale, mut zero_point) = (vec![], vec![]);
        for &o in self.outputs {
            let (s, z) = channel_params(&wq, o);
            // A constant that stays: acc = 4 (q - zp_y), requantized by 1/4, is q - zp_y exactly.
            let constant = bounds.constant(layer.y, o);
            bias.push(match constant {
                Some(q) => 4 * (q as i32 - layer.y_zero_point),
                // `keep` has seen to it that it fits.
                None => self.bias(bounds, o) as i32,
            });
            scale.push(if constant.is_some() { 0.25 * yq.scale[0] / xq.scale[0] } else { s });
            zero_point.push(z);
            for &i in &self.inputs {
                let kept = layer.weights(o, i).iter();
                weights.extend(kept.map(|&v| if constant.is_some() { z as i8 } else { (v + z) as i8 }));
            }
        }
        let old = graph.value(w).clone();
        let old_shape = &old.ty.shape;
        let mut shape = vec![self.outputs.len(), self.inputs.len()];
        let mut axis = 0;
        let tensor = match &node.op {
            Op::Gemm(op) if !op.trans_b => {
                axis = 1;
                Tensor::from_i8(&shape, &weights).transpose(&[1, 0])
            }
            _ => {
                shape.extend(&old_shape[2..]);
                Tensor::from_i8(&shape, &weights)
            }
        };
        let bias_scale: Vec<f32> = scale.iter().map(|s| s * xq.scale[0]).collect();
        let zeros = vec![0; bias.len()];
        let new_w = graph.add_constant(&old.name, tensor);
        graph.value_mut(new_w).qparams = Some(per_channel(scale, zero_point, axis));
        let bias_name = match node.inputs.get(2).copied().flatten() {
            Some(b) => graph.value(b).name.clone(),
            None => format!("{}_bias", node.name),
        };
        let new_b = graph.add_constant(&bias_name, Tensor::from_i32(&[bias.len()], &bias));
        graph.value_mut(new_b).qparams = Some(per_channel(bias_scale, zeros, 0));
        let node = graph.node_mut(layer.id);
        node.inputs = vec![Some(x), Some(new_w), Some(new_b)];
        if let Op::Conv(op) = &mut node.op
            && layer.depthwise
        {
            op.groups = self.outputs.len();
        }
        Ok(())
    }
}

fn params(graph: &Graph, value: ValueId) -> Result<QParams, Diagnostic> {
    let value = graph.value(value);
    value.qparams.clone().ok_or_else(|| {
        Diagnostic::new("E0902", format!("internal error: `{}` has no quantization parameters", value.name))
    })
}

/// One scale for each channel, or one for all where they are equal.
fn per_channel(scale: Vec<f32>, zero_point: Vec<i32>, axis: usize) -> QParams {
    let uniform = scale.iter().all(|s| *s == scale[0]) && zero_point.iter().all(|z| *z == zero_point[0]);
    match uniform {
        true => QParams::per_tensor(scale[0], zero_point[0]),
        false => QParams::per_axis(scale, zero_point, Some(axis)),
    }
}

/// Takes the channels that went out of an operator's constant operands, and out of the shape that a Reshape is given.
fn cut_constants(graph: &mut Graph, id: NodeId, keep: &Keep) {
    let node = graph.node(id).clone();
    let Some(&y) = node.outputs.first() else { return };
    let Some(kept) = keep.channels(y).map(<[usize]>::to_vec) else { return };
    let before = graph.value(y).ty.shape[1];
    if kept.len() == before {
        return;
    }
    if let (Op::Reshape(_), Some(shape)) = (&node.op, node.inputs.get(1).copied().flatten()) {
        let mut extents = graph.value(y).ty.shape.clone();
        extents[1] = kept.len();
        let extents: Vec<i64> = extents.iter().map(|d| *d as i64).collect();
        let name = graph.value(shape).name.clone();
        let new = graph.add_constant(&name, Tensor::from_i64(&[extents.len()], &extents));
        graph.node_mut(id).inputs[1] = Some(new);
        return;
    }
    let followed = {
        // The operands still have their old types where they are constant, which is all that is asked.
        let args = graph.args(id);
        node.op.operator().axes(&Args(&args)).0.get(1).cloned().unwrap_or_default()
    };
    for (i, axis) in followed {
        let Some(value) = node.inputs.get(i).copied().flatten() else { continue };
        let Some(data) = graph.constant(value).filter(|d| d.shape()[axis] == before).cloned() else {
            continue;
        };
        let old = graph.value(value).clone();
        let new = graph.add_constant(&old.name, data.take(axis, &kept));
        graph.value_mut(new).qparams = old.qparams;
        graph.node_mut(id).inputs[i] = Some(new);
    }
}
