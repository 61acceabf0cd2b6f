//! Range: `start, start + delta, ..` below `limit`, constant.

use super::{Args, AxisMap, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::{ElemType, Tensor, TensorType};

/// Inputs are start, limit, delta: integers, constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Range;

impl Range {
    fn values(&self, inputs: &Args) -> Result<Vec<i64>, Diagnostic> {
        let mut bounds = [0i64; 3];
        for (i, name) in ["start", "limit", "delta"].iter().enumerate() {
            inputs.required(i, name)?;
            bounds[i] = inputs.integers(i, name)?.and_then(|v| v.first().copied()).unwrap_or(0);
        }
        let [start, limit, delta] = bounds;
        let count = if delta == 0 { 0 } else { ((limit - start) as f64 / delta as f64).ceil().max(0.0) as i64 };
        if delta == 0 || count > 1 << 24 {
            return Err(Diagnostic::new("E0206", format!("a range from {start} to {limit} by {delta} is not possible")));
        }
        Ok((0..count).map(|i| start + i * delta).collect())
    }
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Range, ctx.node))
}

impl Operator for Range {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let ty = inputs.required(0, "start")?.ty;
        if ty.elem != ElemType::I64 {
            return Err(Diagnostic::new("E0304", "Range is supported for i64 only"));
        }
        Ok(vec![TensorType::new(ElemType::I64, [self.values(inputs)?.len()])])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(self.infer(inputs).map_or(0, |t| t[0].shape.len()))
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let values = b.with_args(|args| self.values(args))?;
        b.bind_constant(0, Tensor::from_i64(&[values.len()], &values));
        Ok(())
    }
}
