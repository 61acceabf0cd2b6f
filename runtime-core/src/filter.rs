//! The constant tables of convolutions and dense layers.

use crate::{Accumulator, Activation};

/// Tables of an integer layer with `n` output channels and int8 weights. `acc = bias + sum(x * w)` in the type `A`, then
/// [`requantize`](crate::requantize) by the channel's multiplier and shift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Filter<'a, A = i32> {
    /// Weights, `[n][ky][kx][input channels of the group]`.
    pub weights: &'a [i8],
    /// `n` biases, in which `-zero_point(x) * sum(w)` is already folded, so that no kernel knows that zero point.
    pub bias: &'a [A],
    /// `n` multipliers `M = round(scale_x * scale_w / scale_y * 2^(32 - shift))`, 31 bits.
    pub multiplier: &'a [i32],
    /// `n` left shifts of the accumulator; empty when all are 0 (every real multiplier below 0.5).
    pub shift: &'a [u8],
    /// `n` zero points of the weights; empty when the weights are symmetric.
    pub weight_zero_point: &'a [i8],
}

/// [`Filter`] of a layer whose sums may need more than 32 bits.
pub type FilterWide<'a> = Filter<'a, i64>;

impl<A> Filter<'_, A> {
    /// Whether the tables fit `channels` outputs of `taps` weights each.
    pub const fn fits(&self, channels: usize, taps: usize) -> bool {
        self.weights.len() == channels * taps
            && self.bias.len() == channels
            && self.multiplier.len() == channels
            && (self.shift.is_empty() || self.shift.len() == channels)
            && (self.weight_zero_point.is_empty() || self.weight_zero_point.len() == channels)
    }
}

impl<A: Accumulator> Filter<'_, A> {
    /// Requantizes the accumulator of one channel, without zero point and clamp.
    #[inline(always)]
    pub fn requantize(&self, channel: usize, acc: A) -> i32 {
        requantize(self.multiplier, self.shift, channel, acc)
    }
}

#[inline(always)]
fn requantize<A: Accumulator>(multiplier: &[i32], shift: &[u8], channel: usize, acc: A) -> i32 {
    let multiplier = multiplier.get(channel).copied().unwrap_or(0);
    let shift = shift.get(channel).copied().unwrap_or(0);
    acc.requantize(multiplier, shift)
}

/// Tables of an integer layer with `n` output channels and int4 weights, two a byte: the first in the low four bits, each in
/// two's complement.
///
/// A channel's weights may be divided into groups of neighbours, each with a factor of its own:
/// `acc = bias + sum over groups(factor * sum(x * w))`. Without groups it is `bias + sum(x * w)`. Every group starts at a
/// whole byte, so that one of an odd number of weights ends with four bits that nothing reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Filter4<'a, A = i32> {
    /// Weights, `[n][ky][kx][input channels of the group]`, packed.
    pub weights: &'a [u8],
    /// `n` biases, as in [`Filter`].
    pub bias: &'a [A],
    /// `n` multipliers, as in [`Filter`].
    pub multiplier: &'a [i32],
    /// `n` left shifts, as in [`Filter`].
    pub shift: &'a [u8],
    /// Numbers of weights in the groups of a channel, the same for all channels; empty without groups.
    pub groups: &'a [u16],
    /// A factor for each group, `[n][group]`; empty without groups.
    pub factor: &'a [u8],
}

/// [`Filter4`] of a layer whose sums may need more than 32 bits.
pub type Filter4Wide<'a> = Filter4<'a, i64>;

/// Most weights of one group: `2^12 * 2^15 * 2^3 = 2^30` fits 32 bits.
const MOST_GROUPED: usize = 1 << 12;

impl<A> Filter4<'_, A> {
    /// Whether the tables fit `channels` outputs of `taps` weights each.
    pub const fn fits(&self, channels: usize, taps: usize) -> bool {
        let (mut count, mut bytes, mut i) = (0, 0, 0);
        while i < self.groups.len() {
            if self.groups[i] as usize > MOST_GROUPED {
                return false;
            }
            count += self.groups[i] as usize;
            bytes += (self.groups[i] as usize).div_ceil(2);
            i += 1;
        }
        if self.groups.is_empty() {
            (count, bytes) = (taps, taps.div_ceil(2));
        }
        count == taps
            && self.weights.len() == channels * bytes
            && self.factor.len() == channels * self.groups.len()
            && self.bias.len() == channels
            && self.multiplier.len() == channels
            && (self.shift.is_empty() || self.shift.len() == channels)
    }
}

/// The weight in the low four bits of a byte.
#[inline(always)]
fn low(byte: u8) -> i32 {
    ((byte << 4) as i8 >> 4) as i32
}

/// The weight in the high four bits of a byte.
#[inline(always)]
fn high(byte: u8) -> i32 {
    (byte as i8 >> 4) as i32
}

