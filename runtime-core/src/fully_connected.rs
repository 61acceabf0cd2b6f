//! Dense layers: every row of the input times a constant matrix.

use crate::conv2d_f32::four_channels;
use crate::requantize::clamp_float;
use crate::{Block, Filter, FilterF32, Image, view_mut};
use core::ops::Range;

/// A row's `width * channels` values must lie one after the other.
const fn check(input: &Image, output: &Image, size: usize, arena: usize) -> Result<(), &'static str> {
    let l = &input.layout;
    let flat = (input.width == 1 || l.col == input.channels) && (input.channels == 1 || l.chan == 1)
        || (input.channels == 1 && l.col == 1);
    if !flat {
        return Err("fully_connected: the values of a row must be contiguous");
    }
    if input.height != output.height || output.width != 1 {
        return Err("fully_connected: the output needs one column and the rows of the input");
    }
    if !input.fits(size, arena) || !output.fits(size, arena) {
        return Err("fully_connected: image outside of the arena");
    }
    Ok(())
}

/// Parameters of [`fully_connected_i8`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullyConnectedI8 {
    /// Input image; the `width * channels` values of a row are its features.
    pub input: Image,
    /// Output image, `rows x 1 x features`.
    pub output: Image,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
}

impl FullyConnectedI8 {
    /// Whether images and tables fit together in `arena` bytes.
    pub const fn check(&self, filter: &Filter, arena: usize) -> Result<(), &'static str> {
        if !filter.fits(self.output.channels, self.input.width * self.input.channels) {
            return Err("fully_connected_i8: tables do not fit the features");
        }
        check(&self.input, &self.output, 1, arena)
    }
}

/// Computes output `rows`: `y[n] = clamp(zp_y + requantize(bias[n] + sum(x * w[n]) - zp_w[n] * sum(x)))`.
pub fn fully_connected_i8(mem: &mut [Block], p: &FullyConnectedI8, rows: Range<usize>, filter: &Filter) {
    let mem = view_mut::<i8>(mem);
    let features = p.input.width * p.input.channels;
    for y in rows {
        for n in 0..p.output.channels {
            let Some(x) = mem.get(p.input.row(y)..).and_then(|m| m.get(..features)) else { return };
            let weights = filter.weights.get(n * features..).unwrap_or(&[]);
            let mut acc = filter.bias.get(n).copied().unwrap_or(0);
            for (&x, &w) in x.iter().zip(weights) {
                acc = acc.wrapping_add(x as i32 * w as i32);
            }
            if let Some(&zero_point) = filter.weight_zero_point.get(n) {
                let sum = x.iter().fold(0i32, |sum, &x| sum.wrapping_add(x as i32));
                acc = acc.wrapping_sub(zero_point as i32 * sum);
            }
            let q = filter.requantize(n, acc).wrapping_add(p.output_zero_point as i32);
            if let Some(to) = mem.get_mut(p.output.at(y, 0, n)) {
                *to = q.max(p.min as i32).min(p.max as i32) as i8;
            }
        }
    }
}

/// Parameters of [`fully_connected_f32`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FullyConnectedF32 {
    /// Input image; the `width * channels` values of a row are its features.
    pub input: Image,
    /// Output image, `rows x 1 x features`.
    pub output: Image,
    /// Smallest output.
    pub min: f32,
    /// Largest output.
    pub max: f32,
}

impl FullyConnectedF32 {
    /// Whether images and tables fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterF32, arena: usize) -> Result<(), &'static str> {
        if !filter.fits(self.output.channels, self.input.width * self.input.channels) {
            return Err("fully_connected_f32: tables do not fit the features");
        }
        check(&self.input, &self.output, 4, arena)
    }
}

/// Computes output `rows`: `y[n] = clamp(sum(x * w[n]) + bias[n])`, the sum in ascending order.
pub fn fully_connected_f32(mem: &mut [Block], p: &FullyConnectedF32, rows: Range<usize>, filter: &FilterF32) {
    let mem = view_mut::<f32>(mem);
    let features = p.input.width * p.input.channels;
    for y in rows {
        let mut n = 0;
        while n < p.output.channels {
            let Some(x) = mem.get(p.input.row(y)..).and_then(|m| m.get(..features)) else { return };
            let sums = four_channels(filter, x, n);
            for (c, sum) in (n..p.output.channels).zip(sums) {
                if let Some(to) = mem.get_mut(p.output.at(y, 0, c)) {
                    *to = clamp_float(sum, p.min, p.max);
                }
            }
            n += 4;
        }
    }
}
