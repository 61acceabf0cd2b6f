//! int8 convolution of an interleaved image, any kernel, stride, dilation and padding.
//!
//! ```text
//! input rows (bytes)  --four runs a kernel row, widened-->  columns  -->  gemm
//! ```
//!
//! What a kernel row reads of one output pixel is one run of bytes (with dilated columns, or channels of a wider image: one for
//! each column). Nothing but the columns of four pixels is kept: rows that stream past are read where they lie. A pixel
//! whose window reaches beyond the image gets its run from a patch that is padded with the zero point.

use super::FilterDsp;
use super::byte_runs::{Run, byte_runs};
use super::gather::copy_rows;
use super::lines::{Lines, nonzero};
use super::outside::{self, Outside};
use super::tiles::{self, Form, Start, Tiles, gapless, storable};
use super::words::{opaque, rolled};
use crate::{Block, Image, Window, view_mut};
use core::num::NonZero;
use core::ops::Range;

/// Parameters of [`interleaved_conv2d_i8_dsp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterleavedConv2dI8Dsp {
    /// Input image, int8: of one channel, or with channels side by side.
    pub input: Image,
    /// Output image, int8.
    pub output: Image,
    /// Kernel extents, strides, dilations and padding.
    pub window: Window,
    /// Whether the weights are packed in the dual way; see [`FilterDsp`].
    pub dual: bool,
    /// Zero point of the input, the value of padding.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
    /// Byte offset of [`InterleavedConv2dI8Dsp::scratch_len`] bytes, a multiple of 16: the columns of four pixels, their outputs
    /// where rows are shorter than that, and the patches of pixels at the sides.
    pub scratch: usize,
}

/// A patch holds all rows of a window where these are at most that many bytes; otherwise the columns of a tile at the side of the
/// image are gathered in parts.
const MOST_PATCHED: usize = 320;

impl InterleavedConv2dI8Dsp {
    /// Columns of a run.
    const fn run_columns(&self) -> usize {
        let whole = self.window.dilation_w == 1 && self.input.layout.col == self.input.channels;
        if whole { self.window.width } else { 1 }
    }

    /// Bytes of a run, filled up to words.
    const fn run(&self) -> usize {
        (self.run_columns() * self.input.channels).next_multiple_of(4)
    }

    /// Words of a window.
    const fn words(&self) -> usize {
        match self.window.width.checked_div(self.run_columns()) {
            Some(runs) => self.window.height * runs * (self.run() / 2),
            None => 0,
        }
    }

    /// Columns that a window spans.
    const fn reach(&self) -> usize {
        self.window.width.saturating_sub(1) * self.window.dilation_w + 1
    }

    /// Whether tiles run on over the rows of the output.
    const fn one_run(&self) -> bool {
        gapless(&self.output) && !self.output.width.is_multiple_of(4)
    }

    const fn form(&self) -> Form<'_> {
        Form {
            output: &self.output,
            scratch: self.scratch,
            ahead: (self.patches() * self.patch_rows() * self.run()).next_multiple_of(16),
            words: self.words(),
            dual: self.dual,
            one_run: self.one_run(),
            once: false,
            zero_point: self.output_zero_point,
            min: self.min,
            max: self.max,
        }
    }

    /// Output rows that a call computes in any order among each other: tiles over several rows belong to a few of them.
    pub const fn rows_at_once(&self) -> usize {
        if self.one_run() { 8 } else { 1 }
    }

    /// Kernel rows of a patch.
    const fn patch_rows(&self) -> usize {
        match MOST_PATCHED.checked_div(self.run()) {
            Some(rows) if rows > self.window.height => self.window.height,
            Some(rows) if rows > 0 => rows,
            _ => 1,
        }
    }

    /// The most patches of a tile: one for each pixel whose window reaches beyond the sides of the image, and one for those of
    /// rows above and below it.
    const fn patches(&self) -> usize {
        let w = &self.window;
        // The last words of memory may not be whole; and tiles may meet the same side of several rows.
        let whole = self.run() == self.run_columns() * self.input.channels;
        if !whole || self.output.width < 4 || w.stride_w == 0 {
            return 4;
        }
        let left = w.pad_left.div_ceil(w.stride_w);
        let inside = (self.input.width + w.pad_left).saturating_sub(self.reach()) / w.stride_w + 1;
        let right = self.output.width.saturating_sub(inside);
        let sides = match self.one_run() || self.output.width < 8 {
            true => left + right + self.one_run() as usize,
            false if left > right => left,
            false => right,
        };
        if sides > 4 {
            4
        } else if sides == 0 {
            1
        } else {
            sides
        }
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        self.form().scratch_len()
    }

    /// Whether 16 bits hold what [`InterleavedLayerDsp`] keeps.
    const fn holds(&self) -> bool {
        let (w, most) = (&self.window, u16::MAX as usize);
        let window = w.stride_h <= most && w.stride_w <= most && w.dilation_h <= most && w.dilation_w <= most;
        let padding = w.pad_top <= most && w.pad_left <= most && self.reach() <= most;
        let runs = self.run() <= most && w.height <= most && self.input.layout.col <= most;
        window && padding && runs && self.form().holds() && Lines::hold(&self.input)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterDsp, arena: usize) -> Result<(), &'static str> {
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("interleaved_conv2d_i8_dsp: image outside of the arena");
        }
        if self.input.layout.chan != 1 && self.input.channels != 1 {
            return Err("interleaved_conv2d_i8_dsp: the channels of an input pixel must be contiguous");
        }
        if !storable(&self.output) {
            return Err("interleaved_conv2d_i8_dsp: pixels or channels of the output must be contiguous");
        }
        if self.words() == 0 || self.output.width == 0 {
            return Err("interleaved_conv2d_i8_dsp: nothing to compute");
        }
        if !self.holds() {
            return Err("interleaved_conv2d_i8_dsp: an extent of more than 16 bits");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("interleaved_conv2d_i8_dsp: scratch outside of the arena");
        }
        if !filter.fits(self.output.channels, self.words()) {
            return Err("interleaved_conv2d_i8_dsp: tables do not fit the output channels");
        }
        Ok(())
    }
}

