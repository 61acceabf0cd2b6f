//! Rows of weights times one vector, four rows at a time.
//!
//! ```text
//! r1..r4  rows     r6, r7  fours of values, and values behind them    s0..s3  sums    s8..s11, s12..s15, s16..s19, s20..s23  weights
//! r5  x            r8, r11  output, from output to output             s4..s7  x       s24, s25  smallest, largest    s26  0
//! r9  bias         r10  fours of rows    lr  bytes of a row           sp: x, fours, values behind them
//!
//! for each four rows:
//!     for each four values, 16 MACs in 23 instructions:
//!         s4..s7 = *r5++ ..;  s8..s23 = *r1++ ..;
//!         s0 += s4 * s8;  s1 += s4 * s12;  s2 += s4 * s16;  s3 += s4 * s20;  then s5, s6, s7 likewise
//!     for each value behind them: one of each
//!     add the biases, clamp, store
//! ```

use super::clamp;
use core::hint::black_box;

/// The arguments of the assembly, in the order in which it loads them.
#[repr(C)]
struct Args {
    x: *const f32,
    fours: usize,
    rest: usize,
    weights: *const f32,
    out: *mut f32,
    bias: *const f32,
    quads: usize,
    step: usize,
    row: usize,
    min: f32,
    max: f32,
}

/// `out[i * step] = clamp(sum(x * weights[i]) + bias[i])` for as many whole fours as there are biases; says how many outputs
/// that were. None is written when the lengths do not fit.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn dots(
    x: &[f32],
    (weights, bias): (&[f32], &[f32]),
    (out, step): (&mut [f32], usize),
    (min, max): (f32, f32),
) -> usize {
    let (n, quads) = (bias.len() / 4 * 4, bias.len() / 4);
    if quads == 0 || weights.len() < n * x.len() || (n - 1) * step >= out.len() {
        return 0;
    }
    let args = Args {
        x: x.as_ptr(),
        fours: x.len() / 4,
        rest: x.len() % 4,
        weights: weights.as_ptr(),
        out: out.as_mut_ptr(),
        bias: bias.as_ptr(),
        quads,
        step: 4 * step,
        row: 4 * x.len(),
        min,
        max,
    };
    // SAFETY: the lengths were compared above: `n` rows of `x.len()` weights, `n` biases, and outputs of which the last lies
    // inside of `out`.
    unsafe { rows(black_box(&args)) }
    n
}

#[unsafe(naked)]
#[allow(unsafe_code)]
unsafe extern "C" fn rows(args: *const Args) {
    core::arch::naked_asm!(
        super::cpu!(),
        "push {{r4-r11, lr}}",
        "vpush {{s16-s27}}",
        "add r12, r0, #36",
        "vldmia r12, {{s24-s25}}",
        "mov r12, #0",
        "vmov s26, r12",
        "ldr lr, [r0, #32]",
        "ldrd r10, r11, [r0, #24]",
        "ldr r9, [r0, #20]",
        "ldrd r1, r8, [r0, #12]",
        "ldm r0, {{r5-r7}}",
        "push {{r5-r7}}",
        "5:",
        "ldm sp, {{r5-r7}}",
        "add r2, r1, lr",
        "add r3, r2, lr",
        "add r4, r3, lr",
        "vmov.f32 s0, s26",
        "vmov.f32 s1, s26",
        "vmov.f32 s2, s26",
        "vmov.f32 s3, s26",
        "cmp r6, #0",
        "beq 20f",
        "10:",
        "vldmia r5!, {{s4-s7}}",
        "vldmia r1!, {{s8-s11}}",
        "vldmia r2!, {{s12-s15}}",
        "vldmia r3!, {{s16-s19}}",
        "vldmia r4!, {{s20-s23}}",
        "vmla.f32 s0, s4, s8",
        "vmla.f32 s1, s4, s12",
        "vmla.f32 s2, s4, s16",
        "vmla.f32 s3, s4, s20",
        "vmla.f32 s0, s5, s9",
        "vmla.f32 s1, s5, s13",
        "vmla.f32 s2, s5, s17",
        "vmla.f32 s3, s5, s21",
        "vmla.f32 s0, s6, s10",
        "vmla.f32 s1, s6, s14",
        "vmla.f32 s2, s6, s18",
        "vmla.f32 s3, s6, s22",
        "vmla.f32 s0, s7, s11",
        "vmla.f32 s1, s7, s15",
        "vmla.f32 s2, s7, s19",
        "vmla.f32 s3, s7, s23",
        "subs r6, r6, #1",
        "bne 10b",
        "20:",
        "cmp r7, #0",
        "beq 40f",
        "30:",
        "vldmia r5!, {{s4}}",
        "vldmia r1!, {{s8}}",
        "vldmia r2!, {{s12}}",
        "vldmia r3!, {{s16}}",
        "vldmia r4!, {{s20}}",
        "vmla.f32 s0, s4, s8",
        "vmla.f32 s1, s4, s12",
        "vmla.f32 s2, s4, s16",
        "vmla.f32 s3, s4, s20",
        "subs r7, r7, #1",
        "bne 30b",
        "40:",
        "vldmia r9!, {{s4-s7}}",
        "vadd.f32 s0, s0, s4",
        "vadd.f32 s1, s1, s5",
        "vadd.f32 s2, s2, s6",
        "vadd.f32 s3, s3, s7",
        clamp!("s0", "s24", "s25"),
        clamp!("s1", "s24", "s25"),
        clamp!("s2", "s24", "s25"),
        clamp!("s3", "s24", "s25"),
        "vstr s0, [r8]",
        "add r8, r8, r11",
        "vstr s1, [r8]",
        "add r8, r8, r11",
        "vstr s2, [r8]",
        "add r8, r8, r11",
        "vstr s3, [r8]",
        "add r8, r8, r11",
        // The fourth row ends where the next four begin.
        "mov r1, r4",
        "subs r10, r10, #1",
        "bne 5b",
        "add sp, sp, #12",
        "vpop {{s16-s27}}",
        "pop {{r4-r11, pc}}",
    )
}
