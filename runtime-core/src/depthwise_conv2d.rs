//! Depthwise convolution: every output channel reads one input channel.

use crate::filter::Channels;
use crate::{
    Accumulator, Activation, Block, Filter, Filter4, Filter4Wide, FilterWide, Image, Window, view_mut,
};
use core::ops::Range;

pub(crate) const fn check(
    input: &Image,
    output: &Image,
    multiplier: usize,
    size: usize,
    arena: usize,
) -> Result<(), &'static str> {
    if input.channels * multiplier != output.channels {
        return Err("depthwise_conv2d: output channels must be input channels times depth_multiplier");
    }
    if !input.fits(size, arena) || !output.fits(size, arena) {
        return Err("depthwise_conv2d: image outside of the arena");
    }
    Ok(())
}

/// Parameters of the integer depthwise convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthwiseConv2d<T> {
    /// Input image.
    pub input: Image,
    /// Output image.
    pub output: Image,
    /// Kernel extents, strides, dilations and padding.
    pub window: Window,
    /// Output channels for each input channel.
    pub depth_multiplier: usize,
    /// Zero point of the input, the value of padding.
    pub input_zero_point: T,
    /// Zero point of the output.
    pub output_zero_point: T,
    /// Smallest output.
    pub min: T,
    /// Largest output.
    pub max: T,
}

/// Parameters of [`depthwise_conv2d_i8`] and [`depthwise_conv2d_i8_w4`].
pub type DepthwiseConv2dI8 = DepthwiseConv2d<i8>;
/// Parameters of [`depthwise_conv2d_i16`], [`depthwise_conv2d_i16_wide`] and [`depthwise_conv2d_i16_w4`].
pub type DepthwiseConv2dI16 = DepthwiseConv2d<i16>;

impl<T> DepthwiseConv2d<T> {
    /// Weights per output channel.
    pub const fn taps(&self) -> usize {
        self.window.height * self.window.width
    }

    /// Whether images and int8 weights fit together in `arena` bytes.
    pub const fn check<A>(&self, filter: &Filter<A>, arena: usize) -> Result<(), &'static str> {
        if !filter.fits(self.output.channels, self.taps()) {
            return Err("depthwise_conv2d: tables do not fit the output channels");
        }
        check(&self.input, &self.output, self.depth_multiplier, size_of::<T>(), arena)
    }

    /// Whether images and int4 weights fit together in `arena` bytes. The weights may have no groups.
    pub const fn check_int4<A>(&self, filter: &Filter4<A>, arena: usize) -> Result<(), &'static str> {
        if !filter.groups.is_empty() || !filter.fits(self.output.channels, self.taps()) {
            return Err("depthwise_conv2d: tables do not fit the output channels");
        }
        check(&self.input, &self.output, self.depth_multiplier, size_of::<T>(), arena)
    }
}

macro_rules! depthwise_conv2d {
    ($($(#[$doc:meta])* $function:ident($t:ty, $filter:ty);)*) => { $(
        $(#[$doc])*
        ///
        /// Computes output `rows`:
        /// `y[c] = clamp(zp_y + requantize(bias[c] + sum(x[c / m] * (w[c] - zp_w[c]))))`, weights `[c][ky][kx]`.
        pub fn $function(mem: &mut [Block], p: &DepthwiseConv2d<$t>, rows: Range<usize>, filter: &$filter) {
            depthwise_conv2d(mem, p, rows, filter);
        }
    )* };
}

depthwise_conv2d! {
    /// int8 activations and weights.
    depthwise_conv2d_i8(i8, Filter);
    /// int8 activations, int4 weights.
    depthwise_conv2d_i8_w4(i8, Filter4);
    /// int16 activations, int8 weights, sums that fit 32 bits.
    depthwise_conv2d_i16(i16, Filter);
    /// int16 activations, int8 weights, sums in 64 bits.
    depthwise_conv2d_i16_wide(i16, FilterWide);
    /// int16 activations, int4 weights, sums in 64 bits.
    depthwise_conv2d_i16_w4(i16, Filter4Wide);
}

#[inline(always)]
fn depthwise_conv2d<T: Activation, F: Channels<T>>(
    mem: &mut [Block],
    p: &DepthwiseConv2d<T>,
    rows: Range<usize>,
    filter: F,
) {
    let mem = view_mut::<T>(mem);
    let taps = p.taps();
    for y in rows {
        for channel in 0..p.output.channels {
            let from = channel.checked_div(p.depth_multiplier).unwrap_or(0);
            let weights = filter.weights(channel, taps);
            let bias = filter.bias(channel);
            for x in 0..p.output.width {
                let mut acc = bias;
                let mut weights = weights.clone();
                for ky in 0..p.window.height {
                    let row = p.window.input_row(y, ky, p.input.height);
                    for (kx, w) in (0..p.window.width).zip(&mut weights) {
                        let value = match (row, p.window.input_col(x, kx, p.input.width)) {
                            (Some(row), Some(col)) => {
                                mem.get(p.input.at(row, col, from)).copied().unwrap_or_default()
                            }
                            _ => p.input_zero_point,
                        };
                        // 16 times 9 bits: a product always fits.
                        acc = acc.plus(F::Acc::from(value.into() * w));
                    }
                }
                let sum = filter.requantized(channel, acc);
                let value = T::clamped(sum, p.output_zero_point, p.min, p.max);
                if let Some(to) = mem.get_mut(p.output.at(y, x, channel)) {
                    *to = value;
                }
            }
        }
    }
}
