//! The windows of four pixels of an interleaved image, as columns: what [`InterleavedLayerDsp`] gathers.
//!
//! ```text
//! pixels inside of the image, side by side:   one call widens all kernel rows from where they lie
//! any others:                                 each pixel is found by itself; one at a side, or above or below, reads a patch
//! ```

use super::byte_runs::{Run, byte_runs};
use super::gather::copy_rows;
use super::interleaved_conv2d_i8_dsp::InterleavedLayerDsp;
use super::outside::Outside;
use super::tiles::Start;
use super::words::{opaque, rolled};
use core::num::NonZero;

/// The window of a pixel of the output by its corner.
#[derive(Clone, Copy)]
struct Corner {
    /// Row of the image; above it, less than 0, wrapped.
    row: usize,
    /// Column, counted from that of the padding.
    x: usize,
}

/// Some kernel rows from `ky` on, and the first column of a run.
#[derive(Clone, Copy)]
struct Part {
    ky: usize,
    rows: usize,
    x: usize,
}

/// Where the runs of a pixel are: from some byte of memory on, or of the patches.
#[derive(Clone, Copy)]
enum Place {
    Image(usize),
    Patch(usize),
}

/// What was found of a tile.
struct Found {
    at: [Option<Place>; 4],
    /// Bytes of patches that are used.
    patched: usize,
    /// The patch of rows beyond the image.
    beyond: Option<Place>,
}

/// The windows of a tile.
pub(super) struct Windows<'a> {
    pub p: &'a InterleavedLayerDsp<'a>,
    pub start: Start,
    /// Runs of pixels at the sides.
    pub patches: &'a mut [i8],
}

impl Windows<'_> {
    /// The columns of the tile.
    #[inline(never)]
    pub fn gather(&mut self, outside: &Outside, columns: &mut [[u32; 4]]) {
        let (p, first, last) = (self.p, self.corner(0), self.corner(3));
        let inside = p.inside(first.x, p.reach) && p.inside(last.x, p.reach);
        let even = inside && first.row == last.row && self.start.count == 4;
        let (height, width, step) = (p.taps_h as usize, p.taps_w as usize, p.run_columns.get() as usize);
        let most = if step < width {
            1
        } else if even {
            height
        } else {
            p.patch_rows.get() as usize
        };
        let (mut ky, mut columns) = (0, columns);
        while ky < height {
            let mut rows = p.rows_inside(first, ky, most.min(height - ky));
            // Pixels of several rows, where each may be at the end of a ring.
            for pixel in if even { 1..1 } else { 1..opaque(4) } {
                rows = p.rows_inside(self.corner(pixel), ky, rows);
            }
            let mut kx = 0;
            while kx < width {
                let all = core::mem::take(&mut columns);
                let Some((to, rest)) = all.split_at_mut_checked(rows * p.run as usize / 2) else { return };
                let part = Part { ky, rows, x: kx * p.dilation_w as usize };
                if !even || !p.even_runs(outside, first, part, to) {
                    self.any_runs(outside, part, to);
                }
                columns = rest;
                kx += step;
                rolled();
            }
            ky += rows;
        }
    }

    /// The corner of a pixel. Behind the last one of a short row follows that one again.
    #[inline(never)]
    fn corner(&self, pixel: usize) -> Corner {
        let (p, width) = (self.p, NonZero::<u32>::from(self.p.tiles.width));
        let x = self.start.x as u32 + pixel.min(self.start.count - 1) as u32;
        let down = x / width;
        let row = (self.start.y + down as usize) * p.stride_h as usize;
        Corner {
            row: row.wrapping_sub(p.pad_top as usize),
            x: (x - down * width.get()) as usize * p.stride_w as usize,
        }
    }

    /// The columns of one run of each pixel, wherever these lie.
    #[inline(never)]
    fn any_runs(&mut self, outside: &Outside, part: Part, columns: &mut [[u32; 4]]) {
        let run = self.p.run as usize;
        let mut found = Found { at: [None; 4], patched: 0, beyond: None };
        for pixel in 0..opaque(4) {
            self.find(outside, part, pixel, &mut found);
        }
        let mut from = [Run { bytes: &[], stride: run }; 4];
        for (from, at) in from.iter_mut().zip(&found.at) {
            *from = match *at {
                Some(Place::Image(at)) => self.p.run_of(outside, at, part.rows),
                Some(Place::Patch(at)) => Run { bytes: self.patches.get(at..).unwrap_or(&[]), ..*from },
                None => return,
            };
            rolled();
        }
        byte_runs(&from, part.rows, run, columns);
    }

    /// Where the runs of a pixel are. Pixels of rows beyond the image share a patch.
    #[inline(never)]
    fn find(&mut self, outside: &Outside, part: Part, pixel: usize, found: &mut Found) {
        let (p, corner) = (self.p, self.corner(pixel));
        let corner = Corner { row: p.row_of(corner, part.ky), x: corner.x + part.x };
        let beyond = corner.row >= p.height as usize;
        let mut place = if beyond { found.beyond } else { None };
        if !beyond && p.inside(corner.x, p.run_columns.get()) {
            let at = p.at(corner);
            place = (!p.run_of(outside, at, part.rows).bytes.is_empty()).then_some(Place::Image(at));
        }
        let place = place.unwrap_or_else(|| {
            let at = found.patched;
            found.patched += part.rows * p.run as usize;
            self.patch(outside, corner, part.rows, at);
            Place::Patch(at)
        });
        if beyond {
            found.beyond = Some(place);
        }
        if let Some(at) = found.at.get_mut(pixel) {
            *at = Some(place);
        }
    }

    /// Some rows of a run that reaches beyond the image, or beyond the end of memory, padded with the zero point, as the patch
    /// from byte `at` on.
    #[inline(never)]
    fn patch(&mut self, outside: &Outside, corner: Corner, rows: usize, at: usize) {
        let (p, run) = (self.p, self.p.run as usize);
        let patch =
            self.patches.get_mut(at..).and_then(|patch| patch.get_mut(..rows * run)).unwrap_or(&mut []);
        for four in patch.as_chunks_mut::<4>().0 {
            *four = [p.input_zero_point; 4];
            rolled();
        }
        // The columns of the run that are columns of the image.
        let (left, most, pixel) = (p.pad_left as usize, p.run_columns.get() as usize, p.pixel as usize);
        let skipped = left.saturating_sub(corner.x).min(most);
        let first = corner.x + skipped;
        let columns = (p.width as usize + left).saturating_sub(first).min(most - skipped);
        if corner.row < p.height as usize && columns > 0 {
            let (bytes, stride) =
                (if columns < most { columns * pixel } else { p.values as usize }, p.stride());
            let at = p.at(Corner { x: first, ..corner });
            let to = patch.get_mut(skipped * pixel..).unwrap_or(&mut []);
            copy_rows(outside.get(at, (rows - 1) * stride + bytes), to, (stride, run), (rows, bytes));
        }
    }
}

