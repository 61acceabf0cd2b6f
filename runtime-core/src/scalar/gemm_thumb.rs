//! The micro-kernel of convolutions for Cortex-M0+ and M23, which have eight registers for arithmetic.
//!
//! ```text
//! r0  columns    r1  weights    r2..r5  words of a column    r6, r7  weights of its two taps
//! r8, r9  total and high of pixels 0 and 1    r10, r11  of pixels 2 and 3    r12  2^15    lr  end of the columns    sp: Args
//!
//! for each channel:
//!     sums = bias; enter the loop so that what is left is a multiple of four columns
//!     a column, 8 MACs in 11:    r2..r5 = *r0++;  r2, r3 *= r6;  r4, r5 *= r7;  r2 += r4;  r3 += r5
//!     a tap more, 4 MACs in 7:   r4, r5 = *r0++;  r4, r5 *= r6;  r2 += r4;  r3 += r5
//!     the end of a block, in 8:  r8 += r2;  r9 += (r2 + 2^15) >> 16;  r10 += r3;  r11 += (r3 + 2^15) >> 16
//!     sums -> r2..r5; requantize in 7 (`short`), or by halves in 20; saturate in 3 to 6; store four bytes
//! ```
//!
//! Blocks are counted from the last column back: those of four taps are two columns, before which one may be left.

use super::filter_scalar::FIELDS;
use super::gemm::Gemm;
use super::short::offset;
use super::sums::Column;
use super::thumb::{end_of_block, halves, narrow, saturate};

/// The arguments of the assembly, in the order in which it loads them.
#[repr(C)]
struct Args {
    x: *const Column,
    end: *const Column,
    channels: *const i32,
    out: *mut i8,
    plane: usize,
    last: *const i32,
    offset: i32,
    zero_point: i32,
    columns: usize,
    weights: *const i8,
}

#[inline(always)]
#[allow(unsafe_code)]
pub(super) fn run(gemm: &Gemm, x: &[Column], out: &mut [i8], plane: usize) {
    let columns = x.as_ptr_range();
    let channels = gemm.filter.channels;
    let args = Args {
        x: columns.start,
        end: columns.end,
        channels: channels.as_ptr(),
        out: out.as_mut_ptr(),
        plane,
        last: channels.as_ptr().wrapping_add(channels.len() / FIELDS * FIELDS),
        offset: offset(gemm.zero_point),
        zero_point: gemm.zero_point,
        columns: x.len(),
        weights: gemm.filter.weights.as_ptr(),
    };
    // SAFETY: the caller compared the lengths: there are channels and columns, two weights a column for each channel, and four
    // bytes of `out` at each of as many multiples of `plane`.
    unsafe { all_channels(core::hint::black_box(&args)) }
}

/// Two taps, whose weights are the `$v`-th and the `$w`-th from `r1`: sums in r2 and r3.
macro_rules! column {
    ($v:literal, $w:literal) => {
        concat!(
            "ldrb r6, [r1, #",
            $v,
            "]\n sxtb r6, r6\n ldrb r7, [r1, #",
            $w,
            "]\n sxtb r7, r7\n",
            "ldmia r0!, {{r2, r3, r4, r5}}\n",
            "muls r2, r6, r2\n muls r3, r6, r3\n muls r4, r7, r4\n muls r5, r7, r5\n",
            "adds r2, r2, r4\n adds r3, r3, r5\n"
        )
    };
}

/// Taps more.
macro_rules! more {
    ($v:literal, $w:literal) => {
        concat!(more!($v), more!($w))
    };
    ($v:literal) => {
        concat!(
            "ldrb r6, [r1, #",
            $v,
            "]\n sxtb r6, r6\n ldmia r0!, {{r4, r5}}\n",
            "muls r4, r6, r4\n muls r5, r6, r5\n adds r2, r2, r4\n adds r3, r3, r5\n"
        )
    };
}

/// A block of two taps.
macro_rules! two {
    ($v:literal, $w:literal) => {
        concat!(column!($v, $w), end_of_block!("r2", "r8", "r9"), end_of_block!("r3", "r10", "r11"))
    };
}

/// A block of four taps.
macro_rules! four {
    ($t:literal, $u:literal, $v:literal, $w:literal) => {
        concat!(
            column!($t, $u),
            more!($v, $w),
            end_of_block!("r2", "r8", "r9"),
            end_of_block!("r3", "r10", "r11")
        )
    };
}

