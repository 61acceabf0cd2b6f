//! Padded planes of pairs: every pixel in a word with the one of the output pixel next to its own.
//!
//! Word `j` of a row is `b[j] + b[j + stride] * 2^16`, where `b` are the bytes of the row with its padding. So each tap of two
//! neighbouring output pixels is one word, at strides of any size.

use super::sums::{both, pair};
use crate::dsp::outside::Outside;
use crate::{Image, Window};
use core::ops::Range;

/// Bytes that a strip of output rows may take, where one row does not need more. Outputs lie over input rows that strips have read, so
/// that longer strips cost more than their own memory.
const STRIP: usize = 3072;

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
        let channel = c * input.layout.chan;
        let mut padded = from;
        while padded < to {
            let y = padded - w.pad_top;
            let rows = rest(plane, (padded - first) * stride);
            if input.layout.col == 1 {
                let n = input.run_end(y).min(to - w.pad_top) - y;
                let len = n.saturating_sub(1) * input.layout.row + input.width;
                self.rows(outside.get(input.row(y) + channel, len), n, rows);
                padded += n;
            } else {
                let at = input.row(y) + channel;
                let row = rows.get_mut(..stride).unwrap_or(&mut []);
                self.spread(row, |x| outside.get(at + x * input.layout.col, 1).first().copied());
                padded += 1;
            }
        }
    }

    /// Rows of contiguous pixels. Words of padding alone are there already. Nothing is written when the lengths do not fit.
    #[inline(always)]
    #[allow(unsafe_code)]
    fn rows(&self, from: &[i8], n: usize, to: &mut [u32]) {
        let (left, step, pad) = (self.window.pad_left, self.window.stride_w, self.zero_point);
        let (width, row, stride) = (self.input.width, self.input.layout.row, self.stride());
        // Padding beside a pixel from word `first` on, the pixel being number `skip`; two pixels; a pixel beside padding.
        let first = left.saturating_sub(step).min(stride);
        let skip = (step + first).saturating_sub(left);
        let before = (left.min(stride) - first).min(width.saturating_sub(skip));
        let both = width.saturating_sub(step).min(stride.saturating_sub(left));
        let behind = width.min(step).min(stride.saturating_sub(left + width.saturating_sub(step)));
        let Some(last) = n.checked_sub(1) else { return };
        if last * row + width > from.len() || n * stride > to.len() {
            return;
        }
        let (mut source, mut target) = (from.as_ptr(), to.as_mut_ptr());
        for _ in 0..n {
            let (mut s, mut t) = (source.wrapping_add(skip), target.wrapping_add(first));
            // SAFETY: `before`, `both` and `behind` were cut so that all words lie in the `stride` of a row and all bytes in its
            // `width`; the last row ends inside of both slices, as was compared above.
            unsafe {
                for _ in 0..before {
                    t.write(pair(pad, *s));
                    (s, t) = (s.wrapping_add(1), t.wrapping_add(1));
                }
                (s, t) = (source, target.wrapping_add(left));
                for _ in 0..both {
                    t.write(pair(*s, *s.wrapping_add(step)));
                    (s, t) = (s.wrapping_add(1), t.wrapping_add(1));
                }
                for _ in 0..behind {
                    t.write(pair(*s, pad));
                    (s, t) = (s.wrapping_add(1), t.wrapping_add(1));
                }
            }
            (source, target) = (source.wrapping_add(row), target.wrapping_add(stride));
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
