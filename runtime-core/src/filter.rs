//! The constant tables of convolutions and dense layers.

/// Tables of an int8 layer with `n` output channels. `acc = bias + sum(x * w)`, then
/// [`requantize`](crate::requantize) by the channel's multiplier and shift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Filter<'a> {
    /// Weights, `[n][ky][kx][input channels of the group]`.
    pub weights: &'a [i8],
    /// `n` biases, in which `-zero_point(x) * sum(w)` is already folded, so that no kernel knows that zero point.
    pub bias: &'a [i32],
    /// `n` multipliers `M = round(scale_x * scale_w / scale_y * 2^(32 - shift))`, 31 bits.
    pub multiplier: &'a [i32],
    /// `n` left shifts of the accumulator; empty when all are 0 (every real multiplier below 0.5).
    pub shift: &'a [u8],
    /// `n` zero points of the weights; empty when the weights are symmetric.
    pub weight_zero_point: &'a [i8],
}

impl Filter<'_> {
    /// Whether the tables fit `channels` outputs of `taps` weights each.
    pub const fn fits(&self, channels: usize, taps: usize) -> bool {
        self.weights.len() == channels * taps
            && self.bias.len() == channels
            && self.multiplier.len() == channels
            && (self.shift.is_empty() || self.shift.len() == channels)
            && (self.weight_zero_point.is_empty() || self.weight_zero_point.len() == channels)
    }

    /// Requantizes the accumulator of one channel, without zero point and clamp.
    #[inline(always)]
    pub fn requantize(&self, channel: usize, acc: i32) -> i32 {
        let multiplier = self.multiplier.get(channel).copied().unwrap_or(0);
        let shift = self.shift.get(channel).copied().unwrap_or(0);
        crate::requantize(acc, multiplier, shift)
    }
}

/// Tables of an f32 layer with `n` output channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FilterF32<'a> {
    /// Weights, `[n][ky][kx][input channels of the group]`.
    pub weights: &'a [f32],
    /// `n` biases.
    pub bias: &'a [f32],
}

impl FilterF32<'_> {
    /// Whether the tables fit `channels` outputs of `taps` weights each.
    pub const fn fits(&self, channels: usize, taps: usize) -> bool {
        self.weights.len() == channels * taps && self.bias.len() == channels
    }
}
