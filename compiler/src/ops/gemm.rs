//! Gemm: a dense layer, `alpha * A * B + beta * C`, with a fused clamp.

use super::shared::{self, Clamp, Dense};
use super::{Args, AxisMap, Export, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::program::View;
use crate::tensor::{ElemType, Tensor, TensorType};
use kiln_runtime_core as rt;

/// `y = clamp(alpha * op(a) * op(b) + beta * c)`; `op` transposes.
#[derive(Debug, Clone, PartialEq)]
pub struct Gemm {
    /// Factor of the product.
    pub alpha: f32,
    /// Factor of the bias.
    pub beta: f32,
    /// Whether A is `[k, m]`.
    pub trans_a: bool,
    /// Whether B is `[n, k]`.
    pub trans_b: bool,
    /// Fused Relu or Clip.
    pub clamp: Clamp,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(attributes(ctx)?, ctx.node))
}

/// The attributes, which QGemm has too.
pub(super) fn attributes(ctx: ImportContext) -> Result<Gemm, Diagnostic> {
    let a = &ctx.node.attributes;
    Ok(Gemm {
        alpha: a.float("alpha")?.unwrap_or(1.0),
        beta: a.float("beta")?.unwrap_or(1.0),
        trans_a: a.int("transA")?.unwrap_or(0) != 0,
        trans_b: a.int("transB")?.unwrap_or(0) != 0,
        clamp: Clamp::NONE,
    })
}

impl Gemm {
    /// (k, n) of B.
    fn inner(&self, b: &[usize]) -> (usize, usize) {
        if self.trans_b { (b[1], b[0]) } else { (b[0], b[1]) }
    }

    fn dynamic(&self, b: &mut Lowering, from: &View) -> Result<(), Diagnostic> {
        let rhs = b.view(1)?;
        let rhs = if self.trans_b { rhs.transpose(&[1, 0]) } else { rhs };
        if self.alpha != 1.0 || self.clamp != Clamp::NONE || (b.has(2) && from.elem != ElemType::F32) {
            return Err(Diagnostic::new("E0301", "input 1 `B` must be constant")
                .fact("B", b.ty(1)?)
                .help("bake it into the model as an initializer, or use MatMul, Mul and Add"));
        }
        let shape = b.output_ty(0).shape;
        let to = if b.has(2) { b.temp(from.elem, &shape) } else { b.allocate(0) };
        shared::matmul(b, from, &rhs, &to)?;
        if b.has(2) { self.add_bias(b, &to) } else { Ok(()) }
    }

    /// `y = product + c`, for a bias that is no vector of constants.
    fn add_bias(&self, b: &mut Lowering, product: &View) -> Result<(), Diagnostic> {
        if product.elem != ElemType::F32 || self.beta != 1.0 {
            return Err(Diagnostic::new("E0301", "input 2 `C` must be a constant vector")
                .fact("C", b.ty(2)?)
                .help("give one bias for each output, or add it with an Add behind the Gemm"));
        }
        let (bias, to, (min, max)) = (b.view(2)?, b.allocate(0), self.clamp.f32_bounds());
        let none = b.table("operand", crate::kernels::ConstData::F32(vec![]));
        b.elementwise(&[product, &bias], &to, &[none], |i| {
            Kernel::AddF32(rt::BinaryF32 { a: i[0], b: i[1], output: i[2], min, max })
        });
        Ok(())
    }
}

impl Operator for Gemm {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let (a, b) = (inputs.required(0, "A")?.ty, inputs.required(1, "B")?.ty);
        shared::same_elem(a, b)?;
        let (&[m, k], &[_, _]) = (a.shape.as_slice(), b.shape.as_slice()) else {
            return Err(Diagnostic::new("E0208", "Gemm needs two matrices")
                .help("put a Flatten before it, or use MatMul for stacks of matrices"));
        };
        let (m, k) = if self.trans_a { (k, m) } else { (m, k) };
        let (expected, n) = self.inner(&b.shape);
        if k != expected {
            let d = Diagnostic::new("E0202", format!("input has {k} features, weights expect {expected}"));
            return Err(match k == n {
                true => d.help(format!("set transB = {}, or transpose the weights at export", 1 - self.trans_b as u8)),
                false => d.help("check what is in front of the layer: a Flatten with another axis, or another input size"),
            });
        }
        if let Some(c) = inputs.get(2) {
            let fits = c.ty.shape.len() <= 2
                && c.ty.shape.iter().rev().zip([n, m]).all(|(&have, want)| have == want || have == 1);
            if !fits {
                return Err(Diagnostic::new("E0202", format!("bias must broadcast to shape [{m}, {n}]")));
            }
        }
        Ok(vec![TensorType::new(a.elem, [m, n])])
    }

    fn quantize(&self) -> QuantRule {
        if self.alpha != 1.0 || self.beta != 1.0 {
            return QuantRule::float();
        }
        let axis = if self.trans_b { 0 } else { 1 };
        let inputs = vec![InputRole::Activation, InputRole::Weight { axis }, InputRole::Bias];
        QuantRule { inputs, output: OutputRole::Calibrate }
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        let mut map = AxisMap::none(2);
        map.0[0].push((0, self.trans_a as usize));
        map.0[1].push((1, 1 - self.trans_b as usize));
        if let Some(c) = inputs.get(2)
            && let Some(last) = c.ty.shape.len().checked_sub(1)
            && c.ty.shape[last] != 1
        {
            map.0[1].push((2, last));
        }
        map
    }

    fn export(&self, inputs: &Args) -> Export {
        let export = Export::node("Gemm", inputs).float("alpha", self.alpha).float("beta", self.beta);
        export.int("transA", self.trans_a.into()).int("transB", self.trans_b.into()).clamped(self.clamp)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let from = b.view(0)?;
        let from = if self.trans_a { from.transpose(&[1, 0]) } else { from };
        let Some(weights) = b.constant(1) else { return self.dynamic(b, &from) };
        let weights = if self.trans_b { weights } else { weights.transpose(&[1, 0]) };
        let n = weights.shape()[0];
        // A bias for each output is folded into the layer; any other one is added behind it.
        let folded = match (b.has(2), b.constant(2)) {
            (false, _) => Some(vec![0.0; n]),
            (true, Some(c)) => vector(&c, n),
            (true, None) => None,
        };
        let clamp = if folded.is_some() { self.clamp } else { Clamp::NONE };
        let bias = folded.as_ref().map_or(vec![0.0; n], |c| c.iter().map(|&c| c * self.beta as f64).collect());
        let shape = b.output_ty(0).shape;
        let to = if folded.is_some() { b.allocate(0) } else { b.temp(from.elem, &shape) };
        let weights = scaled(weights, self.alpha);
        let scales = shared::dense_scales(b, self.trans_b)?;
        shared::dense(b, &from, &to, &Dense { weights, bias, clamp, scales })?;
        if folded.is_none() { self.add_bias(b, &to) } else { Ok(()) }
    }
}

/// A bias as one value for each of `n` outputs; `None` when rows have their own.
fn vector(c: &Tensor, n: usize) -> Option<Vec<f64>> {
    let values = c.to_f64s();
    match values.len() {
        len if len == n && c.shape().last() == Some(&n) => Some(values),
        1 => Some(vec![values[0]; n]),
        _ => None,
    }
}

/// Weights times alpha, rounded to f32.
fn scaled(weights: Tensor, alpha: f32) -> Tensor {
    if alpha == 1.0 {
        return weights;
    }
    let values: Vec<f32> = weights.to_f32s().iter().map(|w| w * alpha).collect();
    Tensor::from_f32(weights.shape(), &values)
}
