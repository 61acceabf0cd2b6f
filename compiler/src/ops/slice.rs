//! Slice: every `step`-th index of some axes, a view.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule, Wire};
use crate::diag::Diagnostic;
use crate::tensor::{Tensor, TensorType, strides};

/// Indices `start..end` of each axis by steps; inputs 1 to 4 are starts, ends, axes, steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice;

/// One axis of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    axis: usize,
    start: usize,
    len: usize,
    step: i64,
}

/// Reads the attributes: until opset 9 they hold starts, ends and axes, which become constant inputs.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    if ctx.opset >= 10 {
        return Ok(Fragment::single(Slice, ctx.node));
    }
    let list = |name: &str| -> Result<Wire, Diagnostic> {
        let values = ctx.node.attributes.ints(name)?;
        Ok(values.map_or(Wire::None, |v| Wire::Const(Tensor::from_i64(&[v.len()], &v))))
    };
    let mut fragment = Fragment::default();
    let y = fragment.node(Slice, vec![Wire::Input(0), list("starts")?, list("ends")?, list("axes")?]);
    fragment.outputs.push(y);
    Ok(fragment)
}

impl Slice {
    fn cuts(&self, inputs: &Args) -> Result<Vec<Cut>, Diagnostic> {
        let x = inputs.required(0, "data")?.ty;
        inputs.required(1, "starts")?;
        let starts = inputs.integers(1, "starts")?.unwrap_or_default();
        let ends = inputs.integers(2, "ends")?.unwrap_or_default();
        let n = starts.len();
        let axes = inputs.integers(3, "axes")?.unwrap_or_else(|| (0..n as i64).collect());
        let steps = inputs.integers(4, "steps")?.unwrap_or_else(|| vec![1; n]);
        if ends.len() != n || axes.len() != n || steps.len() != n || steps.contains(&0) {
            return Err(Diagnostic::new("E0206", "starts, ends, axes and steps do not fit together")
                .fact("starts", format!("{starts:?}"))
                .fact("ends", format!("{ends:?}"))
                .fact("axes", format!("{axes:?}"))
                .fact("steps", format!("{steps:?}"))
                .help("all have one length, and no step is 0"));
        }
        (0..n)
            .map(|i| {
                let axis = shared::axis(axes[i], x.shape.len())?;
                let extent = x.shape[axis] as i64;
                let step = steps[i];
                // ONNX clamps to 0..=extent going forwards, to -1..extent going backwards.
                let (low, high) = if step > 0 { (0, extent) } else { (-1, extent - 1) };
                let bound = |v: i64| (if v < 0 { v.saturating_add(extent) } else { v }).clamp(low, high);
                let (start, end) = (bound(starts[i]), bound(ends[i]));
                let span = if step > 0 { end - start } else { start - end };
                let len = (span.max(0) as u64).div_ceil(step.unsigned_abs()) as usize;
                // A step that is never made must not leave the axis.
                let step = if len > 1 { step } else { 1 };
                Ok(Cut { axis, start: start.max(0) as usize, len, step })
            })
            .collect()
    }
}

impl Operator for Slice {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let mut ty = inputs.required(0, "data")?.ty.clone();
        for cut in self.cuts(inputs)? {
            ty.shape[cut.axis] = cut.len;
        }
        Ok(vec![ty])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::moves()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        let rank = inputs.get(0).map_or(0, |x| x.ty.shape.len());
        let cut: Vec<usize> = self.cuts(inputs).unwrap_or_default().iter().map(|c| c.axis).collect();
        AxisMap((0..rank).map(|a| if cut.contains(&a) { vec![] } else { vec![(0, a)] }).collect())
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Slice", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let cuts = b.with_args(|args| self.cuts(args))?;
        if let Some(value) = b.constant(0) {
            let ty = b.output_ty(0);
            b.bind_constant(0, slice_constant(&value, &cuts, &ty)?);
            return Ok(());
        }
        let mut view = b.view(0)?;
        for cut in cuts {
            let step = usize::try_from(cut.step).map_err(|_| {
                Diagnostic::new("E0307", "Slice with a negative step needs constant data")
                    .help("reverse the values before they enter the model, or reverse the weights that read them")
            })?;
            view = view.slice(cut.axis, cut.start, cut.len, step);
        }
        b.bind(0, view);
        Ok(())
    }
}

