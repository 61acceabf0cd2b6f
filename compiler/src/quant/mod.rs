//! Quantization: what an ONNX file says with QuantizeLinear and DequantizeLinear becomes integer arithmetic.
//!
//! Three steps over the float graph, after the float passes have fused it:
//!
//! 1. `annotate`: every integer value learns its scale and zero point from the node that made or reads it.
//! 2. `unsigned`: uint8 becomes int8 by subtracting 128, which is exact; uint16 and uint4 likewise.
//! 3. `islands`: `DequantizeLinear -> op -> QuantizeLinear` becomes `op` on integers.
//!
//! What has no integer form stays float between its own conversions.
//!
//! And how a float model becomes such a file: `sites` says what can be integers, `calibrate` measures ranges on samples, `tune`
//! uses the accuracy tools, one file each, all of them decisions in a [`Scheme`], which `apply` writes into the graph.

mod annotate;
mod apply;
pub mod bias_correction;
mod calibrate;
pub mod channels;
mod constant_channels;
pub mod equalize;
pub mod fallback;
mod histogram;
mod islands;
pub mod layer_inputs;
pub mod linalg;
pub mod logits;
mod method;
mod observe;
mod precision;
mod profile;
pub mod ranges;
mod replay;
pub mod rounding;
mod samples;
mod scheme;
pub mod score;
pub mod sensitivity;
mod sites;
mod trace;
pub mod tune;
mod unsigned;
mod widths;

pub use calibrate::{Choice, Range, before_saturation, bounds, calibrate, integer_graph, scheme_noise};
pub use constant_channels::{Removed, remove_constant_channels};
pub use histogram::Histogram;
pub use method::Method;
pub use observe::{Statistics, observe};
pub use profile::{Profile, ProfileRange};
pub use samples::{Load, Samples};
pub use scheme::{
    Activation, Precision, Scheme, WEIGHT_MAX, WeightBits, Weights, extent, int8_params, nearest, per_channel,
};
pub use sites::{Sites, is_activation, weight, weights};
pub use trace::Trace;

use crate::diag::Diagnostics;
use crate::graph::Graph;

/// Converts a graph; returns how many operators became integer.
///
/// # Errors
/// `E0310` for scales that are not constant.
pub fn integers(graph: &mut Graph) -> Result<usize, Diagnostics> {
    annotate::annotate(graph)?;
    unsigned::shift_unsigned(graph)?;
    islands::islands(graph)
}
