//! int8 convolution, any kernel, stride, dilation and padding.
//!
//! ```text
//! input rows (bytes)  --widen, once a row-->  rows of words in a ring  --four runs a kernel row-->  columns  -->  gemm
//! ```
//!
//! A word of the ring holds two taps of one pixel: two channels, or for an image of one channel two neighbouring columns. Its
//! rows are padded with the zero point, so that no window knows borders, and pixels lie one after the other: what a kernel
//! row reads of one output pixel is one run of words, whatever the strides.

use super::FilterDsp;
use super::gather::{bytes_to_pairs, copy_rows, planes_to_row};
use super::gemm::Gemm;
use super::interleave::{Walk, interleave};
use super::outside::{self, Outside};
use super::tiles::{self, Start, Target, buffer_len, flat, planar};
use super::words::{both_halves, fill, opaque, rolled, word};
use crate::{Block, Image, Window, view_mut};
use core::ops::Range;

/// Parameters of [`conv2d_i8_dsp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dI8Dsp {
    /// Input image, int8.
    pub input: Image,
    /// Output image, int8.
    pub output: Image,
    /// Kernel extents, strides, dilations and padding. An image of one channel allows no dilation of columns.
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
    /// Byte offset of [`Conv2dI8Dsp::scratch_len`] bytes, a multiple of 16: the ring of rows, and the columns of four pixels.
    pub scratch: usize,
}

/// The ring of rows and the runs that windows read of it.
#[derive(Clone, Copy)]
struct Ring {
    /// Rows.
    rows: usize,
    /// Words of a row.
    words: usize,
    /// Whether a word holds two columns of the only channel, not two channels of a column.
    columns: bool,
    /// Columns that windows reach, padding included.
    reach: usize,
    /// Words of a pixel: pairs of channels.
    depth: usize,
    /// Pairs of columns begin at even columns; where windows begin at odd ones too, those that begin there follow behind
    /// this many words.
    phase: usize,
    /// Runs of a kernel row.
    runs: usize,
    /// Words of a run.
    run: usize,
    /// Words of a window.
    taps: usize,
    /// Whether tiles run on over the rows of the output.
    one_run: bool,
}

impl Ring {
    /// Bytes of the ring.
    const fn len(&self) -> usize {
        (4 * self.rows * self.words).next_multiple_of(16)
    }

    /// Bytes of a row of bytes behind it.
    const fn bytes(&self) -> usize {
        // Words of four bytes are read from its odd columns on, too.
        if self.columns { (self.reach + 4).next_multiple_of(16) } else { 0 }
    }

    /// The word of a row where a window begins.
    #[inline(always)]
    fn word(&self, column: usize) -> usize {
        let pairs = self.columns as usize;
        (column & pairs) * self.phase + (column >> pairs) * self.depth
    }
}

impl Conv2dI8Dsp {
    #[inline(never)]
    const fn ring(&self) -> Ring {
        let w = &self.window;
        let width = if self.output.width == 0 { 1 } else { self.output.width };
        let one_run = flat(&self.output) && !width.is_multiple_of(4);
        // The rows of output that four neighbouring pixels may belong to.
        let span = if one_run { (width + 2) / width + 1 } else { 1 };
        let rows = (span - 1) * w.stride_h + w.height.saturating_sub(1) * w.dilation_h + 1;
        let reach = (width - 1) * w.stride_w + w.width.saturating_sub(1) * w.dilation_w + 1;
        let (columns, depth) = (self.input.channels == 1, self.input.channels.div_ceil(2));
        let phase = reach.div_ceil(2);
        let (words, runs, run) = if columns {
            let phases = if w.stride_w.is_multiple_of(2) { 1 } else { 2 };
            (phases * phase, 1, w.width.div_ceil(2))
        } else if w.dilation_w == 1 {
            (reach * depth, 1, w.width * depth)
        } else {
            (reach * depth, w.width, depth)
        };
        let taps = w.height * runs * run;
        Ring { rows, words, columns, reach, depth, phase, runs, run, taps, one_run }
    }

