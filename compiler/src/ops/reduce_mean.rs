//! ReduceMean: the mean over any axes.

use super::shared::{self, Clamp, Pool, kept_shape};
use super::{Args, AxisMap, Export, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule, Wire};
use crate::diag::Diagnostic;
use crate::tensor::{Tensor, ElemType, TensorType};

/// `y = mean(x)` over `axes`, which come from the attribute (before opset 18) or from input 1.
#[derive(Debug, Clone, PartialEq)]
pub struct ReduceMean {
    /// The attribute.
    pub axes: Option<Vec<i64>>,
    /// Whether reduced axes stay, with extent 1.
    pub keepdims: bool,
    /// Whether no axes means none; otherwise it means all.
    pub noop_with_empty_axes: bool,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let a = &ctx.node.attributes;
    let op = ReduceMean {
        axes: a.ints("axes")?,
        keepdims: a.int("keepdims")?.unwrap_or(1) != 0,
        noop_with_empty_axes: a.int("noop_with_empty_axes")?.unwrap_or(0) != 0,
    };
    Ok(Fragment::single(op, ctx.node))
}

impl ReduceMean {
    /// The axes to reduce, sorted.
    fn resolve(&self, inputs: &Args) -> Result<Vec<usize>, Diagnostic> {
        let rank = inputs.required(0, "data")?.ty.shape.len();
        let axes = match &self.axes {
            Some(axes) => Some(axes.clone()),
            None => inputs.integers(1, "axes")?,
        };
        match axes.filter(|a| !a.is_empty()) {
            Some(axes) => shared::axes(&axes, rank),
            None if self.noop_with_empty_axes => Ok(vec![]),
            None => Ok((0..rank).collect()),
        }
    }
}

impl Operator for ReduceMean {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "data")?.ty;
        Ok(vec![TensorType::new(x.elem, kept_shape(x, &self.resolve(inputs)?, self.keepdims))])
    }

    fn quantize(&self) -> QuantRule {
        let inputs = vec![InputRole::Activation, InputRole::Shape];
        QuantRule { inputs, output: OutputRole::Calibrate }
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        let rank = inputs.get(0).map_or(0, |x| x.ty.shape.len());
        let Ok(axes) = self.resolve(inputs) else { return AxisMap::none(rank) };
        let link = |a: usize| match (axes.contains(&a), self.keepdims) {
            (false, _) => Some(vec![(0, a)]),
            (true, true) => Some(vec![]),
            (true, false) => None,
        };
        AxisMap((0..rank).filter_map(link).collect())
    }

    fn export(&self, inputs: &Args) -> Export {
        let axes = match (&self.axes, inputs.get(1)) {
            (_, Some(_)) => Wire::Input(1),
            (Some(axes), None) => Wire::Const(Tensor::from_i64(&[axes.len()], axes)),
            (None, None) => Wire::None,
        };
        let export = Export::with_inputs("ReduceMean", vec![Wire::Input(0), axes]);
        export.int("keepdims", self.keepdims.into()).int("noop_with_empty_axes", self.noop_with_empty_axes.into())
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let axes = b.with_args(|args| self.resolve(args))?;
        if !axes.is_empty() {
            return shared::reduce(b, Pool::Average { count_include_pad: false }, &axes);
        }
        let from = b.view(0)?;
        if matches!(from.elem, ElemType::I8 | ElemType::I16) {
            let (x, y) = (b.qparams(0)?, b.output_qparams(0)?);
            if x != y {
                let to = b.allocate(0);
                return shared::rescale(b, &from, &to, (&x, &y), Clamp::NONE);
            }
        }
        b.bind(0, from);
        Ok(())
    }
}
