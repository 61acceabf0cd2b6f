//! The walk over output pixels, four at a time.

use super::gemm::Gemm;
use super::sums::Column;
use crate::Image;
use crate::dsp::outside::Outside;
use core::ops::Range;

/// Four output pixels, `(y, x)`; those behind the first `count` repeat the last of them.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub pixels: [(usize, usize); 4],
    pub count: usize,
}

/// Bytes for the outputs of a tile that is not stored at once, a multiple of 16.
pub(super) const fn buffer_len(output: &Image) -> usize {
    (4 * output.channels).next_multiple_of(16)
}

/// Computes output `rows`: `gather` fills the columns of a tile, the micro-kernel turns them into outputs. Where `one_run`, which
/// only flat images allow, tiles run on from the end of a row to the next.
#[inline(always)]
pub(super) fn run(
    gemm: &Gemm,
    (output, one_run): (&Image, bool),
    rows: Range<usize>,
    outside: &mut Outside,
    (columns, buffer): (&mut [Column], &mut [i8]),
    mut gather: impl FnMut(&Outside, &Tile, &mut [Column]),
) {
    let plane = output.layout.chan;
    let (mut y, mut x) = (rows.start, 0);
    let step = |y: &mut usize, x: &mut usize| {
        *x += 1;
        if *x == output.width {
            (*y, *x) = (*y + 1, 0);
        }
    };
    while y < rows.end {
        let at = output.at(y, x, 0);
        let mut last = (y, x);
        let mut tile = Tile { pixels: [last; 4], count: 1 };
        step(&mut y, &mut x);
        for pixel in tile.pixels.iter_mut().skip(1) {
            if y < rows.end && (one_run || x > 0) {
                last = (y, x);
                tile.count += 1;
                step(&mut y, &mut x);
            }
            *pixel = last;
        }
        gather(outside, &tile, columns);
        if output.layout.col == 1 && tile.count == 4 {
            gemm.run(columns, outside.get_mut(at, (output.channels - 1) * plane + 4), plane);
        } else {
            gemm.run(columns, buffer, 4);
            store(outside, output, &tile, buffer);
        }
    }
}

/// Stores the outputs of a tile pixel by pixel.
#[inline(never)]
fn store(outside: &mut Outside, output: &Image, tile: &Tile, values: &[i8]) {
    for (i, &(y, x)) in tile.pixels.iter().take(tile.count).enumerate() {
        let to = outside.get_mut(output.at(y, x, 0), (output.channels - 1) * output.layout.chan + 1);
        let to = to.iter_mut().step_by(output.layout.chan.max(1));
        for (to, values) in to.zip(values.as_chunks::<4>().0) {
            *to = values.get(i).copied().unwrap_or(0);
        }
    }
}
