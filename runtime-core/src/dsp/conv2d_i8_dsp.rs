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
use super::interleave::interleave;
use super::lines::{Lines, nonzero};
use super::outside::{self, Outside};
use super::tiles::{self, Form, Start, Tiles, gapless, planar, storable};
use super::words::{both_halves, fill, opaque, rolled, word};
use crate::{Block, Image, Window, view_mut};
use core::num::NonZero;
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
}

impl Conv2dI8Dsp {
    const fn ring(&self) -> Ring {
        let w = &self.window;
        let width = if self.output.width == 0 { 1 } else { self.output.width };
        let one_run = gapless(&self.output) && !width.is_multiple_of(4);
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

    const fn form(&self) -> Form<'_> {
        let ring = self.ring();
        Form {
            output: &self.output,
            scratch: self.scratch,
            ahead: ring.len() + ring.bytes(),
            words: ring.taps,
            dual: self.dual,
            one_run: ring.one_run,
            once: false,
            zero_point: self.output_zero_point,
            min: self.min,
            max: self.max,
        }
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        self.form().scratch_len()
    }

    /// Whether 16 bits hold what [`ConvLayerDsp`] keeps.
    const fn holds(&self) -> bool {
        let (w, ring) = (&self.window, self.ring());
        let most = u16::MAX as usize;
        let window = w.height <= most && w.stride_h <= most && w.stride_w <= most && w.dilation_h <= most;
        let padding = w.pad_top <= most && w.pad_left <= most;
        let ring = ring.rows <= most
            && ring.words <= most
            && ring.reach <= most
            && w.dilation_w * ring.depth <= most;
        window && padding && ring && self.form().holds() && Lines::hold(&self.input)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterDsp, arena: usize) -> Result<(), &'static str> {
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("conv2d_i8_dsp: image outside of the arena");
        }
        if !planar(&self.input) || !storable(&self.output) {
            return Err(
                "conv2d_i8_dsp: the pixels of a row must be contiguous, or the channels of an output",
            );
        }
        if self.input.channels == 1 && self.window.dilation_w != 1 {
            return Err("conv2d_i8_dsp: an image of one channel allows no dilation of columns");
        }
        if self.input.channels == 0 || self.ring().taps == 0 || self.output.width == 0 {
            return Err("conv2d_i8_dsp: nothing to compute");
        }
        if !self.holds() {
            return Err("conv2d_i8_dsp: an extent of more than 16 bits");
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

/// [`Conv2dI8Dsp`] and its tables as the kernel reads them, in few bytes.
#[derive(Debug, Clone, Copy)]
pub struct ConvLayerDsp<'a> {
    tiles: Tiles<'a>,
    input: Lines,
    height: u16,
    channels: u16,
    /// Columns of the input that windows reach, and those of the padding in front of them.
    inside: u16,
    left: u16,
    pad_top: u16,
    stride_h: u16,
    stride_w: u16,
    /// Rows of the window, and its height above the last one.
    taps_h: u16,
    reach_h: u16,
    /// Words from kernel row to kernel row, and from run to run of a kernel row.
    next_row: u32,
    next_run: u16,
    /// As in [`Ring`].
    rows: NonZero<u16>,
    words: u16,
    depth: u16,
    phase: u16,
    runs: u16,
    run: NonZero<u16>,
    columns: bool,
    input_zero_point: i8,
    /// Widens a row of the input.
    widen: fn(&ConvLayerDsp, &Outside, usize, &mut [u32], &mut [Block]),
}

impl Conv2dI8Dsp {
    /// Packs parameters and tables. Those that `check` refuses compute nothing, or what no one asked for.
    pub const fn layer<'a>(&self, filter: &FilterDsp<'a>) -> ConvLayerDsp<'a> {
        let (w, ring) = (&self.window, self.ring());
        let left = if w.pad_left < ring.reach { w.pad_left } else { ring.reach };
        let inside = if self.input.width < ring.reach - left { self.input.width } else { ring.reach - left };
        ConvLayerDsp {
            tiles: Tiles::new(&self.form(), filter),
            input: Lines::of(&self.input),
            height: self.input.height as u16,
            channels: self.input.channels as u16,
            inside: inside as u16,
            left: left as u16,
            pad_top: w.pad_top as u16,
            stride_h: w.stride_h as u16,
            stride_w: w.stride_w as u16,
            taps_h: w.height as u16,
            reach_h: (w.height.saturating_sub(1) * w.dilation_h) as u16,
            next_row: (w.dilation_h * ring.words) as u32,
            next_run: (w.dilation_w * ring.depth) as u16,
            rows: nonzero(ring.rows),
            words: ring.words as u16,
            depth: ring.depth as u16,
            phase: ring.phase as u16,
            runs: ring.runs as u16,
            run: nonzero(ring.run),
            columns: ring.columns,
            input_zero_point: self.input_zero_point,
            // A program holds the code of those that its layers need.
            widen: if ring.columns { widen_columns } else { widen_planes },
        }
    }
}

/// Computes output `rows` of [`conv2d_i8`](crate::conv2d_i8) with one group and symmetric weights.
#[inline(never)]
pub fn conv2d_i8_dsp(mem: &mut [Block], p: &ConvLayerDsp, rows: Range<usize>) {
    let mut ring = Rows { p, next: rows.start * p.stride_h as usize };
    tiles::run(mem, &p.tiles, rows, &mut |outside, scratch, start, columns| {
        ring.tile(outside, scratch, start, columns);
    });
}

