//! f32 convolution, any kernel, stride, dilation, padding and number of groups.

use crate::requantize::clamp_float;
use crate::{Block, FilterF32, Image, Window, view_mut};
use core::ops::Range;

/// Parameters of [`conv2d_f32`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2dF32 {
    /// Input image.
    pub input: Image,
    /// Output image.
    pub output: Image,
    /// Kernel extents, strides, dilations and padding.
    pub window: Window,
    /// Groups: output channel `c` reads the input channels of group `c / (output.channels / groups)`.
    pub groups: usize,
    /// Smallest output.
    pub min: f32,
    /// Largest output.
    pub max: f32,
    /// Byte offset, a multiple of 4, of [`Conv2dF32::scratch_len`] bytes: the window of one pixel.
    pub scratch: usize,
}

impl Conv2dF32 {
    /// Whether the output may lie over the input, pixel over pixel: a pixel is gathered from all channels before its outputs are
    /// written, and is gathered once.
    pub const fn in_place(&self) -> bool {
        let w = &self.window;
        let one = w.height == 1 && w.width == 1 && w.stride_h == 1 && w.stride_w == 1;
        let pointwise = one && w.pad_top == 0 && w.pad_left == 0;
        self.groups == 1 && pointwise && self.input.same_pixels(&self.output)
    }

    /// Bytes of scratch, 4 for each weight of an output channel.
    pub const fn scratch_len(&self) -> usize {
        if self.groups == 0 {
            return 0;
        }
        4 * self.window.height * self.window.width * (self.input.channels / self.groups)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterF32, arena: usize) -> Result<(), &'static str> {
        if self.groups == 0
            || !self.input.channels.is_multiple_of(self.groups)
            || !self.output.channels.is_multiple_of(self.groups)
        {
            return Err("conv2d_f32: groups must divide the input and output channels");
        }
        if !self.input.fits(4, arena) || !self.output.fits(4, arena) {
            return Err("conv2d_f32: image outside of the arena");
        }
        if !self.scratch.is_multiple_of(4) || self.scratch + self.scratch_len() > arena {
            return Err("conv2d_f32: scratch outside of the arena");
        }
        if !filter.fits(self.output.channels, self.scratch_len() / 4) {
            return Err("conv2d_f32: tables do not fit the output channels");
        }
        Ok(())
    }
}

/// Computes output `rows`: `y[c] = clamp(sum(x * w[c]) + bias[c])`, the sum in ascending order of `[ky][kx][channel]`.
///
/// Four output channels run side by side: each sum keeps its order, but the processor has four of them to work on.
pub fn conv2d_f32(mem: &mut [Block], p: &Conv2dF32, rows: Range<usize>, filter: &FilterF32) {
    let (Some(in_group), Some(out_group)) =
        (p.input.channels.checked_div(p.groups), p.output.channels.checked_div(p.groups))
    else {
        return;
    };
    let mem = view_mut::<f32>(mem);
    let (taps, scratch) = (p.scratch_len() / 4, p.scratch / 4);
    for y in rows {
        for x in 0..p.output.width {
            for group in 0..p.groups {
                gather(mem, p, y, x, group * in_group..(group + 1) * in_group);
                let end = (group + 1) * out_group;
                let mut channel = group * out_group;
                while channel < end {
                    let Some(patch) = mem.get(scratch..).and_then(|m| m.get(..taps)) else { return };
                    let sums = four_channels(filter, patch, channel);
                    for (c, sum) in (channel..end).zip(sums) {
                        if let Some(to) = mem.get_mut(p.output.at(y, x, c)) {
                            *to = clamp_float(sum, p.min, p.max);
                        }
                    }
                    channel += 4;
                }
            }
        }
    }
}

/// Copies the window of output pixel `(y, x)` to scratch; padding is 0.
fn gather(mem: &mut [f32], p: &Conv2dF32, y: usize, x: usize, channels: Range<usize>) {
    let mut to = p.scratch / 4;
    for ky in 0..p.window.height {
        let row = p.window.input_row(y, ky, p.input.height);
        for kx in 0..p.window.width {
            let col = p.window.input_col(x, kx, p.input.width);
            for c in channels.clone() {
                let value = match (row, col) {
                    (Some(row), Some(col)) => mem.get(p.input.at(row, col, c)).copied().unwrap_or(0.0),
                    _ => 0.0,
                };
                if let Some(slot) = mem.get_mut(to) {
                    *slot = value;
                }
                to += 1;
            }
        }
    }
}

/// The sums of output channels `channel..channel + 4`; those beyond the last channel are meaningless.
#[inline(always)]
pub(crate) fn four_channels(filter: &FilterF32, patch: &[f32], channel: usize) -> [f32; 4] {
    let row = |i: usize| filter.weights.get((channel + i) * patch.len()..).unwrap_or(&[]);
    let bias = |i: usize| filter.bias.get(channel + i).copied().unwrap_or(0.0);
    let mut sums = [0.0f32; 4];
    let (w0, w1, w2, w3) = (row(0), row(1), row(2), row(3));
    if w3.len() >= patch.len() {
        for ((((&x, &a), &b), &c), &d) in patch.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
            sums = [sums[0] + x * a, sums[1] + x * b, sums[2] + x * c, sums[3] + x * d];
        }
    } else {
        for (sum, weights) in sums.iter_mut().zip([w0, w1, w2, w3]) {
            for (&x, &w) in patch.iter().zip(weights) {
                *sum += x * w;
            }
        }
    }
    [sums[0] + bias(0), sums[1] + bias(1), sums[2] + bias(2), sums[3] + bias(3)]
}
