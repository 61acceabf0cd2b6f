//! The walk of depthwise kernels over padded planes.
//!
//! Every plane is copied into scratch whose borders hold the zero point, a strip of rows at a time. The borders are written
//! once a strip, and no micro-kernel knows them.

use super::copy_rows::{copy, copy_rows};
use crate::dsp::outside::Outside;
use crate::{Image, Window};
use core::ops::Range;

/// A depthwise layer whose columns are not dilated.
pub(super) struct Strips<'a> {
    pub input: &'a Image,
    pub output: &'a Image,
    pub window: &'a Window,
    /// Output channels for each input channel.
    pub depth_multiplier: usize,
    /// The value of padding.
    pub zero_point: i8,
    /// Most rows of a strip.
    pub most: usize,
}

/// Bytes that a strip may take, where a strip of one output row does not need more.
const STRIP: usize = 4096;

impl Strips<'_> {
    /// Bytes of a padded row.
    pub const fn stride(&self) -> usize {
        let (w, width) = (&self.window, self.output.width.saturating_sub(1));
        (width * w.stride_w + w.width).next_multiple_of(4)
    }

    /// Padded rows for output rows.
    const fn padded_rows(&self, rows: usize) -> usize {
        let w = &self.window;
        rows.saturating_sub(1) * w.stride_h + w.height.saturating_sub(1) * w.dilation_h + 1
    }

    /// Output rows of a strip.
    pub const fn strip(&self) -> usize {
        let most = if self.most < self.output.height { self.most } else { self.output.height };
        let mut rows = if most == 0 { 1 } else { most };
        while rows > 1 && self.padded_rows(rows) * self.stride() > STRIP {
            rows = rows.div_ceil(2);
        }
        rows
    }

    /// Bytes of a strip.
    pub const fn len(&self) -> usize {
        self.padded_rows(self.strip()) * self.stride()
    }

    /// Calls `channel` for every output channel of every strip of `rows`, with the channel, the rows of the strip, and the
    /// plane, whose first row is the first that the strip reads.
    #[inline(always)]
    pub fn run(
        &self,
        outside: &mut Outside,
        plane: &mut [i8],
        rows: Range<usize>,
        mut channel: impl FnMut(&mut Outside, usize, Range<usize>, &[i8]),
    ) {
        let mut y = rows.start;
        while y < rows.end {
            let strip = y..rows.end.min(y + self.strip());
            y = strip.end;
            plane.fill(self.zero_point);
            for from in 0..self.input.channels {
                self.copy(outside, strip.clone(), from, plane);
                for c in from * self.depth_multiplier..(from + 1) * self.depth_multiplier {
                    channel(outside, c, strip.clone(), plane);
                }
            }
        }
    }

    /// Copies what a strip reads of one input channel; the borders are there.
    #[inline(always)]
    fn copy(&self, outside: &Outside, strip: Range<usize>, channel: usize, plane: &mut [i8]) {
        let (w, input, stride) = (&self.window, self.input, self.stride());
        // Padded rows of the strip, and those of them that the image has.
        let first = strip.start * w.stride_h;
        let from = first.max(w.pad_top);
        let to = (first + self.padded_rows(strip.len())).min(w.pad_top + input.height);
        let columns = input.width.min(stride.saturating_sub(w.pad_left));
        let Some(n) = to.checked_sub(from).filter(|&n| n > 0) else { return };
        let Some(plane) = plane.get_mut((from - first) * stride + w.pad_left..) else { return };
        let at = |row: usize| input.row(row) + channel * input.layout.chan;
        if input.layout.col == 1 && input.ring >= input.height {
            let source = outside.get(at(from - w.pad_top), (n - 1) * input.layout.row + columns);
            copy_rows((source, input.layout.row), (plane, stride), n, columns);
        } else {
            for (row, to) in plane.chunks_mut(stride.max(1)).enumerate().take(n) {
                let Some(to) = to.get_mut(..columns) else { return };
                copy(outside, at(from - w.pad_top + row), input.layout.col, to);
            }
        }
    }
}
