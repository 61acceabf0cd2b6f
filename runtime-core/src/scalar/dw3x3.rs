//! The micro-kernel of depthwise convolutions of 3 by 3, strides of any size: all rows of one plane of pairs.
//!
//! A row of the kernel is a block of three taps where the weights' magnitudes permit it, else two blocks of two and one.
//! Cortex-M0+ and M23 run assembly:
//!
//! ```text
//! r0  window       r1, r2, r3  words of a kernel row    r4, r5, r6  its weights    r7  table    r8, r9  total and high
//! r10  2^15        r11  output    r12  to the next row of the window    lr  end of the row's pairs    sp: Args
//!
//! two output pixels:
//!     r8, r9 = sums of the bias
//!     a kernel row, 6 MACs in 12 (two blocks: 15):
//!         r1, r2, r3 = *r0++;  r4, r5, r6 = *r7++;  r1 = r1 * r4 + r2 * r5 + r3 * r6;  r8 += r1;  r9 += (r1 + r10) >> 16;  r0 += r12
//!     requantize (`short`), saturate, store: about 75 in all for 18 MACs
//! an odd row: a last pair that overlaps the one before it
//! ```

use super::depthwise_conv2d_i8_scalar::Channel;

/// A plane of pairs: rows of `stride` words; `down` words from one output row to the next, `step` from one output pixel to the
/// next.
pub(super) struct Plane<'a> {
    pub words: &'a [u32],
    pub stride: usize,
    pub down: usize,
    pub step: usize,
}

/// Whether [`run`] computes this channel.
pub(super) fn takes(channel: &Channel, width: usize) -> bool {
    let [_, block, _, m] = channel.params;
    width >= 2 && block >= 2 && (m != 0 || !cfg!(kiln_short_products))
}

/// Computes `rows` rows of `width` pixels, `out_row` bytes apart. Nothing is written when the lengths do not fit.
#[inline(always)]
pub(super) fn run(
    channel: &Channel,
    plane: &Plane,
    out: &mut [i8],
    (rows, width, out_row): (usize, usize, usize),
) {
    let Ok(&weights) = <&[i8; 9]>::try_from(channel.weights) else { return };
    let (Some(last), Some(last_pair)) = (rows.checked_sub(1), width.checked_sub(2)) else { return };
    if last * plane.down + 2 * plane.stride + last_pair * plane.step + 3 <= plane.words.len()
        && last * out_row + width <= out.len()
    {
        imp::run(channel, weights, plane, out, (rows, width, out_row));
    }
}

#[cfg(not(kiln_short_products))]
#[allow(unsafe_code)]
mod imp {
    use super::{Channel, Plane};
    use crate::scalar::short::quantize;
    use crate::scalar::sums::Sums;

    #[inline(always)]
    pub fn run(
        channel: &Channel,
        weights: [i8; 9],
        plane: &Plane,
        out: &mut [i8],
        size: (usize, usize, usize),
    ) {
        let weights = weights.map(|w| w as u32);
        // SAFETY: the caller compared the lengths: a window of three words in three rows for every pair of pixels of every row.
        unsafe {
            if channel.params[1] >= 3 {
                all_rows::<true>(channel, &weights, plane, out, size);
            } else {
                all_rows::<false>(channel, &weights, plane, out, size);
            }
        }
    }

