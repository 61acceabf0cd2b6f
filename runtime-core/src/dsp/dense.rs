//! The micro-kernel of dense layers: four outputs at a time.
//!
//! ```text
//! r0  weights      r3, r5  S of pair 0, 1 (even outputs)      r7..r10  words of weights: pair 0, 1, 0, 1
//! r1  x            r4, r6  T of pair 0, 1 (odd outputs)       r11, r12  words of x: inputs 0 and 2, 1 and 3
//! r2  end of x     lr  parameters of the four outputs         sp: x, out, quads, zero point
//!
//! for each four outputs:
//!     S, T = b; four inputs, 16 MACs, in 14 instructions (plain: 18), four times a pass:
//!         r7, r8, r9, r10 = *r0++ ..;  r11, r12 = *r1++, *r1++
//!         T += packed words . x;  unpack the words in place;  S += words . x
//!     dual: T = (T - S) >> 8
//!     requantize, saturate, pack and store a word
//! ```

/// Some outputs. `weights` and `params` as in [`DenseFilterDsp`](super::DenseFilterDsp); `x` holds a multiple of 8 words.
pub(super) struct Quads<'a> {
    pub x: &'a [u32],
    pub weights: &'a [u32],
    pub params: &'a [i32],
    pub dual: bool,
    pub zero_point: i32,
}

/// Computes as many outputs as `out` has values, a multiple of four. Nothing is written when the lengths do not fit.
#[inline(always)]
pub(super) fn run(quads: Quads, out: &mut [i8]) {
    let n = out.len() / 4;
    let fits = quads.weights.len() == n * quads.x.len() * 2 && quads.params.len() == n * 8;
    if n > 0 && fits && !quads.x.is_empty() && quads.x.len().is_multiple_of(8) {
        imp::run(quads, out);
    }
}

#[cfg(not(kiln_kernels = "dsp"))]
mod imp {
    use super::Quads;
    use crate::dsp::words::{even, mac, odd};

    /// What the assembly computes, wrapped sums included.
    pub fn run(q: Quads, out: &mut [i8]) {
        let params = q.params.as_chunks::<8>().0.iter().zip(q.weights.chunks_exact(q.x.len() * 2));
        for (out, (&[b0, b1, b2, b3, m0, m1, m2, m3], weights)) in
            out.as_chunks_mut::<4>().0.iter_mut().zip(params)
        {
            let mut sums = [b0, b1, b2, b3];
            let x = q.x.as_chunks::<2>().0;
            for (&[x02, x13], &[a02, b02, a13, b13]) in x.iter().zip(weights.as_chunks::<4>().0) {
                for (pair, x, word) in [(0, x02, a02), (1, x02, b02), (0, x13, a13), (1, x13, b13)] {
                    sums[2 * pair] = mac(even(word), x, sums[2 * pair]);
                    let odd = if q.dual { word } else { odd(word) };
                    sums[2 * pair + 1] = mac(odd, x, sums[2 * pair + 1]);
                }
            }
            if q.dual {
                sums[1] = sums[1].wrapping_sub(sums[0]) >> 8;
                sums[3] = sums[3].wrapping_sub(sums[2]) >> 8;
            }
            for ((to, acc), multiplier) in out.iter_mut().zip(sums).zip([m0, m1, m2, m3]) {
                let y = crate::requantize(acc, multiplier, 0).wrapping_add(q.zero_point);
                *to = y.clamp(-128, 127) as i8;
            }
        }
    }
}

#[cfg(kiln_kernels = "dsp")]
#[allow(unsafe_code)]
mod imp {
    use super::Quads;

    /// The arguments of the assembly, in the order in which it loads them.
    #[repr(C)]
    struct Args {
        weights: *const u32,
        x: *const u32,
        end: *const u32,
        params: *const i32,
        out: *mut i8,
        quads: usize,
        zero_point: i32,
    }

