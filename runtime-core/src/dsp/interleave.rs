//! The micro-kernel of im2col: four runs of words, one a pixel, side by side, for every kernel row.
//!
//! ```text
//! r0, r1, r6, r7  runs of pixel 0..3     r2..r5  their next words      r8, r9, r10, r12  and the ones behind those
//! r11  columns                           lr  end of the run's columns  sp: arguments
//!
//! for each kernel row: the runs begin at the row of the ring; on to the next row, around the end of the ring
//!     an odd count: one word of each pixel first
//!     two words of each pixel, 7 instructions:
//!         r2, r8 = *r0++, *r0++;  r3, r9 = *r1++, *r1++;  r4, r10 = *r6++, *r6++;  r5, r12 = *r7++, *r7++
//!         store r2 r3 r4 r5 r8 r9 r10 r12, which is two columns
//! ```

/// A ring of `rows` rows of `stride` words, read from row `first` on, every `step`-th row, `count` of them.
pub(super) struct Walk {
    pub rows: usize,
    pub stride: usize,
    pub first: usize,
    pub step: usize,
    pub count: usize,
}

/// For each row of the walk, the words `at[p] .. at[p] + run` of the pixels `p`, as `run` columns. Nothing is written when the
/// lengths do not fit.
#[inline(never)]
pub(super) fn interleave(ring: &[u32], walk: &Walk, at: &[usize; 4], run: usize, columns: &mut [[u32; 4]]) {
    let [a, b, c, d] = *at;
    let inside = a.max(b).max(c.max(d)) + run <= walk.stride
        && walk.rows * walk.stride <= ring.len()
        && walk.first < walk.rows
        && (walk.step <= walk.rows || walk.count == 1);
    if inside && run > 0 && walk.count > 0 && columns.len() == walk.count * run {
        imp::rows(ring, walk, at, run, columns);
    }
}

#[cfg(not(kiln_kernels = "dsp"))]
mod imp {
    use super::Walk;

    pub fn rows(ring: &[u32], walk: &Walk, at: &[usize; 4], run: usize, columns: &mut [[u32; 4]]) {
        for (ky, columns) in columns.chunks_exact_mut(run).enumerate() {
            let row = (walk.first + ky * walk.step) % walk.rows * walk.stride;
            for (i, to) in columns.iter_mut().enumerate() {
                *to = at.map(|at| ring.get(row + at + i).copied().unwrap_or(0));
            }
        }
    }
}

#[cfg(kiln_kernels = "dsp")]
#[allow(unsafe_code)]
mod imp {
    use super::Walk;

    /// The arguments of the assembly, which moves `row` and `count` on.
    #[repr(C)]
    struct Args {
        row: *const u32,
        end: *const u32,
        /// Bytes of the ring.
        ring: usize,
        /// Bytes from row to row.
        step: usize,
        at: [usize; 4],
        /// Bytes of a run's columns.
        run: usize,
        count: usize,
        to: *mut [u32; 4],
    }

    #[inline(always)]
    pub fn rows(ring: &[u32], walk: &Walk, at: &[usize; 4], run: usize, columns: &mut [[u32; 4]]) {
        let words = walk.rows * walk.stride;
        let mut args = Args {
            row: ring.as_ptr().wrapping_add(walk.first * walk.stride),
            end: ring.as_ptr().wrapping_add(words),
            ring: 4 * words,
            step: 4 * walk.step * walk.stride,
            at: *at,
            run: 16 * run,
            count: walk.count,
            to: columns.as_mut_ptr(),
        };
        // SAFETY: the caller has shown that every run lies inside of its row, every row inside of the ring (a step is at
        // most one turn), and that the columns are `count` runs.
        unsafe { four_runs(core::hint::black_box(&mut args)) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn four_runs(args: *mut Args) {
        core::arch::naked_asm!(
            crate::dsp::words::cpu!(),
            "push {{r0, r4-r11, lr}}",
            "ldr r11, [r0, #40]",
            "5:",
            "ldr r12, [sp]",
            "ldm r12, {{r1, r3, r4, r5}}",
            "add r5, r5, r1",
            "cmp r5, r3",
            "it hs",
            "subhs r5, r5, r4",
            "str r5, [r12], #16",
            "ldm r12!, {{r0, r2, r6, r7}}",
            "ldr lr, [r12]",
            "add r0, r1, r0, lsl #2",
            "add r6, r1, r6, lsl #2",
            "add r7, r1, r7, lsl #2",
            "add r1, r1, r2, lsl #2",
            "tst lr, #16",
            "add lr, lr, r11",
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
            "ldr r12, [sp]",
            "ldr r3, [r12, #36]",
            "subs r3, r3, #1",
            "str r3, [r12, #36]",
            "bne 5b",
            "pop {{r0, r4-r11, pc}}",
        )
    }
}
