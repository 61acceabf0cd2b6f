//! Rows of the input in a ring, padded with the zero point, so that no window knows borders.

use crate::dsp::outside::Outside;
use crate::{Image, Window};

/// Which rows a ring holds, and how.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a> {
    pub input: &'a Image,
    pub window: &'a Window,
    /// Value of the padding.
    pub zero_point: i8,
    /// Rows.
    pub rows: usize,
    /// Columns that windows reach, padding included.
    pub reach: usize,
}

impl<'a> Shape<'a> {
    /// The ring for windows of `span` neighbouring output rows of `width` pixels.
    pub const fn new(
        (input, window, zero_point): (&'a Image, &'a Window, i8),
        span: usize,
        width: usize,
    ) -> Shape<'a> {
        let w = window;
        let rows = span.saturating_sub(1) * w.stride_h + w.height.saturating_sub(1) * w.dilation_h + 1;
        let reach = width.saturating_sub(1) * w.stride_w + w.width.saturating_sub(1) * w.dilation_w + 1;
        Shape { input, window, zero_point, rows, reach }
    }

    /// Bytes of a row: all channels, one after the other.
    pub const fn row(&self) -> usize {
        self.reach * self.input.channels
    }

    /// Bytes of the ring.
    pub const fn len(&self) -> usize {
        self.rows * self.row()
    }
}

/// A ring that moves down.
pub(super) struct Ring<'a> {
    shape: Shape<'a>,
    /// Bytes of a row.
    row: usize,
    bytes: &'a mut [i8],
    /// The first row that is not there yet, counted from the top of the padding, and where in the ring it goes.
    next: (usize, usize),
    /// An output row, and where its first input row lies.
    top: (usize, usize),
}

impl<'a> Ring<'a> {
    /// A ring whose first window is that of output row `y`.
    pub fn new(shape: Shape<'a>, bytes: &'a mut [i8], y: usize) -> Ring<'a> {
        let row = shape.row();
        Ring { shape, row, bytes, next: (y * shape.window.stride_h, 0), top: (y, 0) }
    }

    pub fn bytes(&self) -> &[i8] {
        self.bytes
    }

    /// Bytes of a row.
    pub fn row(&self) -> usize {
        self.row
    }

    /// The slot `step` rows below `slot`, around the end of the ring.
    #[inline(always)]
    pub fn below(&self, slot: usize, step: usize) -> usize {
        let mut slot = slot + step;
        while slot >= self.shape.rows {
            slot -= self.shape.rows;
        }
        slot
    }

    /// The slot of the first input row of output row `y`, which is not above the last one that was fetched for.
    #[inline(always)]
    pub fn slot(&self, y: usize) -> usize {
        let w = self.shape.window;
        let (mut row, mut slot) = self.top;
        while row < y {
            (row, slot) = (row + 1, self.below(slot, w.stride_h));
        }
        slot
    }

    /// Fetches the rows of the output rows `first` to `last`; those above `first` are not asked for again.
    #[inline(always)]
    pub fn fetch(&mut self, outside: &Outside, first: usize, last: usize) {
        let w = self.shape.window;
        while self.top.0 < first {
            self.top = (self.top.0 + 1, self.below(self.top.1, w.stride_h));
        }
        let end = last * w.stride_h + w.height.saturating_sub(1) * w.dilation_h;
        while self.next.0 <= end {
            self.copy(outside, self.next.0, self.next.1 * self.row);
            self.next = (self.next.0 + 1, self.below(self.next.1, 1));
        }
    }

    #[inline(never)]
    fn copy(&mut self, outside: &Outside, padded: usize, at: usize) {
        let Shape { input, window: w, zero_point, reach, .. } = self.shape;
        let Some(row) = self.bytes.get_mut(at..).and_then(|bytes| bytes.get_mut(..self.row)) else {
            return;
        };
        let y = padded.checked_sub(w.pad_top).filter(|&y| y < input.height);
        let left = w.pad_left.min(reach);
        let inside = if y.is_some() { input.width.min(reach - left) } else { 0 };
        let mut from = y.map_or(0, |y| input.row(y));
        let len = inside.saturating_sub(1) * input.layout.col + inside.min(1);
        let mut rest = row;
        for _ in 0..input.channels {
            // No `chunks_exact`, which divides.
            let Some((to, behind)) = rest.split_at_mut_checked(reach) else { return };
            rest = behind;
            let source = outside.get(from, len).iter().step_by(input.layout.col.max(1));
            from += input.layout.chan;
            let (before, to) = to.split_at_mut_checked(left).unwrap_or_default();
            before.iter_mut().for_each(|to| *to = zero_point);
            let mut to = to.iter_mut();
            for (&value, to) in source.zip(&mut to) {
                *to = value;
            }
            to.for_each(|to| *to = zero_point);
        }
    }
}
