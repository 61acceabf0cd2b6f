//! The micro-kernel of dense layers: four outputs at a time.
//!
//! ```text
//! r0, r2, r4, r6  sums     r1  weights, run through all outputs     r3  features, from r7 for each four outputs
//! r9  parameters    r5  out     r11  quads left    r12  features    lr  features left
//! q4 zero point     q5 min      q6 max
//!
//! for each four outputs:                           quads: b0 b1 b2 b3, M0 M1 M2 M3
//!     16 features, 64 MACs in 10 instructions, the last ones predicated:
//!         q0 = features;  for each output: q1 = weights;  sum += q0 . q1
//!     q0 = r0 r2 r4 r6;  four bytes of clamp(vrmulh(q0, M) + zero point)
//! ```

use super::{DenseFilterMve, Range};

/// Outputs of one row of features, a multiple of four.
pub(super) struct Quads<'a> {
    pub x: &'a [i8],
    pub weights: &'a [i8],
    /// Eight values for each four outputs.
    pub params: &'a [i32],
    pub range: Range,
}

impl Quads<'_> {
    /// Writes four outputs for each eight parameters. Nothing is written when the lengths do not fit.
    #[inline(always)]
    pub fn run(&self, out: &mut [i8]) {
        let quads = self.params.len() / 8;
        if quads > 0
            && !self.x.is_empty()
            && self.params.len() == quads * 8
            && self.weights.len() == quads * DenseFilterMve::quad_len(self.x.len())
            && out.len() == quads * 4
        {
            imp::run(self, out);
        }
    }
}

#[cfg(not(kiln_kernels = "mve"))]
mod imp {
    use super::{DenseFilterMve, Quads};

    pub(super) fn run(quads: &Quads, out: &mut [i8]) {
        let params = quads.params.as_chunks::<8>().0.iter();
        let weights = quads.weights.chunks_exact(DenseFilterMve::quad_len(quads.x.len()));
        for ((params, weights), out) in params.zip(weights).zip(out.as_chunks_mut::<4>().0) {
            for (i, to) in out.iter_mut().enumerate() {
                let mut acc = params[i];
                for (x, weights) in quads.x.chunks(16).zip(weights.chunks_exact(64)) {
                    for (&x, &w) in x.iter().zip(weights.iter().skip(16 * i)) {
                        acc = acc.wrapping_add(x as i32 * w as i32);
                    }
                }
                *to = quads.range.quantize(acc, params[4 + i]);
            }
        }
    }
}

#[cfg(kiln_kernels = "mve")]
#[allow(unsafe_code)]
mod imp {
    use super::Quads;

    /// The arguments of the assembly, in the order in which it loads them.
    #[repr(C)]
    struct Args {
        zero_point: i32,
        min: i32,
        max: i32,
        weights: *const i8,
        x: *const i8,
        params: *const i32,
        out: *mut i8,
        count: usize,
        features: usize,
    }

    #[inline(always)]
    pub(super) fn run(quads: &Quads, out: &mut [i8]) {
        let args = Args {
            zero_point: quads.range.zero_point,
            min: quads.range.min,
            max: quads.range.max,
            weights: quads.weights.as_ptr(),
            x: quads.x.as_ptr(),
            params: quads.params.as_ptr(),
            out: out.as_mut_ptr(),
            count: quads.params.len() / 8,
            features: quads.x.len(),
        };
        // SAFETY: the caller compared the lengths: for each quad, the assembly reads whole vectors of its weights, eight
        // parameters and the features, and writes four bytes, all inside of the borrowed slices.
        unsafe { four_outputs(core::hint::black_box(&args)) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn four_outputs(args: *const Args) {
        core::arch::naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r11, lr}}",
            "vpush {{d8-d13}}",
            "ldm r0!, {{r1, r2, r3}}",
            "vdup.32 q4, r1",
            "vdup.32 q5, r2",
            "vdup.32 q6, r3",
            "ldm r0, {{r1, r7, r9, r10, r11, r12}}",
            "mov r5, r10",
            "5:",
            "ldm r9!, {{r0, r2, r4, r6}}",
            "mov r3, r7",
            "dlstp.8 lr, r12",
            "10:",
            "vldrb.u8 q0, [r3], #16",
            "vldrb.u8 q1, [r1], #64",
            "vmladava.s8 r0, q0, q1",
            "vldrb.u8 q2, [r1, #-48]",
            "vmladava.s8 r2, q0, q2",
            "vldrb.u8 q1, [r1, #-32]",
            "vmladava.s8 r4, q0, q1",
            "vldrb.u8 q2, [r1, #-16]",
            "vmladava.s8 r6, q0, q2",
            "letp lr, 10b",
            "vmov q0[2], q0[0], r0, r4",
            "vmov q0[3], q0[1], r2, r6",
            "vldrw.u32 q1, [r9], #16",
            "vrmulh.s32 q0, q0, q1",
            "vadd.i32 q0, q0, q4",
            "vmax.s32 q0, q0, q5",
            "vmin.s32 q0, q0, q6",
            "vstrb.32 q0, [r5], #4",
            "subs r11, r11, #1",
            "bne 5b",
            "vpop {{d8-d13}}",
            "pop {{r4-r11, pc}}",
        )
    }
}
