//! The packed tables of the kernels for DSP cores.

/// Tables of an int8 layer, for two output channels at a time.
///
/// A word of weights holds two taps `t` and `u` of an even channel (`w`) and of the odd channel behind it (`v`):
///
/// ```text
/// dual    halves [ 256 * v[t] + w[t] | 256 * v[u] + w[u] ]       where the compiler proves that this is exact
/// plain   bytes  [ w[t] | v[t] | w[u] | v[u] ]
/// ```
///
/// An odd number of channels is made even by one of zeros.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FilterDsp<'a> {
    /// Words, `[pairs of channels][words]`.
    pub weights: &'a [u32],
    /// For each pair of channels `b0`, `b1`, `M0`, `M1`: biases, in which the zero point of the input is folded, and
    /// multipliers as in [`Filter`](crate::Filter). Dual packing has `256 * b1 + b0` in the place of `b1`.
    pub pairs: &'a [i32],
}

impl FilterDsp<'_> {
    /// Whether the tables fit `channels` outputs of `words` words a pair.
    pub const fn fits(&self, channels: usize, words: usize) -> bool {
        let pairs = channels.div_ceil(2);
        self.weights.len() == pairs * words && self.pairs.len() == pairs * 4
    }
}
