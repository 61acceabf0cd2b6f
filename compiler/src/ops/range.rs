//! Range: `start, start + delta, ..` below `limit`, constant.

use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
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
        // In i128, where no difference of two i64 overflows.
        let (span, by) = (limit as i128 - start as i128, delta as i128);
        let (span, by) = if by < 0 { (-span, -by) } else { (span, by) };
        if by == 0 || span > by << 24 {
            let what = if by == 0 { "has no end" } else { "is too long" };
            let message = format!("a range from {start} to {limit} by {delta} {what}");
            return Err(Diagnostic::new("E0206", message)
                .help("a range has at most 2^24 elements, and its step is not 0"));
        }
        // All but the last sum lie below `limit`, so that only the sum behind the last one could wrap.
        let count = (span.max(0) + by - 1) / by;
        Ok((0..count as i64).map(|i| start.wrapping_add(i.wrapping_mul(delta))).collect())
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
            return Err(Diagnostic::new("E0304", format!("Range of {} is not supported", ty.elem))
                .help("give start, limit and delta as i64"));
        }
        Ok(vec![TensorType::new(ElemType::I64, [self.values(inputs)?.len()])])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(self.infer(inputs).map_or(0, |t| t[0].shape.len()))
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Range", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let values = b.with_args(|args| self.values(args))?;
        b.bind_constant(0, Tensor::from_i64(&[values.len()], &values));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, count, error, fold};
    use super::*;

    #[test]
    fn counts_both_ways() {
        let scalar = |v| constant(Tensor::from_i64(&[], &[v]));
        let range = |start, limit, delta| fold(Range, &[scalar(start), scalar(limit), scalar(delta)]);
        let values = |r: Result<Option<Vec<Tensor>>, String>| r.unwrap().unwrap()[0].to_i64s();
        assert_eq!(values(range(1, 6, 2)), [1, 3, 5]);
        assert_eq!(values(range(3, 0, -1)), [3, 2, 1]);
        assert_eq!(values(range(3, 0, 1)), [0i64; 0]);
        assert_eq!(values(range(i64::MIN, i64::MAX, i64::MAX)), [i64::MIN, -1, i64::MAX - 1]);
        insta::assert_snapshot!(range(0, i64::MAX, 1).unwrap_err(), @r"
        error[E0206]: a range from 0 to 9223372036854775807 by 1 is too long
           = help: a range has at most 2^24 elements, and its step is not 0
        ");
        insta::assert_snapshot!(range(0, 1, 0).unwrap_err(), @r"
        error[E0206]: a range from 0 to 1 by 0 has no end
           = help: a range has at most 2^24 elements, and its step is not 0
        ");
        insta::assert_snapshot!(error(Range, &[count(&[]), count(&[]), count(&[])]), @r"
        error[E0304]: Range of f32 is not supported
          --> node `op` (Range)
           | `x0`  f32[]
           | `x1`  f32[]
           | `x2`  f32[]
           = help: give start, limit and delta as i64
        ");
    }
}
