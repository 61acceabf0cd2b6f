//! Dense layers: every row of the input times a constant matrix.

use crate::conv2d_f32::channels_of;
use crate::filter::Channels;
use crate::{Activation, Block, Filter, Filter4, Filter4Wide, FilterF32, FilterWide, Image, view_mut};
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

/// Parameters of the integer dense layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullyConnected<T> {
    /// Input image; the `width * channels` values of a row are its features.
    pub input: Image,
    /// Output image, `rows x 1 x features`.
    pub output: Image,
    /// Zero point of the output.
    pub output_zero_point: T,
    /// Smallest output.
    pub min: T,
    /// Largest output.
    pub max: T,
}

/// Parameters of [`fully_connected_i8`] and [`fully_connected_i8_w4`].
pub type FullyConnectedI8 = FullyConnected<i8>;
/// Parameters of [`fully_connected_i16`], [`fully_connected_i16_wide`] and [`fully_connected_i16_w4`].
pub type FullyConnectedI16 = FullyConnected<i16>;

impl<T> FullyConnected<T> {
    /// Weights per output.
    pub const fn taps(&self) -> usize {
        self.input.width * self.input.channels
    }

    /// Whether images and int8 weights fit together in `arena` bytes.
    pub const fn check<A>(&self, filter: &Filter<A>, arena: usize) -> Result<(), &'static str> {
        if !filter.fits(self.output.channels, self.taps()) {
            return Err("fully_connected: tables do not fit the features");
        }
        check(&self.input, &self.output, size_of::<T>(), arena)
    }

    /// Whether images and int4 weights fit together in `arena` bytes.
    pub const fn check_int4<A>(&self, filter: &Filter4<A>, arena: usize) -> Result<(), &'static str> {
        if !filter.fits(self.output.channels, self.taps()) {
            return Err("fully_connected: tables do not fit the features");
        }
        check(&self.input, &self.output, size_of::<T>(), arena)
    }
}

macro_rules! fully_connected {
    ($($(#[$doc:meta])* $function:ident($t:ty, $filter:ty);)*) => { $(
        $(#[$doc])*
        ///
        /// Computes output `rows`: `y[n] = clamp(zp_y + requantize(bias[n] + sum(x * w[n]) - zp_w[n] * sum(x)))`.
        pub fn $function(mem: &mut [Block], p: &FullyConnected<$t>, rows: Range<usize>, filter: &$filter) {
            fully_connected(mem, p, rows, filter);
        }
    )* };
}

fully_connected! {
    /// int8 activations and weights.
    fully_connected_i8(i8, Filter);
    /// int8 activations, int4 weights.
    fully_connected_i8_w4(i8, Filter4);
    /// int16 activations, int8 weights, sums that fit 32 bits.
    fully_connected_i16(i16, Filter);
    /// int16 activations, int8 weights, sums in 64 bits.
    fully_connected_i16_wide(i16, FilterWide);
    /// int16 activations, int4 weights, sums in 64 bits.
    fully_connected_i16_w4(i16, Filter4Wide);
}

#[inline(always)]
fn fully_connected<T: Activation>(
    mem: &mut [Block],
    p: &FullyConnected<T>,
    rows: Range<usize>,
    filter: impl Channels<T>,
) {
    let mem = view_mut::<T>(mem);
    let features = p.taps();
    for y in rows {
        for n in 0..p.output.channels {
            let Some(x) = mem.get(p.input.row(y)..).and_then(|m| m.get(..features)) else { return };
            let sum = filter.output(n, x);
            let value = T::clamped(sum, p.output_zero_point, p.min, p.max);
            if let Some(to) = mem.get_mut(p.output.at(y, 0, n)) {
                *to = value;
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
    let (features, n, step) = (p.input.width * p.input.channels, p.output.channels, p.output.layout.chan);
    for y in rows {
        let (from, to) = (p.input.row(y), p.output.row(y));
        let ranges = [from..from + features, to..to + n.saturating_sub(1) * step + 1];
        let Ok([x, out]) = mem.get_disjoint_mut(ranges) else { return };
        channels_of(x, (filter, 0..n), (out, step), (p.min, p.max));
    }
}
