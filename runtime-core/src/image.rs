//! Where an activation lies in memory.

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
        self.ring > 0 && self.end() <= arena / size
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
}

#[inline(always)]
const fn inside(padded: usize, pad: usize, extent: usize) -> Option<usize> {
    if padded >= pad && padded - pad < extent { Some(padded - pad) } else { None }
}
