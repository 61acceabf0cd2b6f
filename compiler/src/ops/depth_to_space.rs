//! DepthToSpace: blocks of channels become blocks of pixels. Two views and one copy.

use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::onnx::Attribute;
use crate::tensor::TensorType;

/// `[N, C, H, W]` to `[N, C / b^2, H * b, W * b]`.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthToSpace {
    /// `b`.
    pub block: usize,
    /// Whether the channels are ordered `[C / b^2][b][b]` (CRD) instead of `[b][b][C / b^2]` (DCR).
    pub channels_first: bool,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let a = &ctx.node.attributes;
    let block = a.int("blocksize")?.unwrap_or(0);
    let block = usize::try_from(block).ok().filter(|b| (1..=1 << 12).contains(b));
    let block = block.ok_or_else(|| Diagnostic::new("E0206", "attribute `blocksize` must be 1 to 4096"))?;
    let channels_first = match a.string("mode")?.as_deref() {
        None | Some("DCR") => false,
        Some("CRD") => true,
        Some(other) => {
            return Err(Diagnostic::new("E0206", format!("attribute `mode` is `{other}`"))
                .help("DepthToSpace has the modes `DCR` and `CRD`"));
        }
    };
    Ok(Fragment::single(DepthToSpace { block, channels_first }, ctx.node))
}

impl Operator for DepthToSpace {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "input")?.ty;
        let &[n, c, h, w] = &x.shape[..] else {
            return Err(Diagnostic::new("E0208", "DepthToSpace needs 2-D images")
                .help("give it a value of shape [N, C, H, W]"));
        };
        let square = self.block * self.block;
        if c % square != 0 {
            return Err(Diagnostic::new("E0202", format!("{c} channels do not make blocks of {square}"))
                .help("the channels must be a multiple of `blocksize` squared"));
        }
        Ok(vec![TensorType::new(x.elem, [n, c / square, h * self.block, w * self.block])])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::moves()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        let mut map = AxisMap::none(inputs.get(0).map_or(0, |x| x.ty.shape.len()));
        if let Some(batch) = map.0.first_mut() {
            batch.push((0, 0));
        }
        map
    }

    fn export(&self, inputs: &Args) -> Export {
        let mode = if self.channels_first { "CRD" } else { "DCR" };
        let export = Export::node("DepthToSpace", inputs).int("blocksize", self.block as i64);
        export.attribute("mode", Attribute::String(mode.to_string()))
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let x = b.view(0)?;
        let x = b.contiguous(&x)?;
        let &[n, c, h, w] = &x.shape[..] else { return Err(Diagnostic::new("E0208", "DepthToSpace needs 2-D images")) };
        let (block, depth) = (self.block, c / (self.block * self.block));
        let (split, order) = match self.channels_first {
            true => ([n, depth, block, block, h, w], [0, 1, 4, 2, 5, 3]),
            false => ([n, block, block, depth, h, w], [0, 3, 4, 1, 5, 2]),
        };
        let to = b.allocate(0);
        let Some(from) = x.reshape(&split).map(|x| x.transpose(&order)) else { return Ok(()) };
        let Some(to) = to.reshape(&from.shape) else { return Ok(()) };
        b.copy(&from, &to)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{count, error, floats};
    use super::*;

    #[test]
    fn blocks_of_channels_become_pixels() {
        let op = |channels_first| DepthToSpace { block: 2, channels_first };
        // Channels 0..8 of one pixel: DCR takes every second one for the first image, CRD the first four.
        let x = count(&[1, 8, 1, 1]);
        assert_eq!(floats(op(false), std::slice::from_ref(&x)), (vec![1, 2, 2, 2], vec![0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]));
        assert_eq!(floats(op(true), &[x]), (vec![1, 2, 2, 2], (0..8).map(|v| v as f32).collect()));
        insta::assert_snapshot!(error(op(true), &[count(&[1, 6, 1, 1])]), @r"
        error[E0202]: 6 channels do not make blocks of 4
          --> node `op` (DepthToSpace)
           | `x0`  f32[1, 6, 1, 1]
           = help: the channels must be a multiple of `blocksize` squared
        ");
    }
}
