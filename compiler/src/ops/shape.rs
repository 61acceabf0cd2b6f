//! Shape: extents as integers, known at compile time.

use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::{ElemType, Tensor, TensorType};

/// Extents `start..end` of the input.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// First axis.
    pub start: i64,
    /// Behind the last axis.
    pub end: i64,
}

impl Shape {
    fn extents<'a>(&self, shape: &'a [usize]) -> &'a [usize] {
        let rank = shape.len() as i64;
        let bound = |v: i64| (if v < 0 { v.saturating_add(rank) } else { v }).clamp(0, rank) as usize;
        shape.get(bound(self.start)..bound(self.end)).unwrap_or(&[])
    }
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let a = &ctx.node.attributes;
    let (start, end) = (a.int("start")?.unwrap_or(0), a.int("end")?.unwrap_or(i64::MAX));
    Ok(Fragment::single(Shape { start, end }, ctx.node))
}

impl Operator for Shape {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "data")?.ty;
        Ok(vec![TensorType::new(ElemType::I64, [self.extents(&x.shape).len()])])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(self.infer(inputs).map_or(0, |t| t[0].shape.len()))
    }

    fn export(&self, inputs: &Args) -> Export {
        let export = Export::node("Shape", inputs).int("start", self.start);
        if self.end == i64::MAX { export } else { export.int("end", self.end) }
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let shape = b.ty(0)?.shape;
        let extents: Vec<i64> = self.extents(&shape).iter().map(|&d| d as i64).collect();
        b.bind_constant(0, Tensor::from_i64(&[extents.len()], &extents));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{count, folded};
    use super::*;

    #[test]
    fn extents_between_two_axes() {
        let of = |start, end| folded(Shape { start, end }, &[count(&[4, 5, 6])]).1;
        assert_eq!(of(0, i64::MAX), [4, 5, 6]);
        assert_eq!(of(-2, -1), [5]);
        assert_eq!(of(2, 1), [0i64; 0]);
    }
}
