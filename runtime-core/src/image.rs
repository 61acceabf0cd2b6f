//! Where an activation lies in memory.

use core::ops::Range;

/// Distances, in elements, from one row, column or channel to the next. Planar (NCHW) data have `chan >= row >= col`,
/// interleaved (NHWC) data `row >= col >= chan`; a stride of 0 repeats the same element (broadcasting).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// From `(y, x, c)` to `(y + 1, x, c)`.
    pub row: usize,
    /// From `(y, x, c)` to `(y, x + 1, c)`.
    pub col: usize,
    /// From `(y, x, c)` to `(y, x, c + 1)`.
    pub chan: usize,
}

/// A `height x width x channels` activation. Element `(y, x, c)` lies at
/// `offset + (y % ring) * row + x * col + c * chan`, in elements of its type.
///
/// `ring` is the number of rows that memory holds: all of them (`ring == height`), or fewer when rows are streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Element offset of `(0, 0, 0)` in the memory viewed as elements of this image's type.
    pub offset: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Strides.
    pub layout: Layout,
    /// Rows that memory holds.
    pub ring: usize,
}

impl Image {
    /// Element offset of `(y, 0, 0)`.
    #[inline(always)]
    pub const fn row(&self, y: usize) -> usize {
        // Division is slow on small cores, and a ring is needed only when rows are streamed.
        let slot = if y < self.ring || self.ring == 0 { y } else { y % self.ring };
        self.offset + slot * self.layout.row
    }

    /// The row behind the last one that follows row `y` without a jump back to the ring's first row.
    #[inline(always)]
    pub const fn run_end(&self, y: usize) -> usize {
        if self.ring >= self.height || self.ring == 0 { self.height } else { y - y % self.ring + self.ring }
    }

    /// Element offset of `(y, x, c)`.
    #[inline(always)]
    pub const fn at(&self, y: usize, x: usize, c: usize) -> usize {
        self.row(y) + x * self.layout.col + c * self.layout.chan
    }

    /// Number of elements.
    pub const fn elements(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// One past the last element offset, 0 for an empty image.
    pub const fn end(&self) -> usize {
        if self.elements() == 0 || self.ring == 0 {
            return 0;
        }
        let rows = if self.height < self.ring { self.height } else { self.ring };
        self.offset
            + (rows - 1) * self.layout.row
            + (self.width - 1) * self.layout.col
            + (self.channels - 1) * self.layout.chan
            + 1
    }

    /// Whether the image lies inside a memory of `arena` bytes when its elements take `size` bytes.
    pub const fn fits(&self, size: usize, arena: usize) -> bool {
        match arena.checked_div(size) {
            Some(elements) => self.ring > 0 && self.end() <= elements,
            None => false,
        }
    }

    /// Whether each pixel of `other` lies where this image has the same pixel. Channels may differ in number.
    pub const fn same_pixels(&self, other: &Image) -> bool {
        let (a, b) = (&self.layout, &other.layout);
        let strides = a.row == b.row && a.col == b.col && a.chan == b.chan && self.ring == other.ring;
        strides && self.offset == other.offset && self.height == other.height && self.width == other.width
    }

    /// Whether two images have the same extents.
    pub const fn same_extent(&self, other: &Image) -> bool {
        self.height == other.height && self.width == other.width && self.channels == other.channels
    }
}

/// How a convolution or pooling kernel walks over its input: output `(y, x)` reads input rows
/// `y * stride_h - pad_top + ky * dilation_h` for `ky` in `0..height`, and columns likewise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Kernel rows.
    pub height: usize,
    /// Kernel columns.
    pub width: usize,
    /// Input rows from one output row to the next.
    pub stride_h: usize,
    /// Input columns from one output column to the next.
    pub stride_w: usize,
    /// Input rows from one kernel row to the next.
    pub dilation_h: usize,
    /// Input columns from one kernel column to the next.
    pub dilation_w: usize,
    /// Rows of padding above the input. What is missing below follows from the output's height.
    pub pad_top: usize,
    /// Columns of padding left of the input.
    pub pad_left: usize,
}

