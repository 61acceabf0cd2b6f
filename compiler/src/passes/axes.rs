//! Operators that name axes, before a Transpose instead of behind it.

use super::shared::{input, integers, shape};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::tensor::Tensor;

/// An operator in the order of axes that its input has before the Transpose.
#[derive(Debug, Clone)]
pub(super) struct Renamed {
    /// The operator.
    pub op: Op,
    /// How many of its inputs stay, the others being in the operator now.
    pub inputs: usize,
    /// Constant inputs that change.
    pub operands: Vec<(usize, Tensor)>,
    /// The Transpose that belongs behind it.
    pub perm: Vec<usize>,
}

/// The operator of a node for an input that is not transposed by `perm` any more; `None` when it has no such form, or none
/// that is known here.
pub(super) fn renamed(graph: &Graph, id: NodeId, perm: &[usize]) -> Option<Renamed> {
    let node = graph.node(id);
    let rank = shape(graph, input(node, 0)?).len();
    let index = |axis: i64| {
        usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok().filter(|a| *a < rank)
    };
    let rename = |axis: i64| Some(*perm.get(index(axis)?)? as i64);
    let mut op = node.op.clone();
    let mut operands = vec![];
    let mut inputs = node.inputs.len();
    let mut behind = perm.to_vec();
    match &mut op {
        Op::Concat(op) => op.axis = rename(op.axis)?,
        Op::Softmax(op) => {
            // Over the last axis, the two meanings of older and newer operator sets are one.
            let last = index(op.axis)? + 1 == rank;
            op.flatten = if last || !op.flatten { false } else { return None };
            op.axis = rename(op.axis)?;
        }
        Op::Split(op) => op.axis = rename(op.axis)?,
        Op::ReduceMean(op) => {
            let axes = match &op.axes {
                Some(axes) => axes.clone(),
                None => integers(graph, id, 1)?,
            };
            // No axes mean all or none, which is another matter.
            let own: Vec<usize> =
                axes.iter().map(|a| index(*a)).collect::<Option<_>>().filter(|a: &Vec<_>| !a.is_empty())?;
            op.axes = Some(own.iter().map(|a| perm[*a] as i64).collect());
            inputs = 1;
            if !op.keepdims {
                behind = without(perm, &own);
            }
        }
        Op::Slice(_) => {
            let starts = integers(graph, id, 1)?.len() as i64;
            let axes = integers(graph, id, 3).unwrap_or_else(|| (0..starts).collect());
            let axes: Vec<i64> = axes.into_iter().map(rename).collect::<Option<_>>()?;
            operands.push((3, Tensor::from_i64(&[axes.len()], &axes)));
        }
        Op::Pad(_) => {
            let pads = integers(graph, id, 1)?;
            match input(node, 3) {
                Some(axes) => {
                    let elem = graph.constant(axes)?.to_i64s();
                    let axes: Vec<i64> = elem.into_iter().map(rename).collect::<Option<_>>()?;
                    operands.push((3, Tensor::from_i64(&[axes.len()], &axes)));
                }
                None if pads.len() == 2 * rank => {
                    let mut moved = vec![0; 2 * rank];
                    for (i, &p) in perm.iter().enumerate() {
                        (moved[p], moved[p + rank]) = (pads[i], pads[i + rank]);
                    }
                    operands.push((1, Tensor::from_i64(&[moved.len()], &moved)));
                }
                None => return None,
            }
        }
        _ => return None,
    }
    Some(Renamed { op, inputs, operands, perm: behind })
}

/// A permutation of the axes that are left when `removed` (of the output) are gone.
fn without(perm: &[usize], removed: &[usize]) -> Vec<usize> {
    let kept: Vec<usize> = (0..perm.len()).filter(|i| !removed.contains(i)).map(|i| perm[i]).collect();
    kept.iter().map(|axis| kept.iter().filter(|other| *other < axis).count()).collect()
}
