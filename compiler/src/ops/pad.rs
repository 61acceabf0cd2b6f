//! Pad: a border of a constant.

use super::shared::{self, Integer, MakeKernel, no_kernel};
use super::{Args, AxisMap, Export, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule, Wire};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::tensor::{ElemType, Tensor, TensorType};
use kiln_runtime_core as rt;

/// A border around the values; inputs 1 and 2 are the pads (starts of all axes, then ends) and the value, 0 where omitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Pad;

/// Reads the attributes: until opset 10 they hold pads and value, which become constant inputs.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let a = &ctx.node.attributes;
    if let Some(mode) = a.string("mode")?.filter(|m| m != "constant") {
        return Err(Diagnostic::new("E0206", format!("Pad mode `{mode}` is not supported"))
            .help("use zero padding, or let the convolution pad"));
    }
    if ctx.opset >= 11 {
        return Ok(Fragment::single(Pad, ctx.node));
    }
    let pads = a.ints("pads")?.unwrap_or_default();
    let value = Tensor::from_f32(&[], &[a.float("value")?.unwrap_or(0.0)]);
    let mut fragment = Fragment::default();
    let pads = Wire::Const(Tensor::from_i64(&[pads.len()], &pads));
    let y = fragment.node(Pad, vec![Wire::Input(0), pads, Wire::Const(value)]);
    fragment.outputs.push(y);
    Ok(fragment)
}

impl Pad {
    /// (before, after) for each axis; negative ones cut.
    ///
    /// # Errors
    /// `E0204` when they are computed at run time, `E0206` when their number is wrong.
    pub fn pads(&self, inputs: &Args) -> Result<Vec<(i64, i64)>, Diagnostic> {
        let rank = inputs.required(0, "data")?.ty.shape.len();
        inputs.required(1, "pads")?;
        let pads = inputs.integers(1, "pads")?.unwrap_or_default();
        let mut all = vec![(0, 0); rank];
        let axes = match inputs.integers(3, "axes")? {
            Some(list) => list.iter().map(|&a| shared::axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
            None => (0..rank).collect(),
        };
        if pads.len() != 2 * axes.len() {
            return Err(Diagnostic::new("E0206", format!("{} pads for {} axes", pads.len(), axes.len()))
                .help("give the pads before all axes, then those after all axes"));
        }
        for (i, &axis) in axes.iter().enumerate() {
            all[axis] = (pads[i], pads[i + axes.len()]);
        }
        Ok(all)
    }
}

/// Extent of an axis with (before, after) around it, `None` when more is cut than there is.
fn padded(extent: usize, (before, after): (i64, i64)) -> Option<usize> {
    let cut = before.min(0).checked_add(after.min(0))?;
    let left = i64::try_from(extent).ok()?.checked_add(cut).filter(|left| *left >= 0)?;
    // What saturates is refused for its size.
    usize::try_from(left.saturating_add(before.max(0)).saturating_add(after.max(0))).ok()
}

impl Operator for Pad {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "data")?.ty;
        let pads = self.pads(inputs)?;
        let shape: Option<Vec<usize>> = x.shape.iter().zip(&pads).map(|(&d, &p)| padded(d, p)).collect();
        let shape = shape.ok_or_else(|| {
            Diagnostic::new("E0202", format!("pads {pads:?} cut more than there is"))
                .help("negative pads cut; together they may cut an axis to nothing, not below")
        })?;
        Ok(vec![shared::sized(TensorType::new(x.elem, shape))?])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule { inputs: vec![InputRole::Activation, InputRole::Shape], output: OutputRole::SameAs(0) }
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        let pads = self.pads(inputs).unwrap_or_default();
        AxisMap(pads.iter().enumerate().map(|(a, p)| if *p == (0, 0) { vec![(0, a)] } else { vec![] }).collect())
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Pad", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let pads = b.with_args(|args| self.pads(args))?;
        let value = match b.has(2) {
            true => b.require_constant(2, "constant_value")?.to_f32s().first().copied().unwrap_or(0.0),
            false => 0.0,
        };
        let ty = b.output_ty(0);
        let quantized = b.output_qparams(0).ok();
        let mut from = b.view(0)?;
        let to = b.allocate(0);
        let fill: MakeKernel = match (ty.elem, quantized) {
            (ElemType::F32, _) => Box::new(move |i| Kernel::Fill32(rt::Fill32 { output: i[0], value })),
            (ElemType::I8, Some(q)) => Box::new(move |i| i8::fill(i[0], q.quantize(value))),
            (ElemType::I16, Some(q)) => {
                Box::new(move |i| i16::fill(i[0], q.quantize_to(value, ElemType::I16) as i16))
            }
            (elem, _) => return Err(no_kernel(elem, &ty)),
        };
        b.elementwise(&[], &to, &[], fill);
        let mut inner = to;
        for (axis, &(start, end)) in pads.iter().enumerate() {
            let (cut_start, cut_end) = ((-start).max(0) as usize, (-end).max(0) as usize);
            let len = from.shape[axis] - cut_start - cut_end;
            from = from.slice(axis, cut_start, len, 1);
            inner = inner.slice(axis, start.max(0) as usize, len, 1);
        }
        b.copy(&from, &inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, count, error, floats, imported, input, list, value};
    use super::*;
    use crate::onnx::Attribute;
    use crate::tensor::QParams;

