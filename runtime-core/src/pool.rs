//! Max and average pooling. Global pooling and ReduceMean are a window as large as the image.

use crate::hints::rolled;
use crate::requantize::{clamp_float, clamped_share};
use crate::{Activation, Block, Image, Plain, Window, view_mut};
use core::ops::Range;

const fn check(input: &Image, output: &Image, size: usize, arena: usize) -> Result<(), &'static str> {
    if input.channels != output.channels {
        return Err("pool: input and output differ in channels");
    }
    if !input.fits(size, arena) || !output.fits(size, arena) {
        return Err("pool: image outside of the arena");
    }
    Ok(())
}

/// For every value of output `rows`, folds the taps that lie inside of the input, then finishes with their number.
#[inline(always)]
fn pool<T: Plain, A: Copy>(
    mem: &mut [Block],
    (input, output, window): (&Image, &Image, &Window),
    rows: Range<usize>,
    start: A,
    fold: impl Fn(A, T) -> A,
    finish: impl Fn(A, usize) -> T,
) {
    let mem = view_mut::<T>(mem);
    let step = (window.dilation_w * input.layout.col).max(1);
    for y in rows {
        let inside = window.rows_inside(y, input.height);
        for x in 0..output.width {
            let columns = window.columns_inside(x, input.width);
            let column =
                (x * window.stride_w + columns.start * window.dilation_w).wrapping_sub(window.pad_left);
            // Without columns there are no rows either, and no place to look at.
            let inside = if columns.is_empty() { 0..0 } else { inside.clone() };
            for c in 0..output.channels {
                let mut acc = start;
                for ky in inside.clone() {
                    let row = (y * window.stride_h + ky * window.dilation_h).wrapping_sub(window.pad_top);
                    let values = mem.get(input.at(row, column, c)..).unwrap_or(&[]).iter();
                    for &value in values.step_by(step).take(columns.len()) {
                        acc = fold(acc, value);
                        rolled();
                    }
                }
                if let Some(to) = mem.get_mut(output.at(y, x, c)) {
                    *to = finish(acc, inside.len() * columns.len());
                }
            }
        }
    }
}

macro_rules! max_pool {
    ($function:ident $params:ident $t:ty) => {
        #[doc = concat!("Parameters of [`", stringify!($function), "`].")]
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $params {
            /// Input image.
            pub input: Image,
            /// Output image.
            pub output: Image,
            /// Extents, strides, dilations and padding.
            pub window: Window,
            /// Smallest output.
            pub min: $t,
            /// Largest output.
            pub max: $t,
        }

        impl $params {
            /// Whether the images fit together in `arena` bytes.
            pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
                check(&self.input, &self.output, size_of::<$t>(), arena)
            }
        }

        /// Computes output `rows`: the largest value of the window. Padding never wins.
        pub fn $function(mem: &mut [Block], p: &$params, rows: Range<usize>) {
            let images = (&p.input, &p.output, &p.window);
            let larger = |a: $t, x: $t| if x > a { x } else { a };
            pool(mem, images, rows, <$t>::MIN, larger, |a, _| {
                let a = if a < p.min { p.min } else { a };
                if a > p.max { p.max } else { a }
            });
        }
    };
}
max_pool!(max_pool_i8 MaxPoolI8 i8);
max_pool!(max_pool_i16 MaxPoolI16 i16);
max_pool!(max_pool_f32 MaxPoolF32 f32);

/// Parameters of [`average_pool_i8`] and [`average_pool_i16`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AveragePool<T> {
    /// Input image.
    pub input: Image,
    /// Output image.
    pub output: Image,
    /// Extents, strides, dilations and padding.
    pub window: Window,
    /// Whether padding counts as zeros, or not at all.
    pub count_include_pad: bool,
    /// Zero point of the input.
    pub input_zero_point: T,
    /// Zero point of the output.
    pub output_zero_point: T,
    /// `scale_x / scale_y = multiplier * 2^-shift`.
    pub multiplier: i32,
    /// See `multiplier`.
    pub shift: u8,
    /// Smallest output.
    pub min: T,
    /// Largest output.
    pub max: T,
}

