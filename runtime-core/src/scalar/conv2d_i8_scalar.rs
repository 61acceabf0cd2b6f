//! int8 convolution, any kernel, stride, dilation and padding.
//!
//! ```text
//! input rows  --copy, once a row-->  padded rows in a ring  --four pixels, tap by tap-->  columns  -->  gemm
//! ```
//!
//! The taps of a window lie in the order of the ring: kernel rows, channels, kernel columns.

use super::FilterScalar;
use super::gather::{Runs, gather};
use super::gemm::Gemm;
use super::pixels::{self, Tile, buffer_len};
use super::ring::{Ring, Shape};
use super::sums::Column;
use crate::dsp::outside::{self, Outside};
use crate::dsp::tiles::{self, flat};
use crate::{Block, Image, Window, view_mut};
use core::ops::Range;

/// Parameters of [`conv2d_i8_scalar`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dI8Scalar {
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
    /// Byte offset of [`Conv2dI8Scalar::scratch_len`] bytes, a multiple of 16: the ring of rows, the columns and the outputs of four
    /// pixels.
    pub scratch: usize,
}

impl Conv2dI8Scalar {
    /// Whether tiles run on over the rows of the output.
    const fn one_run(&self) -> bool {
        flat(&self.output) && !self.output.width.is_multiple_of(4)
    }

    const fn ring(&self) -> Shape<'_> {
        let width = if self.output.width == 0 { 1 } else { self.output.width };
        Shape::new((&self.input, &self.window, self.input_zero_point), self.rows_at_once(), width)
    }

    /// Output rows of one tile, whose input rows are copied before any of them is written; tiles come in ascending order.
    pub const fn rows_at_once(&self) -> usize {
        let width = if self.output.width == 0 { 1 } else { self.output.width };
        // The rows of output that four neighbouring pixels may belong to.
        if self.one_run() { (width + 2) / width + 1 } else { 1 }
    }

    const fn taps(&self) -> usize {
        self.window.height * self.window.width * self.input.channels
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        self.ring().len().next_multiple_of(16) + 16 * self.taps().div_ceil(2) + buffer_len(&self.output)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterScalar, arena: usize) -> Result<(), &'static str> {
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("conv2d_i8_scalar: image outside of the arena");
        }
        if self.taps() == 0 || self.output.elements() == 0 {
            return Err("conv2d_i8_scalar: nothing to compute");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("conv2d_i8_scalar: scratch outside of the arena");
        }
        if !filter.fits(self.output.channels, self.taps().next_multiple_of(2)) {
            return Err("conv2d_i8_scalar: tables do not fit the output channels");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`conv2d_i8`](crate::conv2d_i8) with one group, symmetric weights and multipliers below 0.5.
pub fn conv2d_i8_scalar(mem: &mut [Block], p: &Conv2dI8Scalar, rows: Range<usize>, filter: &FilterScalar) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let shape = p.ring();
    let Some((bytes, rest)) = scratch.split_at_mut_checked(shape.len().div_ceil(16)) else { return };
    let Some((columns, buffer)) = rest.split_at_mut_checked(p.taps().div_ceil(2)) else { return };
    let columns = view_mut::<u32>(columns).as_chunks_mut::<4>().0;
    let mut ring = Ring::new(shape, view_mut(bytes), rows.start);
    let gemm = Gemm { filter, zero_point: p.output_zero_point as i32 };
    let target = (&p.output, p.one_run());
    let buffers = (columns, view_mut::<i8>(buffer));
    pixels::run(&gemm, target, rows.clone(), &mut outside, buffers, |outside, tile, columns| {
        tile_of(p, shape.reach, &mut ring, outside, tile, columns);
    });
    tiles::clamp_any(&mut outside, &p.output, rows, p.min, p.max);
}

/// The columns of one tile.
#[inline(always)]
fn tile_of(
    p: &Conv2dI8Scalar,
    reach: usize,
    ring: &mut Ring,
    outside: &Outside,
    tile: &Tile,
    columns: &mut [Column],
) {
    let w = &p.window;
    let [(first, _), .., (last, _)] = tile.pixels;
    ring.fetch(outside, first, last);
    let runs = Runs { count: p.input.channels, step: reach, len: w.width, apart: w.dilation_w };
    let mut taps = columns.as_flattened_mut().as_chunks_mut::<2>().0;
    let mut slots = tile.pixels.map(|(y, _)| ring.slot(y));
    for _ in 0..w.height {
        let Some((row, rest)) = taps.split_at_mut_checked(runs.count * runs.len) else { return };
        let [p, q, r, s] = tile.pixels.map(|(_, x)| x * w.stride_w);
        let at = slots.map(|slot| slot * ring.row());
        gather(ring.bytes(), &[at[0] + p, at[1] + q, at[2] + r, at[3] + s], runs, row);
        slots = slots.map(|slot| ring.below(slot, w.dilation_h));
        taps = rest;
    }
}
