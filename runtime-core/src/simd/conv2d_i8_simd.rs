//! int8 convolution, any kernel, stride, dilation and padding.
//!
//! ```text
//! input rows (bytes)  --widen, once a row-->  ring of rows  --runs of four pixels--> gemm  -->  output
//! ```
//!
//! The runs of pixels in the same row begin at the same distances: the micro-kernel reads the ring itself. Those of pixels in several
//! rows are copied into columns.

use super::FilterSimd;
use super::gemm::{Gemm, Pixels};
use super::lanes::{Target, Value, ValueOf, dispatch};
use super::ring::{Ring, Rows, Source, split};
use crate::dsp::outside::{self, Outside};
use crate::{Block, Image, Window, view_mut};
use core::array::from_fn;
use core::ops::Range;

/// Parameters of [`conv2d_i8_simd`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dI8Simd {
    /// Input image, int8.
    pub input: Image,
    /// Output image, int8.
    pub output: Image,
    /// Kernel extents, strides, dilations and padding.
    pub window: Window,
    /// Zero point of the input, the value of padding.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
    /// Byte offset of [`Conv2dI8Simd::scratch_len`] bytes, a multiple of 16: the ring of rows, where the runs of
    /// a row begin, and the columns of four pixels.
    pub scratch: usize,
}

/// What a window reads.
#[derive(Clone, Copy)]
struct Runs {
    /// Runs of a kernel row.
    count: usize,
    /// Values of a run.
    len: usize,
    /// Distance from one run of a kernel row to the next.
    step: usize,
}

impl Conv2dI8Simd {
    const fn runs(&self) -> Runs {
        let (w, depth) = (&self.window, self.input.channels);
        if w.dilation_w == 1 {
            Runs { count: 1, len: w.width * depth, step: 0 }
        } else {
            Runs { count: w.width, len: depth, step: w.dilation_w * depth }
        }
    }

    /// Words of two taps that a window reads.
    const fn words(&self) -> usize {
        let runs = self.runs();
        self.window.height * runs.count * runs.len.div_ceil(2)
    }

    /// Whether four pixels may belong to several rows of the output.
    const fn one_run(&self) -> bool {
        !self.output.width.is_multiple_of(4)
    }

    const fn ring(&self) -> Ring {
        let width = if self.output.width == 0 { 1 } else { self.output.width };
        let span = if self.one_run() { (width + 2) / width + 1 } else { 1 };
        Ring::new(&self.window, (span, width), self.input.channels)
    }

    /// Values of the column of one pixel; runs are copied in chunks of 16.
    const fn column(&self) -> usize {
        2 * self.words() + 16
    }

    /// Bytes that say where the runs of a row begin.
    const fn table(&self) -> usize {
        (4 * self.window.height * self.runs().count).next_multiple_of(16)
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        let columns = if self.one_run() { (8 * self.column()).next_multiple_of(16) } else { 0 };
        self.ring().size() + self.table() + columns
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterSimd, arena: usize) -> Result<(), &'static str> {
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("conv2d_i8_simd: image outside of the arena");
        }
        if self.words() == 0 || self.output.width == 0 || self.output.channels == 0 {
            return Err("conv2d_i8_simd: nothing to compute");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("conv2d_i8_simd: scratch outside of the arena");
        }
        if !filter.fits(self.output.channels, self.words()) {
            return Err("conv2d_i8_simd: tables do not fit the output channels");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`conv2d_i8`](crate::conv2d_i8) with one group and symmetric weights.
pub fn conv2d_i8_simd(mem: &mut [Block], p: &Conv2dI8Simd, rows: Range<usize>, filter: &FilterSimd) {
    dispatch!(layer(mem: &mut [Block], p: &Conv2dI8Simd, rows: Range<usize>, filter: &FilterSimd));
}