fn slice_constant(value: &Tensor, cuts: &[Cut], ty: &TensorType) -> Result<Tensor, Diagnostic> {
    let (size, from, to) = (value.elem().size(), strides(value.shape()), strides(&ty.shape));
    let mut bytes = Vec::with_capacity(ty.elements() * size);
    for i in 0..ty.elements() {
        let mut at = 0i64;
        for axis in 0..ty.shape.len() {
            let index = (i / to[axis].max(1) % ty.shape[axis].max(1)) as i64;
            let cut = cuts.iter().find(|c| c.axis == axis);
            at += cut.map_or(index, |c| c.start as i64 + index * c.step) * from[axis] as i64;
        }
        let at = at as usize * size;
        bytes.extend_from_slice(&value.bytes()[at..at + size]);
    }
    Tensor::new(ty.clone(), bytes)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{count, error, floats, folded, imported, list};
    use super::*;
    use crate::onnx::Attribute;

    #[test]
    fn starts_ends_and_steps() {
        let y = |starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]| {
            floats(Slice, &[count(&[2, 5]), list(starts), list(ends), list(axes), list(steps)])
        };
        assert_eq!(y(&[1], &[i64::MAX], &[1], &[2]), (vec![2, 2], vec![1.0, 3.0, 6.0, 8.0]));
        assert_eq!(y(&[-1, -2], &[9, -1], &[0, 1], &[1, 1]), (vec![1, 1], vec![8.0]));
        assert_eq!(y(&[0], &[5], &[-1], &[i64::MAX]), (vec![2, 1], vec![0.0, 5.0]));
        let y = floats(Slice, &[count(&[2, 2]), list(&[1]), list(&[2])]);
        assert_eq!(y, (vec![1, 2], vec![2.0, 3.0]));
    }

    #[test]
    fn constants_may_run_backwards() {
        let y = |start, end, step| {
            let data = list(&[0, 1, 2, 3, 4]);
            folded(Slice, &[data, list(&[start]), list(&[end]), list(&[0]), list(&[step])]).1
        };
        assert_eq!(y(-1, i64::MIN, -1), [4, 3, 2, 1, 0]);
        assert_eq!(y(3, 0, -2), [3, 1]);
        assert_eq!(y(0, 3, i64::MAX), [0]);
        assert_eq!(y(9, i64::MIN, i64::MIN), [4]);
    }

    #[test]
    fn attributes_become_inputs() {
        let attributes = [("starts", Attribute::Ints(vec![1])), ("ends", Attribute::Ints(vec![2]))];
        let f = imported(("Slice", 9), (1, 1), &attributes).unwrap();
        let [start, end] = [1, 2].map(|v| Wire::Const(Tensor::from_i64(&[1], &[v])));
        assert_eq!(f.nodes, [(Slice.into(), vec![Wire::Input(0), start, end, Wire::None], 1)]);
    }

    #[test]
    fn errors() {
        let one = || list(&[1]);
        insta::assert_snapshot!(error(Slice, &[count(&[5]), list(&[4]), list(&[0]), list(&[0]), list(&[-1])]), @r"
        error[E0307]: Slice with a negative step needs constant data
          --> node `op` (Slice)
           | `x0`  f32[5]
           | `x1`  i64[1]
           | `x2`  i64[1]
           | `x3`  i64[1]
           | `x4`  i64[1]
           = help: reverse the values before they enter the model, or reverse the weights that read them
        ");
        insta::assert_snapshot!(error(Slice, &[count(&[5]), one(), one(), one()]), @r"
        error[E0205]: axis 1 does not exist in a value of rank 1
          --> node `op` (Slice)
           | `x0`  f32[5]
           | `x1`  i64[1]
           | `x2`  i64[1]
           | `x3`  i64[1]
           = help: its axes are 0 to 0, or -1 to -1 counted from the end
        ");
        insta::assert_snapshot!(error(Slice, &[count(&[5]), list(&[1, 2]), one()]), @r"
        error[E0206]: starts, ends, axes and steps do not fit together
          --> node `op` (Slice)
           | starts  [1, 2]
           | ends    [1]
           | axes    [0, 1]
           | steps   [1, 1]
           | `x0`    f32[5]
           | `x1`    i64[2]
           | `x2`    i64[1]
           = help: all have one length, and no step is 0
        ");
    }
}