#[unsafe(naked)]
#[allow(unsafe_code)]
unsafe extern "C" fn all_channels(args: *const Args) {
    core::arch::naked_asm!(
        "push {{r4-r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r4-r7}}",
        // sp: x, end, channels, out, plane, last, offset, zero point, entries of blocks of four and of two
        "sub sp, #40",
        "mov r7, sp",
        "ldmia r0!, {{r1, r2, r3, r4, r5, r6}}",
        "stmia r7!, {{r1, r2, r3, r4, r5, r6}}",
        "mov lr, r2",
        "ldmia r0!, {{r1, r2, r3, r4}}",
        "stmia r7!, {{r1, r2}}",
        "mov r1, r4",
        "movs r4, #3",
        "ands r3, r4",
        "lsls r3, r3, #1",
        "adr r4, 100f",
        "adds r3, r3, r4",
        "ldrh r5, [r3]",
        "adds r5, r5, r4",
        "ldrh r6, [r3, #8]",
        "adds r6, r6, r4",
        "stmia r7!, {{r5, r6}}",
        "movs r2, #128",
        "lsls r2, r2, #8",
        "mov r12, r2",
        "ldr r2, [sp, #8]",
        "b 5f",
        ".balign 4",
        "100:",
        ".hword 20f-100b, 21f-100b, 22f-100b, 23f-100b",
        ".hword 30f-100b, 31f-100b, 32f-100b, 33f-100b",
        // A channel.
        "5:",
        "ldmia r2!, {{r3, r4}}",
        "str r2, [sp, #8]",
        "mov r9, r3",
        "mov r11, r3",
        "lsls r5, r3, #16",
        "adds r5, r5, r3",
        "mov r8, r5",
        "mov r10, r5",
        "ldr r0, [sp]",
        "subs r4, #2",
        "ble 8f",
        "ldr r3, [sp, #32]",
        "mov pc, r3",
        "8:",
        "bne 40f",
        "ldr r3, [sp, #36]",
        "mov pc, r3",
        // Blocks of one tap.
        "40:",
        "ldrb r6, [r1]",
        "sxtb r6, r6",
        "ldrb r7, [r1, #1]",
        "sxtb r7, r7",
        "ldmia r0!, {{r2, r3, r4, r5}}",
        "muls r2, r6, r2",
        "muls r3, r6, r3",
        "muls r4, r7, r4",
        "muls r5, r7, r5",
        end_of_block!("r2", "r8", "r9"),
        end_of_block!("r3", "r10", "r11"),
        end_of_block!("r4", "r8", "r9"),
        end_of_block!("r5", "r10", "r11"),
        "adds r1, #2",
        "cmp r0, lr",
        "bne 40b",
        "b 60f",
        // Blocks of two.
        "33:",
        two!(0, 1),
        "adds r1, #2",
        "32:",
        two!(0, 1),
        "adds r1, #2",
        "31:",
        two!(0, 1),
        "adds r1, #2",
        "cmp r0, lr",
        "bne 30f",
        "b 60f",
        "30:",
        two!(0, 1),
        two!(2, 3),
        two!(4, 5),
        two!(6, 7),
        "adds r1, #8",
        "cmp r0, lr",
        "bne 30b",
        "b 60f",
        // Blocks of four.
        "23:",
        two!(0, 1),
        "adds r1, #2",
        "22:",
        four!(0, 1, 2, 3),
        "adds r1, #4",
        "b 29f",
        "21:",
        two!(0, 1),
        "adds r1, #2",
        "29:",
        "cmp r0, lr",
        "beq 60f",
        "20:",
        four!(0, 1, 2, 3),
        four!(4, 5, 6, 7),
        "adds r1, #8",
        "cmp r0, lr",
        "bne 20b",
        // Sums of pixels 0 to 3 in r2 to r5; the pointer to the weights rests in r8.
        "60:",
        "mov r2, r8",
        "mov r3, r9",
        "mov r4, r10",
        "mov r5, r11",
        "mov r8, r1",
        "lsls r6, r3, #16",
        "subs r2, r2, r6",
        "lsls r6, r5, #16",
        "subs r4, r4, r6",
        "ldr r1, [sp, #8]",
        "ldmia r1!, {{r6, r7}}",
        "str r1, [sp, #8]",
        "cmp r7, #0",
        "beq 80f",
        "ldr r0, [sp, #24]",
        "mov r9, r0",
        narrow!("r2", "r0", "r6", "r7", "r9"),
        narrow!("r3", "r0", "r6", "r7", "r9"),
        narrow!("r4", "r0", "r6", "r7", "r9"),
        narrow!("r5", "r0", "r6", "r7", "r9"),
        "75:",
        saturate!("r2", "r0"),
        saturate!("r3", "r0"),
        saturate!("r4", "r0"),
        saturate!("r5", "r0"),
        "ldr r0, [sp, #12]",
        "strb r2, [r0]",
        "strb r3, [r0, #1]",
        "strb r4, [r0, #2]",
        "strb r5, [r0, #3]",
        "ldr r2, [sp, #16]",
        "adds r0, r0, r2",
        "str r0, [sp, #12]",
        "ldr r2, [sp, #8]",
        "ldr r0, [sp, #20]",
        "mov r1, r8",
        "cmp r2, r0",
        "beq 90f",
        "b 5b",
        "80:",
        "ldr r0, [sp, #28]",
        "mov r9, r0",
        halves!("r2"),
        halves!("r3"),
        halves!("r4"),
        halves!("r5"),
        "b 75b",
        "90:",
        "add sp, #40",
        "pop {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r4-r7, pc}}",
    )
}
