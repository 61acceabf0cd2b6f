//! The rows that windows read, widened once: a ring of rows of 16-bit values.
//!
//! Pixels lie one after the other, channels side by side, and rows are padded with the zero point, so that no window knows
//! borders: what a kernel row reads of one pixel is one run of values, whatever the strides.

use super::lanes::Value;
use crate::dsp::outside::Outside;
use crate::{Block, Image, Window, view_mut};

/// Values that vectors may read behind the end, and that nobody uses.
const SLACK: usize = 32;

/// What rows are made of.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub input: &'a Image,
    pub window: &'a Window,
    pub zero_point: i8,
    /// How often each channel lies in a pixel, one behind the other.
    pub repeat: usize,
}

/// Extents of a ring.
#[derive(Clone, Copy)]
pub(super) struct Ring {
    /// Rows.
    pub rows: usize,
    /// Values of a row.
    pub len: usize,
}

impl Ring {
    /// The ring for windows of `span` neighbouring rows of `width` outputs, `channels` values a pixel.
    pub const fn new(window: &Window, (span, width): (usize, usize), channels: usize) -> Ring {
        let w = window;
        let rows = span.saturating_sub(1) * w.stride_h + w.height.saturating_sub(1) * w.dilation_h + 1;
        let reach = width.saturating_sub(1) * w.stride_w + w.width.saturating_sub(1) * w.dilation_w + 1;
        Ring { rows, len: reach * channels }
    }

    /// Bytes of scratch, a multiple of 16.
    pub const fn size(&self) -> usize {
        (2 * (self.rows * self.len + SLACK)).next_multiple_of(16)
    }
}

/// The rows of a ring.
pub(super) struct Rows<'a, T> {
    source: Source<'a>,
    ring: Ring,
    /// All rows; what is behind the last one is slack.
    pub values: &'a mut [T],
    /// The first row that is not there yet, counted from the top of the padding, and its place in the ring.
    next: (usize, usize),
}

impl<'a, T: Value> Rows<'a, T> {
    /// A ring in `scratch`, of [`Ring::size`] bytes, for output rows from `first` on. No row is there yet.
    #[inline(always)]
    pub fn new(source: Source<'a>, ring: Ring, first: usize, scratch: &'a mut [Block]) -> Rows<'a, T> {
        let next = first * source.window.stride_h;
        let place = next.checked_rem(ring.rows).unwrap_or(0);
        Rows { source, ring, values: view_mut(scratch), next: (next, place) }
    }

    /// Sees to it that the rows that output row `y` reads are there, with those of the rows before it that the ring has room for.
    #[inline(always)]
    pub fn advance(&mut self, outside: &Outside, y: usize) {
        let w = self.source.window;
        let end = y * w.stride_h + w.height.saturating_sub(1) * w.dilation_h;
        while self.next.0 <= end {
            self.widen(outside);
        }
    }

    /// The place in the ring of the first row that output row `y` reads.
    #[inline(always)]
    pub fn place(&self, y: usize) -> usize {
        (y * self.source.window.stride_h).checked_rem(self.ring.rows).unwrap_or(0)
    }

    /// The place of the next output row's first row, behind `place`.
    #[inline(always)]
    pub fn next_place(&self, place: usize) -> usize {
        let mut place = place + self.source.window.stride_h;
        while place >= self.ring.rows && self.ring.rows > 0 {
            place -= self.ring.rows;
        }
        place
    }

    /// Where kernel row `ky` begins in the values, for an output row whose first row has that place.
    #[inline(always)]
    pub fn begin(&self, place: usize, ky: usize) -> usize {
        let row = place + ky * self.source.window.dilation_h;
        let row = if row < self.ring.rows { row } else { row - self.ring.rows };
        row * self.ring.len
    }

    /// Widens the next row of the input, or of the padding.
    #[inline(always)]
    fn widen(&mut self, outside: &Outside) {
        let (Source { input, window: w, zero_point, repeat }, len) = (self.source, self.ring.len);
        let (padded, place) = self.next;
        self.next = (padded + 1, if place + 1 < self.ring.rows { place + 1 } else { 0 });
        let values = self.values.get_mut(place * len..);
        let Some(to) = values.and_then(|values| values.get_mut(..len)) else { return };
        let Some(row) = padded.checked_sub(w.pad_top).filter(|&row| row < input.height) else {
            to.fill(T::of(zero_point));
            return;
        };
        let depth = input.channels * repeat;
        let (left, to) = to.split_at_mut(to.len().min(w.pad_left * depth));
        left.fill(T::of(zero_point));
        let (to, right) = to.split_at_mut(to.len().min(input.width * depth));
        right.fill(T::of(zero_point));
        if repeat == 1 && input.layout.chan == 1 && input.layout.col == depth {
            widen(outside.get(input.row(row), to.len()), to);
            return;
        }
        for (x, pixel) in to.chunks_exact_mut(depth.max(1)).enumerate() {
            for (c, values) in pixel.chunks_exact_mut(repeat.max(1)).enumerate() {
                let at = input.at(row, x, c);
                values.fill(T::of(outside.get(at, 1).first().copied().unwrap_or(0)));
            }
        }
    }
}

/// Bytes as the micro-kernel wants them.
#[inline(always)]
pub(super) fn widen<T: Value>(from: &[i8], to: &mut [T]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = T::of(from);
    }
}

/// The first `bytes` of a kernel's scratch, a multiple of 16, and the rest.
#[inline(always)]
pub(super) fn split(scratch: &mut [Block], bytes: usize) -> (&mut [Block], &mut [Block]) {
    scratch.split_at_mut(scratch.len().min(bytes / 16))
}
