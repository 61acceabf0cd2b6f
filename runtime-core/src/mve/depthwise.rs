//! The micro-kernels of depthwise convolution on padded planes: four neighbouring outputs at a time.
//!
//! ```text
//! 3x3, all rows of a channel                                  any kernel, one row of outputs
//! r0, r1, r2  rows of the window    r7  out                   r0  window     r1  weights    r2  out     r3  outputs left
//! r3-r6, r8-r12  the nine weights   lr  outputs left          r10, r11, r12  weight, row and tap within the window
//! q0 sums  q1 values  q2 biases  q3 multipliers  q4 zero points
//!
//! for each four outputs:
//!     q0 = biases
//!     for each tap: q1 = four bytes as words; q0 += q1 * weight
//!     q0 = vrmulh(q0, M) + zero point, saturated; store four bytes; the last ones predicated
//! ```
//!
//! Strides of one read neighbouring bytes, others gather them: a vector holds their distances from the first.

/// An output channel.
pub(super) struct Channel<'a> {
    /// Weights, `[height][width]`.
    pub weights: &'a [i8],
    pub bias: i32,
    pub multiplier: i32,
    pub zero_point: i32,
}

/// Where a window lies in a padded plane.
#[derive(Clone, Copy)]
pub(super) struct Walk {
    /// Kernel rows and columns.
    pub kernel: (usize, usize),
    /// Bytes from a kernel row to the next.
    pub row: usize,
    /// Bytes from an output to the next, at least 1.
    pub step: usize,
}

/// Whether `walk` is what [`rows_3x3`] takes.
pub(super) fn is_3x3(walk: &Walk, stride_h: usize) -> bool {
    walk.kernel == (3, 3) && walk.step == stride_h && walk.step <= 2
}

/// `rows` rows of `width` outputs of a 3x3 kernel, `next` bytes of plane and `next_out` of output from row to row. Nothing is
/// written when the lengths do not fit.
pub(super) fn rows_3x3(
    channel: &Channel,
    (plane, walk, next): (&[i8], Walk, usize),
    (out, next_out): (&mut [i8], usize),
    (rows, width): (usize, usize),
) {
    let (Some(last), Some(last_column)) = (rows.checked_sub(1), width.checked_sub(1)) else { return };
    if channel.weights.len() == 9
        && last * next + 2 * walk.row + last_column * walk.step + 3 <= plane.len()
        && last * next_out + width <= out.len()
    {
        imp::rows_3x3(channel, (plane, walk, next), (out, next_out), (rows, width));
    }
}

/// A row of `width` outputs, `column` bytes apart. Nothing is written when the lengths do not fit: the last four outputs read
/// their windows whether there are four or not.
pub(super) fn row(
    channel: &Channel,
    plane: &[i8],
    walk: Walk,
    out: &mut [i8],
    (width, column): (usize, usize),
) {
    let (height, kernel) = walk.kernel;
    let (Some(last), Some(last_row)) = (width.checked_sub(1), height.checked_sub(1)) else { return };
    if kernel > 0
        && channel.weights.len() == height * kernel
        && last_row * walk.row + (last / 4 * 4 + 3) * walk.step + kernel <= plane.len()
        && last * column < out.len()
    {
        imp::row(channel, plane, walk, out, (width, column));
    }
}

#[cfg(not(kiln_kernels = "mve"))]
mod imp {
    use super::{Channel, Walk};

    pub(super) fn rows_3x3(
        channel: &Channel,
        (plane, walk, next): (&[i8], Walk, usize),
        (out, next_out): (&mut [i8], usize),
        (rows, width): (usize, usize),
    ) {
        for y in 0..rows {
            let plane = plane.get(y * next..).unwrap_or(&[]);
            let out = out.get_mut(y * next_out..).unwrap_or(&mut []);
            row(channel, plane, walk, out, (width, 1));
        }
    }

    pub(super) fn row(
        channel: &Channel,
        plane: &[i8],
        walk: Walk,
        out: &mut [i8],
        (width, column): (usize, usize),
    ) {
        for x in 0..width {
            let mut acc = channel.bias;
            for (ky, weights) in channel.weights.chunks_exact(walk.kernel.1).enumerate() {
                let values = plane.get(ky * walk.row + x * walk.step..).unwrap_or(&[]);
                for (&x, &w) in values.iter().zip(weights) {
                    acc = acc.wrapping_add(x as i32 * w as i32);
                }
            }
            let q = crate::requantize(acc, channel.multiplier, 0).wrapping_add(channel.zero_point);
            if let Some(to) = out.get_mut(x * column) {
                *to = q.clamp(-128, 127) as i8;
            }
        }
    }
}

