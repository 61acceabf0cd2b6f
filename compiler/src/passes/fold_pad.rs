//! Makes padding of the window of a Pad before it.
//!
//! Identities: `conv(pad(x, 0))` is a convolution with more padding; so is the average that counts its padding; and so is the maximum,
//! whose padding is minus infinity, when the Pad brings that in, or brings in zeros next to values that are not negative
//! and no window lies in the padding alone. Conversions and transpositions may stand between the two: what counts is the value that arrives. It comes behind the motion that makes the two neighbours. It leaves alone: other
//! values, padding of batch or channels, cropping, and windows with padding found by `auto_pad`.

use super::cancel_conversions::parameters;
use super::fuse_clamp::is_not_negative;
use super::shared::{self, Weight, input, is_per_tensor, producer};
use super::{Changes, Pass};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::shared::{AutoPad, WindowSpec};
use crate::ops::{Args, Op};
use crate::tensor::ElemType;

/// See the module.
#[derive(Debug)]
pub struct FoldPad;

impl Pass for FoldPad {
    fn name(&self) -> &'static str {
        "fold_pad"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, rewrite)
    }
}

/// A Pad of spatial axes with a constant.
struct Padded {
    source: ValueId,
    /// Starts of the spatial axes, then ends.
    pads: Vec<usize>,
    /// The padding as the reader sees it; where that is an integer, the real value as well.
    value: f32,
    real: Option<f32>,
    /// Conversions and transpositions between the Pad and its reader, in order of execution.
    between: Vec<NodeId>,
}

fn rewrite(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let Some(x) = input(graph.node(id), 0) else { return Ok(false) };
    if !matches!(graph.node(id).op, Op::Conv(_) | Op::AveragePool(_) | Op::MaxPool(_)) {
        return Ok(false);
    }
    let Some(padded) = find(graph, x) else { return Ok(false) };
    let Some(op) = with_padding(graph, id, &padded) else { return Ok(false) };
    let mut source = padded.source;
    for step in &padded.between {
        let node = graph.node(*step);
        let (name, op, origin) = (node.name.clone(), node.op.clone(), node.origin.clone());
        let mut inputs = node.inputs.clone();
        inputs[0] = Some(source);
        source = graph.insert(&name, op, inputs, origin)?;
    }
    let node = graph.node_mut(id);
    node.op = op;
    node.inputs[0] = Some(source);
    Ok(true)
}

/// The Pad that makes a value, through conversions with one scale and transpositions.
fn find(graph: &Graph, mut value: ValueId) -> Option<Padded> {
    let mut between = vec![];
    loop {
        let (id, node) = producer(graph, value)?;
        match node.op {
            Op::Pad(_) => {
                between.reverse();
                return constant_pad(graph, id, between);
            }
            Op::QuantizeLinear(_) | Op::DequantizeLinear(_) if !is_per_tensor(graph, id) => return None,
            Op::QuantizeLinear(_) | Op::DequantizeLinear(_) | Op::Transpose(_) if between.len() < 3 => {
                between.push(id);
                value = input(node, 0)?;
            }
            _ => return None,
        }
    }
}

/// What a Pad node reads, how much it adds to the spatial axes of the reader, and the value that arrives there.
fn constant_pad(graph: &Graph, id: NodeId, between: Vec<NodeId>) -> Option<Padded> {
    let node = graph.node(id);
    let Op::Pad(op) = &node.op else { return None };
    let source = input(node, 0)?;
    let mut value = match input(node, 2) {
        Some(value) => *Weight::of(graph, value)?.reals(graph)?.to_f32s().first()?,
        None => 0.0,
    };
    let mut pads = op.pads(&Args(&graph.args(id))).ok()?;
    let mut real = (graph.value(source).ty.elem == ElemType::F32).then_some(value);
    for step in &between {
        match &graph.node(*step).op {
            Op::Transpose(op) => {
                let perm = op.permutation(pads.len()).ok()?;
                pads = perm.iter().map(|p| pads[*p]).collect();
            }
            Op::QuantizeLinear(_) => {
                let (scale, zero) = parameters(graph, *step)?;
                value = (value / scale).round_ties_even() + zero as f32;
            }
            _ => {
                let (scale, zero) = parameters(graph, *step)?;
                value = (value - zero as f32) * scale;
                real = Some(value);
            }
        }
    }
    let (outer, spatial) = pads.split_at_checked(2)?;
    if spatial.is_empty() || outer.iter().any(|p| *p != (0, 0)) {
        return None;
    }
    let pads = spatial.iter().map(|p| p.0).chain(spatial.iter().map(|p| p.1));
    let pads = pads.map(|p| usize::try_from(p).ok()).collect::<Option<_>>()?;
    Some(Padded { source, pads, value, real, between })
}

/// The operator with the Pad's padding in its window, when that means the same.
fn with_padding(graph: &Graph, id: NodeId, padded: &Padded) -> Option<Op> {
    let node = graph.node(id);
    let mut op = node.op.clone();
    let elem = graph.value(node.outputs[0]).ty.elem;
    let zero = padded.value == 0.0 && elem == ElemType::F32;
    match &mut op {
        Op::Conv(op) => zero.then(|| widen(&mut op.window, padded)).flatten()?,
        Op::AveragePool(op) => {
            let own = op.window.padding.pads.iter().any(|p| *p != 0);
            if !zero || op.window.ceil_mode || (own && !op.count_include_pad) {
                return None;
            }
            op.count_include_pad = true;
            widen(&mut op.window, padded)?;
        }
        Op::MaxPool(op) => {
            let least = match elem {
                elem @ (ElemType::I8 | ElemType::U8 | ElemType::I16 | ElemType::U16) => {
                    elem.bounds().0 as f32
                }
                _ => f32::MIN,
            };
            let harmless = padded.real == Some(0.0) && is_not_negative(graph, padded.source);
            if op.window.ceil_mode || !(padded.value <= least || harmless) {
                return None;
            }
            widen(&mut op.window, padded)?;
            never_padding_alone(&op.window)?;
        }
        _ => return None,
    }
    Some(op)
}

/// Adds to the padding of a window.
fn widen(window: &mut WindowSpec, padded: &Padded) -> Option<()> {
    match window.padding.auto {
        AutoPad::NotSet => {}
        AutoPad::Valid => {
            window.padding.auto = AutoPad::NotSet;
            window.padding.pads = vec![];
        }
        AutoPad::SameUpper | AutoPad::SameLower | AutoPad::SameUpperColumns | AutoPad::SameLowerColumns => {
            return None;
        }
    }
    let own = &mut window.padding.pads;
    if own.is_empty() {
        *own = vec![0; padded.pads.len()];
    }
    own.iter_mut().zip(&padded.pads).for_each(|(own, more)| *own += more);
    (own.len() == padded.pads.len()).then_some(())
}

/// Every window holds an element of the input, since padding is shorter than its reach.
fn never_padding_alone(window: &WindowSpec) -> Option<()> {
    let n = window.kernel.len();
    let dilation = |i: usize| window.dilations.get(i).copied().unwrap_or(1);
    let pads = &window.padding.pads;
    let short = |i: usize| pads[i].max(pads[i + n]) <= (window.kernel[i] - 1) * dilation(i);
    // With gaps between its elements, a window can reach across the input.
    let dense = (0..n).all(|i| dilation(i) == 1);
    (pads.len() == 2 * n && dense && (0..n).all(short)).then_some(())
}