    #[test]
    fn pads_cuts_and_fills() {
        let seven = constant(Tensor::from_f32(&[], &[7.0]));
        let y = floats(Pad, &[count(&[2, 2]), list(&[0, 1, 1, -1]), seven.clone()]);
        assert_eq!(y, (vec![3, 2], vec![7.0, 0.0, 7.0, 2.0, 7.0, 7.0]));
        let y = floats(Pad, &[count(&[2, 2]), list(&[1, 0]), seven, list(&[-1])]);
        assert_eq!(y, (vec![2, 3], vec![7.0, 0.0, 1.0, 7.0, 2.0, 3.0]));
        let y = floats(Pad, &[count(&[3]), list(&[-2, 0])]);
        assert_eq!(y, (vec![1], vec![2.0]));
    }

    #[test]
    fn int8_fills_with_the_quantized_value() {
        let x = input(Tensor::from_i8(&[1], &[9])).q(0.5, -3);
        let q = Some(QParams::per_tensor(0.5, -3));
        assert_eq!(value(Pad, &[x.clone(), list(&[1, 0])], q.clone()).to_i64s(), [-3, 9]);
        let one = constant(Tensor::from_f32(&[], &[1.0]));
        assert_eq!(value(Pad, &[x, list(&[1, 0]), one], q).to_i64s(), [-1, 9]);
    }

    #[test]
    fn attributes_become_inputs() {
        let attributes = [("pads", Attribute::Ints(vec![1, 2])), ("value", Attribute::Float(3.0))];
        let f = imported(("Pad", 2), (1, 1), &attributes).unwrap();
        let consts = [Tensor::from_i64(&[2], &[1, 2]), Tensor::from_f32(&[], &[3.0])].map(Wire::Const);
        assert_eq!(f.nodes, [(Pad.into(), [&[Wire::Input(0)], &consts[..]].concat(), 1)]);
        let mode = [("mode", Attribute::String("reflect".into()))];
        insta::assert_snapshot!(imported(("Pad", 13), (2, 1), &mode).unwrap_err(), @r"
        error[E0206]: Pad mode `reflect` is not supported
           = help: use zero padding, or let the convolution pad
        ");
    }

    #[test]
    fn errors() {
        let x = || count(&[2, 2]);
        insta::assert_snapshot!(error(Pad, &[x(), list(&[0, 1])]), @r"
        error[E0206]: 2 pads for 2 axes
          --> node `op` (Pad)
           | `x0`  f32[2, 2]
           | `x1`  i64[2]
           = help: give the pads before all axes, then those after all axes
        ");
        insta::assert_snapshot!(error(Pad, &[x(), list(&[0, -5, 0, 5])]), @r"
        error[E0202]: pads [(0, 0), (-5, 5)] cut more than there is
          --> node `op` (Pad)
           | `x0`  f32[2, 2]
           | `x1`  i64[4]
           = help: negative pads cut; together they may cut an axis to nothing, not below
        ");
        insta::assert_snapshot!(error(Pad, &[x(), list(&[0, i64::MAX, 0, 5])]), @r"
        error[E0202]: a value of shape [2, 9223372036854775807] is too large
          --> node `op` (Pad)
           | `x0`  f32[2, 2]
           | `x1`  i64[4]
           = help: the model computes a shape that cannot be meant; check what it is computed from
        ");
        insta::assert_snapshot!(error(Pad, &[x(), list(&[1 << 40, 0, 0, 0])]), @r"
        error[E0202]: a value of shape [1099511627778, 2] is too large
          --> node `op` (Pad)
           | `x0`  f32[2, 2]
           | `x1`  i64[4]
           = help: the model computes a shape that cannot be meant; check what it is computed from
        ");
        insta::assert_snapshot!(error(Pad, &[x(), input(Tensor::from_i64(&[4], &[0; 4]))]), @r"
        error[E0204]: input 1 `pads` must be constant
          --> node `op` (Pad)
           | pads  i64[4]
           | `x0`  f32[2, 2]
           | `x1`  i64[4]
           = help: export with static shapes, or fix the dynamic dimensions with `--shape NAME=1x3x96x96`
        ");
    }
}
