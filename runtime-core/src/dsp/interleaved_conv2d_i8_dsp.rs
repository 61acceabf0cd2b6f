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
use super::byte_windows::Windows;
use super::lines::{Lines, nonzero};
use super::outside;
use super::tiles::{self, Form, Tiles, gapless, storable};
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
    pub(super) tiles: Tiles<'a>,
    pub(super) input: Lines,
    pub(super) height: u16,
    pub(super) width: u16,
    /// Bytes from pixel to pixel of the input.
    pub(super) pixel: u16,
    pub(super) pad_top: u16,
    pub(super) pad_left: u16,
    pub(super) stride_h: u16,
    pub(super) stride_w: u16,
    pub(super) dilation_h: u16,
    pub(super) dilation_w: u16,
    /// Rows and columns of the window, and the columns that it spans.
    pub(super) taps_h: u16,
    pub(super) taps_w: u16,
    pub(super) reach: u16,
    /// Columns of a run, their bytes, and those filled up to words.
    pub(super) run_columns: NonZero<u16>,
    pub(super) values: u16,
    pub(super) run: u16,
    /// Kernel rows of a patch.
    pub(super) patch_rows: NonZero<u16>,
    pub(super) input_zero_point: i8,
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