/// Parameters of [`average_pool_i8`].
pub type AveragePoolI8 = AveragePool<i8>;
/// Parameters of [`average_pool_i16`].
pub type AveragePoolI16 = AveragePool<i16>;

impl<T: Activation> AveragePool<T> {
    /// Whether the images fit together in `arena` bytes.
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        let taps = self.window.height * self.window.width;
        // Sums fit 32 bits, and times the multiplier 63.
        if taps > T::MOST_AVERAGED {
            return Err("average_pool: the window holds too many values");
        }
        if self.shift > 62 || taps as i64 > i64::MAX >> self.shift {
            return Err("average_pool: the shift leaves no room for the number of values");
        }
        check(&self.input, &self.output, size_of::<T>(), arena)
    }

    /// The output for a sum of so many values less their zero points.
    #[inline(always)]
    pub(crate) fn mean(&self, sum: i32, taps: usize) -> T {
        let (zero_point, min, max): (i32, i32, i32) =
            (self.output_zero_point.into(), self.min.into(), self.max.into());
        let n = if self.count_include_pad { self.window.height * self.window.width } else { taps };
        let mean = (sum as i64 * self.multiplier as i64, (n as i64) << (self.shift & 63));
        T::narrow(clamped_share(mean, zero_point, min, max))
    }
}

/// Computes output `rows` of int8: `y = clamp(zp_y + div_round_half_even(sum(x - zp_x) * multiplier, n << shift))`.
pub fn average_pool_i8(mem: &mut [Block], p: &AveragePoolI8, rows: Range<usize>) {
    average_pool(mem, p, rows);
}

/// Computes output `rows` of int16: `y = clamp(zp_y + div_round_half_even(sum(x - zp_x) * multiplier, n << shift))`.
pub fn average_pool_i16(mem: &mut [Block], p: &AveragePoolI16, rows: Range<usize>) {
    average_pool(mem, p, rows);
}

#[inline(always)]
fn average_pool<T: Activation>(mem: &mut [Block], p: &AveragePool<T>, rows: Range<usize>) {
    let images = (&p.input, &p.output, &p.window);
    let zero_point: i32 = p.input_zero_point.into();
    let add = |sum: i32, x: T| sum.wrapping_add(x.into() - zero_point);
    pool(mem, images, rows, 0i32, add, |sum, taps| p.mean(sum, taps));
}

/// Parameters of [`average_pool_f32`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AveragePoolF32 {
    /// Input image.
    pub input: Image,
    /// Output image.
    pub output: Image,
    /// Extents, strides, dilations and padding.
    pub window: Window,
    /// Whether padding counts as zeros, or not at all.
    pub count_include_pad: bool,
    /// Smallest output.
    pub min: f32,
    /// Largest output.
    pub max: f32,
}

impl AveragePoolF32 {
    /// Whether the images fit together in `arena` bytes.
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        check(&self.input, &self.output, 4, arena)
    }
}

