//! Sums of products of 8-bit integers whose zero points may be known at run time only: ONNX MatMulInteger and ConvInteger.
//!
//! uint8 operands are read with their top bit flipped, which makes them int8 and 128 less, like their zero points: the
//! differences are the same.

use crate::{Block, Image, Window, view, view_mut};
use core::ops::Range;

/// The constant operands; an empty table means that the operand lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntegerFilter<'a> {
    /// Weights: the right operand of a product, or `[output channel][ky][kx][input channel of the group]`.
    pub weights: &'a [i8],
    /// Zero point of the input.
    pub input_zero_point: &'a [i8],
    /// Zero point of the weights, one or one an output channel.
    pub weight_zero_point: &'a [i8],
}

/// Whether an operand lies in its table, or in memory.
const fn fits(image: &Image, table: &[i8], arena: usize) -> bool {
    if table.is_empty() { image.fits(1, arena) } else { image.end() <= table.len() }
}

/// An 8-bit value of a table, or of memory where there is none.
#[inline(always)]
fn load(table: &[i8], mem: &[i8], at: usize, flip: u8) -> i32 {
    let from = if table.is_empty() { mem } else { table };
    signed(from.get(at).copied().unwrap_or(0), flip)
}

#[inline(always)]
fn signed(value: i8, flip: u8) -> i32 {
    (value as u8 ^ flip) as i8 as i32
}

/// Parameters of [`matmul_i8_i32`]. A matrix is an image of its rows, one column, and its columns as channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatMulI8I32 {
    /// Left operand, `M x 1 x K`.
    pub a: Image,
    /// Right operand, `K x 1 x N`.
    pub b: Image,
    /// Zero point of each row of `a`, `M x 1 x 1`.
    pub a_zero_point: Image,
    /// Zero point of each column of `b`, `1 x 1 x N`.
    pub b_zero_point: Image,
    /// Output, `M x 1 x N`.
    pub output: Image,
    /// 0x80 when `a` is uint8, else 0.
    pub a_flip: u8,
    /// 0x80 when `b` is uint8, else 0.
    pub b_flip: u8,
}

impl MatMulI8I32 {
    /// Whether images and tables fit together in `arena` bytes.
    pub const fn check(&self, filter: &IntegerFilter, arena: usize) -> Result<(), &'static str> {
        if self.a.width != 1 || self.b.width != 1 || self.output.width != 1 {
            return Err("matmul_i8_i32: operands are rows x 1 x channels");
        }
        if self.a.channels != self.b.height
            || self.a.height != self.output.height
            || self.b.channels != self.output.channels
            || self.a_zero_point.height != self.a.height
            || self.b_zero_point.channels != self.b.channels
        {
            return Err("matmul_i8_i32: operands do not fit together");
        }
        if !self.a.fits(1, arena) || !self.output.fits(4, arena) {
            return Err("matmul_i8_i32: image outside of the arena");
        }
        if !fits(&self.b, filter.weights, arena)
            || !fits(&self.a_zero_point, filter.input_zero_point, arena)
            || !fits(&self.b_zero_point, filter.weight_zero_point, arena)
        {
            return Err("matmul_i8_i32: operand outside of its table or of the arena");
        }
        Ok(())
    }
}

/// Computes output `rows`: `y = sum((a - zero_point(a)) * (b - zero_point(b)))` in 32 bits.
pub fn matmul_i8_i32(mem: &mut [Block], p: &MatMulI8I32, rows: Range<usize>, filter: &IntegerFilter) {
    let (a_step, b_step) = (p.a.layout.chan.max(1), p.b.layout.row.max(1));
    for y in rows {
        for n in 0..p.output.channels {
            let bytes = view::<i8>(mem);
            let a_zero = load(filter.input_zero_point, bytes, p.a_zero_point.at(y, 0, 0), p.a_flip);
            let b_zero = load(filter.weight_zero_point, bytes, p.b_zero_point.at(0, 0, n), p.b_flip);
            let weights = if filter.weights.is_empty() { bytes } else { filter.weights };
            let a = bytes.get(p.a.at(y, 0, 0)..).unwrap_or(&[]).iter().step_by(a_step);
            let b = weights.get(p.b.at(0, 0, n)..).unwrap_or(&[]).iter().step_by(b_step);
            let mut acc = 0i32;
            for (&a, &b) in a.zip(b).take(p.a.channels) {
                let product = (signed(a, p.a_flip) - a_zero) * (signed(b, p.b_flip) - b_zero);
                acc = acc.wrapping_add(product);
            }
            if let Some(to) = view_mut::<i32>(mem).get_mut(p.output.at(y, 0, n)) {
                *to = acc;
            }
        }
    }
}