    #[inline(never)]
    unsafe fn all_rows<const THREE: bool>(
        channel: &Channel,
        &[a0, a1, a2, b0, b1, b2, c0, c1, c2]: &[u32; 9],
        plane: &Plane,
        out: &mut [i8],
        (rows, width, out_row): (usize, usize, usize),
    ) {
        let [bias, _, multiplier, m] = channel.params;
        let add = |sums: &mut Sums, [x, y, z]: [u32; 3], [u, v, w]: [u32; 3]| {
            let (xy, z) = (x.wrapping_mul(u).wrapping_add(y.wrapping_mul(v)), z.wrapping_mul(w));
            if THREE {
                sums.add(xy.wrapping_add(z));
            } else {
                sums.add(xy);
                sums.add(z);
            }
        };
        // SAFETY of its calls: the window of a pair that the row has.
        let pair = |window: *const u32, to: &mut [i8; 2]| {
            let row = |ky: usize| window.wrapping_add(ky * plane.stride).cast::<[u32; 3]>();
            let [x, y, z] = [0, 1, 2].map(|ky| unsafe { *row(ky) });
            let mut sums = Sums::new(bias);
            add(&mut sums, x, [a0, a1, a2]);
            add(&mut sums, y, [b0, b1, b2]);
            add(&mut sums, z, [c0, c1, c2]);
            *to = sums.pixels().map(|acc| quantize(acc, multiplier, m, channel.zero_point));
        };
        let mut start = plane.words.as_ptr();
        let mut rest = out;
        for _ in 0..rows {
            let mut window = start;
            let Some(row) = rest.get_mut(..width) else { return };
            for to in row.as_chunks_mut::<2>().0 {
                pair(window, to);
                window = window.wrapping_add(2 * plane.step);
            }
            if let (1, Some(to)) = (width % 2, row.last_chunk_mut::<2>()) {
                pair(window.wrapping_sub(plane.step), to);
            }
            start = start.wrapping_add(plane.down);
            rest = rest.get_mut(out_row..).unwrap_or(&mut []);
        }
    }
}

#[cfg(kiln_short_products)]
#[allow(unsafe_code)]
mod imp {
    use super::{Channel, Plane};
    use crate::scalar::short::offset;
    use crate::scalar::sums::both;
    use crate::scalar::thumb::{end_of_block, narrow, saturate};

    /// The arguments of the assembly, in the order in which it loads them. Distances are bytes.
    #[repr(C)]
    struct Args {
        window: *const u32,
        out: *mut i8,
        table: *const u32,
        /// From the last word of a kernel row to the first one of the next.
        below: usize,
        /// From behind the last kernel row to the next pair.
        next: usize,
        /// The end of the row of outputs.
        end: *mut i8,
        /// From pixel to pixel.
        pixel: usize,
        /// From the end of a row of windows to the next row.
        down: usize,
        out_gap: usize,
        out_row: usize,
        /// 1 for an odd width.
        odd: usize,
        rows: usize,
    }

    #[inline(always)]
    pub fn run(
        channel: &Channel,
        weights: [i8; 9],
        plane: &Plane,
        out: &mut [i8],
        (rows, width, out_row): (usize, usize, usize),
    ) {
        let [bias, block, multiplier, m] = channel.params;
        let [a, b, c, d, e, f, g, h, i] = weights.map(|w| w as u32);
        let offset = offset(channel.zero_point) as u32;
        let table = [both(bias), bias as u32, a, b, c, d, e, f, g, h, i, multiplier as u32, m as u32, offset];
        let (stride, pixel) = (4 * plane.stride, 4 * plane.step);
        let args = Args {
            window: plane.words.as_ptr(),
            out: out.as_mut_ptr(),
            table: table.as_ptr(),
            below: stride.wrapping_sub(12),
            next: (2 * pixel).wrapping_sub(2 * stride + 12),
            end: out.as_mut_ptr().wrapping_add(width),
            pixel,
            down: (4 * plane.down).wrapping_sub(width * pixel),
            out_gap: out_row.wrapping_sub(width),
            out_row,
            odd: width % 2,
            rows,
        };
        // SAFETY: the caller compared the lengths: a window of three words in three rows for every pair of pixels of every row, and
        // `width` bytes of every row of `out`.
        unsafe {
            if block >= 3 {
                rows_of_threes(core::hint::black_box(&args));
            } else {
                rows_of_twos(core::hint::black_box(&args));
            }
        }
    }

