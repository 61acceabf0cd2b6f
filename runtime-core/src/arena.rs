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
    table!(i8s i8, u8s u8, i32s i32, u32s u32, f32s f32);
}

/// Turns a failed `check` into a compile error that shows its message. For `const _: () = expect(..)`.
pub const fn expect(result: Result<(), &'static str>) {
    if let Err(message) = result {
        panic!("{}", message)
    }
}
