//! int8 average pooling of interleaved images, sixteen channels at a time.
//!
//! ```text
//! for each pixel, for each block of 16 channels:
//!     16 sums of 32 bits = 0
//!     for each tap inside of the image: sums += 16 values
//!     divide each of them
//! ```

use super::lanes::{Target, dispatch};
use crate::{AveragePoolI8, Block, average_pool_i8, view_mut};
use core::ops::Range;

/// [`average_pool_i8`](crate::average_pool_i8), for the vectors of this machine.
pub fn average_pool_i8_simd(mem: &mut [Block], p: &AveragePoolI8, rows: Range<usize>) {
    dispatch!(layer(mem: &mut [Block], p: &AveragePoolI8, rows: Range<usize>));
}

#[inline(always)]
fn layer<T: Target>(mem: &mut [Block], p: &AveragePoolI8, rows: Range<usize>) {
    if p.input.layout.chan != 1 {
        return average_pool_i8(mem, p, rows);
    }
    let mem = view_mut::<i8>(mem);
    for y in rows {
        for x in 0..p.output.width {
            for first in (0..p.output.channels).step_by(16) {
                let (sums, taps) = sums(mem, p, (y, x), first);
                for (c, sum) in (first..p.output.channels).zip(sums) {
                    if let Some(to) = mem.get_mut(p.output.at(y, x, c)) {
                        *to = p.mean(sum, taps);
                    }
                }
            }
        }
    }
}

/// The sums of the taps that lie inside of the image, of the channels from `first` on, and their number.
#[inline(always)]
fn sums(mem: &[i8], p: &AveragePoolI8, (y, x): (usize, usize), first: usize) -> ([i32; 16], usize) {
    let (w, input) = (&p.window, &p.input);
    let (rows, columns) = (w.rows_inside(y, input.height), w.columns_inside(x, input.width));
    let channels = input.channels.saturating_sub(first).min(16);
    let mut sums = [0i32; 16];
    for ky in rows.clone() {
        let row = (y * w.stride_h + ky * w.dilation_h).wrapping_sub(w.pad_top);
        for kx in columns.clone() {
            let column = (x * w.stride_w + kx * w.dilation_w).wrapping_sub(w.pad_left);
            let values = mem.get(input.at(row, column, first)..).unwrap_or(&[]);
            if let (16, Some(values)) = (channels, values.first_chunk::<16>()) {
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum += value as i32;
                }
            } else {
                for (sum, &value) in sums.iter_mut().zip(values).take(channels) {
                    *sum += value as i32;
                }
            }
        }
    }
    let taps = rows.len() * columns.len();
    let shift = (p.input_zero_point as i32).wrapping_mul(taps as i32);
    for sum in &mut sums {
        *sum = sum.wrapping_sub(shift);
    }
    (sums, taps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Layout, Window, view};

    fn image(offset: usize, (height, width, channels): (usize, usize, usize), interleaved: bool) -> Image {
        let layout = match interleaved {
            true => Layout { row: width * channels, col: channels, chan: 1 },
            false => Layout { row: width, col: 1, chan: height * width },
        };
        Image { offset, height, width, channels, layout, ring: height }
    }

    /// Any extents, windows that leave the image on every side, values at the extremes.
    #[test]
    fn every_average_is_that_of_the_plain_kernel() {
        let mut state = 1u32;
        let mut draw = |from: usize, to: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            from + (state >> 8) as usize % (to - from + 1)
        };
        for round in 0..500 {
            let extent = (draw(1, 5), draw(1, 6), draw(1, 40));
            let window = Window {
                height: draw(1, 4),
                width: draw(1, 4),
                stride_h: draw(1, 2),
                stride_w: draw(1, 2),
                dilation_h: draw(1, 2),
                dilation_w: draw(1, 2),
                pad_top: draw(0, 2),
                pad_left: draw(0, 2),
            };
            let p = AveragePoolI8 {
                input: image(0, extent, round % 4 != 0),
                output: image(1216, (draw(1, 4), draw(1, 4), extent.2), draw(0, 1) == 0),
                window,
                count_include_pad: draw(0, 1) == 0,
                input_zero_point: draw(0, 255) as i8,
                output_zero_point: draw(0, 255) as i8,
                multiplier: 1 << 30,
                shift: draw(28, 31) as u8,
                min: [-128, -90][draw(0, 1)],
                max: [127, 100][draw(0, 1)],
            };
            let mut mem = [Block::ZERO; 128];
            for value in view_mut::<i8>(&mut mem) {
                *value = [-128, 127, draw(0, 255) as i8][draw(0, 2)];
            }
            p.check(size_of_val(&mem)).expect("it fits");
            let mut plain = mem;
            average_pool_i8_simd(&mut mem, &p, 0..p.output.height);
            average_pool_i8(&mut plain, &p, 0..p.output.height);
            assert_eq!(view::<i8>(&mem), view::<i8>(&plain), "{p:?}");
        }
    }
}
