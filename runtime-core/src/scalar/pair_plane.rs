//! Padded planes of pairs: every pixel in a word with the one of the output pixel next to its own.
//!
//! Word `j` of a row is `b[j] + b[j + stride] * 2^16`, where `b` are the bytes of the row with its padding. So each tap of two
//! neighbouring output pixels is one word, at strides of any size.

use super::sums::{both, pair};
use crate::dsp::outside::Outside;
use crate::{Image, Window};
use core::ops::Range;

/// Bytes that a strip of output rows may take, where one row does not need more.
const STRIP: usize = 4096;

/// Strips of planes.
#[derive(Clone, Copy)]
pub(super) struct Planes<'a> {
    pub input: &'a Image,
    pub output: &'a Image,
    pub window: &'a Window,
    /// Value of the padding.
    pub zero_point: i8,
    /// Most output rows of a strip.
    pub most: usize,
}

impl Planes<'_> {
    /// Words of a row.
    pub const fn stride(&self) -> usize {
        let w = self.window;
        self.output.width.saturating_sub(2) * w.stride_w + w.width.saturating_sub(1) * w.dilation_w + 1
    }

    /// Padded rows for output rows.
    const fn padded_rows(&self, rows: usize) -> usize {
        let w = self.window;
        rows.saturating_sub(1) * w.stride_h + w.height.saturating_sub(1) * w.dilation_h + 1
    }

    /// Output rows of a strip: as few strips as there must be, all of the same height.
    pub const fn strip(&self) -> usize {
        let most = if self.most < self.output.height { self.most } else { self.output.height };
        let height = if most == 0 { 1 } else { most };
        let (mut strips, mut rows) = (1, height);
        while rows > 1 && self.bytes(rows) > STRIP {
            strips += 1;
            rows = if strips < height { height.div_ceil(strips) } else { 1 };
        }
        rows
    }

    const fn bytes(&self, rows: usize) -> usize {
        4 * self.padded_rows(rows) * self.stride()
    }

    /// Bytes of scratch, a multiple of 16.
    pub const fn len(&self) -> usize {
        self.bytes(self.strip()).next_multiple_of(16)
    }

    /// Fills the whole plane with padding: rows outside of the image stay so.
    pub fn clear(&self, plane: &mut [u32]) {
        plane.fill(both(self.zero_point as i32));
    }

    /// Writes the rows that a strip of output rows reads of channel `c`.
    #[inline(never)]
    pub fn fill(&self, outside: &Outside, c: usize, strip: &Range<usize>, plane: &mut [u32]) {
        let (w, input, stride) = (self.window, self.input, self.stride());
        // The rows of the image among the padded ones.
        let first = strip.start * w.stride_h;
        let from = first.max(w.pad_top);
        let to = (first + self.padded_rows(strip.len())).min(w.pad_top + input.height);
        let Some(mut plane) = plane.get_mut((from - first) * stride..) else { return };
        let channel = c * input.layout.chan;
        for padded in from..to {
            // No `chunks_exact`, which divides.
            let Some((row, rest)) = plane.split_at_mut_checked(stride) else { return };
            plane = rest;
            let at = input.row(padded - w.pad_top) + channel;
            if input.layout.col == 1 {
                self.row(outside.get(at, input.width), row);
            } else {
                self.spread(row, |x| outside.get(at + x * input.layout.col, 1).first().copied());
            }
        }
    }

    /// One row of contiguous pixels. Words of padding alone are there already.
    #[inline(always)]
    fn row(&self, from: &[i8], to: &mut [u32]) {
        let (left, step, pad) = (self.window.pad_left, self.window.stride_w, self.zero_point);
        // Padding beside a pixel, two pixels, a pixel beside padding.
        let first = left.saturating_sub(step);
        let (seconds, firsts) =
            (from.get(step + first - left..), from.get(from.len().saturating_sub(step)..));
        for (to, &high) in rest(to, first).iter_mut().take(left - first).zip(seconds.unwrap_or(&[])) {
            *to = pair(pad, high);
        }
        let seconds = from.get(step..).unwrap_or(&[]);
        for ((to, &low), &high) in rest(to, left).iter_mut().zip(from).zip(seconds) {
            *to = pair(low, high);
        }
        for (to, &low) in rest(to, left + seconds.len()).iter_mut().zip(firsts.unwrap_or(&[])) {
            *to = pair(low, pad);
        }
    }

    /// One row of any layout.
    #[inline(never)]
    fn spread(&self, to: &mut [u32], pixel: impl Fn(usize) -> Option<i8>) {
        let (left, step) = (self.window.pad_left, self.window.stride_w);
        let byte = |at: usize| {
            let x = at.checked_sub(left).filter(|&x| x < self.input.width);
            x.and_then(&pixel).unwrap_or(self.zero_point)
        };
        for (j, to) in to.iter_mut().enumerate() {
            *to = pair(byte(j), byte(j + step));
        }
    }
}

fn rest(words: &mut [u32], from: usize) -> &mut [u32] {
    words.get_mut(from..).unwrap_or(&mut [])
}