#[inline(always)]
fn layer<T: Target>(mem: &mut [Block], p: &Conv2dI8Simd, rows: Range<usize>, filter: &FilterSimd) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let (ring, rest) = split(scratch, p.ring().size());
    let (table, columns) = split(rest, p.table());
    let source = Source { input: &p.input, window: &p.window, zero_point: p.input_zero_point, repeat: 1 };
    let gemm = Gemm {
        filter,
        channels: p.output.channels,
        chan: p.output.layout.chan,
        zero_point: p.output_zero_point,
        bounds: (p.min, p.max),
    };
    let runs = p.runs();
    let ring = Rows::<ValueOf<T>>::new(source, p.ring(), rows.start, ring);
    let place = ring.place(rows.start);
    let table = view_mut::<u32>(table).get_mut(..p.window.height * runs.count).unwrap_or(&mut []);
    let columns = view_mut(columns);
    let mut tiles = Tiles::<T> { p, gemm, runs, ring, row: (rows.start, place), table, columns };
    tiles.begin_row(&outside);
    let width = p.output.width;
    let (runs, length) = match p.one_run() {
        true => (rows.start..rows.end.min(rows.start + 1), rows.len() * width),
        false => (rows, width),
    };
    for y in runs {
        let mut pixel = (y, 0);
        let mut next = || {
            let this = pixel;
            pixel = if this.1 + 1 < width { (this.0, this.1 + 1) } else { (this.0 + 1, 0) };
            this
        };
        for _ in 0..length / 4 {
            tiles.run::<4>(&mut outside, [next(), next(), next(), next()]);
        }
        for _ in 0..length % 4 {
            tiles.run::<1>(&mut outside, [next()]);
        }
    }
}

/// Some neighbouring pixels at a time.
struct Tiles<'a, T: Target> {
    p: &'a Conv2dI8Simd,
    gemm: Gemm<'a>,
    runs: Runs,
    ring: Rows<'a, ValueOf<T>>,
    /// The row of the first pixel, and the place of the first row that it reads.
    row: (usize, usize),
    /// Where the runs of that row begin in the ring.
    table: &'a mut [u32],
    columns: &'a mut [ValueOf<T>],
}

impl<T: Target> Tiles<'_, T> {
    /// Prepares what the pixels of `row` read.
    #[inline(always)]
    fn begin_row(&mut self, outside: &Outside) {
        self.ring.advance(outside, self.row.0);
        for (ky, runs) in self.table.chunks_exact_mut(self.runs.count.max(1)).enumerate() {
            let begin = self.ring.begin(self.row.1, ky);
            for (kx, run) in runs.iter_mut().enumerate() {
                *run = (begin + kx * self.runs.step) as u32;
            }
        }
    }

    /// Computes the pixels in these rows and columns.
    #[inline(always)]
    fn run<const P: usize>(&mut self, outside: &mut Outside, pixels: [(usize, usize); P]) {
        let step = self.p.window.stride_w * self.p.input.channels;
        while self.row.0 < pixels.first().map_or(0, |first| first.0) {
            self.row = (self.row.0 + 1, self.ring.next_place(self.row.1));
            self.begin_row(outside);
        }
        let at = pixels.map(|(y, x)| self.p.output.at(y, x, 0));
        if pixels.last().is_some_and(|last| last.0 == self.row.0) {
            let values = pixels.map(|(_, x)| self.ring.values.get(x * step..).unwrap_or(&[]));
            let x = Pixels { values, runs: self.table, words: self.runs.len.div_ceil(2) };
            self.gemm.pixels::<T, P>(x, outside, at);
            return;
        }
        let column = self.p.column();
        let mut row = self.row;
        for ((y, x), to) in pixels.into_iter().zip(self.columns.chunks_exact_mut(column.max(1))) {
            while row.0 < y {
                row = (row.0 + 1, self.ring.next_place(row.1));
                self.ring.advance(outside, row.0);
            }
            copy_runs(&self.ring, (row.1, x * step), (self.p.window.height, self.runs), to);
        }
        let values = from_fn(|i| self.columns.get(i * column..).unwrap_or(&[]));
        let x = Pixels { values, runs: &[0], words: self.p.words() };
        self.gemm.pixels::<T, P>(x, outside, at);
    }
}

/// Copies the runs of a pixel one behind the other, each filled up to a multiple of two values. What chunks copy too much the next
/// run overwrites.
#[inline(always)]
fn copy_runs<T: Value>(
    rows: &Rows<T>,
    (place, left): (usize, usize),
    (height, runs): (usize, Runs),
    mut to: &mut [T],
) {
    for ky in 0..height {
        let begin = rows.begin(place, ky) + left;
        for kx in 0..runs.count {
            let from = rows.values.get(begin + kx * runs.step..).unwrap_or(&[]);
            let chunks = runs.len.div_ceil(16);
            for (to, from) in to.as_chunks_mut::<16>().0.iter_mut().zip(from.as_chunks::<16>().0).take(chunks)
            {
                *to = *from;
            }
            to = to.get_mut(runs.len.next_multiple_of(2)..).unwrap_or(&mut []);
        }
    }
}