impl InterleavedLayerDsp<'_> {
    /// Whether `columns` columns from `x` on, counted from that of the padding, are columns of the image.
    #[inline(always)]
    fn inside(&self, x: usize, columns: u16) -> bool {
        let left = self.pad_left as usize;
        x >= left && x - left + columns as usize <= self.width as usize
    }

    /// The row of the image that kernel row `ky` reads.
    #[inline(always)]
    fn row_of(&self, corner: Corner, ky: usize) -> usize {
        corner.row.wrapping_add(ky * self.dilation_h as usize)
    }

    /// Offset of a pixel of the image.
    #[inline(always)]
    fn at(&self, corner: Corner) -> usize {
        self.input.at(corner.row) + (corner.x - self.pad_left as usize) * self.pixel as usize
    }

    /// Bytes from kernel row to kernel row.
    #[inline(always)]
    fn stride(&self) -> usize {
        self.dilation_h as usize * self.input.step()
    }

    /// Rows of a run from byte `at` of memory on.
    #[inline(always)]
    fn run_of<'o>(&self, outside: &'o Outside, at: usize, rows: usize) -> Run<'o> {
        let stride = self.stride();
        Run { bytes: outside.get(at, (rows - 1) * stride + self.run as usize), stride }
    }

    /// How many kernel rows from `ky` on, at most `most` of them, lie at equal distances inside of the image; 1 where not even
    /// that one does.
    #[inline(never)]
    fn rows_inside(&self, corner: Corner, ky: usize, most: usize) -> usize {
        let row = self.row_of(corner, ky);
        if row >= self.height as usize {
            return 1;
        }
        let end = self.input.run(row).min(self.height as usize - row);
        let mut rows = most;
        while rows > 1 && (rows - 1) * self.dilation_h as usize >= end {
            rows -= 1;
            rolled();
        }
        rows
    }

    /// The columns of one run of each pixel, which are neighbours inside of the image; whether memory goes on as far as whole
    /// words, and the rows are rows of the image.
    #[inline(never)]
    fn even_runs(&self, outside: &Outside, corner: Corner, part: Part, columns: &mut [[u32; 4]]) -> bool {
        let (step, stride) = (self.stride_w as usize * self.pixel as usize, self.stride());
        let corner = Corner { row: self.row_of(corner, part.ky), x: corner.x + part.x };
        if corner.row >= self.height as usize {
            return false;
        }
        let len = 3 * step + (part.rows - 1) * stride + self.run as usize;
        let mut bytes = outside.get(self.at(corner), len);
        let mut from = [Run { bytes, stride }; 4];
        for pixel in &mut from {
            pixel.bytes = bytes;
            bytes = bytes.get(step..).unwrap_or(&[]);
            rolled();
        }
        byte_runs(&from, part.rows, self.run as usize, columns)
    }
}