/// Parameters of [`conv2d_i8_i32`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dI8I32 {
    /// Input image.
    pub input: Image,
    /// Zero point of the input, one value.
    pub input_zero_point: Image,
    /// Zero point of the weights of each output channel, `1 x 1 x channels`.
    pub weight_zero_point: Image,
    /// Output image.
    pub output: Image,
    /// Kernel extents, strides, dilations and padding.
    pub window: Window,
    /// Groups: output channel `c` reads the input channels of group `c / (output.channels / groups)`.
    pub groups: usize,
    /// 0x80 when the input is uint8, else 0.
    pub input_flip: u8,
    /// 0x80 when the weights are uint8, else 0.
    pub weight_flip: u8,
}

impl Conv2dI8I32 {
    /// Weights of an output channel.
    pub const fn taps(&self) -> usize {
        match self.input.channels.checked_div(self.groups) {
            Some(channels) => self.window.height * self.window.width * channels,
            None => 0,
        }
    }

    /// Whether images and tables fit together in `arena` bytes.
    pub const fn check(&self, filter: &IntegerFilter, arena: usize) -> Result<(), &'static str> {
        if self.groups == 0
            || !self.input.channels.is_multiple_of(self.groups)
            || !self.output.channels.is_multiple_of(self.groups)
        {
            return Err("conv2d_i8_i32: groups must divide the input and output channels");
        }
        if !self.input.fits(1, arena) || !self.output.fits(4, arena) {
            return Err("conv2d_i8_i32: image outside of the arena");
        }
        if filter.weights.len() != self.output.channels * self.taps()
            || self.weight_zero_point.channels != self.output.channels
            || !fits(&self.input_zero_point, filter.input_zero_point, arena)
            || !fits(&self.weight_zero_point, filter.weight_zero_point, arena)
        {
            return Err("conv2d_i8_i32: tables do not fit the output channels");
        }
        Ok(())
    }
}

/// Computes output `rows`: `y[c] = sum((x - zero_point(x)) * (w[c] - zero_point(w)))` in 32 bits. Padding is the zero point
/// of the input, so it adds nothing.
pub fn conv2d_i8_i32(mem: &mut [Block], p: &Conv2dI8I32, rows: Range<usize>, filter: &IntegerFilter) {
    let Some(out_group) = p.output.channels.checked_div(p.groups).filter(|n| *n > 0) else { return };
    for y in rows {
        for x in 0..p.output.width {
            for channel in 0..p.output.channels {
                let acc = pixel(view::<i8>(mem), p, filter, (y, x), channel, channel / out_group);
                if let Some(to) = view_mut::<i32>(mem).get_mut(p.output.at(y, x, channel)) {
                    *to = acc;
                }
            }
        }
    }
}

/// The sum of one output channel at output pixel `(y, x)`.
fn pixel(
    mem: &[i8],
    p: &Conv2dI8I32,
    filter: &IntegerFilter,
    (y, x): (usize, usize),
    channel: usize,
    group: usize,
) -> i32 {
    let depth = p.input.channels.checked_div(p.groups).unwrap_or(0);
    let zero = load(filter.input_zero_point, mem, p.input_zero_point.at(0, 0, 0), p.input_flip);
    let weight_zero =
        load(filter.weight_zero_point, mem, p.weight_zero_point.at(0, 0, channel), p.weight_flip);
    let taps = filter.weights.get(channel * p.taps()..).unwrap_or(&[]);
    let mut acc = 0i32;
    for ky in 0..p.window.height {
        let Some(row) = p.window.input_row(y, ky, p.input.height) else { continue };
        for kx in 0..p.window.width {
            let Some(col) = p.window.input_col(x, kx, p.input.width) else { continue };
            let weights = taps.get((ky * p.window.width + kx) * depth..).unwrap_or(&[]);
            for (c, &weight) in weights.iter().take(depth).enumerate() {
                let value = mem.get(p.input.at(row, col, group * depth + c)).copied().unwrap_or(0);
                let product =
                    (signed(value, p.input_flip) - zero) * (signed(weight, p.weight_flip) - weight_zero);
                acc = acc.wrapping_add(product);
            }
        }
    }
    acc
}
