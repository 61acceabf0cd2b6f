//! The micro-kernel of all convolutions: every output channel of four pixels, two channels at a time.
//!
//! ```text
//! r0  weights, run through all pairs     r2..r5  S of pixel 0..3 (even channel)      r10  word of weights
//! r1  x, rewound for each pair           r6..r9  T of pixel 0..3 (odd channel)       r11  its even bytes as halves
//! r12, lr  words of two pixels
//!
//! for each pair of channels:                               pairs: b0, b1, M0, M1
//!     S = b0; T = b1 (dual: 256 * b1 + b0)
//!     jump into the unrolled blocks, so that the first pass runs `words % 8` of eight
//!     block, 16 MACs in 12 instructions (plain: 13):
//!         r10 = *r0++;  r11 = even bytes of r10 (plain: and r10 = its odd bytes)
//!         r12, lr = *r1++, *r1++                           pixels 0 and 1, two taps each
//!         S0 += r11 . r12;  T0 += r10 . r12;  S1 += r11 . lr;  T1 += r10 . lr
//!         r12, lr = *r1++, *r1++                           likewise pixels 2 and 3
//!     dual: T = (T - S) >> 8, since T = 256 * (sum of the odd channel) + S
//!     requantize, saturate
//!     planes: pack four pixels into a word, store it at `out` and, but for an odd last channel, at `out + step`
//!     interleaved: pack two channels into a half, store it at `out + pixel * step`; of an odd last channel its byte
//! ```
//!
//! Dual packing multiplies by `h = 256 * v + w`; its low byte, sign-extended, is `w`. It is exact when every `h` fits 16 bits
//! and every sum of an odd channel 24: the compiler proves both, or packs plainly.

/// Where outputs lie: one of the distances is 1.
#[derive(Clone, Copy)]
pub(super) struct Distances {
    /// Bytes from channel to channel.
    pub channel: usize,
    /// Bytes from pixel to pixel.
    pub pixel: usize,
}

impl Distances {
    /// Bytes that four pixels of `channels` channels reach.
    #[inline(always)]
    pub fn reach(&self, channels: usize) -> usize {
        channels.saturating_sub(1) * self.channel + 3 * self.pixel + 1
    }
}

/// One call of the micro-kernel. `x` holds at least one word, `weights` as many words a pair, `pairs` four values a pair,
/// `out` four pixels of every channel; there is at least one.
pub(super) struct Tile<'a> {
    pub x: &'a [[u32; 4]],
    pub weights: &'a [u32],
    pub pairs: &'a [i32],
    pub channels: usize,
    pub zero_point: i32,
    pub out: &'a mut [i8],
    pub to: Distances,
}

#[cfg(not(kiln_kernels = "dsp"))]
impl Tile<'_> {
    /// What the assembly computes, wrapped sums included.
    pub fn run(self, dual: bool) {
        use super::words::{even, mac, odd};
        let pairs = self.pairs.as_chunks::<4>().0.iter().zip(self.weights.chunks_exact(self.x.len()));
        for (pair, (&[b0, b1, m0, m1], weights)) in pairs.enumerate() {
            let (mut s, mut t) = ([b0; 4], [b1; 4]);
            for (x, &w) in self.x.iter().zip(weights) {
                let (even, odd) = (even(w), if dual { w } else { odd(w) });
                for (p, &x) in x.iter().enumerate() {
                    s[p] = mac(even, x, s[p]);
                    t[p] = mac(odd, x, t[p]);
                }
            }
            for p in 0..4 {
                let odd = if dual { t[p].wrapping_sub(s[p]) >> 8 } else { t[p] };
                for (c, acc, multiplier) in [(0, s[p], m0), (1, odd, m1)] {
                    if 2 * pair + c >= self.channels {
                        continue;
                    }
                    let q = crate::requantize(acc, multiplier, 0).wrapping_add(self.zero_point);
                    if let Some(to) = self.out.get_mut((2 * pair + c) * self.to.channel + p * self.to.pixel) {
                        *to = q.clamp(-128, 127) as i8;
                    }
                }
            }
        }
    }
}

#[cfg(kiln_kernels = "dsp")]
mod dsp {
    use super::Tile;

    /// The arguments of the assembly, in the order in which it loads them.
    #[repr(C)]
    struct Args {
        x: *const [u32; 4],
        end: *const [u32; 4],
        pairs: *const i32,
        out: *mut i8,
        /// Bytes from plane to plane; from pixel to pixel, negative, where these are interleaved.
        step: isize,
        channels: usize,
        zero_point: i32,
        /// Bytes of the blocks that the first pass skips; odd for plain weights.
        skip: usize,
        weights: *const u32,
    }

    /// How a loop is unrolled.
    struct Blocks {
        /// Bytes of a block.
        size: usize,
        /// Blocks of a loop, a power of two: fewer where the program is to be small, or the loop is rare.
        unrolled: usize,
    }

    const DUAL: Blocks = Blocks { size: 48, unrolled: if cfg!(kiln_small) { 2 } else { 8 } };
    const PLAIN: Blocks = Blocks { size: 52, unrolled: if cfg!(kiln_small) { 1 } else { 4 } };