    #[inline(always)]
    pub fn run(q: Quads, out: &mut [i8]) {
        let x = q.x.as_ptr_range();
        let args = Args {
            weights: q.weights.as_ptr(),
            x: x.start,
            end: x.end,
            params: q.params.as_ptr(),
            out: out.as_mut_ptr(),
            quads: out.len() / 4,
            zero_point: q.zero_point,
        };
        // SAFETY: the caller compared the lengths: `x` is a multiple of 8 words and not empty, `weights` has twice as many
        // and `params` 8 values for each four of `out`.
        unsafe {
            if q.dual {
                dense_dual(core::hint::black_box(&args));
            } else {
                dense_plain(core::hint::black_box(&args));
            }
        }
    }

    /// Blocks of a loop, 1, 2 or 4: fewer where the program is to be small.
    const UNROLLED: usize = if cfg!(kiln_small) { 1 } else { 4 };

    macro_rules! dense {
        ($name:ident, $save:literal, $four_inputs:expr, $restore:literal) => {
            #[unsafe(naked)]
            unsafe extern "C" fn $name(args: *const Args) {
                core::arch::naked_asm!(
                    crate::dsp::words::cpu!(),
                    "push {{r4-r11, lr}}",
                    "ldm r0, {{r0-r6}}",
                    "mov lr, r3",
                    // sp: x, out, quads, zero point
                    "mov r3, r1",
                    "push {{r3-r6}}",
                    "5:",
                    "ldm lr!, {{r3-r6}}",
                    $save,
                    "10:",
                    ".rept {unrolled}",
                    "ldm r0!, {{r7-r10}}",
                    "ldrd r11, r12, [r1], #8",
                    $four_inputs,
                    ".endr",
                    "cmp r1, r2",
                    "bne 10b",
                    $restore,
                    "ldm lr!, {{r7-r10}}",
                    "ldr r11, [sp, #12]",
                    "smmlar r3, r3, r7, r11",
                    "smmlar r4, r4, r8, r11",
                    "smmlar r5, r5, r9, r11",
                    "smmlar r6, r6, r10, r11",
                    "ssat r3, #8, r3",
                    "ssat r4, #8, r4",
                    "ssat r5, #8, r5",
                    "ssat r6, #8, r6",
                    "bfi r3, r4, #8, #8",
                    "bfi r3, r5, #16, #8",
                    "bfi r3, r6, #24, #8",
                    "ldm sp, {{r1, r4, r5}}",
                    "str r3, [r4], #4",
                    "subs r5, r5, #1",
                    "strd r4, r5, [sp, #4]",
                    "bne 5b",
                    "add sp, sp, #16",
                    "pop {{r4-r11, pc}}",
                    unrolled = const UNROLLED,
                )
            }
        };
    }

    dense!(
        dense_dual,
        "",
        concat!(
            "smlad r4, r7, r11, r4\n sxtb16 r7, r7\n smlad r6, r8, r11, r6\n sxtb16 r8, r8\n",
            "smlad r4, r9, r12, r4\n sxtb16 r9, r9\n smlad r6, r10, r12, r6\n sxtb16 r10, r10\n",
            "smlad r3, r7, r11, r3\n smlad r5, r8, r11, r5\n smlad r3, r9, r12, r3\n smlad r5, r10, r12, r5\n"
        ),
        "sub r4, r4, r3\n asr r4, r4, #8\n sub r6, r6, r5\n asr r6, r6, #8\n"
    );
    // The odd bytes of a word need a register more: `lr` is free until the sums are complete.
    dense!(
        dense_plain,
        "push {{lr}}",
        concat!(
            "sxtb16 lr, r7, ror #8\n sxtb16 r7, r7\n smlad r4, lr, r11, r4\n smlad r3, r7, r11, r3\n",
            "sxtb16 lr, r8, ror #8\n sxtb16 r8, r8\n smlad r6, lr, r11, r6\n smlad r5, r8, r11, r5\n",
            "sxtb16 lr, r9, ror #8\n sxtb16 r9, r9\n smlad r4, lr, r12, r4\n smlad r3, r9, r12, r3\n",
            "sxtb16 lr, r10, ror #8\n sxtb16 r10, r10\n smlad r6, lr, r12, r6\n smlad r5, r10, r12, r5\n"
        ),
        "pop {{lr}}"
    );
}
