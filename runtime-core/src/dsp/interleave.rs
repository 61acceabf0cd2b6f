//! The micro-kernel of im2col: four runs of words, one a pixel, side by side.
//!
//! ```text
//! r0, r1, r6, r7  runs of pixel 0..3     r2..r5  their next words      r8, r9, r10, r12  and the ones behind those
//! r11  columns                           lr  end of the columns
//!
//! an odd count: one word of each pixel first
//! two words of each pixel, 7 instructions:
//!     r2, r8 = *r0++, *r0++;  r3, r9 = *r1++, *r1++;  r4, r10 = *r6++, *r6++;  r5, r12 = *r7++, *r7++
//!     store r2 r3 r4 r5 r8 r9 r10 r12, which is two columns
//! ```

/// The words from `at[p]` on of the pixels `p`, as many as there are columns. Nothing is written where they are not all there.
#[inline(never)]
pub(super) fn interleave(words: &[u32], at: &[usize; 4], columns: &mut [[u32; 4]]) {
    let [a, b, c, d] = *at;
    if !columns.is_empty() && a.max(b).max(c.max(d)) + columns.len() <= words.len() {
        imp::runs(words, at, columns);
    }
}

#[cfg(not(kiln_kernels = "dsp"))]
mod imp {
    pub fn runs(words: &[u32], at: &[usize; 4], columns: &mut [[u32; 4]]) {
        for (i, to) in columns.iter_mut().enumerate() {
            *to = at.map(|at| words.get(at + i).copied().unwrap_or(0));
        }
    }
}

#[cfg(kiln_kernels = "dsp")]
#[allow(unsafe_code)]
mod imp {
    #[inline(always)]
    pub fn runs(words: &[u32], at: &[usize; 4], columns: &mut [[u32; 4]]) {
        let to = columns.as_mut_ptr_range();
        // SAFETY: the caller has shown that the words of every run lie inside of the slice, and that there is a column.
        unsafe { four_runs(core::hint::black_box(at), to.start, to.end, words.as_ptr()) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn four_runs(
        at: *const [usize; 4],
        to: *mut [u32; 4],
        end: *const [u32; 4],
        words: *const u32,
    ) {
        core::arch::naked_asm!(
            crate::dsp::words::cpu!(),
            "push {{r4-r11, lr}}",
            "mov r11, r1",
            "mov lr, r2",
            "sub r2, r2, r1",
            "ldm r0, {{r0, r1, r6, r7}}",
            "add r0, r3, r0, lsl #2",
            "add r1, r3, r1, lsl #2",
            "add r6, r3, r6, lsl #2",
            "add r7, r3, r7, lsl #2",
            "tst r2, #16",
            "beq 10f",
            "ldr r2, [r0], #4",
            "ldr r3, [r1], #4",
            "ldr r4, [r6], #4",
            "ldr r5, [r7], #4",
            "stm r11!, {{r2, r3, r4, r5}}",
            "cmp r11, lr",
            "beq 20f",
            "10:",
            "ldm r0!, {{r2, r8}}",
            "ldm r1!, {{r3, r9}}",
            "ldm r6!, {{r4, r10}}",
            "ldm r7!, {{r5, r12}}",
            "stm r11!, {{r2, r3, r4, r5, r8, r9, r10, r12}}",
            "cmp r11, lr",
            "bne 10b",
            "20:",
            "pop {{r4-r11, pc}}",
        )
    }
}
