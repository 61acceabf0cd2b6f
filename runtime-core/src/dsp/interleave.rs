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

/// `columns[i] = [words[from[0] + i], .., words[from[3] + i]]`. Nothing is written when a run is not inside.
#[inline(always)]
pub(super) fn interleave(words: &[u32], from: [usize; 4], columns: &mut [[u32; 4]]) {
    if !columns.is_empty() && from.iter().all(|&at| at + columns.len() <= words.len()) {
        imp::run(words, from, columns);
    }
}

#[cfg(not(kiln_kernels = "dsp"))]
mod imp {
    pub fn run(words: &[u32], from: [usize; 4], columns: &mut [[u32; 4]]) {
        for (i, to) in columns.iter_mut().enumerate() {
            *to = from.map(|at| words.get(at + i).copied().unwrap_or(0));
        }
    }
}

#[cfg(kiln_kernels = "dsp")]
#[allow(unsafe_code)]
mod imp {
    #[inline(always)]
    pub fn run(words: &[u32], [a, b, c, d]: [usize; 4], columns: &mut [[u32; 4]]) {
        let at = |from: usize| words.as_ptr().wrapping_add(from);
        let to = columns.as_mut_ptr_range();
        let runs = [at(a), at(b), at(c), at(d)];
        // SAFETY: the caller compared each run of `columns.len()` words with the length of `words`, and there is one.
        unsafe { four_runs(core::hint::black_box(&runs), to.start, to.end) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn four_runs(runs: *const [*const u32; 4], to: *mut [u32; 4], end: *mut [u32; 4]) {
        core::arch::naked_asm!(
            crate::dsp::words::cpu!(),
            "push {{r4-r11, lr}}",
            "mov r11, r1",
            "mov lr, r2",
            "sub r2, r2, r1",
            "ldrd r6, r7, [r0, #8]",
            "ldrd r0, r1, [r0]",
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