    /// Output rows that a call computes in any order among each other: tiles over several rows belong to a few of them.
    pub const fn rows_at_once(&self) -> usize {
        if self.ring().one_run { 8 } else { 1 }
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        let ring = self.ring();
        ring.len() + ring.bytes() + 16 * ring.taps + buffer_len(&self.output)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterDsp, arena: usize) -> Result<(), &'static str> {
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("conv2d_i8_dsp: image outside of the arena");
        }
        if !planar(&self.input) || !planar(&self.output) {
            return Err("conv2d_i8_dsp: the pixels of a row must be contiguous");
        }
        if self.input.channels == 1 && self.window.dilation_w != 1 {
            return Err("conv2d_i8_dsp: an image of one channel allows no dilation of columns");
        }
        if self.input.channels == 0 || self.ring().taps == 0 || self.output.width == 0 {
            return Err("conv2d_i8_dsp: nothing to compute");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("conv2d_i8_dsp: scratch outside of the arena");
        }
        if !filter.fits(self.output.channels, self.ring().taps) {
            return Err("conv2d_i8_dsp: tables do not fit the output channels");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`conv2d_i8`](crate::conv2d_i8) with one group and symmetric weights.
pub fn conv2d_i8_dsp(mem: &mut [Block], p: &Conv2dI8Dsp, rows: Range<usize>, filter: &FilterDsp) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let geometry = p.ring();
    let Some((ring, rest)) = scratch.split_at_mut_checked(geometry.len() / 16) else { return };
    let Some((bytes, rest)) = rest.split_at_mut_checked(geometry.bytes() / 16) else { return };
    let Some((columns, buffer)) = rest.split_at_mut_checked(geometry.taps) else { return };
    // Padding beside the image is written once: rows of the image lie between.
    fill(Some(view_mut(bytes)), word([p.input_zero_point; 4]));
    let columns = view_mut::<u32>(columns).as_chunks_mut::<4>().0;
    let (dual, zero_point) = (p.dual, p.output_zero_point as i32);
    let gemm = Gemm { filter, dual, zero_point, channels: p.output.channels };
    let target = Target { output: &p.output, one_run: geometry.one_run, once: false };
    let next = rows.start * p.window.stride_h;
    let mut rows_of_words = Rows { p, geometry, words: view_mut(ring), bytes: view_mut(bytes), next };
    let buffers = (columns, view_mut::<i8>(buffer));
    let mut gather = |outside: &Outside, start: Start, columns: &mut [[u32; 4]]| {
        rows_of_words.tile(outside, start, columns);
    };
    tiles::run(&gemm, target, rows.clone(), &mut outside, buffers, &mut gather);
    tiles::clamp(&mut outside, &p.output, rows, p.min, p.max);
}

/// The rows that tiles read.
struct Rows<'a> {
    p: &'a Conv2dI8Dsp,
    geometry: Ring,
    words: &'a mut [u32],
    bytes: &'a mut [i8],
    /// The first row that is not there yet, counted from the top of the padding.
    next: usize,
}