    impl Tile<'_> {
        #[inline(always)]
        #[allow(unsafe_code)]
        pub(in super::super) fn run(self, dual: bool) {
            let x = self.x.as_ptr_range();
            let blocks = if dual { DUAL } else { PLAIN };
            let skip = (self.x.len().wrapping_neg() & (blocks.unrolled - 1)) * blocks.size + !dual as usize;
            let args = Args {
                x: x.start,
                end: x.end,
                pairs: self.pairs.as_ptr(),
                out: self.out.as_mut_ptr(),
                step: if self.to.pixel == 1 { self.to.channel as isize } else { -(self.to.pixel as isize) },
                channels: self.channels,
                zero_point: self.zero_point,
                skip,
                weights: self.weights.as_ptr(),
            };
            // SAFETY: the lengths are those of `Tile`: the assembly reads `x.len()` words and 4 parameters a pair, and
            // writes `channels` bytes of each of four pixels, all inside of the borrowed slices.
            unsafe { gemm(core::hint::black_box(&args)) }
        }
    }

    /// Some blocks and the end of their loop.
    macro_rules! blocks {
        ($label:literal, $unrolled:literal, $unpack:literal) => {
            concat!(
                $label,
                ":\n.rept {",
                $unrolled,
                "}\n ldr.w r10, [r0], #4\n sxtb16 r11, r10\n",
                $unpack,
                "\n ldrd r12, lr, [r1], #8\n",
                " smlad r2, r11, r12, r2\n smlad r6, r10, r12, r6\n smlad r3, r11, lr, r3\n smlad r7, r10, lr, r7\n",
                " ldrd r12, lr, [r1], #8\n",
                " smlad r4, r11, r12, r4\n smlad r8, r10, r12, r8\n smlad r5, r11, lr, r5\n smlad r9, r10, lr, r9\n",
                ".endr\n ldr.w r10, [sp, #4]\n cmp r1, r10\n bne.w ",
                $label,
                "b"
            )
        };
    }

    /// All pairs of channels of four pixels.
    #[unsafe(naked)]
    #[allow(unsafe_code)]
    unsafe extern "C" fn gemm(args: *const Args) {
        core::arch::naked_asm!(
            crate::dsp::words::cpu!(),
            "push {{r4-r11, lr}}",
            "ldm r0, {{r1-r9}}",
            "adr.w r10, 10f",
            "tst r8, #1",
            "it ne",
            "adrne.w r10, 20f",
            "add r10, r10, r8",
            "orr r10, r10, #1",
            "mov r0, r9",
            // sp: x, end, pairs, out, step, channels, zero point, entry
            "push {{r1-r7, r10}}",
            "5:",
            "ldr r12, [sp, #8]",
            "ldr r1, [sp]",
            "ldr lr, [sp, #28]",
            "ldrd r2, r6, [r12]",
            "mov r3, r2",
            "mov r4, r2",
            "mov r5, r2",
            "mov r7, r6",
            "mov r8, r6",
            "mov r9, r6",
            "bx lr",
            ".balign 4",
            blocks!("10", "dual", ""),
            "sub r6, r6, r2",
            "sub r7, r7, r3",
            "sub r8, r8, r4",
            "sub r9, r9, r5",
            "asr r6, r6, #8",
            "asr r7, r7, #8",
            "asr r8, r8, #8",
            "asr r9, r9, #8",
            "b.w 30f",
            ".balign 4",
            blocks!("20", "plain", "sxtb16 r10, r10, ror #8"),
            "30:",
            "ldr r1, [sp, #8]",
            "ldr lr, [sp, #24]",
            "ldrd r11, r12, [r1, #8]",
            "smmlar r2, r2, r11, lr",
            "smmlar r3, r3, r11, lr",
            "smmlar r4, r4, r11, lr",
            "smmlar r5, r5, r11, lr",
            "smmlar r6, r6, r12, lr",
            "smmlar r7, r7, r12, lr",
            "smmlar r8, r8, r12, lr",
            "smmlar r9, r9, r12, lr",
            "ssat r2, #8, r2",
            "ssat r3, #8, r3",
            "ssat r4, #8, r4",
            "ssat r5, #8, r5",
            "ssat r6, #8, r6",
            "ssat r7, #8, r7",
            "ssat r8, #8, r8",
            "ssat r9, #8, r9",
            "add r1, r1, #16",
            "str r1, [sp, #8]",
            "ldrd r1, r10, [sp, #12]",
            "ldr r11, [sp, #20]",
            "subs r11, r11, #2",
            "str r11, [sp, #20]",
            "cmp r10, #0",
            "blt 40f",
            "bfi r2, r3, #8, #8",
            "bfi r2, r4, #16, #8",
            "bfi r2, r5, #24, #8",
            "bfi r6, r7, #8, #8",
            "bfi r6, r8, #16, #8",
            "bfi r6, r9, #24, #8",
            "str r2, [r1]",
            "cmp r11, #0",
            "it ge",
            "strge r6, [r1, r10]",
            "add r1, r1, r10, lsl #1",
            "50:",
            "str r1, [sp, #12]",
            "bgt 5b",
            "add sp, sp, #32",
            "pop {{r4-r11, pc}}",
            // Interleaved: r10 is minus the distance of pixels.
            "40:",
            "sub r12, r1, r10",
            "cmp r11, #0",
            "blt 45f",
            "bfi r2, r6, #8, #8",
            "bfi r3, r7, #8, #8",
            "bfi r4, r8, #8, #8",
            "bfi r5, r9, #8, #8",
            "strh r2, [r1], #2",
            "strh r3, [r12]",
            "sub r12, r12, r10",
            "strh r4, [r12]",
            "sub r12, r12, r10",
            "strh r5, [r12]",
            "b 50b",
            "45:",
            "strb r2, [r1]",
            "strb r3, [r12]",
            "sub r12, r12, r10",
            "strb r4, [r12]",
            "sub r12, r12, r10",
            "strb r5, [r12]",
            "b 50b",
            dual = const DUAL.unrolled,
            plain = const PLAIN.unrolled,
        )
    }
}
