//! stub
use super::*;
/// s
#[derive(Debug, Clone, PartialEq)]
pub struct FlipSign;
/// s
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> { Ok(Fragment::single(FlipSign, ctx.node)) }
impl Operator for FlipSign {
    fn infer(&self, _: &Args) -> Result<Vec<TensorType>, Diagnostic> { Ok(vec![]) }
    fn quantize(&self) -> QuantRule { QuantRule::float() }
    fn axes(&self, _: &Args) -> AxisMap { AxisMap::none(0) }
    fn lower(&self, _: &mut Lowering) -> Result<(), Diagnostic> { Ok(()) }
}