impl Window {
    /// The input row that kernel row `ky` of output row `y` reads, `None` in the padding.
    #[inline(always)]
    pub const fn input_row(&self, y: usize, ky: usize, height: usize) -> Option<usize> {
        inside(y * self.stride_h + ky * self.dilation_h, self.pad_top, height)
    }

    /// The input column that kernel column `kx` of output column `x` reads, `None` in the padding.
    #[inline(always)]
    pub const fn input_col(&self, x: usize, kx: usize, width: usize) -> Option<usize> {
        inside(x * self.stride_w + kx * self.dilation_w, self.pad_left, width)
    }

    /// The kernel rows that lie in the image where output row `y` is computed.
    #[inline(always)]
    pub const fn rows_inside(&self, y: usize, height: usize) -> Range<usize> {
        taps_inside(y * self.stride_h, self.dilation_h, self.pad_top, height, self.height)
    }

    /// The kernel columns that lie in the image where output column `x` is computed.
    #[inline(always)]
    pub const fn columns_inside(&self, x: usize, width: usize) -> Range<usize> {
        taps_inside(x * self.stride_w, self.dilation_w, self.pad_left, width, self.width)
    }
}

#[inline(always)]
const fn taps_inside(padded: usize, dilation: usize, pad: usize, extent: usize, taps: usize) -> Range<usize> {
    let dilation = if dilation == 0 { 1 } else { dilation };
    let first = pad.saturating_sub(padded).div_ceil(dilation);
    let end = (extent + pad).saturating_sub(padded).div_ceil(dilation);
    let end = if end < taps { end } else { taps };
    if first < end { first..end } else { 0..0 }
}

#[inline(always)]
const fn inside(padded: usize, pad: usize, extent: usize) -> Option<usize> {
    if padded >= pad && padded - pad < extent { Some(padded - pad) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: Image = Image {
        offset: 100,
        height: 7,
        width: 4,
        channels: 2,
        layout: Layout { row: 10, col: 2, chan: 1 },
        ring: 3,
    };

    #[test]
    fn rows_wrap_around_the_ring() {
        assert_eq!([0, 1, 2, 3, 4, 6].map(|y| IMAGE.row(y)), [100, 110, 120, 100, 110, 100]);
        assert_eq!(IMAGE.at(5, 3, 1), 120 + 6 + 1);
    }

    #[test]
    fn the_end_counts_the_rows_of_the_ring() {
        assert_eq!(IMAGE.end(), 100 + 20 + 6 + 1 + 1);
        assert_eq!(Image { ring: 9, ..IMAGE }.end(), 100 + 60 + 8);
        assert_eq!(Image { width: 0, ..IMAGE }.end(), 0);
        assert!(IMAGE.fits(1, 128) && !IMAGE.fits(1, 127));
        assert!(IMAGE.fits(4, 512) && !IMAGE.fits(4, 511));
        assert!(!Image { ring: 0, ..IMAGE }.fits(1, 1000) && !IMAGE.fits(0, 1000));
    }

    #[test]
    fn windows_skip_the_padding() {
        let window = Window {
            height: 3,
            width: 2,
            stride_h: 2,
            stride_w: 3,
            dilation_h: 1,
            dilation_w: 4,
            pad_top: 1,
            pad_left: 2,
        };
        assert_eq!([0, 1, 2].map(|ky| window.input_row(0, ky, 5)), [None, Some(0), Some(1)]);
        assert_eq!([0, 1, 2].map(|ky| window.input_row(2, ky, 5)), [Some(3), Some(4), None]);
        assert_eq!([0, 1].map(|kx| window.input_col(0, kx, 4)), [None, Some(2)]);
        assert_eq!([0, 1].map(|kx| window.input_col(1, kx, 4)), [Some(1), None]);
        assert_eq!([0, 2, 3].map(|y| window.rows_inside(y, 5)), [1..3, 0..2, 0..0]);
        assert_eq!([0, 1, 2].map(|x| window.columns_inside(x, 4)), [1..2, 0..1, 0..0]);
    }
}
