//! The walk over output pixels, four at a time.

use super::gemm::Gemm;
use super::outside::Outside;
use super::words::rolled;
use crate::Image;
use core::ops::Range;

/// Whether the pixels of all rows lie one after the other, in each channel.
#[inline(never)]
pub(crate) const fn flat(image: &Image) -> bool {
    image.layout.col == 1 && image.layout.row == image.width && image.ring >= image.height
}

/// Whether the pixels of a row lie one after the other, in each channel. The kernels want that of input and output.
pub(super) const fn planar(image: &Image) -> bool {
    image.layout.col == 1 || image.width == 1
}

/// Whether the planes of both begin together, and no plane of the output reaches beyond that of the input: for kernels that
/// read a channel of the input as a whole, then write that of the output.
pub(crate) const fn planes_within(input: &Image, output: &Image) -> bool {
    let span = output.height.saturating_sub(1) * output.layout.row
        + output.width.saturating_sub(1) * output.layout.col
        + 1;
    let whole = input.ring >= input.height && output.ring >= output.height;
    whole
        && input.offset == output.offset
        && output.layout.chan <= input.layout.chan
        && span <= input.layout.chan
}

/// Bytes for the outputs of one tile, a multiple of 16, where a run may be shorter than a tile.
pub(super) const fn buffer_len(output: &Image) -> usize {
    if output.width >= 4 { 0 } else { (4 * output.channels).next_multiple_of(16) }
}

/// Where a tile of pixels begins: column `x` counts on over the rows of flat images.
#[derive(Clone, Copy)]
pub(super) struct Start {
    pub y: usize,
    pub x: usize,
    /// Pixels, 1 to 4; of those behind, any values are computed and none is stored.
    pub count: usize,
}

/// Where outputs go.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub output: &'a Image,
    /// Whether all pixels are one run; otherwise every row is one.
    pub one_run: bool,
    /// Whether no pixel is written twice, since the output may lie over the input.
    pub once: bool,
}

/// Fills the columns of a tile.
pub(super) type Gather<'a> = dyn FnMut(&Outside, Start, &mut [[u32; 4]]) + 'a;

/// Computes output `rows`: `gather` fills the columns of a tile, the micro-kernel turns them into outputs.
///
/// A run of pixels is cut into tiles of four; the last tile ends where the run ends and computes some pixels again. Where each
/// may be written only once, those that were computed before are dropped: they may be wrong, but no others, since every
/// pixel has its own column.
///
/// One copy of it serves all convolutions: a call of `gather` costs little beside the tile behind it.
#[inline(never)]
pub(super) fn run(
    gemm: &Gemm,
    Target { output, one_run, once }: Target,
    rows: Range<usize>,
    outside: &mut Outside,
    (columns, buffer): (&mut [[u32; 4]], &mut [i8]),
    gather: &mut Gather,
) {
    let (runs, length) = match one_run {
        true => (rows.start..rows.end.min(rows.start + 1), rows.len() * output.width),
        false => (rows, output.width),
    };
    for y in runs {
        let mut x = 0;
        while x < length {
            // The last tile of a run overlaps the one before it.
            let start = Start { y, x: x.min(length.saturating_sub(4)), count: length.min(4) };
            gather(outside, start, columns);
            let (at, plane) = (output.row(y) + start.x, output.layout.chan);
            let fresh = length - x;
            let direct = fresh >= 4 || (start.count == 4 && !once);
            let (out, step) = match direct {
                true => (outside.get_mut(at, (output.channels - 1) * plane + 4), plane),
                false => (&mut *buffer, 4),
            };
            gemm.run(columns, out, step);
            if !direct {
                let values = buffer.get(..4 * output.channels).unwrap_or(&[]);
                store(outside, (at, plane), x - start.x..x - start.x + fresh, values);
            }
            x += 4;
        }
    }
}

/// Stores the outputs of some pixels of a tile.
#[inline(never)]
fn store(outside: &mut Outside, (at, plane): (usize, usize), pixels: Range<usize>, values: &[i8]) {
    for (c, values) in values.as_chunks::<4>().0.iter().enumerate() {
        let values = values.get(pixels.clone()).unwrap_or(&[]);
        for (to, &value) in
            outside.get_mut(at + pixels.start + c * plane, pixels.len()).iter_mut().zip(values)
        {
            *to = value;
            rolled();
        }
    }
}

/// Narrows outputs, of planes, to `min..=max`, where those are not what saturation to int8 gave already.
#[inline(never)]
pub(crate) fn clamp(outside: &mut Outside, output: &Image, rows: Range<usize>, min: i8, max: i8) {
    if min == i8::MIN && max == i8::MAX {
        return;
    }
    for y in rows {
        for c in 0..output.channels {
            for value in outside.get_mut(output.row(y) + c * output.layout.chan, output.width) {
                *value = (*value).max(min).min(max);
                rolled();
            }
            rolled();
        }
    }
}

/// As [`clamp`], in planes or interleaved.
#[inline(never)]
pub(crate) fn clamp_any(outside: &mut Outside, output: &Image, rows: Range<usize>, min: i8, max: i8) {
    if min == i8::MIN && max == i8::MAX {
        return;
    }
    for y in rows {
        for c in 0..output.channels {
            let mut at = output.at(y, 0, c);
            for _ in 0..output.width {
                if let [value] = outside.get_mut(at, 1) {
                    *value = (*value).max(min).min(max);
                }
                at += output.layout.col;
                rolled();
            }
            rolled();
        }
    }
}
