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

use super::depthwise_conv2d_i8_dsp::Micro;

/// The micro-kernels of both strides; builds for other cores have none.
#[cfg(not(kiln_kernels = "dsp"))]
pub(super) const STRIDES: [Micro; 2] = [super::dw_window::plane; 2];
#[cfg(kiln_kernels = "dsp")]
pub(super) const STRIDES: [Micro; 2] = [dsp::stride_1, dsp::stride_2];

#[cfg(kiln_kernels = "dsp")]
mod dsp {
    use crate::dsp::DepthwiseLayerDsp;
    use crate::dsp::dw_window::Plane;

    /// Blocks of a loop: fewer where the program is to be small.
    const UNROLLED: usize = if cfg!(kiln_small) { 1 } else { 2 };

    /// The arguments of the assembly, in the order in which it loads them.
    #[repr(C)]
    struct Args {
        zero_point: i32,
        /// From the end of a row to the beginning of the next one.
        next: usize,
        next_out: usize,
        rows: usize,
        /// Bytes of the blocks that the first pass over a row skips.
        skip: usize,
        /// At stride 1: whether a pixel follows behind the pairs. At stride 2: bytes of two padded rows.
        odd: usize,
        plane: *const i8,
        out: *mut i8,
        weights: *const [u32; 6],
        /// Bias and multiplier.
        tables: *const [i32; 2],
        stride: usize,
        /// Input pixels that the blocks of a row step over.
        row: usize,
    }

    pub fn stride_1(p: &DepthwiseLayerDsp, plane: &mut Plane) {
        run(p, plane, rows_of_pairs);
    }

    pub fn stride_2(p: &DepthwiseLayerDsp, plane: &mut Plane) {
        run(p, plane, rows_of_pixels);
    }

    /// One plane by weights `[w0 w2] [w1 0]` of three kernel rows, bias and multiplier. Nothing is written when the
    /// lengths do not fit.
    #[inline(never)]
    #[allow(unsafe_code)]
    fn run(p: &DepthwiseLayerDsp, plane: &mut Plane, micro: unsafe extern "C" fn(*const Args)) {
        let (stride, step, width) = (p.stride as usize, p.stride_w as usize, p.width as usize);
        let Plane { values, channel, rows, ref mut out } = *plane;
        let (Some(last), Some(column)) = (rows.checked_sub(1), width.checked_sub(1)) else { return };
        let Some(weights) = p.filter.weights.get(6 * channel..) else { return };
        let Some(weights) = weights.first_chunk::<6>() else { return };
        let Some(tables) = p.filter.channels.get(2 * channel..) else { return };
        let Some(tables) = tables.first_chunk::<2>() else { return };
        let reach = (last * step + 2) * stride + column * step + 4;
        if values.len() < reach || out.len() < last * p.output.step() + width {
            return;
        }
        // Each block steps over two input pixels.
        let pairs = step == 1;
        let (blocks, odd, size) = if pairs { (width / 2, width % 2, 112) } else { (width, 2 * stride, 76) };
        let single = if pairs { odd } else { 0 };
        let skip = if blocks == 0 { UNROLLED * size } else { (blocks & (UNROLLED - 1)) * size };
        let args = Args {
            zero_point: p.zero_point as i32,
            next: (step * stride).wrapping_sub(2 * (blocks + single)),
            next_out: p.output.step().wrapping_sub(width),
            rows,
            skip,
            odd,
            plane: values.as_ptr(),
            out: out.as_mut_ptr(),
            weights,
            tables,
            stride,
            row: 2 * blocks,
        };
        // SAFETY: for every row, the assembly reads four bytes from each of its `width` windows' three rows on, and writes
        // `width` bytes; both were compared with the lengths of the slices above.
        unsafe { micro(core::hint::black_box(&args)) }
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
                    // zero point, next, next_out, rows, skip, odd
                    "ldm r0!, {{r5-r10}}",
                    "adr r12, 10f",
                    "add r9, r9, r12",
                    "orr r9, r9, #1",
                    "mov lr, r9",
                    "ldr r4, [r0, #12]",
                    "ldr r4, [r4, #4]",
                    // sp: multiplier, zero point, next, next_out, rows, entry, odd
                    "push {{r4-r10}}",
                    // plane, out, weights, tables, stride, row
                    "ldm r0, {{r0-r3, r8, r9}}",
                    "ldr r7, [r3]",
                    "add r9, r9, r0",
                    // a0 b0 a1 b1 a2 b2
                    "ldm r2, {{r2-r6, r12}}",
                    "pkhbt r5, r3, r5, lsl #16",
                    "mov r3, r4",
                    "mov r4, r6",
                    "mov r6, r12",
                    "bx lr",
                    ".balign 4",
                    "10:",
                    ".rept {unrolled}",
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
                    unrolled = const UNROLLED,
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
