//! Integer convolution, any kernel, stride, dilation, padding and number of groups.

use crate::filter::Channels;
use crate::{Activation, Block, Filter, Filter4, Filter4Wide, FilterWide, Image, Window, view_mut};
use core::ops::Range;

/// Parameters of the integer convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d<T> {
    /// Input image.
    pub input: Image,
    /// Output image.
    pub output: Image,
    /// Kernel extents, strides, dilations and padding.
    pub window: Window,
    /// Groups: output channel `c` reads the input channels of group `c / (output.channels / groups)`.
    pub groups: usize,
    /// Zero point of the input, the value of padding.
    pub input_zero_point: T,
    /// Zero point of the output.
    pub output_zero_point: T,
    /// Smallest output; a fused Relu or Clip raises it.
    pub min: T,
    /// Largest output.
    pub max: T,
    /// Byte offset, a multiple of the element size, of [`Conv2d::scratch_len`] bytes: the window of one pixel.
    pub scratch: usize,
}

/// Parameters of [`conv2d_i8`] and [`conv2d_i8_w4`].
pub type Conv2dI8 = Conv2d<i8>;
/// Parameters of [`conv2d_i16`], [`conv2d_i16_wide`] and [`conv2d_i16_w4`].
pub type Conv2dI16 = Conv2d<i16>;

impl<T> Conv2d<T> {
    /// Weights per output channel.
    pub const fn taps(&self) -> usize {
        match self.input.channels.checked_div(self.groups) {
            Some(channels) => self.window.height * self.window.width * channels,
            None => 0,
        }
    }

    /// Whether it is a matrix product: one pixel of the input for each of the output.
    pub const fn is_pointwise(&self) -> bool {
        let w = &self.window;
        let same = self.input.height == self.output.height && self.input.width == self.output.width;
        let one = w.height == 1 && w.width == 1 && w.stride_h == 1 && w.stride_w == 1;
        same && one && w.pad_top == 0 && w.pad_left == 0
    }

    /// Whether the output may lie over the input, pixel over pixel: a pixel is gathered from all channels before its outputs are
    /// written, and is gathered once.
    pub const fn in_place(&self) -> bool {
        self.groups == 1 && self.is_pointwise() && self.input.same_pixels(&self.output)
    }

    /// Bytes of scratch: the values that the weights of an output channel meet.
    pub const fn scratch_len(&self) -> usize {
        self.taps() * size_of::<T>()
    }

    /// Whether images, int8 weights and scratch fit together in `arena` bytes.
    pub const fn check<A>(&self, filter: &Filter<A>, arena: usize) -> Result<(), &'static str> {
        self.check_tables(filter.fits(self.output.channels, self.taps()), arena)
    }

    /// Whether images, int4 weights and scratch fit together in `arena` bytes.
    pub const fn check_int4<A>(&self, filter: &Filter4<A>, arena: usize) -> Result<(), &'static str> {
        self.check_tables(filter.fits(self.output.channels, self.taps()), arena)
    }

    const fn check_tables(&self, tables_fit: bool, arena: usize) -> Result<(), &'static str> {
        if self.groups == 0
            || !self.input.channels.is_multiple_of(self.groups)
            || !self.output.channels.is_multiple_of(self.groups)
        {
            return Err("conv2d: groups must divide the input and output channels");
        }
        if !self.input.fits(size_of::<T>(), arena) || !self.output.fits(size_of::<T>(), arena) {
            return Err("conv2d: image outside of the arena");
        }
        if !self.scratch.is_multiple_of(size_of::<T>()) || self.scratch + self.scratch_len() > arena {
            return Err("conv2d: scratch outside of the arena");
        }
        if !tables_fit {
            return Err("conv2d: tables do not fit the output channels");
        }
        Ok(())
    }
}

