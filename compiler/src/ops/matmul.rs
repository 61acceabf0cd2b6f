//! MatMul: the product of two stacks of matrices.

use super::shared::{self, Clamp, Dense};
use super::{Args, AxisMap, Export, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::program::View;
use crate::tensor::TensorType;

/// `y[.., m, n] = sum(a[.., m, k] * b[.., k, n])`; leading axes broadcast, vectors are rows (`a`) and columns (`b`).
#[derive(Debug, Clone, PartialEq)]
pub struct MatMul;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(MatMul, ctx.node))
}

impl Operator for MatMul {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let (a, b) = (inputs.required(0, "A")?.ty, inputs.required(1, "B")?.ty);
        shared::same_elem(a, b)?;
        Ok(vec![TensorType::new(a.elem, product_shape(a, b)?)])
    }

    fn quantize(&self) -> QuantRule {
        // A constant B is two-dimensional in practice: [inputs, outputs].
        let inputs = vec![InputRole::Activation, InputRole::Weight { axis: 1 }];
        QuantRule { inputs, output: OutputRole::Calibrate }
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        let rank = |i: usize| inputs.get(i).map_or(0, |x| x.ty.shape.len());
        let (a, b) = (rank(0), rank(1));
        if a < 2 || b != 2 {
            return AxisMap::none(a.max(b));
        }
        let mut map = AxisMap::none(a);
        (0..a - 1).for_each(|i| map.0[i].push((0, i)));
        map.0[a - 1].push((1, 1));
        map
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("MatMul", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        if let Some(weights) = b.constant(1).filter(|w| w.shape().len() == 2) {
            let weights = weights.transpose(&[1, 0]);
            let bias = vec![0.0; weights.shape()[0]];
            let (from, to) = (b.view(0)?, b.allocate(0));
            let scales = shared::dense_scales(b, false)?;
            return shared::dense(b, &from, &to, &Dense { weights, bias, clamp: Clamp::NONE, scales });
        }
        let (lhs, rhs) = (stacked(b.view(0)?, true), stacked(b.view(1)?, false));
        let to = b.allocate(0);
        let batch = shared::broadcast(&lhs.shape[..lhs.shape.len() - 2], &rhs.shape[..rhs.shape.len() - 2])?;
        let mut shape = batch;
        shape.extend([lhs.shape[lhs.shape.len() - 2], rhs.shape[rhs.shape.len() - 1]]);
        shared::matmul(b, &lhs, &rhs, &View::new(to.buffer, to.elem, &shape))
    }
}

/// The shape of a product.
///
/// # Errors
/// `E0202` and `E0208` for operands that do not fit together.
pub(super) fn product_shape(a: &TensorType, b: &TensorType) -> Result<Vec<usize>, Diagnostic> {
    if a.shape.is_empty() || b.shape.is_empty() {
        return Err(Diagnostic::new("E0208", "MatMul needs inputs of at least one axis")
            .help("use Mul to multiply by a scalar"));
    }
    let (left, right) = (as_matrix(&a.shape, true), as_matrix(&b.shape, false));
    let (k, rows) = (left[left.len() - 1], right[right.len() - 2]);
    if k != rows {
        return Err(Diagnostic::new("E0202", format!("input has {k} features, weights expect {rows}"))
            .help("the last axis of A must be as long as the second last one of B: transpose one at export"));
    }
    let mut shape = shared::broadcast(&left[..left.len() - 2], &right[..right.len() - 2])?;
    if a.shape.len() > 1 {
        shape.push(left[left.len() - 2]);
    }
    if b.shape.len() > 1 {
        shape.push(right[right.len() - 1]);
    }
    Ok(shape)
}

/// A vector as a row (left) or a column (right).
fn as_matrix(shape: &[usize], left: bool) -> Vec<usize> {
    match (shape, left) {
        (&[n], true) => vec![1, n],
        (&[n], false) => vec![n, 1],
        (other, _) => other.to_vec(),
    }
}

/// With at least two axes.
pub(super) fn stacked(view: View, left: bool) -> View {
    let shape = as_matrix(&view.shape, left);
    if shape.len() == view.shape.len() {
        return view;
    }
    let stride = view.strides[0];
    View { shape, strides: vec![stride, stride], ..view }
}