/// Computes output `rows`: `y = clamp(sum(x) / n)`, the sum in ascending order of `[ky][kx]`.
pub fn average_pool_f32(mem: &mut [Block], p: &AveragePoolF32, rows: Range<usize>) {
    let images = (&p.input, &p.output, &p.window);
    let all = p.window.height * p.window.width;
    pool(
        mem,
        images,
        rows,
        0.0f32,
        |sum, x: f32| sum + x,
        |sum, taps| {
            let n = if p.count_include_pad { all } else { taps };
            clamp_float(sum / n as f32, p.min, p.max)
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, view};

    fn square(offset: usize, n: usize) -> Image {
        Image {
            offset,
            height: n,
            width: n,
            channels: 1,
            layout: Layout { row: n, col: 1, chan: n * n },
            ring: n,
        }
    }

    fn window(n: usize, pad: usize) -> Window {
        Window {
            height: n,
            width: n,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: pad,
            pad_left: pad,
        }
    }

    #[test]
    fn averages_round_ties_to_even_and_leave_padding_out() {
        let mut mem = [Block::ZERO; 2];
        view_mut::<i8>(&mut mem)[..4].copy_from_slice(&[1, 2, 3, 4]);
        let mut p = AveragePoolI8 {
            input: square(0, 2),
            output: square(16, 1),
            window: window(2, 0),
            count_include_pad: false,
            input_zero_point: 0,
            output_zero_point: 0,
            multiplier: 1 << 30,
            shift: 30,
            min: -128,
            max: 127,
        };
        average_pool_i8(&mut mem, &p, 0..1);
        assert_eq!(view::<i8>(&mem)[16], 2); // 2.5
        (p.output, p.window) = (square(16, 3), window(2, 1));
        average_pool_i8(&mut mem, &p, 0..3);
        assert_eq!(view::<i8>(&mem)[16..25], [1, 2, 2, 2, 2, 3, 3, 4, 4]);
        p.count_include_pad = true;
        average_pool_i8(&mut mem, &p, 0..1);
        assert_eq!(view::<i8>(&mem)[16..19], [0, 1, 0]);
    }

    #[test]
    fn padding_never_wins() {
        let mut mem = [Block::ZERO; 2];
        view_mut::<i8>(&mut mem)[..4].copy_from_slice(&[-5, -6, -7, -8]);
        let (input, output) = (square(0, 2), square(16, 3));
        let p = MaxPoolI8 { input, output, window: window(2, 1), min: -128, max: 127 };
        max_pool_i8(&mut mem, &p, 0..3);
        assert_eq!(view::<i8>(&mem)[16..25], [-5, -5, -6, -5, -5, -6, -7, -7, -8]);
    }

    #[test]
    fn float_pools_count_like_the_integer_ones() {
        let mut mem = [Block::ZERO; 4];
        view_mut::<f32>(&mut mem)[..4].copy_from_slice(&[-1.0, -2.0, -3.0, -5.0]);
        let (input, output, window) = (square(0, 2), square(4, 3), window(2, 1));
        let p = MaxPoolF32 { input, output, window, min: f32::MIN, max: f32::MAX };
        max_pool_f32(&mut mem, &p, 0..3);
        assert_eq!(view::<f32>(&mem)[4..13], [-1.0, -1.0, -2.0, -1.0, -1.0, -2.0, -3.0, -3.0, -5.0]);
        let (min, max) = (-2.5, f32::MAX);
        let mut p = AveragePoolF32 { input, output, window, count_include_pad: false, min, max };
        average_pool_f32(&mut mem, &p, 0..1);
        assert_eq!(view::<f32>(&mem)[4..7], [-1.0, -1.5, -2.0]);
        p.count_include_pad = true;
        average_pool_f32(&mut mem, &p, 0..2);
        assert_eq!(view::<f32>(&mem)[4..10], [-0.25, -0.75, -0.5, -1.0, -2.5, -1.75]);
    }

    #[test]
    fn shifts_that_leave_no_room_for_the_count_are_refused() {
        let p = AveragePoolI8 {
            input: square(0, 2),
            output: square(4, 1),
            window: window(2, 0),
            count_include_pad: false,
            input_zero_point: 0,
            output_zero_point: 0,
            multiplier: 1 << 30,
            shift: 60,
            min: -128,
            max: 127,
        };
        assert_eq!(p.check(16), Ok(()));
        assert!(AveragePoolI8 { shift: 61, ..p }.check(16).is_err());
        assert!(AveragePoolI8 { shift: 255, ..p }.check(16).is_err());
    }
}
