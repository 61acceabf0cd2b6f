//! The micro-kernel of convolutions: every output channel of two pixels, two channels at a time.
//!
//! ```text
//! r0, r2  sums of the even channel, pixel 0 and 1     r1  weights, run through all pairs
//! r4, r6  sums of the odd channel, pixel 0 and 1      r3, r5  taps of pixel 0 and 1, from r7 and r8 for each pair
//! r9  parameters    r10  out    r11  pairs left    r12  taps    lr  taps left
//! q4 zero point     q5 min      q6 max             q7  where the four outputs lie from `out`
//!
//! for each pair of channels:                       pairs: b0, b1, M0, M0, M1, M1
//!     r0 = r2 = b0;  r4 = r6 = b1
//!     16 taps, 64 MACs in 9 instructions; the last ones predicated:
//!         q0, q1 = weights of the even and the odd channel;  q2, q3 = taps of pixel 0 and 1
//!         r0 += q0 . q2;  r2 += q0 . q3;  r4 += q1 . q2;  r6 += q1 . q3
//!     q0 = r0 r2 r4 r6;  q0 = clamp(vrmulh(q0, M0 M0 M1 M1) + zero point)
//!     scatter q0 to the four places
//! ```
//!
//! The scatter makes every layout of the output one: planar, interleaved, and a lone last pixel, whose place is there twice.

use super::{FilterMve, Range};

/// All channels of two pixels.
pub(super) struct Gemm<'a> {
    pub filter: &'a FilterMve<'a>,
    pub range: Range,
    /// Output channels.
    pub channels: usize,
    /// From an output channel to the next.
    pub plane: usize,
}

impl Gemm<'_> {
    /// `out[c * plane + p * step]` for every channel `c` and both pixels `p`, each of as many taps. Nothing is written when the
    /// lengths do not fit.
    #[inline(never)]
    pub fn run(&self, x: [&[i8]; 2], out: &mut [i8], step: usize) {
        let even = self.channels / 2;
        self.pairs(x, 0..even, out, [0, step, self.plane, self.plane + step]);
        if self.channels % 2 == 1 {
            // The pair's second channel is the first one again.
            let out = out.get_mut(2 * even * self.plane..).unwrap_or(&mut []);
            self.pairs(x, even..even + 1, out, [0, step, 0, step]);
        }
    }

    #[inline(always)]
    fn pairs(&self, x: [&[i8]; 2], pairs: core::ops::Range<usize>, out: &mut [i8], places: [usize; 4]) {
        let [a, b] = x;
        let (len, count) = (FilterMve::pair_len(a.len()), pairs.len());
        let weights = self.filter.weights.get(pairs.start * len..pairs.end * len);
        let params = self.filter.pairs.get(pairs.start * 6..pairs.end * 6);
        let (Some(weights), Some(params)) = (weights, params) else { return };
        let [.., last] = places;
        let advance = 2 * self.plane;
        if count > 0 && !a.is_empty() && a.len() == b.len() && (count - 1) * advance + last < out.len() {
            imp::run(&Tile { x, weights, params, range: self.range, places, advance }, out);
        }
    }
}

/// One call of the micro-kernel. Both pixels have as many taps, at least one; `weights` those of every pair, `params` six values
/// a pair and at least one pair, and `out` reaches to the last place of the last pair.
struct Tile<'a> {
    x: [&'a [i8]; 2],
    weights: &'a [i8],
    params: &'a [i32],
    range: Range,
    /// Where the outputs of a pair lie: even channel and odd channel, pixel 0 and 1 each.
    places: [usize; 4],
    /// From a pair to the next.
    advance: usize,
}

#[cfg(not(kiln_kernels = "mve"))]
mod imp {
    use super::Tile;

