//! The packed tables of the kernels for vectors.

/// Tables of an int8 layer, for eight output channels at a time.
///
/// Sixteen bytes of weights hold two taps `t` and `u` of eight channels: `[w0[t] w0[u] w1[t] w1[u] .. w7[t] w7[u]]`. The number
/// of channels is filled up to a multiple of eight by channels of zeros.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FilterSimd<'a> {
    /// Bytes, `[blocks of eight channels][words of two taps][16]`.
    pub weights: &'a [i8],
    /// For each block eight biases, in which the zero point of the input is folded, eight multipliers as in
    /// [`Filter`](crate::Filter), and eight biases for inputs that are 128 larger, and so have no sign.
    pub blocks: &'a [i32],
}

impl FilterSimd<'_> {
    /// Whether the tables fit `channels` outputs of `words` words a channel.
    pub const fn fits(&self, channels: usize, words: usize) -> bool {
        let blocks = channels.div_ceil(8);
        self.weights.len() == blocks * words * 16 && self.blocks.len() == blocks * 24
    }
}

/// Tables of a depthwise layer, for sixteen channels at a time, in the order `0 1 2 3 8 9 10 11 4 5 6 7 12 13 14 15`: that of the
/// halves of vectors when two of them are interleaved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DepthwiseFilterSimd<'a> {
    /// Bytes, `[blocks of sixteen channels][pairs of taps][16][2]`. The taps `[ky][kx]` of a kernel are paired in order; the last
    /// one of an odd number has a partner of weight zero.
    pub weights: &'a [i8],
    /// For each block sixteen biases, in which the zero point of the input is folded, and sixteen multipliers.
    pub blocks: &'a [i32],
}

impl DepthwiseFilterSimd<'_> {
    /// Whether the tables fit `lanes` channels of `pairs` pairs of taps.
    pub const fn fits(&self, lanes: usize, pairs: usize) -> bool {
        let blocks = lanes.div_ceil(16);
        self.weights.len() == blocks * pairs * 32 && self.blocks.len() == blocks * 32
    }
}
