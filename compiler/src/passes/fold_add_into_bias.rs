//! Makes a bias of a constant that is added to every channel.
//!
//! Identity: `(conv(x, w) + b) + c = conv(x, w) + (b + c)` where `c` has one number for each output channel; likewise
//! Gemm, and subtraction. It comes behind the motion of reshapes and transposes, which brings the Add next to the layer. In a
//! QDQ file the constant may be dequantized, from int32 or int8: it becomes the bias as it is where there is none, and `quant` brings it
//! into the units of the accumulator. It leaves alone: a layer with a clamp, or whose output something else reads, and
//! constants that differ along another axis or would enlarge the output.

use super::channels::{self, Layer};
use super::shared::{self, Weight, input, shape};
use super::{Changes, Pass};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::Op;

/// See the module.
#[derive(Debug)]
pub struct FoldAddIntoBias;

impl Pass for FoldAddIntoBias {
    fn name(&self) -> &'static str {
        "fold_add_into_bias"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, rewrite)
    }
}

fn rewrite(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let node = graph.node(id);
    let (sign, clamp) = match &node.op {
        Op::Add(op) => (1.0, op.clamp),
        Op::Sub(op) => (-1.0, op.clamp),
        _ => return Ok(false),
    };
    let (Some(a), Some(b)) = (input(node, 0), input(node, 1)) else { return Ok(false) };
    let Some((x, layer, c)) =
        operands(graph, a, b).or_else(|| if sign > 0.0 { operands(graph, b, a) } else { None })
    else {
        return Ok(false);
    };
    let output = node.outputs[0];
    if graph.value(x).ty != graph.value(output).ty || !shared::replaceable(graph, output, x) {
        return Ok(false);
    }
    if !add(graph, &layer, c, shape(graph, x).len(), sign) {
        return Ok(false);
    }
    layer.absorb(graph, id, clamp);
    Ok(shared::bypass(graph, id, x))
}

fn operands(graph: &Graph, x: ValueId, c: ValueId) -> Option<(ValueId, Layer, ValueId)> {
    Weight::of(graph, c)?;
    Some((x, Layer::of(graph, x)?, c))
}

/// Adds the constant to the bias, when it fits.
fn add(graph: &mut Graph, layer: &Layer, c: ValueId, rank: usize, sign: f32) -> bool {
    let Some(weight) = Weight::of(graph, c) else { return false };
    let axis = channels::channel_axis(shape(graph, c).len(), rank);
    let Some(added) = weight.reals(graph).and_then(|t| channels::spread(&t, layer.channels, axis)) else {
        return false;
    };
    let as_it_is = sign > 0.0 && !layer.has_bias(graph) && graph.value(c).ty.elements() == layer.channels;
    if as_it_is && let Some(bias) = weight.reshape(graph, &[layer.channels]) {
        layer.set_bias(graph, bias);
        return true;
    }
    let Some(bias) = layer.bias(graph) else { return false };
    let sum: Vec<f32> = bias.iter().zip(&added).map(|(b, c)| b + sign * c).collect();
    layer.set_bias_values(graph, &sum);
    true
}
