//! Constant channels, removed.
//!
//! Real networks carry channels that no input can move: folded batch normalizations leave weights near zero under biases
//! near 2^30, which also break every proof about accumulators. Three steps over the integer graph:
//!
//! 1. `bounds`: the lowest and highest value of every channel, through the same integer arithmetic that the program has.
//! 2. `keep`: which channels something still needs. A constant channel that enters a convolution is part of the next
//!    bias: `sum (k - zp_x)(w - zp_w)`, also through padding where `k = zp_x`, since padding has that value.
//! 3. `rewrite`: weights, biases and shapes without the others. A constant channel that has to stay (an operator like Add
//!    joins it with one that is not) gets zero weights and a small exact bias.
//!
//! Identity: every output of the model has the same bits as before, for every input. Inputs and outputs of the model keep
//! their shapes, and so does everything next to an operator whose channels are not followed.

mod bounds;
mod keep;
mod layer;
mod rewrite;

use crate::diag::Diagnostics;
use crate::graph::Graph;

/// What was removed from one convolution or dense layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Name of the layer.
    pub layer: String,
    /// Output channels that it had.
    pub channels: usize,
    /// Of these, the ones that no input moves.
    pub constant: usize,
    /// Output channels that went: constants, and what fed only them.
    pub removed: usize,
    /// Multiply-accumulates before.
    pub macs_before: u64,
    /// Multiply-accumulates now.
    pub macs_after: u64,
}

/// Removes what no output depends on; says what went, layer by layer.
///
/// # Errors
/// `E0902`, `E0903`: internal errors.
pub fn remove_constant_channels(graph: &mut Graph) -> Result<Vec<Removed>, Diagnostics> {
    let bounds = bounds::Bounds::of(graph)?;
    if !bounds.any_constant() {
        return Ok(vec![]);
    }
    let keep = keep::Keep::of(graph, &bounds);
    rewrite::rewrite(graph, &bounds, &keep)
}
