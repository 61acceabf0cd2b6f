//! What elementwise kernels share: the walk over two or three images, row by row.

use crate::{Block, Image, Plain, view, view_mut};
use core::ops::Range;

/// `output = f(input)` at every position of the output rows. The input may broadcast by strides of 0.
#[inline(always)]
pub(crate) fn map<A: Plain, B: Plain>(
    mem: &mut [Block],
    input: &Image,
    output: &Image,
    rows: Range<usize>,
    f: impl Fn(A) -> B,
) {
    for y in rows {
        for c in 0..output.channels {
            for x in 0..output.width {
                let value = view::<A>(mem).get(input.at(y, x, c)).copied().unwrap_or_default();
                if let Some(to) = view_mut::<B>(mem).get_mut(output.at(y, x, c)) {
                    *to = f(value);
                }
            }
        }
    }
}

/// `output = f(a, b)` at every position of the output rows. A table that is not empty stands for the memory of `b`.
#[inline(always)]
pub(crate) fn zip<T: Plain>(
    mem: &mut [Block],
    (a, b, output): (&Image, &Image, &Image),
    rows: Range<usize>,
    table: &[T],
    f: impl Fn(T, T) -> T,
) {
    let mem = view_mut::<T>(mem);
    for y in rows {
        for c in 0..output.channels {
            for x in 0..output.width {
                let left = mem.get(a.at(y, x, c)).copied().unwrap_or_default();
                let from = if table.is_empty() { &*mem } else { table };
                let right = from.get(b.at(y, x, c)).copied().unwrap_or_default();
                if let Some(to) = mem.get_mut(output.at(y, x, c)) {
                    *to = f(left, right);
                }
            }
        }
    }
}

/// What [`map`] needs: images of the same extent, inside the arena.
pub(crate) const fn check_map(
    input: &Image,
    input_size: usize,
    output: &Image,
    output_size: usize,
    arena: usize,
) -> Result<(), &'static str> {
    if !input.same_extent(output) {
        return Err("elementwise kernel: input and output differ in extent");
    }
    if !input.fits(input_size, arena) || !output.fits(output_size, arena) {
        return Err("elementwise kernel: image outside of the arena");
    }
    Ok(())
}

/// What [`zip`] needs.
pub(crate) const fn check_zip(
    (a, b, output): (&Image, &Image, &Image),
    table: usize,
    size: usize,
    arena: usize,
) -> Result<(), &'static str> {
    if !a.same_extent(output) || !b.same_extent(output) {
        return Err("elementwise kernel: operands and output differ in extent");
    }
    let b_fits = if table == 0 { b.fits(size, arena) } else { b.end() <= table };
    if !a.fits(size, arena) || !b_fits || !output.fits(size, arena) {
        return Err("elementwise kernel: image outside of the arena");
    }
    Ok(())
}