    /// A kernel row in one block, or in two.
    macro_rules! kernel_row {
        (3) => {
            concat!(
                kernel_row!(products),
                "adds r1, r1, r2\n adds r1, r1, r3\n",
                end_of_block!("r1", "r8", "r9", "r10")
            )
        };
        (2) => {
            concat!(
                kernel_row!(products),
                "adds r1, r1, r2\n",
                end_of_block!("r1", "r8", "r9", "r10"),
                end_of_block!("r3", "r8", "r9", "r10")
            )
        };
        (products) => {
            "ldmia r0!, {{r1, r2, r3}}\n ldmia r7!, {{r4, r5, r6}}\n muls r1, r4, r1\n muls r2, r5, r2\n muls r3, r6, r3\n"
        };
    }

    macro_rules! rows {
        ($name:ident, $taps:tt) => {
            #[unsafe(naked)]
            unsafe extern "C" fn $name(args: *const Args) {
                core::arch::naked_asm!(
                    "push {{r4-r7, lr}}",
                    "mov r4, r8",
                    "mov r5, r9",
                    "mov r6, r10",
                    "mov r7, r11",
                    "push {{r4-r7}}",
                    "sub sp, #32",
                    "ldmia r0!, {{r1, r2, r3, r4}}",
                    "mov r11, r2",
                    "mov r12, r4",
                    // sp: next, end, pixel, down, out gap, out row, odd, rows
                    "mov r4, sp",
                    "ldmia r0!, {{r2, r5, r6, r7}}",
                    "stmia r4!, {{r2, r5, r6, r7}}",
                    "mov r2, r5",
                    "ldmia r0!, {{r5, r6, r7}}",
                    "stmia r4!, {{r5, r6, r7}}",
                    "subs r2, r2, r7",
                    "mov lr, r2",
                    "ldr r5, [r0]",
                    "str r5, [r4]",
                    "movs r0, r1",
                    "movs r7, r3",
                    "movs r1, #128",
                    "lsls r1, r1, #8",
                    "mov r10, r1",
                    "10:",
                    "ldmia r7!, {{r4, r5}}",
                    "mov r8, r4",
                    "mov r9, r5",
                    kernel_row!($taps),
                    "add r0, r12",
                    kernel_row!($taps),
                    "add r0, r12",
                    kernel_row!($taps),
                    "mov r1, r8",
                    "mov r2, r9",
                    "lsls r3, r2, #16",
                    "subs r1, r1, r3",
                    "ldmia r7!, {{r4, r5, r6}}",
                    "subs r7, #56",
                    narrow!("r1", "r3", "r4", "r5", "r6"),
                    narrow!("r2", "r3", "r4", "r5", "r6"),
                    saturate!("r1", "r3"),
                    saturate!("r2", "r3"),
                    "ldr r4, [sp]",
                    "adds r0, r0, r4",
                    "mov r3, r11",
                    "strb r1, [r3]",
                    "strb r2, [r3, #1]",
                    "adds r3, #2",
                    "mov r11, r3",
                    "cmp r3, lr",
                    "bne 10b",
                    "ldr r1, [sp, #4]",
                    "cmp r3, r1",
                    "beq 20f",
                    // One pixel is left: back by one.
                    "subs r3, #1",
                    "mov r11, r3",
                    "mov lr, r1",
                    "ldr r1, [sp, #8]",
                    "subs r0, r0, r1",
                    "b 10b",
                    "20:",
                    "ldr r2, [sp, #12]",
                    "adds r0, r0, r2",
                    "ldr r2, [sp, #16]",
                    "adds r3, r3, r2",
                    "mov r11, r3",
                    "ldr r2, [sp, #20]",
                    "adds r1, r1, r2",
                    "str r1, [sp, #4]",
                    "ldr r2, [sp, #24]",
                    "subs r1, r1, r2",
                    "mov lr, r1",
                    "ldr r1, [sp, #28]",
                    "subs r1, #1",
                    "str r1, [sp, #28]",
                    "beq 30f",
                    "b 10b",
                    "30:",
                    "add sp, #32",
                    "pop {{r4-r7}}",
                    "mov r8, r4",
                    "mov r9, r5",
                    "mov r10, r6",
                    "mov r11, r7",
                    "pop {{r4-r7, pc}}",
                )
            }
        };
    }

    rows!(rows_of_threes, 3);
    rows!(rows_of_twos, 2);
}
