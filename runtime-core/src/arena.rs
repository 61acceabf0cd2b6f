//! A model's memory and constant tables, and the only casts in the crate.

#[cfg(not(target_endian = "little"))]
compile_error!("Kiln bakes tables as little-endian bytes; big-endian targets are not supported");

/// Sixteen aligned bytes of a model's memory. A model is `[Block; N]`, all zeros at first.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub struct Block(pub [i8; 16]);

impl Block {
    /// A block of zeros, for `const` constructors.
    pub const ZERO: Block = Block([0; 16]);
}

mod sealed {
    pub trait Sealed {}
}

/// Element types that memory may be viewed as: every bit pattern is a value, and 16 is a multiple of the alignment.
pub trait Plain: Copy + Default + sealed::Sealed {}

macro_rules! plain {
    ($($t:ty)*) => { $(
        impl sealed::Sealed for $t {}
        impl Plain for $t {}
        const _: () = assert!(16 % align_of::<$t>() == 0 && 16 % size_of::<$t>() == 0);
    )* };
}
plain!(i8 u8 i16 u16 i32 u32 i64 u64 f32 f64);

/// The memory as elements of type `T`, `16 / size_of::<T>()` a block.
#[allow(unsafe_code)]
pub fn view<T: Plain>(mem: &[Block]) -> &[T] {
    let len = size_of_val(mem) / size_of::<T>();
    // SAFETY: `Block` is 16 plain bytes at alignment 16; `T: Plain` has no invalid bit patterns, needs at most that
    // alignment (asserted above), and `len` elements cover exactly the borrowed bytes.
    unsafe { core::slice::from_raw_parts(mem.as_ptr().cast(), len) }
}

/// The memory as mutable elements of type `T`, `16 / size_of::<T>()` a block.
#[allow(unsafe_code)]
pub fn view_mut<T: Plain>(mem: &mut [Block]) -> &mut [T] {
    let len = size_of_val(mem) / size_of::<T>();
    // SAFETY: as in `view`; the exclusive borrow of the blocks becomes the exclusive borrow of their bytes.
    unsafe { core::slice::from_raw_parts_mut(mem.as_mut_ptr().cast(), len) }
}

/// `N` elements from byte `OFFSET` of a model's memory on; outside of it, a compile error.
#[allow(unsafe_code)]
pub fn array<T: Plain, const OFFSET: usize, const N: usize, const BLOCKS: usize>(
    mem: &[Block; BLOCKS],
) -> &[T; N] {
    const { assert_array::<T>(OFFSET, N, BLOCKS) };
    // SAFETY: inside the memory and aligned, both asserted above; `T: Plain` has no invalid bit patterns.
    unsafe { &*mem.as_ptr().cast::<u8>().add(OFFSET).cast() }
}

/// `N` mutable elements from byte `OFFSET` of a model's memory on; outside of it, a compile error.
#[allow(unsafe_code)]
pub fn array_mut<T: Plain, const OFFSET: usize, const N: usize, const BLOCKS: usize>(
    mem: &mut [Block; BLOCKS],
) -> &mut [T; N] {
    const { assert_array::<T>(OFFSET, N, BLOCKS) };
    // SAFETY: as in `array`; the exclusive borrow of the blocks becomes the exclusive borrow of their bytes.
    unsafe { &mut *mem.as_mut_ptr().cast::<u8>().add(OFFSET).cast() }
}

const fn assert_array<T>(offset: usize, len: usize, blocks: usize) {
    assert!(offset.is_multiple_of(align_of::<T>()), "misaligned array");
    assert!(
        offset <= blocks * 16 && len <= (blocks * 16 - offset) / size_of::<T>(),
        "array outside of the memory"
    );
}

/// `len` bytes of a model's memory from `offset` on, none when they are not all inside.
pub fn bytes(mem: &[Block], offset: usize, len: usize) -> &[u8] {
    view::<u8>(mem).get(offset..).and_then(|m| m.get(..len)).unwrap_or(&[])
}

/// `len` mutable bytes of a model's memory from `offset` on, none when they are not all inside.
pub fn bytes_mut(mem: &mut [Block], offset: usize, len: usize) -> &mut [u8] {
    view_mut::<u8>(mem).get_mut(offset..).and_then(|m| m.get_mut(..len)).unwrap_or(&mut [])
}

/// `N` mutable elements from element `at` of the memory on, none when they are not all inside.
pub fn row_mut<T: Plain, const N: usize>(mem: &mut [Block], at: usize) -> Option<&mut [T; N]> {
    view_mut::<T>(mem).get_mut(at..)?.first_chunk_mut()
}

/// Constant bytes at alignment 16, so that tables of wider elements may lie in them.
#[repr(C, align(16))]
pub struct Aligned<const N: usize>(pub [u8; N]);

macro_rules! table {
    ($($name:ident $t:ty),*) => { $(
        #[doc = concat!("`len` elements of type `", stringify!($t), "` from byte `offset` on. A table outside of the bytes, or one that is ")]
        #[doc = "not aligned, is a compile error when called in a `const`."]
        #[allow(unsafe_code)]
        pub const fn $name(&self, offset: usize, len: usize) -> &[$t] {
            assert!(offset % align_of::<$t>() == 0, "misaligned table");
            assert!(offset <= N && len <= (N - offset) / size_of::<$t>(), "table outside of the weights");
            // SAFETY: inside the array and aligned, both asserted above; every bit pattern is a value.
            unsafe { core::slice::from_raw_parts(self.0.as_ptr().add(offset).cast(), len) }
        }
    )* };
}

impl<const N: usize> Aligned<N> {
    table!(i8s i8, u8s u8, i16s i16, u16s u16, i32s i32, u32s u32, i64s i64, f32s f32);
}

/// Turns a failed `check` into a compile error that shows its message. For `const _: () = expect(..)`.
pub const fn expect(result: Result<(), &'static str>) {
    if let Err(message) = result {
        panic!("{}", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_and_bytes_are_parts_of_the_memory() {
        let mut mem = [Block::ZERO; 2];
        array_mut::<i32, 20, 3, 2>(&mut mem)[2] = 0x0403_0201;
        assert_eq!(array::<u8, 27, 5, 2>(&mem), &[0, 1, 2, 3, 4]);
        assert_eq!(bytes(&mem, 28, 4), [1, 2, 3, 4]);
        bytes_mut(&mut mem, 31, 1)[0] = 9;
        assert_eq!(bytes(&mem, 31, 1), [9]);
        assert!(bytes(&mem, 29, 4).is_empty() && bytes(&mem, 99, 0).is_empty());
        assert!(bytes_mut(&mut mem, usize::MAX, 1).is_empty());
        assert_eq!(row_mut::<i8, 3>(&mut mem, 29), Some(&mut [2, 3, 9]).map(|row: &mut [i8; 3]| row));
        assert!(
            row_mut::<i8, 3>(&mut mem, 30).is_none() && row_mut::<f32, 1>(&mut mem, usize::MAX).is_none()
        );
    }
}