/// `sum(x * w)` over packed weights, unpacked on the way: 2^12 products fit 32 bits.
#[inline(always)]
fn dot4<X: Activation>(x: &[X], packed: &[u8]) -> i32 {
    let (pairs, rest) = x.as_chunks::<2>();
    let mut acc = 0i32;
    for (&[a, b], &byte) in pairs.iter().zip(packed) {
        acc = acc.wrapping_add(a.into() * low(byte)).wrapping_add(b.into() * high(byte));
    }
    if let (&[x], Some(&byte)) = (rest, packed.get(pairs.len())) {
        acc = acc.wrapping_add(x.into() * low(byte));
    }
    acc
}

/// What the kernels ask of their tables.
pub(crate) trait Channels<X: Activation>: Copy {
    /// The type that sums are formed in.
    type Acc: Accumulator;

    /// The sum of a channel over the values that its weights meet, requantized, without zero point and clamp.
    fn output(&self, channel: usize, patch: &[X]) -> i32;
    /// The bias of a channel.
    fn bias(&self, channel: usize) -> Self::Acc;
    /// The `taps` weights of a channel, less their zero point. Only without groups.
    fn weights(&self, channel: usize, taps: usize) -> impl Iterator<Item = i32> + Clone;
    /// Requantizes a channel's sum, without zero point and clamp.
    fn requantized(&self, channel: usize, acc: Self::Acc) -> i32;
}

impl<X: Activation, A: Accumulator> Channels<X> for &Filter<'_, A> {
    type Acc = A;

    #[inline(always)]
    fn output(&self, channel: usize, patch: &[X]) -> i32 {
        let weights = self.weights.get(channel * patch.len()..).unwrap_or(&[]);
        let mut acc = Channels::<X>::bias(self, channel).dot(patch, weights);
        if let Some(&zero_point) = self.weight_zero_point.get(channel) {
            let sum = patch.iter().fold(0i32, |sum, &x| sum.wrapping_add(x.into()));
            acc = acc.plus(A::from(sum).times(-(zero_point as i32)));
        }
        self.requantize(channel, acc)
    }

    #[inline(always)]
    fn bias(&self, channel: usize) -> A {
        self.bias.get(channel).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn weights(&self, channel: usize, taps: usize) -> impl Iterator<Item = i32> + Clone {
        let zero_point = self.weight_zero_point.get(channel).copied().unwrap_or(0) as i32;
        self.weights.get(channel * taps..).unwrap_or(&[]).iter().map(move |&w| w as i32 - zero_point)
    }

    #[inline(always)]
    fn requantized(&self, channel: usize, acc: A) -> i32 {
        self.requantize(channel, acc)
    }
}

impl<X: Activation, A: Accumulator> Channels<X> for &Filter4<'_, A> {
    type Acc = A;

    #[inline(always)]
    fn output(&self, channel: usize, patch: &[X]) -> i32 {
        let bias = Channels::<X>::bias(self, channel);
        let acc = if self.groups.is_empty() {
            let row = self.weights.get(channel * patch.len().div_ceil(2)..).unwrap_or(&[]);
            // Blocks of an even number of weights begin at whole bytes.
            let blocks = patch.chunks(MOST_GROUPED).zip(row.chunks(MOST_GROUPED / 2));
            blocks.fold(bias, |acc, (x, w)| acc.plus(A::from(dot4(x, w))))
        } else {
            self.grouped(channel, patch, bias)
        };
        requantize(self.multiplier, self.shift, channel, acc)
    }

    #[inline(always)]
    fn bias(&self, channel: usize) -> A {
        self.bias.get(channel).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn weights(&self, channel: usize, taps: usize) -> impl Iterator<Item = i32> + Clone {
        let row = self.weights.get(channel * taps.div_ceil(2)..).unwrap_or(&[]);
        row.iter().flat_map(|&byte| [low(byte), high(byte)])
    }

    #[inline(always)]
    fn requantized(&self, channel: usize, acc: A) -> i32 {
        requantize(self.multiplier, self.shift, channel, acc)
    }
}

impl<A: Accumulator> Filter4<'_, A> {
    /// The sum of a channel with a factor for each group.
    #[inline(always)]
    fn grouped<X: Activation>(&self, channel: usize, mut x: &[X], bias: A) -> A {
        let per_channel = self.weights.len().checked_div(self.bias.len()).unwrap_or(0);
        let mut row = self.weights.get(channel * per_channel..).unwrap_or(&[]);
        let factors = self.factor.get(channel * self.groups.len()..).unwrap_or(&[]);
        let mut acc = bias;
        for (&len, &factor) in self.groups.iter().zip(factors) {
            let (Some((group, later)), Some((packed, rest))) =
                (x.split_at_checked(len as usize), row.split_at_checked((len as usize).div_ceil(2)))
            else {
                return acc;
            };
            acc = acc.plus(A::from(dot4(group, packed)).times(factor as i32));
            (x, row) = (later, rest);
        }
        acc
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
