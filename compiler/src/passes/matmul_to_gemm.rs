//! Makes a dense layer of a MatMul with constant weights.
//!
//! Identity: `x @ w = gemm(x, w)` for a matrix `w`; an `x` of more axes is one matrix of many rows, which reshapes before and
//! behind say. It comes before `fold_add_into_bias`, which then finds the bias. It leaves alone: a product of two computed
//! operands, stacks of matrices, and vectors.

use super::shared::{self, Weight, input, shape};
use super::{Changes, Pass};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId};
use crate::ops::shared::Clamp;
use crate::ops::{Gemm, Op, Reshape};

/// See the module.
#[derive(Debug)]
pub struct MatMulToGemm;

impl Pass for MatMulToGemm {
    fn name(&self) -> &'static str {
        "matmul_to_gemm"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, rewrite)
    }
}

fn rewrite(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let node = graph.node(id);
    let (Op::MatMul(_), Some(x), Some(w)) = (&node.op, input(node, 0), input(node, 1)) else {
        return Ok(false);
    };
    let Some(weight) = Weight::of(graph, w) else { return Ok(false) };
    let (from, matrix) = (shape(graph, x).to_vec(), shape(graph, w).to_vec());
    let Some(split) = matrix.len().checked_sub(2) else { return Ok(false) };
    if from.len() < 2 || matrix.len() > from.len() || matrix[..split].iter().any(|d| *d != 1) {
        return Ok(false);
    }
    let Some(w) = weight.reshape(graph, &matrix[split..]) else { return Ok(false) };
    let (k, n) = (matrix[split], matrix[split + 1]);
    let rows = from[..from.len() - 1].iter().product();
    let name = graph.node(id).name.clone();
    let x = shared::reshape(graph, &format!("{name}/rows"), x, &[rows, k], id)?;
    let gemm = Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: false, clamp: Clamp::NONE };
    let node = graph.node_mut(id);
    node.op = gemm.into();
    node.inputs = vec![Some(x), Some(w)];
    if from.len() == 2 {
        return Ok(true);
    }
    let old = graph.node(id).outputs[0];
    let Some(ty) = graph.infer(id)?.into_iter().next() else { return Ok(false) };
    let to = shape(graph, old).to_vec();
    let flat = graph.add_value(&format!("{}/rows", graph.value(old).name), ty);
    graph.node_mut(id).outputs[0] = flat;
    let dims = shared::shape_constant(graph, &name, &to);
    let origin = graph.node(id).origin.clone();
    graph.add_node(
        &format!("{name}/shape"),
        Reshape::default().into(),
        vec![Some(flat), Some(dims)],
        vec![old],
        origin,
    );
    debug_assert_eq!(shape(graph, flat), [rows, n]);
    Ok(true)
}
