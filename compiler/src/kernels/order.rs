//! Which rows of its inputs a kernel reads for which of its output rows: what streams and overlaps rest on.
//!
//! Every kernel of the runtime computes a range of output rows from just the input rows that these read, whichever calls came
//! before (`runtime-core/tests/rows.rs`). Kernels whose output depends on whole tensors are not listed here.

use super::{Kernel, Overlay};
use kiln_runtime_core::Window;

/// Elementwise: row `y` reads row `y`.
const ROW: Window = Window {
    height: 1,
    width: 1,
    stride_h: 1,
    stride_w: 1,
    dilation_h: 1,
    dilation_w: 1,
    pad_top: 0,
    pad_left: 0,
};

impl Kernel {
    /// The window by which output rows read rows of every image in memory, none where they read whole tensors.
    pub fn window(&self) -> Option<Window> {
        use Kernel::*;
        match self {
            Conv2dI8(p) | Conv2dI8W4(p) => Some(p.window),
            Conv2dI16(p) | Conv2dI16Wide(p) | Conv2dI16W4(p) => Some(p.window),
            Conv2dF32(p) => Some(p.window),
            Conv2dI8Dsp(p) => Some(p.window),
            InterleavedConv2dI8Dsp(p) => Some(p.window),
            Conv2dI8Mve(p) => Some(p.window),
            Conv2dI8Scalar(p) => Some(p.window),
            // A tile of four pixels takes several of such rows, from planes in one piece.
            PointwiseConv2dI8Dsp(p) if p.output.width < 4 => None,
            PointwiseConv2dI8Dsp(_) | PointwiseConv2dI8Mve(_) | PointwiseConv2dI8Scalar(_) => Some(ROW),
            DepthwiseConv2dI8(p) | DepthwiseConv2dI8W4(p) => Some(p.window),
            DepthwiseConv2dI16(p) | DepthwiseConv2dI16Wide(p) | DepthwiseConv2dI16W4(p) => Some(p.window),
            DepthwiseConv2dF32(p) => Some(p.window),
            DepthwiseConv2dI8Dsp(p) => Some(p.window),
            DepthwiseConv2dI8Mve(p) => Some(p.window),
            DepthwiseConv2dI8Scalar(p) => Some(p.window),
            MaxPoolI8(p) => Some(p.window),
            MaxPoolI16(p) => Some(p.window),
            MaxPoolF32(p) => Some(p.window),
            AveragePoolI8(p) | AveragePoolI8Simd(p) => Some(p.window),
            AveragePoolI16(p) => Some(p.window),
            AveragePoolF32(p) => Some(p.window),
            QuantizeF32I8(_) | DequantizeI8F32(_) => Some(ROW),
            SoftmaxF32(_) => None,
            _ if self.overlay() == Overlay::Elements => Some(ROW),
            _ => None,
        }
    }

    /// Whether each element of the output depends on one element of the input alone, whatever its place.
    pub fn is_map(&self) -> bool {
        let converts = matches!(self, Kernel::QuantizeF32I8(_) | Kernel::DequantizeI8F32(_));
        (converts || self.overlay() == Overlay::Elements)
            && self.reads().len() == 1
            && self.window().is_some()
    }

    /// Output rows, at most that far apart, that one call may compute in any order among each other; rows further apart come in
    /// ascending order.
    pub fn rows_at_once(&self) -> usize {
        match self {
            Kernel::Conv2dI8Dsp(p) => p.rows_at_once(),
            Kernel::InterleavedConv2dI8Dsp(p) => p.rows_at_once(),
            Kernel::PointwiseConv2dI8Dsp(p) => p.rows_at_once(),
            Kernel::DepthwiseConv2dI8Dsp(p) => p.strip(),
            Kernel::Conv2dI8Mve(p) => p.output.height,
            Kernel::Conv2dI8Scalar(p) => p.rows_at_once(),
            Kernel::PointwiseConv2dI8Scalar(p) => p.rows_at_once(),
            Kernel::DepthwiseConv2dI8Scalar(p) => p.strip(),
            Kernel::PointwiseConv2dI8Mve(p) => p.output.height,
            Kernel::DepthwiseConv2dI8Mve(p) => p.strip(),
            // Planes without gaps are walked channel by channel.
            _ if self.overlay() == Overlay::Elements => self.rows(),
            Kernel::QuantizeF32I8(_) | Kernel::DequantizeI8F32(_) => self.rows(),
            _ => 1,
        }
    }

    /// Says that no call computes more than `rows` rows: kernels that copy strips need less scratch then.
    pub fn limit_strip(&mut self, rows: usize) {
        match self {
            Kernel::DepthwiseConv2dI8Dsp(p) => p.strip = p.strip.min(rows.max(1)),
            Kernel::DepthwiseConv2dI8Mve(p) => p.strip = p.strip.min(rows.max(1)),
            Kernel::DepthwiseConv2dI8Scalar(p) => p.strip = p.strip.min(rows.max(1)),
            _ => {}
        }
    }
}
