//! The micro-kernel of depthwise convolutions of 3 by 3, strides 1 and 2: all rows of one plane.
//!
//! ```text
//! r0  top left of the window     r2, r3, r4  a0, a1, a2: columns 0 and 2 of the kernel rows     r7  bias
//! r1  output                     r5  b0 | b1 << 16, r6  b2: their column 1                      r8  bytes of a padded row
//! r9  r0 at the end of the row   r10, r11  sums     r12, lr  temporaries    sp: M, zero point, steps, rows, entry, odd
//!
//! two output pixels, for each kernel row 7 instructions:
//!     v = x0 x1 x2 x3;  e = (x0, x2);  o = (x1, x3)
//!     s0 += e . a + o.low  * b          x0*w0 + x2*w2 + x1*w1
//!     s1 += o . a + e.high * b          x1*w0 + x3*w2 + x2*w1
//! requantize, saturate, store: 28 for 18 MACs; one pixel, at stride 2 and behind the last pair of an odd row: 19 for 9
//! ```
//!
//! The first pass over the unrolled blocks of a row skips those that the row has too few of.

/// Padded planes of rows of `stride` bytes, `step` input pixels from one output pixel to the next, and `rows` rows of `width`
/// outputs, `out_row` bytes apart.
#[cfg_attr(not(kiln_kernels = "dsp"), allow(dead_code))]
pub(super) struct Shape {
    pub stride: usize,
    pub step: usize,
    pub rows: usize,
    pub width: usize,
    pub out_row: usize,
    pub zero_point: i32,
}

#[cfg(not(kiln_kernels = "dsp"))]
pub(super) struct Planes;

#[cfg(not(kiln_kernels = "dsp"))]
impl Planes {
    /// `None`: this build has no such micro-kernel.
    pub fn new(_: &Shape) -> Option<Planes> {
        None
    }

    pub fn run(&mut self, _: &[i8], _: (&[u32], i32, i32), _: &mut [i8]) {}
}

#[cfg(kiln_kernels = "dsp")]
pub(super) use dsp::Planes;

#[cfg(kiln_kernels = "dsp")]
mod dsp {
    use super::Shape;

    /// The arguments of the assembly, in the order in which it loads them.
    #[repr(C)]
    struct Args {
        plane: *const i8,
        out: *mut i8,
        a: [u32; 3],
        b01: u32,
        b2: u32,
        bias: i32,
        stride: usize,
        end: *const i8,
        multiplier: i32,
        zero_point: i32,
        /// From the end of a row to the beginning of the next one.
        next: usize,
        next_out: usize,
        rows: usize,
        /// Bytes of the blocks that the first pass over a row skips.
        skip: usize,
        /// At stride 1: whether a pixel follows behind the pairs. At stride 2: bytes of two padded rows.
        odd: usize,
    }

    /// The arguments that all planes share, and the lengths that they need.
    pub struct Planes {
        args: Args,
        pairs: bool,
        plane_len: usize,
        out_len: usize,
    }

    impl Planes {
        pub fn new(shape: &Shape) -> Option<Planes> {
            let &Shape { stride, step, rows, width, out_row, zero_point } = shape;
            if rows == 0 || width == 0 || step == 0 || step > 2 {
                return None;
            }
            // Each block steps over two input pixels.
            let pairs = step == 1;
            let (blocks, odd, size) =
                if pairs { (width / 2, width % 2, 112) } else { (width, 2 * stride, 76) };
            let single = if pairs { odd } else { 0 };
            let args = Args {
                plane: core::ptr::null(),
                out: core::ptr::null_mut(),
                a: [0; 3],
                b01: 0,
                b2: 0,
                bias: 0,
                stride,
                end: core::ptr::null::<i8>().wrapping_add(2 * blocks),
                multiplier: 0,
                zero_point,
                next: (step * stride).wrapping_sub(2 * (blocks + single)),
                next_out: out_row.wrapping_sub(width),
                rows,
                skip: if blocks == 0 { 2 * size } else { (blocks & 1) * size },
                odd,
            };
            let plane_len = ((rows - 1) * step + 2) * stride + (width - 1) * step + 4;
            Some(Planes { args, pairs, plane_len, out_len: (rows - 1) * out_row + width })
        }

        /// One plane by weights `[w0 w2] [w1 0]` of three kernel rows, bias and multiplier. Nothing is written when the
        /// lengths do not fit.
        #[inline(always)]
        #[allow(unsafe_code)]
        pub fn run(&mut self, plane: &[i8], (weights, bias, multiplier): (&[u32], i32, i32), out: &mut [i8]) {
            let &[a0, b0, a1, b1, a2, b2] = weights else { return };
            if plane.len() < self.plane_len || out.len() < self.out_len {
                return;
            }
            let args = &mut self.args;
            let row = (args.end as usize).wrapping_sub(args.plane as usize);
            (args.plane, args.end) = (plane.as_ptr(), plane.as_ptr().wrapping_add(row));
            args.out = out.as_mut_ptr();
            args.a = [a0, a1, a2];
            (args.b01, args.b2) = ((b0 & 0xffff) | b1 << 16, b2);
            (args.bias, args.multiplier) = (bias, multiplier);
            // SAFETY: for every row, the assembly reads four bytes from each of its `width` windows' three rows on, and writes
            // `width` bytes; both were compared with the lengths of the slices above.
            unsafe {
                if self.pairs {
                    rows_of_pairs(core::hint::black_box(args));
                } else {
                    rows_of_pixels(core::hint::black_box(args));
                }
            }
        }
    }

