//! int8 convolution, any kernel, stride, dilation and padding.
//!
//! ```text
//! input rows  --interleave, once a row-->  rows of pixels in a ring  --runs of two windows-->  two columns  -->  gemm
//! ```
//!
//! Rows of the ring are padded with the zero point, so that no window knows borders, and hold all channels of a pixel side by
//! side: what a kernel row reads of one output pixel is one run of bytes. Where there is one run, it is the column itself.

use super::copy_rows::{copy, copy_rows};
use super::gemm::Gemm;
use super::runs;
use super::transpose::{self, transpose};
use super::{FilterMve, Range as Clamp};
use crate::dsp::outside::{self, Outside};
use crate::{Block, Image, Window, view_mut};
use core::ops::Range;

/// Parameters of [`conv2d_i8_mve`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dI8Mve {
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
    /// Byte offset of [`Conv2dI8Mve::scratch_len`] bytes, a multiple of 16: the ring of rows, where runs begin in it, and the
    /// columns of two pixels.
    pub scratch: usize,
}

/// The ring of rows and the runs that windows read of it.
#[derive(Clone, Copy)]
struct Ring {
    /// Rows.
    rows: usize,
    /// Columns that windows reach, padding included.
    reach: usize,
    /// Runs of a window.
    runs: usize,
    /// Bytes of a run.
    run: usize,
}

impl Conv2dI8Mve {
    const fn ring(&self) -> Ring {
        let w = &self.window;
        let reach =
            self.output.width.saturating_sub(1) * w.stride_w + w.width.saturating_sub(1) * w.dilation_w + 1;
        let (runs, run) = if w.dilation_w == 1 { (1, w.width) } else { (w.width, 1) };
        Ring {
            rows: w.height.saturating_sub(1) * w.dilation_h + 1,
            reach,
            runs: w.height * runs,
            run: run * self.input.channels,
        }
    }

    const fn taps(&self) -> usize {
        self.window.height * self.window.width * self.input.channels
    }

    /// Bytes of the ring, of the beginnings of runs, and of each of two columns.
    const fn parts(&self) -> (usize, usize, usize) {
        let ring = self.ring();
        let bytes = ring.rows * ring.reach * self.input.channels;
        let column = if ring.runs == 1 { 0 } else { self.taps().next_multiple_of(16) };
        (bytes.next_multiple_of(16), (4 * ring.runs).next_multiple_of(16), column)
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        let (ring, runs, column) = self.parts();
        ring + runs + 2 * column
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterMve, arena: usize) -> Result<(), &'static str> {
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("conv2d_i8_mve: image outside of the arena");
        }
        if self.taps() == 0 || self.output.elements() == 0 {
            return Err("conv2d_i8_mve: nothing to compute");
        }
        if self.input.channels > transpose::MOST_CHANNELS {
            return Err("conv2d_i8_mve: too many channels");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("conv2d_i8_mve: scratch outside of the arena");
        }
        if !filter.fits(self.output.channels, self.taps()) {
            return Err("conv2d_i8_mve: tables do not fit the output channels");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`conv2d_i8`](crate::conv2d_i8) with one group and symmetric weights.
pub fn conv2d_i8_mve(mem: &mut [Block], p: &Conv2dI8Mve, rows: Range<usize>, filter: &FilterMve) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let (ring_len, runs_len, column) = p.parts();
    let Some((ring, rest)) = scratch.split_at_mut_checked(ring_len / 16) else { return };
    let Some((runs, columns)) = rest.split_at_mut_checked(runs_len / 16) else { return };
    let geometry = p.ring();
    let (ring, columns) = (view_mut::<i8>(ring), view_mut::<i8>(columns));
    let Some(runs) = view_mut::<u32>(runs).get_mut(..geometry.runs) else { return };
    let Some((first, second)) = columns.split_at_mut_checked(column) else { return };
    let mut input = Rows { p, geometry, ring, next: rows.start * p.window.stride_h };
    input.ring.fill(p.input_zero_point);
    let gemm = Gemm {
        filter,
        range: Clamp::new(p.output_zero_point, p.min, p.max),
        channels: p.output.channels,
        plane: p.output.layout.chan,
    };
    for y in rows {
        input.window(&outside, y, runs);
        for x in (0..p.output.width).step_by(2) {
            // A lone last pixel is computed twice, and stored once.
            let two = x + 1 < p.output.width;
            let pixel = p.window.stride_w * p.input.channels;
            let from = [x * pixel, (x + two as usize) * pixel];
            let x_columns = match (&*runs, first.get_mut(..p.taps()), second.get_mut(..p.taps())) {
                (&[at], ..) => {
                    from.map(|from| input.ring.get(from + at as usize..).and_then(|r| r.get(..p.taps())))
                }
                (_, Some(first), Some(second)) => {
                    runs::gather(input.ring, from, runs, geometry.run, [&mut *first, &mut *second]);
                    [Some(&*first), Some(&*second)]
                }
                _ => return,
            };
            let step = if two { p.output.layout.col } else { 0 };
            let len = (p.output.channels - 1) * p.output.layout.chan + step + 1;
            let out = outside.get_mut(p.output.at(y, x, 0), len);
            gemm.run(x_columns.map(|column| column.unwrap_or(&[])), out, step);
        }
    }
}

