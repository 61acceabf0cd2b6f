//! Pad: a border of a constant.

use super::shared::no_kernel;
use super::{Args, AxisMap, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule, Wire};
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
            Some(list) => list.iter().map(|&a| super::shared::axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
            None => (0..rank).collect(),
        };
        if pads.len() != 2 * axes.len() {
            return Err(Diagnostic::new("E0206", format!("{} pads for {} axes", pads.len(), axes.len())));
        }
        for (i, &axis) in axes.iter().enumerate() {
            all[axis] = (pads[i], pads[i + axes.len()]);
        }
        Ok(all)
    }
}

impl Operator for Pad {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "data")?.ty;
        let pads = self.pads(inputs)?;
        let padded = x.shape.iter().zip(&pads).map(|(&d, (s, e))| usize::try_from(d as i64 + s + e).ok());
        let shape: Option<Vec<usize>> = padded.collect();
        let shape = shape.ok_or_else(|| Diagnostic::new("E0202", format!("pads {pads:?} leave nothing of {x}")))?;
        Ok(vec![TensorType::new(x.elem, shape)])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule { inputs: vec![InputRole::Activation, InputRole::Shape], output: OutputRole::SameAs(0) }
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        let pads = self.pads(inputs).unwrap_or_default();
        AxisMap(pads.iter().enumerate().map(|(a, p)| if *p == (0, 0) { vec![(0, a)] } else { vec![] }).collect())
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
        let fill: Box<dyn Fn(&[rt::Image]) -> Kernel> = match (ty.elem, quantized) {
            (ElemType::F32, _) => Box::new(move |i| Kernel::Fill32(rt::Fill32 { output: i[0], value })),
            (ElemType::I8, Some(q)) => {
                let value = q.quantize(value);
                Box::new(move |i| Kernel::Fill8(rt::Fill8 { output: i[0], value }))
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
