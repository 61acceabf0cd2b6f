//! What elementwise kernels share: the walk over two or three images, row by row.

use crate::hints::rolled;
use crate::{Block, Image, Plain, view, view_mut};
use core::cell::Cell;
use core::ops::Range;

/// Whether LLVM makes vectors of loops over slices that do not overlap. Elsewhere cells do, in one loop for every overlap.
const VECTORS: bool = cfg!(kiln_kernels = "mve") || !cfg!(any(target_arch = "arm", target_arch = "riscv32"));

/// Whether rows follow each other without a gap, so that some of them are one long row.
#[inline(always)]
fn gapless(image: &Image) -> bool {
    image.layout.row == image.width * image.layout.col && image.ring >= image.height
}

/// Rows and their width, or one long row in the place of several.
#[inline(always)]
fn merged(rows: Range<usize>, width: usize, gapless: bool) -> (Range<usize>, usize) {
    match gapless {
        true => (rows.start..rows.end.min(rows.start + 1), rows.len() * width),
        false => (rows, width),
    }
}

/// Channels and the columns of each, or one long run of columns where a row is all planes without a gap.
#[inline(always)]
fn planes(channels: usize, width: usize, images: &[&Image]) -> (usize, usize) {
    match images.iter().all(|image| image.layout.chan == image.width * image.layout.col) {
        true => (channels.min(1), channels * width),
        false => (channels, width),
    }
}

/// `output = f(input)` at every position of the output rows. The input may broadcast by strides of 0.
#[inline(always)]
pub(crate) fn map<A: Plain, B: Plain>(
    mem: &mut [Block],
    input: &Image,
    output: &Image,
    rows: Range<usize>,
    f: impl Fn(A) -> B,
) {
    let flat = gapless(input) && gapless(output);
    let (rows, width) = merged(rows, output.width, flat);
    let (channels, width) = match flat {
        true => (output.channels, width),
        false => planes(output.channels, width, &[input, output]),
    };
    for y in rows {
        for c in 0..channels {
            let (mut from, mut to) = (input.at(y, 0, c), output.at(y, 0, c));
            for _ in 0..width {
                let value = view::<A>(mem).get(from).copied().unwrap_or_default();
                if let Some(to) = view_mut::<B>(mem).get_mut(to) {
                    *to = f(value);
                }
                (from, to) = (from + input.layout.col, to + output.layout.col);
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
    let flat = gapless(a) && gapless(b) && gapless(output);
    let (rows, n) = merged(rows, output.width, flat);
    let (channels, n) = match flat {
        true => (output.channels, n),
        false => planes(output.channels, n, &[a, b, output]),
    };
    let contiguous = a.layout.col == 1 && b.layout.col == 1 && output.layout.col == 1 && table.is_empty();
    for y in rows {
        for c in 0..channels {
            let (mut left, mut right, mut to) = (a.at(y, 0, c), b.at(y, 0, c), output.at(y, 0, c));
            if contiguous && VECTORS && left == to {
                if let Ok([to, right]) = mem.get_disjoint_mut([to..to + n, right..right + n]) {
                    to.iter_mut().zip(right).for_each(|(to, right)| *to = f(*to, *right));
                    continue;
                }
            } else if contiguous && VECTORS && right == to {
                if let Ok([to, left]) = mem.get_disjoint_mut([to..to + n, left..left + n]) {
                    to.iter_mut().zip(left).for_each(|(to, left)| *to = f(*left, *to));
                    continue;
                }
            } else if contiguous && VECTORS {
                let ranges = [to..to + n, left..left + n, right..right + n];
                if let Ok([to, left, right]) = mem.get_disjoint_mut(ranges) {
                    for ((to, left), right) in to.iter_mut().zip(left).zip(right) {
                        *to = f(*left, *right);
                    }
                    continue;
                }
            } else if contiguous {
                let mem = Cell::from_mut(&mut *mem).as_slice_of_cells();
                let row = |at: usize| mem.get(at..).and_then(|row| row.get(..n)).unwrap_or(&[]);
                for ((to, left), right) in row(to).iter().zip(row(left)).zip(row(right)) {
                    to.set(f(left.get(), right.get()));
                }
                continue;
            }
            for _ in 0..n {
                let from = if table.is_empty() { &*mem } else { table };
                let second = from.get(right).copied().unwrap_or_default();
                let first = mem.get(left).copied().unwrap_or_default();
                if let Some(to) = mem.get_mut(to) {
                    *to = f(first, second);
                }
                (left, right, to) = (left + a.layout.col, right + b.layout.col, to + output.layout.col);
                rolled();
            }
        }
    }
}

/// Whether [`map`] may write its output from where its input begins, though elements differ in size: both are walked in the order
/// of memory, and what is written never overtakes what is read.
pub(crate) const fn in_order(input: &Image, input_size: usize, output: &Image, output_size: usize) -> bool {
    let (a, b) = (&input.layout, &output.layout);
    let planar = a.row == input.width * a.col && (a.chan == input.height * a.row || input.channels == 1);
    let same = a.row == b.row && a.col == b.col && a.chan == b.chan && input.same_extent(output);
    let whole = input.ring >= input.height && output.ring >= output.height;
    let start = input.offset * input_size == output.offset * output_size;
    planar && same && whole && start && output_size <= input_size
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
