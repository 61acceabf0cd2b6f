//! What several operators share: fused clamps, fixed-point multipliers, windows, unary functions.

mod axes;
mod binary;
mod clamp;
mod filter;
mod fixed_point;
mod moves;
mod unary;
mod window;

pub use axes::{axes, axis, broadcast};
pub use binary::{Binary, expand, infer_binary, lower_binary};
pub use clamp::{Clamp, clamp};
pub use filter::{LayerQuant, filter_f32, filter_i8, no_kernel};
pub use fixed_point::{FixedPoint, check_accumulator, two_multiplier};
pub use moves::reshape;
pub use unary::{lookup_table, unary};
pub use window::{AutoPad, Padding, Resolved, WindowSpec};
