//! What several operators share: fused clamps, fixed-point multipliers, windows, unary functions.

mod axes;
mod binary;
mod channels;
mod clamp;
mod convert;
mod dense;
mod element;
mod filter;
mod fixed_point;
mod host;
mod integer;
mod moves;
mod pool;
mod quantization;
mod rescale;
pub mod spelling;
mod unary;
mod window;

pub use axes::{axes, axis, broadcast};
pub use binary::{Binary, infer_binary, infer_variadic, lower_binary};
pub use clamp::{Clamp, clamp};
pub use convert::{dequantize, quantize};
pub use dense::{Dense, dense, dense_scales, matmul, matrices, same_elem};
pub use element::{Form, Integer};
pub use filter::{LayerQuant, blocked_scales, filter, filter_f32, filter_f32_with, no_kernel};
pub use fixed_point::{FixedPoint, check_accumulator, two_multiplier};
pub use host::{host, sized};
pub use integer::{Operand8, check_operand8, check_sums, flip_of, sums};
pub use moves::reshape;
pub use pool::{Pool, kept_shape, pool_images, reduce};
pub use quantization::{Scales, check_scales, quantization_axis};
pub use rescale::rescale;
pub use unary::{lookup_table, unary};
pub use window::{AutoPad, Padding, Resolved, WindowSpec, drop_row_padding};

use channels::Channels;

use crate::kernels::Kernel;
use kiln_runtime_core::Image;

/// The kernel call for the images of its operands and its output.
pub type MakeKernel = Box<dyn Fn(&[Image]) -> Kernel>;