macro_rules! conv2d {
    ($($(#[$doc:meta])* $function:ident($t:ty, $filter:ty);)*) => { $(
        $(#[$doc])*
        ///
        /// Computes output `rows`:
        /// `y[c] = clamp(zp_y + requantize(bias[c] + sum(x * w[c]) - zp_w[c] * sum(x)))`.
        pub fn $function(mem: &mut [Block], p: &Conv2d<$t>, rows: Range<usize>, filter: &$filter) {
            conv2d(mem, p, rows, filter);
        }
    )* };
}

conv2d! {
    /// int8 activations and weights.
    conv2d_i8(i8, Filter);
    /// int8 activations, int4 weights.
    conv2d_i8_w4(i8, Filter4);
    /// int16 activations, int8 weights, sums that fit 32 bits.
    conv2d_i16(i16, Filter);
    /// int16 activations, int8 weights, sums in 64 bits.
    conv2d_i16_wide(i16, FilterWide);
    /// int16 activations, int4 weights, sums in 64 bits.
    conv2d_i16_w4(i16, Filter4Wide);
}

/// For each pixel and group, the window is gathered into scratch (padding reads as the input's zero point), and each
/// output channel is one dot product over it.
fn conv2d<T: Activation, F: Channels<T>>(mem: &mut [Block], p: &Conv2d<T>, rows: Range<usize>, filter: F) {
    let (Some(in_group), Some(out_group)) =
        (p.input.channels.checked_div(p.groups), p.output.channels.checked_div(p.groups))
    else {
        return;
    };
    let mem = view_mut::<T>(mem);
    let (taps, scratch) = (p.taps(), p.scratch / size_of::<T>());
    for y in rows {
        for x in 0..p.output.width {
            for group in 0..p.groups {
                gather::<T, F>(mem, p, y, x, group * in_group..(group + 1) * in_group);
                for channel in group * out_group..(group + 1) * out_group {
                    let Some(patch) = mem.get(scratch..).and_then(|m| m.get(..taps)) else { return };
                    let sum = filter.output(channel, patch);
                    let value = T::clamped(sum, p.output_zero_point, p.min, p.max);
                    if let Some(to) = mem.get_mut(p.output.at(y, x, channel)) {
                        *to = value;
                    }
                }
            }
        }
    }
}

/// Copies the window of output pixel `(y, x)` to scratch, in the order `[ky][kx][channel]` of the weights. `F` gives each
/// kernel an instance of its own, which is inlined where it is called: one that kernels share costs kws 2 KB of code.
#[allow(clippy::extra_unused_type_parameters)]
fn gather<T: Activation, F>(mem: &mut [T], p: &Conv2d<T>, y: usize, x: usize, channels: Range<usize>) {
    let mut to = p.scratch / size_of::<T>();
    for ky in 0..p.window.height {
        let row = p.window.input_row(y, ky, p.input.height);
        for kx in 0..p.window.width {
            let col = p.window.input_col(x, kx, p.input.width);
            for c in channels.clone() {
                let value = match (row, col) {
                    (Some(row), Some(col)) => mem.get(p.input.at(row, col, c)).copied().unwrap_or_default(),
                    _ => p.input_zero_point,
                };
                if let Some(slot) = mem.get_mut(to) {
                    *slot = value;
                }
                to += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view;

    #[test]
    fn padding_reads_as_the_zero_point() {
        // One 3x3 kernel of ones over a 1x1 image of 5 with zero point 2: 8 taps of padding.
        let image = |offset| Image {
            offset,
            height: 1,
            width: 1,
            channels: 1,
            layout: crate::Layout { row: 1, col: 1, chan: 1 },
            ring: 1,
        };
        let window = Window {
            height: 3,
            width: 3,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 1,
            pad_left: 1,
        };
        let p = Conv2dI8 {
            input: image(0),
            output: image(1),
            window,
            groups: 1,
            input_zero_point: 2,
            output_zero_point: -1,
            min: -128,
            max: 127,
            scratch: 16,
        };
        let filter = Filter {
            weights: &[1; 9],
            bias: &[-18], // -zp_x * sum(w)
            multiplier: &[1 << 30],
            shift: &[2], // a real multiplier of 1
            weight_zero_point: &[],
        };
        assert_eq!(p.check(&filter, 32), Ok(()));
        assert_eq!(p.check(&filter, 16), Err("conv2d: scratch outside of the arena"));
        let mut mem = [Block::ZERO; 2];
        view_mut::<i8>(&mut mem)[0] = 5;
        conv2d_i8(&mut mem, &p, 0..1, &filter);
        assert_eq!(view::<i8>(&mem)[1], 2); // (5 - 2) * 1 + zp_y
    }
}
