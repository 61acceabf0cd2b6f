//! Softmax along one axis.

use super::shared::{self, FixedPoint, axis as axis_index};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule, Wire};
use crate::diag::Diagnostic;
use crate::kernels::{ConstData, Kernel};
use crate::program::{View, image, merge_axes};
use crate::tensor::{Tensor, ElemType, TensorType};
use kiln_runtime_core::{self as rt, Image};

/// `y = exp(x) / sum(exp(x))`.
#[derive(Debug, Clone, PartialEq)]
pub struct Softmax {
    /// The axis of the sum.
    pub axis: i64,
    /// Before opset 13: the sum runs over `axis` and all axes behind it.
    pub flatten: bool,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let flatten = ctx.opset < 13;
    let default = if flatten { 1 } else { -1 };
    let axis = ctx.node.attributes.int("axis")?.unwrap_or(default);
    Ok(Fragment::single(Softmax { axis, flatten }, ctx.node))
}

impl Operator for Softmax {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "input")?.ty;
        axis_index(self.axis, x.shape.len())?;
        Ok(vec![x.clone()])
    }

    fn quantize(&self) -> QuantRule {
        // Probabilities, with an integer for exactly 1.
        QuantRule::activations(OutputRole::Fixed { scale: 1.0 / 255.0, zero_point: -128 })
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        let rank = inputs.get(0).map_or(0, |x| x.ty.shape.len());
        let Ok(axis) = axis_index(self.axis, rank) else { return AxisMap::none(rank) };
        let summed = |a: usize| a == axis || (self.flatten && a > axis);
        AxisMap((0..rank).map(|a| if summed(a) { vec![] } else { vec![(0, a)] }).collect())
    }

    fn export(&self, inputs: &Args) -> Export {
        let shape = inputs.get(0).map_or(&[][..], |x| &x.ty.shape);
        let last = shape.len().saturating_sub(1);
        if !self.flatten || axis_index(self.axis, shape.len()).is_ok_and(|axis| axis == last) {
            return Export::node("Softmax", inputs).int("axis", self.axis);
        }
        let dims: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let export = Export::node("Flatten", inputs).int("axis", self.axis).then("Softmax", vec![]).int("axis", 1);
        export.then("Reshape", vec![Wire::Const(Tensor::from_i64(&[dims.len()], &dims))])
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let x = b.ty(0)?;
        let mut axis = axis_index(self.axis, x.shape.len())?;
        let (mut from, to) = (b.view(0)?, b.allocate(0));
        let mut target = to.clone();
        if self.flatten && axis + 1 < x.shape.len() {
            let shape = [x.shape[..axis].iter().product(), x.shape[axis..].iter().product()];
            from = match from.reshape(&shape) {
                Some(view) => view,
                None => View::new(b.contiguous(&from)?.buffer, from.elem, &shape),
            };
            target = View::new(to.buffer, to.elem, &shape);
            axis = 1;
        }
        let images = rows_along(&from, &target, axis);
        match x.elem {
            ElemType::F32 => {
                for (input, output) in images {
                    let kernel = Kernel::SoftmaxF32(rt::SoftmaxF32 { input, output });
                    b.step(kernel, &[&from], &[&to], vec![]);
                }
            }
            ElemType::I8 => {
                let (qx, qy) = (b.qparams(0)?, b.output_qparams(0)?);
                let FixedPoint { multiplier, shift } = FixedPoint::normalized(1.0 / qy.scale[0] as f64)?;
                let table = exp_table(qx.scale[0], from.shape[axis]);
                let table = b.table("exp", ConstData::U32(table));
                let output_zero_point = qy.zero_point[0] as i8;
                for (input, output) in images {
                    let params = rt::SoftmaxI8 { input, output, output_zero_point, multiplier, shift, min: -128, max: 127 };
                    b.step(Kernel::SoftmaxI8(params), &[&from], &[&to], vec![table]);
                }
            }
            ElemType::I16 => {
                let (qx, qy) = (b.qparams(0)?, b.output_qparams(0)?);
                let real = b.temp(ElemType::F32, &from.shape.clone());
                shared::dequantize(b, &from, &real, qx.scale[0], qx.zero_point[0]);
                let shares = b.temp(ElemType::F32, &from.shape.clone());
                for (input, output) in rows_along(&real, &shares, axis) {
                    let kernel = Kernel::SoftmaxF32(rt::SoftmaxF32 { input, output });
                    b.step(kernel, &[&real], &[&shares], vec![]);
                }
                shared::quantize(b, &shares, &target, qy.scale[0], qy.zero_point[0]);
            }
            elem => return Err(shared::no_kernel(elem, &x)),
        }
        Ok(())
    }
}

/// Images whose channels are `axis`; the other axes are rows and columns, and calls where there are more.
fn rows_along(from: &View, to: &View, axis: usize) -> Vec<(Image, Image)> {
    let others: Vec<usize> = (0..from.shape.len()).filter(|&a| a != axis).collect();
    let pick = |list: &[usize]| -> Vec<usize> { others.iter().map(|&a| list[a]).collect() };
    let mut axes = merge_axes(&pick(&from.shape), &[&pick(&from.strides), &pick(&to.strides)]);
    while axes.len() < 2 {
        axes.push((1, vec![0, 0]));
    }
    let inner = axes.split_off(axes.len() - 2);
    let mut offsets = vec![(from.offset, to.offset)];
    for (extent, strides) in &axes {
        offsets = offsets
            .iter()
            .flat_map(|&(i, o)| (0..*extent).map(move |n| (i + n * strides[0], o + n * strides[1])))
            .collect();
    }
    let place = |offset: usize, v: &View, which: usize| {
        let at = |a: &(usize, Vec<usize>)| (a.0, a.1[which]);
        image(offset, at(&inner[0]), at(&inner[1]), (v.shape[axis], v.strides[axis]))
    };
    offsets.into_iter().map(|(i, o)| (place(i, from, 0), place(o, to, 1))).collect()
}

/// `T[d] = round(2^k * exp(-scale * d))` for the distance `d` to the maximum, up to the last entry that is not 0, with the
/// largest `k` for which `n * 2^k < 2^31`.
fn exp_table(scale: f32, n: usize) -> Vec<u32> {
    let k = (0..31).rev().find(|&k| (n as u64) << k < 1 << 31).unwrap_or(0);
    let entry = |d: u32| (2f64.powi(k) * (-(scale as f64) * d as f64).exp()).round() as u32;
    (0..256).map(entry).take_while(|&t| t != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_exponentials_fit_31_bits() {
        for n in [1, 2, 10, 1000] {
            let table = exp_table(0.05, n);
            let most = table[0] as u64 * n as u64;
            assert!(most < 1 << 31 && most * 2 >= 1 << 31, "{n}: {most}");
        }
        assert_eq!(exp_table(20.0, 1), [1 << 30, 2, 0][..2]);
    }
}