#[cfg(kiln_kernels = "mve")]
#[allow(unsafe_code)]
mod imp {
    use super::{Channel, Walk};
    use core::hint::black_box;

    /// The arguments of the assembly for 3x3 kernels.
    #[repr(C)]
    struct Args3x3 {
        bias: i32,
        multiplier: i32,
        zero_point: i32,
        width: usize,
        rows: usize,
        /// From behind a row of windows to the next, and the same for outputs.
        next: usize,
        next_out: usize,
        plane: *const i8,
        row: usize,
        out: *mut i8,
        weights: *const i8,
    }

    #[inline(always)]
    pub(super) fn rows_3x3(
        channel: &Channel,
        (plane, walk, next): (&[i8], Walk, usize),
        (out, next_out): (&mut [i8], usize),
        (rows, width): (usize, usize),
    ) {
        // Pointers have moved by whole vectors when a row ends.
        let moved = width.next_multiple_of(4);
        let args = Args3x3 {
            bias: channel.bias,
            multiplier: channel.multiplier,
            zero_point: channel.zero_point,
            width,
            rows,
            next: next.wrapping_sub(moved * walk.step),
            next_out: next_out.wrapping_sub(moved),
            plane: plane.as_ptr(),
            row: walk.row,
            out: out.as_mut_ptr(),
            weights: channel.weights.as_ptr(),
        };
        // SAFETY: the caller compared the last byte of the last window, the last output and the nine weights with the lengths
        // of the slices; lanes beyond a row are predicated off.
        unsafe {
            if walk.step == 1 {
                stride_1(black_box(&args));
            } else {
                stride_2(black_box(&args));
            }
        }
    }

    /// A kernel row: the pointer, three weights, and how the three vectors are loaded.
    macro_rules! taps {
        (1, $row:literal, $a:literal, $b:literal, $c:literal) => {
            concat!(
                "vldrb.s32 q1, [",
                $row,
                ", #1]\n vmla.i32 q0, q1, ",
                $b,
                "\n vldrb.s32 q1, [",
                $row,
                ", #2]\n vmla.i32 q0, q1, ",
                $c,
                "\n vldrb.s32 q1, [",
                $row,
                "], #4\n vmla.i32 q0, q1, ",
                $a,
                "\n"
            )
        };
        (2, $row:literal, $a:literal, $b:literal, $c:literal) => {
            concat!(
                "vldrb.s32 q1, [",
                $row,
                ", q5]\n vmla.i32 q0, q1, ",
                $a,
                "\n vldrb.s32 q1, [",
                $row,
                ", q6]\n vmla.i32 q0, q1, ",
                $b,
                "\n vldrb.s32 q1, [",
                $row,
                ", q7]\n vmla.i32 q0, q1, ",
                $c,
                "\n add ",
                $row,
                ", ",
                $row,
                ", #8\n"
            )
        };
    }

