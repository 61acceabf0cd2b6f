//! int8 addition.

use super::lanes::{Target, dispatch};
use crate::{AddI8, Block, binary};
use core::ops::Range;

/// [`add_i8`](crate::add_i8), compiled for the vectors of this machine.
pub fn add_i8_simd(mem: &mut [Block], p: &AddI8, rows: Range<usize>, b_table: &[i8]) {
    dispatch!(layer(mem: &mut [Block], p: &AddI8, rows: Range<usize>, b_table: &[i8]));
}

#[inline(always)]
fn layer<T: Target>(mem: &mut [Block], p: &AddI8, rows: Range<usize>, b_table: &[i8]) {
    binary::add(mem, p, rows, b_table);
}
