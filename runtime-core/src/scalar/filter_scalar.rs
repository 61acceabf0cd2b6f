//! The tables of the kernels for cores without SIMD.

use super::short::coarse;

/// Tables of an int8 layer with symmetric weights and multipliers below 0.5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FilterScalar<'a> {
    /// Weights, `[channels][taps]`. Convolutions have an even number of taps: the last one of an odd number is a zero.
    pub weights: &'a [i8],
    /// Four values for each channel; see [`FilterScalar::channel`].
    pub channels: &'a [i32],
}

/// Values for each channel.
pub(super) const FIELDS: usize = 4;

impl FilterScalar<'_> {
    /// The values of a channel: its bias, in which the zero point of the input is folded; how many taps one multiplication of
    /// two pixels may sum up (`block`, which depends on the kernel); its multiplier as in [`Filter`](crate::Filter); and the
    /// rounded multiplier of the short requantization, 0 where sums from `least` to `greatest` do not permit that.
    pub const fn channel(
        (bias, block, multiplier): (i32, i32, i32),
        (least, greatest): (i64, i64),
    ) -> [i32; 4] {
        [bias, block, multiplier, coarse(multiplier, least, greatest)]
    }

    /// Whether the tables fit `channels` outputs of `taps` weights each.
    pub const fn fits(&self, channels: usize, taps: usize) -> bool {
        self.weights.len() == channels * taps && self.channels.len() == channels * FIELDS
    }
}
