//! A kernel's scratch apart from the rest of the memory.

use crate::{Block, view_mut};

/// The memory below and above a kernel's scratch, addressed as if it were whole.
pub(crate) struct Outside<'a> {
    low: &'a mut [i8],
    high: &'a mut [i8],
    /// Where `high` begins.
    from: usize,
}

/// Splits `len` bytes of scratch from byte `offset` on off the memory, both multiples of 16; `None` when they are not
/// inside. `check` of the parameter structs proves that they are.
#[inline(never)]
pub(crate) fn split(mem: &mut [Block], offset: usize, len: usize) -> Option<(&mut [Block], Outside<'_>)> {
    let (low, rest) = mem.split_at_mut_checked(offset / 16)?;
    let (scratch, high) = rest.split_at_mut_checked(len / 16)?;
    let from = offset / 16 * 16 + len / 16 * 16;
    Some((scratch, Outside { low: view_mut(low), high: view_mut(high), from }))
}

/// Whether [`split`] finds the scratch, and no image reaches into it.
pub(crate) const fn fits(offset: usize, len: usize, arena: usize) -> bool {
    offset.is_multiple_of(16) && len.is_multiple_of(16) && offset <= arena && len <= arena - offset
}

impl Outside<'_> {
    /// `len` bytes from `at` on, none when they are not all inside or reach into the scratch. Out of line: kernels call it
    /// once for many instructions, and from many places.
    #[inline(never)]
    pub fn get(&self, at: usize, len: usize) -> &[i8] {
        let (side, at) = match at.checked_sub(self.from) {
            Some(at) => (&*self.high, at),
            None => (&*self.low, at),
        };
        side.get(at..).and_then(|side| side.get(..len)).unwrap_or(&[])
    }

    /// As [`Outside::get`].
    #[inline(never)]
    pub fn get_mut(&mut self, at: usize, len: usize) -> &mut [i8] {
        let (side, at) = match at.checked_sub(self.from) {
            Some(at) => (&mut *self.high, at),
            None => (&mut *self.low, at),
        };
        side.get_mut(at..).and_then(|side| side.get_mut(..len)).unwrap_or(&mut [])
    }
}