impl Rows<'_> {
    /// The columns of one tile.
    #[inline(always)]
    fn tile(&mut self, outside: &Outside, start: Start, columns: &mut [[u32; 4]]) {
        let (w, g) = (&self.p.window, &self.geometry);
        if g.one_run || start.count < 4 || g.runs > 1 {
            self.any_tile(outside, start, columns);
            return;
        }
        // All pixels read the same rows; of each one the word where its window begins.
        let at = [0, 1, 2, 3].map(|j| g.word((start.x + j) * w.stride_w));
        self.widen_to(outside, start.y, start.y);
        let (w, g) = (&self.p.window, &self.geometry);
        let first = (start.y * w.stride_h).checked_rem(g.rows).unwrap_or(0);
        let walk = Walk { rows: g.rows, stride: g.words, first, step: w.dilation_h, count: w.height };
        interleave(self.words, &walk, &at, g.run, columns);
    }

    /// Tiles over several rows, of fewer than four pixels, or with a run for each kernel column.
    #[inline(never)]
    fn any_tile(&mut self, outside: &Outside, start: Start, columns: &mut [[u32; 4]]) {
        let (w, g, width) = (&self.p.window, &self.geometry, self.p.output.width);
        let row_of = |x: usize| x.checked_div(width).unwrap_or(0);
        // Of each pixel the row of the ring, and the word of it, where its window begins.
        let mut pixels = [(opaque(0), 0); 4];
        let mut end = 0;
        for (j, pixel) in pixels.iter_mut().enumerate() {
            let x = start.x + j.min(start.count - 1);
            end = start.y + row_of(x);
            let row = (end * w.stride_h).checked_rem(g.rows).unwrap_or(0);
            *pixel = (row, g.word((x - row_of(x) * width) * w.stride_w));
            rolled();
        }
        self.widen_to(outside, start.y + row_of(start.x), end);
        let (w, g) = (&self.p.window, &self.geometry);
        // The whole ring as one row, so that each pixel may have its own.
        let walk = Walk { rows: 1, stride: self.words.len(), first: 0, step: 1, count: 1 };
        let mut columns = columns.chunks_exact_mut(g.run.max(1));
        for _ in 0..w.height {
            for kx in 0..g.runs {
                let at = pixels.map(|(row, word)| row * g.words + word + kx * w.dilation_w * g.depth);
                let Some(columns) = columns.next() else { return };
                interleave(self.words, &walk, &at, g.run, columns);
                rolled();
            }
            for (row, _) in &mut pixels {
                *row += w.dilation_h;
                *row -= if *row >= g.rows { g.rows } else { 0 };
                rolled();
            }
            rolled();
        }
    }

    /// Widens all rows that the output rows from `first` to `last` read and that are not there yet.
    #[inline(always)]
    fn widen_to(&mut self, outside: &Outside, first: usize, last: usize) {
        let w = &self.p.window;
        let end = last * w.stride_h + w.height.saturating_sub(1) * w.dilation_h;
        // A stride beyond the kernel's height leaves rows that no window reads.
        self.next = self.next.max(first * w.stride_h);
        while self.next <= end {
            self.widen(outside);
        }
    }

    /// Widens the next row of the input, or of the padding.
    #[inline(never)]
    fn widen(&mut self, outside: &Outside) {
        let (p, w, g) = (self.p, &self.p.window, &self.geometry);
        let padded = self.next;
        self.next += 1;
        let from = padded.checked_rem(g.rows).unwrap_or(0) * g.words;
        let to = self.words.get_mut(from..).and_then(|words| words.get_mut(..g.words)).unwrap_or(&mut []);
        let row = padded.wrapping_sub(w.pad_top);
        if row >= p.input.height {
            fill(Some(to), both_halves(p.input_zero_point));
            return;
        }
        let left = w.pad_left.min(g.reach);
        let inside = p.input.width.min(g.reach - left);
        let at = p.input.row(row);
        if g.columns {
            let middle = self.bytes.get_mut(left..).unwrap_or(&mut []);
            copy_rows((outside.get(at, inside), 0), (middle, 0), 1, inside);
            for (phase, to) in to.chunks_exact_mut(g.phase.max(1)).enumerate() {
                bytes_to_pairs(self.bytes.get(phase..).unwrap_or(&[]), to);
            }
            return;
        }
        let (before, after) = (left * g.depth, (left + inside) * g.depth);
        fill(to.get_mut(..before), both_halves(p.input_zero_point));
        fill(to.get_mut(after..), both_halves(p.input_zero_point));
        for pair in 0..g.depth {
            let last = p.input.channels - 1;
            let (a, b) = (2 * pair * p.input.layout.chan, (2 * pair + 1).min(last) * p.input.layout.chan);
            let to = to.get_mut(before + pair..).unwrap_or(&mut []);
            planes_to_row(outside.get(at + a, inside), outside.get(at + b, inside), to, g.depth);
        }
    }
}
