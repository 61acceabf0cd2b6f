//! f32 convolution, any kernel, stride, dilation, padding and number of groups.

use crate::requantize::clamp_float;
use crate::{Block, FilterF32, Image, Window, view_mut};
use core::cell::Cell;
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
pub fn conv2d_f32(mem: &mut [Block], p: &Conv2dF32, rows: Range<usize>, filter: &FilterF32) {
    let (Some(in_group), Some(out_group)) =
        (p.input.channels.checked_div(p.groups), p.output.channels.checked_div(p.groups))
    else {
        return;
    };
    let mem = view_mut::<f32>(mem);
    let (taps, scratch, step) = (p.scratch_len() / 4, p.scratch / 4, p.output.layout.chan);
    for y in rows {
        for x in 0..p.output.width {
            for group in 0..p.groups {
                gather(mem, p, y, x, group * in_group..(group + 1) * in_group);
                let channels = group * out_group..(group + 1) * out_group;
                let out = p.output.at(y, x, channels.start);
                let out = out..out + out_group.saturating_sub(1) * step + 1;
                let Ok([patch, out]) = mem.get_disjoint_mut([scratch..scratch + taps, out]) else { return };
                channels_of(patch, (filter, channels), (out, step), (p.min, p.max));
            }
        }
    }
}

/// Copies the window of output pixel `(y, x)` to scratch; padding is 0.
fn gather(mem: &mut [f32], p: &Conv2dF32, y: usize, x: usize, channels: Range<usize>) {
    let (w, input, n) = (&p.window, &p.input, channels.len());
    // Columns of the window that lie in the image.
    let inside = w.columns_inside(x, input.width);
    let one_run = input.layout.chan == 1 && input.layout.col == n && w.dilation_w == 1;
    // Cells, since the window is copied within one memory.
    let mem = Cell::from_mut(mem).as_slice_of_cells();
    let mut rows = mem.get(p.scratch / 4..).unwrap_or(&[]).chunks_exact((w.width * n).max(1));
    for ky in 0..w.height {
        let Some(to) = rows.next() else { return };
        let Some(row) = w.input_row(y, ky, input.height).filter(|_| !inside.is_empty()) else {
            to.iter().for_each(|to| to.set(0.0));
            continue;
        };
        let column = x * w.stride_w + inside.start * w.dilation_w - w.pad_left;
        let mut from = input.at(row, column, channels.start);
        let (before, to) = to.split_at_checked(inside.start * n).unwrap_or_default();
        let (to, after) = to.split_at_checked(inside.len() * n).unwrap_or_default();
        before.iter().chain(after).for_each(|to| to.set(0.0));
        let (run, step) = if one_run { (to.len(), 1) } else { (n, input.layout.chan.max(1)) };
        for to in to.chunks_exact(run.max(1)) {
            let values = mem.get(from..).unwrap_or(&[]).iter().step_by(step);
            to.iter().zip(values).for_each(|(to, value)| to.set(value.get()));
            from += w.dilation_w * input.layout.col;
        }
    }
}

/// `out[i * step] = clamp(sum(x * w) + bias)` for the i-th of the channels, each sum in ascending order.
///
/// Four of them run side by side: each sum keeps its order, but the processor has four of them to work on.
#[inline(always)]
pub(crate) fn channels_of(
    x: &[f32],
    (filter, channels): (&FilterF32, Range<usize>),
    (out, step): (&mut [f32], usize),
    (min, max): (f32, f32),
) {
    let weights = filter.weights.get(channels.start * x.len()..).unwrap_or(&[]);
    let bias = filter.bias.get(channels).unwrap_or(&[]);
    #[cfg(kiln_vfp)]
    let done = crate::vfp::dots(x, (weights, bias), (out, step), (min, max));
    #[cfg(not(kiln_vfp))]
    let done = 0;
    for channel in (done..bias.len()).step_by(4) {
        let row = |i: usize| weights.get((channel + i) * x.len()..).and_then(|row| row.get(..x.len()));
        let Some(first) = row(0) else { return };
        // The outputs of rows that are not there are not stored.
        let sums =
            four_dots(x, [first, row(1).unwrap_or(first), row(2).unwrap_or(first), row(3).unwrap_or(first)]);
        for (c, (&bias, sum)) in bias.get(channel..).unwrap_or(&[]).iter().zip(sums).enumerate() {
            if let Some(to) = out.get_mut((channel + c) * step) {
                *to = clamp_float(sum + bias, min, max);
            }
        }
    }
}

/// `sum(x * w)` of four rows, each in ascending order.
#[inline(always)]
fn four_dots(x: &[f32], [w0, w1, w2, w3]: [&[f32]; 4]) -> [f32; 4] {
    let mut sums = [0.0f32; 4];
    for ((((&x, &a), &b), &c), &d) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
        sums = [sums[0] + x * a, sums[1] + x * b, sums[2] + x * c, sums[3] + x * d];
    }
    sums
}