    pub(super) fn run(tile: &Tile, out: &mut [i8]) {
        let taps = tile.x[0].len();
        let weights = tile.weights.chunks_exact(super::FilterMve::pair_len(taps));
        for (pair, (&[b0, b1, m0, _, m1, _], weights)) in
            tile.params.as_chunks::<6>().0.iter().zip(weights).enumerate()
        {
            let channels = [(b0, m0, 0, 0), (b0, m0, 0, 1), (b1, m1, 16, 0), (b1, m1, 16, 1)];
            for ((bias, multiplier, first, pixel), place) in channels.into_iter().zip(tile.places) {
                let mut acc = bias;
                for (x, weights) in tile.x[pixel].chunks(16).zip(weights.chunks_exact(32)) {
                    for (&x, &w) in x.iter().zip(weights.iter().skip(first)) {
                        acc = acc.wrapping_add(x as i32 * w as i32);
                    }
                }
                if let Some(to) = out.get_mut(pair * tile.advance + place) {
                    *to = tile.range.quantize(acc, multiplier);
                }
            }
        }
    }
}

#[cfg(kiln_kernels = "mve")]
#[allow(unsafe_code)]
mod imp {
    use super::Tile;

    /// The arguments of the assembly, in the order in which it loads them.
    #[repr(C)]
    struct Args {
        places: [usize; 4],
        zero_point: i32,
        min: i32,
        max: i32,
        advance: usize,
        weights: *const i8,
        x0: *const i8,
        x1: *const i8,
        params: *const i32,
        out: *mut i8,
        count: usize,
        taps: usize,
    }

    #[inline(always)]
    pub(super) fn run(tile: &Tile, out: &mut [i8]) {
        let [a, b] = tile.x;
        let args = Args {
            places: tile.places,
            zero_point: tile.range.zero_point,
            min: tile.range.min,
            max: tile.range.max,
            advance: tile.advance,
            weights: tile.weights.as_ptr(),
            x0: a.as_ptr(),
            x1: b.as_ptr(),
            params: tile.params.as_ptr(),
            out: out.as_mut_ptr(),
            count: tile.params.len() / 6,
            taps: a.len(),
        };
        // SAFETY: the lengths are those of `Tile`: for each pair, the assembly reads whole vectors of its weights, six
        // parameters, and of each pixel as many bytes as there are taps; it writes the bytes at `places` from `out`, which
        // moves on by `advance`. All of them lie inside of the borrowed slices.
        unsafe { two_pixels(core::hint::black_box(&args)) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn two_pixels(args: *const Args) {
        core::arch::naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r11, lr}}",
            "vpush {{d8-d15}}",
            "vldrw.u32 q7, [r0]",
            "add r12, r0, #16",
            "ldm r12!, {{r1, r2, r3, r4}}",
            "vdup.32 q4, r1",
            "vdup.32 q5, r2",
            "vdup.32 q6, r3",
            "push {{r4}}",
            "ldm r12, {{r1, r7, r8, r9, r10, r11, r12}}",
            "5:",
            "ldrd r0, r4, [r9], #8",
            "mov r3, r7",
            "mov r5, r8",
            "mov r2, r0",
            "mov r6, r4",
            "dlstp.8 lr, r12",
            "10:",
            "vldrb.u8 q0, [r1], #32",
            "vldrb.u8 q2, [r3], #16",
            "vmladava.s8 r0, q0, q2",
            "vldrb.u8 q3, [r5], #16",
            "vmladava.s8 r2, q0, q3",
            "vldrb.u8 q1, [r1, #-16]",
            "vmladava.s8 r4, q1, q2",
            "vmladava.s8 r6, q1, q3",
            "letp lr, 10b",
            "vmov q0[2], q0[0], r0, r4",
            "vmov q0[3], q0[1], r2, r6",
            "vldrw.u32 q1, [r9], #16",
            "vrmulh.s32 q0, q0, q1",
            "ldr r0, [sp]",
            "vadd.i32 q0, q0, q4",
            "vmax.s32 q0, q0, q5",
            "vmin.s32 q0, q0, q6",
            "vstrb.32 q0, [r10, q7]",
            "add r10, r10, r0",
            "subs r11, r11, #1",
            "bne 5b",
            "add sp, sp, #4",
            "vpop {{d8-d15}}",
            "pop {{r4-r11, pc}}",
        )
    }
}