/// The rows that tiles read.
struct Rows<'a> {
    p: &'a ConvLayerDsp<'a>,
    /// The first row that is not there yet, counted from the top of the padding.
    next: usize,
}

impl Rows<'_> {
    /// The columns of one tile.
    #[inline(always)]
    fn tile(&mut self, outside: &Outside, scratch: &mut [Block], start: Start, columns: &mut [[u32; 4]]) {
        let (p, width) = (self.p, self.p.tiles.width);
        let (words, size) = (p.words as usize, p.rows.get() as usize * p.words as usize);
        let Some((ring, bytes)) = scratch.split_at_mut_checked(size.div_ceil(4)) else { return };
        let ring = view_mut::<u32>(ring);

        let above = start.x as u32 / NonZero::<u32>::from(width);
        let first = start.y + above as usize;
        let (mut y, mut x) = (first, start.x - above as usize * width.get() as usize);
        // Of each pixel the word of the ring where its window begins.
        let mut pixels = [0; 4];
        for (j, pixel) in pixels.iter_mut().enumerate().take(opaque(4)) {
            *pixel = p.slot(y * p.stride_h as usize) * words + p.word(x * p.stride_w as usize);
            if j + 1 < start.count {
                x += 1;
                if x == width.get() as usize {
                    (x, y) = (0, y + 1);
                }
            }
            rolled();
        }
        self.widen_to(outside, (ring, bytes), first, y);
        let mut columns = columns;
        for _ in 0..p.taps_h {
            let mut run = 0;
            for _ in 0..p.runs {
                let Some((now, next)) = columns.split_at_mut_checked(p.run.get() as usize) else { return };
                interleave(ring.get(run..).unwrap_or(&[]), &pixels, now);
                columns = next;
                run += p.next_run as usize;
                rolled();
            }
            for pixel in pixels.iter_mut().take(opaque(4)) {
                *pixel += p.next_row as usize;
                *pixel -= if *pixel >= size { size } else { 0 };
                rolled();
            }
            rolled();
        }
    }

    /// Widens all rows that the output rows from `first` to `last` read and that are not there yet.
    #[inline(always)]
    fn widen_to(
        &mut self,
        outside: &Outside,
        (ring, bytes): (&mut [u32], &mut [Block]),
        first: usize,
        last: usize,
    ) {
        let p = self.p;
        let end = last * p.stride_h as usize + p.reach_h as usize;
        // A stride beyond the kernel's height leaves rows that no window reads.
        self.next = self.next.max(first * p.stride_h as usize);
        while self.next <= end {
            let words = p.words as usize;
            let row = ring
                .get_mut(p.slot(self.next) * words..)
                .and_then(|ring| ring.get_mut(..words))
                .unwrap_or(&mut []);
            let y = self.next.wrapping_sub(p.pad_top as usize);
            if y < p.height as usize {
                (p.widen)(p, outside, p.input.at(y), row, bytes);
            } else {
                fill(row, both_halves(p.input_zero_point));
            }
            self.next += 1;
        }
    }
}

impl ConvLayerDsp<'_> {
    /// The row of the ring that holds a padded row.
    #[inline(always)]
    fn slot(&self, row: usize) -> usize {
        (row as u32 % NonZero::<u32>::from(self.rows)) as usize
    }

    /// The word of a row where a window begins.
    #[inline(always)]
    fn word(&self, column: usize) -> usize {
        let pairs = self.columns as usize;
        (column & pairs) * self.phase as usize + (column >> pairs) * self.depth as usize
    }
}

/// Widens the row at `at`, of an image of one channel: `bytes` holds it with its padding.
fn widen_columns(p: &ConvLayerDsp, outside: &Outside, at: usize, row: &mut [u32], bytes: &mut [Block]) {
    fill(view_mut(bytes), word([p.input_zero_point; 4]));
    let bytes = view_mut::<i8>(bytes);
    let inside = p.inside as usize;
    let middle = bytes.get_mut(p.left as usize..).unwrap_or(&mut []);
    copy_rows(outside.get(at, inside), middle, (0, 0), (1, inside));
    let (even, odd) = row.split_at_mut_checked(p.phase as usize).unwrap_or_default();
    bytes_to_pairs(bytes, even);
    bytes_to_pairs(bytes.get(1..).unwrap_or(&[]), odd);
}

/// Widens the row at `at`, two planes a word.
fn widen_planes(p: &ConvLayerDsp, outside: &Outside, at: usize, row: &mut [u32], _: &mut [Block]) {
    let (depth, inside, plane) = (p.depth as usize, p.inside as usize, p.input.chan as usize);
    let (before, after) = (p.left as usize * depth, (p.left as usize + inside) * depth);
    fill(row.get_mut(..before).unwrap_or(&mut []), both_halves(p.input_zero_point));
    fill(row.get_mut(after..).unwrap_or(&mut []), both_halves(p.input_zero_point));
    let last = at + (p.channels as usize).saturating_sub(1) * plane;
    let mut a = at;
    for pair in 0..depth {
        let b = (a + plane).min(last);
        let to = row.get_mut(before + pair..).unwrap_or(&mut []);
        planes_to_row(outside.get(a, inside), outside.get(b, inside), to, depth);
        a += 2 * plane;
    }
}