    macro_rules! rows {
        ($name:ident, $stride:tt) => {
            #[unsafe(naked)]
            unsafe extern "C" fn $name(args: *const Args3x3) {
                core::arch::naked_asm!(
                    ".cpu cortex-m55",
                    "push {{r4-r11, lr}}",
                    "vpush {{d8-d15}}",
                    "ldm r0!, {{r1-r7}}",
                    "vdup.32 q2, r1",
                    "vdup.32 q3, r2",
                    "vdup.32 q4, r3",
                    // sp: width, rows, next, next_out
                    "push {{r4-r7}}",
                    "movs r4, #0",
                    "vidup.u32 q5, r4, #2",
                    "movs r4, #1",
                    "vidup.u32 q6, r4, #2",
                    "movs r4, #2",
                    "vidup.u32 q7, r4, #2",
                    "ldm r0, {{r0, r2, r7, lr}}",
                    "add r1, r0, r2",
                    "add r2, r1, r2",
                    "ldrsb r3, [lr]",
                    "ldrsb r4, [lr, #1]",
                    "ldrsb r5, [lr, #2]",
                    "ldrsb r6, [lr, #3]",
                    "ldrsb r8, [lr, #4]",
                    "ldrsb r9, [lr, #5]",
                    "ldrsb r10, [lr, #6]",
                    "ldrsb r11, [lr, #7]",
                    "ldrsb r12, [lr, #8]",
                    "5:",
                    "ldr lr, [sp]",
                    "dlstp.32 lr, lr",
                    "10:",
                    "vmov q0, q2",
                    taps!($stride, "r0", "r3", "r4", "r5"),
                    taps!($stride, "r1", "r6", "r8", "r9"),
                    taps!($stride, "r2", "r10", "r11", "r12"),
                    "vrmulh.s32 q0, q0, q3",
                    "vadd.i32 q0, q0, q4",
                    "vqmovnb.s32 q0, q0",
                    "vqmovnb.s16 q0, q0",
                    "vstrb.32 q0, [r7], #4",
                    "letp lr, 10b",
                    "ldr lr, [sp, #8]",
                    "add r0, r0, lr",
                    "add r1, r1, lr",
                    "add r2, r2, lr",
                    "ldr lr, [sp, #12]",
                    "add r7, r7, lr",
                    "ldr lr, [sp, #4]",
                    "subs lr, lr, #1",
                    "str lr, [sp, #4]",
                    "bne 5b",
                    "add sp, sp, #16",
                    "vpop {{d8-d15}}",
                    "pop {{r4-r11, pc}}",
                )
            }
        };
    }

    rows!(stride_1, 1);
    rows!(stride_2, 2);

    /// The arguments of the assembly for any kernel, in the order in which it loads them.
    #[repr(C)]
    struct ArgsAny {
        bias: i32,
        multiplier: i32,
        zero_point: i32,
        step: usize,
        column: usize,
        height: usize,
        plane: *const i8,
        weights: *const i8,
        out: *mut i8,
        width: usize,
        kernel: usize,
        row: usize,
    }

    #[inline(always)]
    pub(super) fn row(
        channel: &Channel,
        plane: &[i8],
        walk: Walk,
        out: &mut [i8],
        (width, column): (usize, usize),
    ) {
        let args = ArgsAny {
            bias: channel.bias,
            multiplier: channel.multiplier,
            zero_point: channel.zero_point,
            step: walk.step,
            column,
            height: walk.kernel.0,
            plane: plane.as_ptr(),
            weights: channel.weights.as_ptr(),
            out: out.as_mut_ptr(),
            width,
            kernel: walk.kernel.1,
            row: walk.row,
        };
        // SAFETY: the caller compared the last byte of the windows of whole vectors, the last output and the weights with the
        // lengths of the slices; lanes beyond the last output are not stored.
        unsafe { any_kernel(black_box(&args)) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn any_kernel(args: *const ArgsAny) {
        core::arch::naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r11, lr}}",
            "vpush {{d8-d15}}",
            "ldm r0!, {{r1-r3, r8, r9, r10}}",
            "vdup.32 q2, r1",
            "vdup.32 q3, r2",
            "vdup.32 q4, r3",
            "movs r4, #0",
            "vidup.u32 q6, r4, #1",
            "vmul.i32 q7, q6, r8",
            "vmul.i32 q6, q6, r9",
            "lsl r8, r8, #2",
            "lsl r9, r9, #2",
            "push {{r10}}",
            "ldm r0, {{r0, r1, r2, r3, r5, r6}}",
            "5:",
            "mov r10, r1",
            "mov r11, r0",
            "ldr r4, [sp]",
            "vmov q0, q2",
            "10:",
            "mov r12, r11",
            "dls lr, r5",
            "20:",
            "ldrsb r7, [r10], #1",
            "vldrb.s32 q1, [r12, q7]",
            "add r12, r12, #1",
            "vmla.i32 q0, q1, r7",
            "le lr, 20b",
            "add r11, r11, r6",
            "subs r4, r4, #1",
            "bne 10b",
            "vrmulh.s32 q0, q0, q3",
            "vadd.i32 q0, q0, q4",
            "vqmovnb.s32 q0, q0",
            "vqmovnb.s16 q0, q0",
            "vctp.32 r3",
            "vpst",
            "vstrbt.32 q0, [r2, q6]",
            "add r0, r0, r8",
            "add r2, r2, r9",
            "subs r3, r3, #4",
            "bgt 5b",
            "add sp, sp, #4",
            "vpop {{d8-d15}}",
            "pop {{r4-r11, pc}}",
        )
    }
}