/// The rows that windows read.
struct Rows<'a> {
    p: &'a Conv2dI8Mve,
    geometry: Ring,
    ring: &'a mut [i8],
    /// The first row that is not there yet, counted from the top of the padding.
    next: usize,
}

impl Rows<'_> {
    /// Brings the rows of output row `y` into the ring, and says where the runs of its first window begin.
    #[inline(always)]
    fn window(&mut self, outside: &Outside, y: usize, runs: &mut [u32]) {
        let (w, channels) = (&self.p.window, self.p.input.channels);
        let top = y * w.stride_h;
        // A stride beyond the kernel's height leaves rows that no window reads.
        self.next = self.next.max(top);
        while self.next < top + self.geometry.rows {
            self.row(outside, self.next);
            self.next += 1;
        }
        let bytes = self.geometry.reach * channels;
        let mut runs = runs.iter_mut();
        for ky in 0..w.height {
            let row = (top + ky * w.dilation_h).checked_rem(self.geometry.rows).unwrap_or(0) * bytes;
            for kx in 0..if w.dilation_w == 1 { 1 } else { w.width } {
                let Some(run) = runs.next() else { return };
                *run = (row + kx * w.dilation_w * channels) as u32;
            }
        }
    }

    /// Brings a row into the ring; its left and right borders are there.
    fn row(&mut self, outside: &Outside, padded: usize) {
        let (p, w, g) = (self.p, &self.p.window, self.geometry);
        let (input, n) = (&p.input, p.input.channels);
        let from = padded.checked_rem(g.rows).unwrap_or(0) * g.reach * n;
        let Some(to) = self.ring.get_mut(from..).and_then(|ring| ring.get_mut(..g.reach * n)) else { return };
        let Some(row) = padded.checked_sub(w.pad_top).filter(|&row| row < input.height) else {
            to.fill(p.input_zero_point);
            return;
        };
        let left = w.pad_left.min(g.reach);
        let columns = input.width.min(g.reach - left);
        let Some(to) = to.get_mut(left * n..(left + columns) * n) else { return };
        interleave(outside, input, (input.row(row), columns), (to, n));
    }
}

/// `count` pixels from offset `at` on with their channels side by side, `step` bytes from pixel to pixel.
#[inline(always)]
pub(super) fn interleave(
    outside: &Outside,
    input: &Image,
    (at, count): (usize, usize),
    (to, step): (&mut [i8], usize),
) {
    let (n, l) = (input.channels, &input.layout);
    let Some(last) = count.checked_sub(1) else { return };
    if l.chan == 1 || n == 1 {
        if l.col == n && step == n {
            let len = count * n;
            copy_rows((outside.get(at, len), len), (to, len), 1, len);
        } else {
            copy_rows((outside.get(at, last * l.col + n), l.col), (to, step), count, n);
        }
    } else if l.col == 1 {
        for x in (0..count).step_by(transpose::PIXELS) {
            let count = (count - x).min(transpose::PIXELS);
            let from = outside.get(at + x, (n - 1) * l.chan + count);
            transpose((from, l.chan), n, (to.get_mut(x * step..).unwrap_or(&mut []), step), count);
        }
    } else {
        for (x, pixel) in to.chunks_mut(step.max(1)).take(count).enumerate() {
            let Some(pixel) = pixel.get_mut(..n) else { return };
            copy(outside, at + x * l.col, l.chan, pixel);
        }
    }
}
