//! int8 convolution, any kernel, stride, dilation, padding and number of groups.

use crate::{Block, Filter, Image, Window, view_mut};
use core::ops::Range;

/// Parameters of [`conv2d_i8`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dI8 {
    /// Input image, int8.
    pub input: Image,
    /// Output image, int8.
    pub output: Image,
    /// Kernel extents, strides, dilations and padding.
    pub window: Window,
    /// Groups: output channel `c` reads the input channels of group `c / (output.channels / groups)`.
    pub groups: usize,
    /// Zero point of the input, the value of padding.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Smallest output, at least -128; a fused Relu or Clip raises it.
    pub min: i8,
    /// Largest output, at most 127.
    pub max: i8,
    /// Byte offset of [`Conv2dI8::scratch_len`] bytes: the window of one pixel.
    pub scratch: usize,
}

impl Conv2dI8 {
    /// Weights per output channel, and bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        if self.groups == 0 {
            return 0;
        }
        self.window.height * self.window.width * (self.input.channels / self.groups)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &Filter, arena: usize) -> Result<(), &'static str> {
        if self.groups == 0
            || !self.input.channels.is_multiple_of(self.groups)
            || !self.output.channels.is_multiple_of(self.groups)
        {
            return Err("conv2d_i8: groups must divide the input and output channels");
        }
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("conv2d_i8: image outside of the arena");
        }
        if self.scratch + self.scratch_len() > arena {
            return Err("conv2d_i8: scratch outside of the arena");
        }
        if !filter.fits(self.output.channels, self.scratch_len()) {
            return Err("conv2d_i8: tables do not fit the output channels");
        }
        Ok(())
    }
}

/// Computes output `rows`:
/// `y[c] = clamp(zp_y + requantize(bias[c] + sum(x * w[c]) - zp_w[c] * sum(x)))`.
///
/// For each pixel and group, the window is gathered into scratch (padding reads as the input's zero point), and each
/// output channel is one dot product over it.
pub fn conv2d_i8(mem: &mut [Block], p: &Conv2dI8, rows: Range<usize>, filter: &Filter) {
    let (Some(in_group), Some(out_group)) =
        (p.input.channels.checked_div(p.groups), p.output.channels.checked_div(p.groups))
    else {
        return;
    };
    let mem = view_mut::<i8>(mem);
    let taps = p.scratch_len();
    for y in rows {
        for x in 0..p.output.width {
            for group in 0..p.groups {
                gather(mem, p, y, x, group * in_group..(group + 1) * in_group);
                for channel in group * out_group..(group + 1) * out_group {
                    let Some(patch) = mem.get(p.scratch..).and_then(|m| m.get(..taps)) else { return };
                    let q = output(p, filter, patch, channel);
                    if let Some(to) = mem.get_mut(p.output.at(y, x, channel)) {
                        *to = q;
                    }
                }
            }
        }
    }
}

/// Copies the window of output pixel `(y, x)` to scratch, in the order `[ky][kx][channel]` of the weights.
fn gather(mem: &mut [i8], p: &Conv2dI8, y: usize, x: usize, channels: Range<usize>) {
    let mut to = p.scratch;
    for ky in 0..p.window.height {
        let row = p.window.input_row(y, ky, p.input.height);
        for kx in 0..p.window.width {
            let col = p.window.input_col(x, kx, p.input.width);
            for c in channels.clone() {
                let value = match (row, col) {
                    (Some(row), Some(col)) => mem.get(p.input.at(row, col, c)).copied().unwrap_or(0),
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

/// One output channel of one pixel.
#[inline(always)]
fn output(p: &Conv2dI8, filter: &Filter, patch: &[i8], channel: usize) -> i8 {
    let weights = filter.weights.get(channel * patch.len()..).unwrap_or(&[]);
    let mut acc = filter.bias.get(channel).copied().unwrap_or(0);
    for (&x, &w) in patch.iter().zip(weights) {
        acc = acc.wrapping_add(x as i32 * w as i32);
    }
    if let Some(&zero_point) = filter.weight_zero_point.get(channel) {
        let sum = patch.iter().fold(0i32, |sum, &x| sum.wrapping_add(x as i32));
        acc = acc.wrapping_sub(zero_point as i32 * sum);
    }
    let q = filter.requantize(channel, acc).wrapping_add(p.output_zero_point as i32);
    q.max(p.min as i32).min(p.max as i32) as i8
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
        assert_eq!(p.check(&filter, 16), Err("conv2d_i8: scratch outside of the arena"));
        let mut mem = [Block::ZERO; 2];
        view_mut::<i8>(&mut mem)[0] = 5;
        conv2d_i8(&mut mem, &p, 0..1, &filter);
        assert_eq!(view::<i8>(&mem)[1], 2); // (5 - 2) * 1 + zp_y
    }
}