    /// The body of a kernel row: `one` pixel or `two`.
    macro_rules! taps {
        (one, $load:literal, $a:literal, $b:literal, $sum:literal) => {
            concat!(
                $load,
                "\n sxtb16 lr, r12, ror #8\n sxtb16 r12, r12\n smlad r10, r12, ",
                $a,
                ", ",
                $sum,
                "\n smlab",
                $b,
                ", r10\n"
            )
        };
        (two, $load:literal, $a:literal, $b0:literal, $b1:literal, $s0:literal, $s1:literal) => {
            concat!(
                $load,
                "\n sxtb16 lr, r12, ror #8\n sxtb16 r12, r12\n smlad r10, r12, ",
                $a,
                ", ",
                $s0,
                "\n smlad r11, lr, ",
                $a,
                ", ",
                $s1,
                "\n",
                $b0,
                "\n",
                $b1,
                "\n"
            )
        };
    }

    /// One pixel: 19 instructions, 76 bytes.
    macro_rules! pixel {
        () => {
            concat!(
                taps!(one, "ldr.w r12, [r0, r8]", "r3", "t r10, lr, r5", "r7"),
                taps!(one, "ldr.w r12, [r0, r8, lsl #1]", "r4", "b r10, lr, r6", "r10"),
                taps!(one, "ldr.w r12, [r0], #2", "r2", "b r10, lr, r5", "r10"),
                "ldrd r12, lr, [sp]\n smmlar r10, r10, r12, lr\n ssat r10, #8, r10\n strb.w r10, [r1], #1\n"
            )
        };
    }

    /// Two pixels: 28 instructions, 112 bytes.
    macro_rules! pair {
        () => {
            concat!(
                taps!(
                    two,
                    "ldr.w r12, [r0, r8]",
                    "r3",
                    "smlabt r10, lr, r5, r10",
                    "smlatt r11, r12, r5, r11",
                    "r7",
                    "r7"
                ),
                taps!(
                    two,
                    "ldr.w r12, [r0, r8, lsl #1]",
                    "r4",
                    "smlabb r10, lr, r6, r10",
                    "smlatb r11, r12, r6, r11",
                    "r10",
                    "r11"
                ),
                taps!(
                    two,
                    "ldr.w r12, [r0], #2",
                    "r2",
                    "smlabb r10, lr, r5, r10",
                    "smlatb r11, r12, r5, r11",
                    "r10",
                    "r11"
                ),
                "ldrd r12, lr, [sp]\n smmlar r10, r10, r12, lr\n smmlar r11, r11, r12, lr\n",
                "ssat r10, #8, r10\n ssat r11, #8, r11\n strb.w r10, [r1], #1\n strb.w r11, [r1], #1\n"
            )
        };
    }

    /// Rows of `$block`s, with `$tail` behind each row, and `$end` to move the end of the row on.
    macro_rules! rows {
        ($name:ident, $block:expr, $tail:expr, $end:literal) => {
            #[unsafe(naked)]
            #[allow(unsafe_code)]
            unsafe extern "C" fn $name(args: *const Args) {
                core::arch::naked_asm!(
                    crate::dsp::words::cpu!(),
                    "push {{r4-r11, lr}}",
                    "add r12, r0, #40",
                    "ldm r12, {{r4-r10}}",
                    "adr r12, 10f",
                    "add r9, r9, r12",
                    "orr r9, r9, #1",
                    // sp: multiplier, zero point, next, next_out, rows, entry, odd
                    "push {{r4-r10}}",
                    "mov lr, r9",
                    "ldm r0, {{r0-r9}}",
                    "bx lr",
                    ".balign 4",
                    "10:",
                    ".rept 2",
                    $block,
                    ".endr",
                    "cmp r0, r9",
                    "bne 10b",
                    $tail,
                    "ldrd r12, lr, [sp, #8]",
                    "add r0, r0, r12",
                    "add r1, r1, lr",
                    $end,
                    "ldrd r12, lr, [sp, #16]",
                    "subs r12, r12, #1",
                    "str r12, [sp, #16]",
                    "beq 30f",
                    "bx lr",
                    "30:",
                    "add sp, sp, #28",
                    "pop {{r4-r11, pc}}",
                )
            }
        };
    }

    rows!(
        rows_of_pairs,
        pair!(),
        concat!("ldr r12, [sp, #24]\n cmp r12, #0\n beq 20f\n", pixel!(), "20:\n"),
        "add r9, r9, r8"
    );
    rows!(rows_of_pixels, pixel!(), "", "add r9, r9, r8, lsl #1");
}