/// [`InterleavedConv2dI8Dsp`] and its tables as the kernel reads them, in few bytes.
#[derive(Debug, Clone, Copy)]
pub struct InterleavedLayerDsp<'a> {
    tiles: Tiles<'a>,
    input: Lines,
    height: u16,
    width: u16,
    /// Bytes from pixel to pixel of the input.
    pixel: u16,
    pad_top: u16,
    pad_left: u16,
    stride_h: u16,
    stride_w: u16,
    dilation_h: u16,
    dilation_w: u16,
    /// Rows and columns of the window, and the columns that it spans.
    taps_h: u16,
    taps_w: u16,
    reach: u16,
    /// Columns of a run, their bytes, and those filled up to words.
    run_columns: NonZero<u16>,
    values: u16,
    run: u16,
    /// Kernel rows of a patch.
    patch_rows: NonZero<u16>,
    input_zero_point: i8,
}

impl InterleavedConv2dI8Dsp {
    /// Packs parameters and tables. Those that `check` refuses compute nothing, or what no one asked for.
    pub const fn layer<'a>(&self, filter: &FilterDsp<'a>) -> InterleavedLayerDsp<'a> {
        let w = &self.window;
        InterleavedLayerDsp {
            tiles: Tiles::new(&self.form(), filter),
            input: Lines::of(&self.input),
            height: self.input.height as u16,
            width: self.input.width as u16,
            pixel: self.input.layout.col as u16,
            pad_top: w.pad_top as u16,
            pad_left: w.pad_left as u16,
            stride_h: w.stride_h as u16,
            stride_w: w.stride_w as u16,
            dilation_h: w.dilation_h as u16,
            dilation_w: w.dilation_w as u16,
            taps_h: w.height as u16,
            taps_w: w.width as u16,
            reach: self.reach() as u16,
            run_columns: nonzero(self.run_columns()),
            values: (self.run_columns() * self.input.channels) as u16,
            run: self.run() as u16,
            patch_rows: nonzero(self.patch_rows()),
            input_zero_point: self.input_zero_point,
        }
    }
}

/// Computes output `rows` of [`conv2d_i8`](crate::conv2d_i8) with one group and symmetric weights.
#[inline(never)]
pub fn interleaved_conv2d_i8_dsp(mem: &mut [Block], p: &InterleavedLayerDsp, rows: Range<usize>) {
    tiles::run(mem, &p.tiles, rows, &mut |outside, patches, start, columns| {
        Windows { p, start, patches: view_mut(patches) }.gather(outside, columns);
    });
}

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
struct Windows<'a> {
    p: &'a InterleavedLayerDsp<'a>,
    start: Start,
    /// Runs of pixels at the sides.
    patches: &'a mut [i8],
}

impl Windows<'_> {
    /// The columns of the tile.
    #[inline(never)]
    fn gather(&mut self, outside: &Outside, columns: &mut [[u32; 4]]) {
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
