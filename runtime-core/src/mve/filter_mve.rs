//! The packed tables of the kernels for MVE cores.

/// Tables of an int8 layer, for two output channels at a time: 16 taps of the even channel, the same taps of the odd one, the
/// next 16 taps, and so on, filled up with zeros. An odd last channel is there twice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FilterMve<'a> {
    /// Weights, `[pairs of channels][taps / 16][2][16]`.
    pub weights: &'a [i8],
    /// For each pair of channels `b0`, `b1`, `M0`, `M0`, `M1`, `M1`: biases, in which the zero point of the input is folded,
    /// and multipliers as in [`Filter`](crate::Filter), one for each output of two pixels.
    pub pairs: &'a [i32],
}

impl FilterMve<'_> {
    /// Bytes of weights for a pair of channels.
    pub(super) const fn pair_len(taps: usize) -> usize {
        taps.div_ceil(16) * 32
    }

    /// Whether the tables fit `channels` outputs of `taps` weights each.
    pub const fn fits(&self, channels: usize, taps: usize) -> bool {
        let pairs = channels.div_ceil(2);
        self.weights.len() == pairs * Self::pair_len(taps) && self.pairs.len() == pairs * 6
    }
}

/// Tables of an int8 dense layer, for four outputs at a time, packed as in [`FilterMve`]. Missing outputs are zeros.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DenseFilterMve<'a> {
    /// Weights, `[outputs / 4][features / 16][4][16]`.
    pub weights: &'a [i8],
    /// For each four outputs `b0` to `b3` and `M0` to `M3`.
    pub quads: &'a [i32],
}

impl DenseFilterMve<'_> {
    /// Bytes of weights for four outputs.
    pub(super) const fn quad_len(features: usize) -> usize {
        features.div_ceil(16) * 64
    }

    /// Whether the tables fit `outputs` of `features` weights each.
    pub const fn fits(&self, outputs: usize, features: usize) -> bool {
        let quads = outputs.div_ceil(4);
        self.weights.len() == quads * Self::quad_len(features) && self.quads.len() == quads * 8
    }
}
