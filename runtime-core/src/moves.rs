//! Kernels that move values without looking at them.

use crate::elementwise::{check_map, map};
use crate::{Block, Image, Plain, view_mut};
use core::ops::Range;

/// Parameters of [`copy_8`], [`copy_16`], [`copy_32`] and [`copy_64`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// From.
    pub input: Image,
    /// To.
    pub output: Image,
}

impl Copy {
    /// Whether the images have one extent and lie in `arena` bytes, for the narrowest elements.
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        check_map(&self.input, 1, &self.output, 1, arena)
    }
}

/// Copies 8-bit elements, from strides to strides.
pub fn copy_8(mem: &mut [Block], p: &Copy, rows: Range<usize>) {
    map(mem, &p.input, &p.output, rows, |x: i8| x);
}

/// Copies 16-bit elements, from strides to strides.
pub fn copy_16(mem: &mut [Block], p: &Copy, rows: Range<usize>) {
    map(mem, &p.input, &p.output, rows, |x: i16| x);
}

/// Copies 32-bit elements, from strides to strides.
pub fn copy_32(mem: &mut [Block], p: &Copy, rows: Range<usize>) {
    map(mem, &p.input, &p.output, rows, |x: i32| x);
}

/// Copies 64-bit elements, from strides to strides.
pub fn copy_64(mem: &mut [Block], p: &Copy, rows: Range<usize>) {
    map(mem, &p.input, &p.output, rows, |x: i64| x);
}

/// Declares a kernel that writes a constant, and one that writes a table.
macro_rules! write {
    ($($fill:ident $fill_params:ident $t:ty, $load:ident $load_params:ident $table:ty;)*) => { $(
        #[doc = concat!("Parameters of [`", stringify!($fill), "`].")]
        #[derive(Debug, Clone, core::marker::Copy, PartialEq)]
        pub struct $fill_params {
            /// Output image.
            pub output: Image,
            /// The value.
            pub value: $t,
        }

        impl $fill_params {
            /// Whether the image lies in `arena` bytes.
            pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
                if self.output.fits(size_of::<$t>(), arena) { Ok(()) } else { Err("fill: image outside of the arena") }
            }
        }

        /// Sets every element to one value.
        pub fn $fill(mem: &mut [Block], p: &$fill_params, rows: Range<usize>) {
            generate(mem, &p.output, rows, |_| p.value);
        }

        #[doc = concat!("Parameters of [`", stringify!($load), "`].")]
        #[derive(Debug, Clone, core::marker::Copy, PartialEq)]
        pub struct $load_params {
            /// Output image.
            pub output: Image,
        }

        impl $load_params {
            /// Whether image and table fit together in `arena` bytes.
            pub const fn check(&self, table: &[$table], arena: usize) -> Result<(), &'static str> {
                if table.len() != self.output.elements() {
                    return Err("load: table and image differ in length");
                }
                if self.output.fits(size_of::<$table>(), arena) { Ok(()) } else { Err("load: image outside of the arena") }
            }
        }

        /// Copies a constant table, in the order `[y][x][c]`.
        pub fn $load(mem: &mut [Block], p: &$load_params, rows: Range<usize>, table: &[$table]) {
            generate(mem, &p.output, rows, |i| table.get(i).copied().unwrap_or_default());
        }
    )* };
}

write! {
    fill_8 Fill8 i8, load_8 Load8 i8;
    fill_16 Fill16 i16, load_16 Load16 i16;
    fill_32 Fill32 f32, load_32 Load32 i32;
}

/// Element `i`, counted in the order `[y][x][c]`, becomes `f(i)`.
fn generate<T: Plain>(mem: &mut [Block], output: &Image, rows: Range<usize>, f: impl Fn(usize) -> T) {
    let mem = view_mut::<T>(mem);
    for y in rows {
        for x in 0..output.width {
            for c in 0..output.channels {
                if let Some(to) = mem.get_mut(output.at(y, x, c)) {
                    *to = f((y * output.width + x) * output.channels + c);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, view};

    #[test]
    fn loads_interleaved_and_copies_to_planar() {
        let interleaved = Image {
            offset: 0,
            height: 1,
            width: 2,
            channels: 3,
            layout: Layout { row: 6, col: 3, chan: 1 },
            ring: 1,
        };
        let planar = Image { offset: 8, layout: Layout { row: 2, col: 1, chan: 2 }, ..interleaved };
        let mut mem = [Block::ZERO; 1];
        let load = Load8 { output: interleaved };
        assert_eq!(load.check(&[0; 5], 16), Err("load: table and image differ in length"));
        load_8(&mut mem, &load, 0..1, &[1, 2, 3, 4, 5, 6]);
        copy_8(&mut mem, &Copy { input: interleaved, output: planar }, 0..1);
        assert_eq!(view::<i8>(&mem)[8..14], [1, 4, 2, 5, 3, 6]);
        fill_8(&mut mem, &Fill8 { output: planar, value: 9 }, 0..1);
        assert_eq!(view::<i8>(&mem)[6..15], [0, 0, 9, 9, 9, 9, 9, 9, 0]);
    }

    #[test]
    fn wide_elements_move_whole() {
        let row = |offset| Image {
            offset,
            height: 1,
            width: 2,
            channels: 1,
            layout: Layout { row: 2, col: 1, chan: 2 },
            ring: 1,
        };
        let mut mem = [Block::ZERO; 2];
        load_32(&mut mem, &Load32 { output: row(0) }, 0..1, &[i32::MIN, 0x7fab_cdef]);
        copy_32(&mut mem, &Copy { input: row(0), output: row(2) }, 0..1);
        copy_64(&mut mem, &Copy { input: row(0), output: row(2) }, 0..1);
        assert_eq!(
            view::<i32>(&mem)[..6],
            [i32::MIN, 0x7fab_cdef, i32::MIN, 0x7fab_cdef, i32::MIN, 0x7fab_cdef]
        );
        fill_32(&mut mem, &Fill32 { output: row(6), value: -0.1 }, 0..1);
        assert_eq!(view::<f32>(&mem)[6..], [-0.1, -0.1]);
        assert!(Fill32 { output: row(7), value: 0.0 }.check(32).is_err());
        assert!(Load32 { output: row(7) }.check(&[0, 0], 32).is_err());
    }
}
