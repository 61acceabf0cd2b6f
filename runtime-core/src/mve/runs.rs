//! The micro-kernel of im2col: the runs of bytes that the windows of two pixels read, one after the other.
//!
//! ```text
//! r0, r1  where the windows of pixel 0 and 1 begin     r2  where each run begins from there     r12  runs left
//! r3, r4  columns of pixel 0 and 1                     r5  bytes of a run
//! r6, r7, r8, r9  pointers inside of a run
//!
//! for each run, 16 bytes of both pixels in 5 instructions, the last ones predicated:
//!     q0 = *r6++;  q1 = *r7++;  *r8++ = q0;  *r9++ = q1
//! ```

/// `columns[p][i * run + j] = source[from[p] + runs[i] + j]` for both pixels. Nothing is written when the lengths do not fit.
#[inline(always)]
pub(super) fn gather(source: &[i8], from: [usize; 2], runs: &[u32], run: usize, columns: [&mut [i8]; 2]) {
    let len = runs.len() * run;
    let most = runs.iter().fold(0, |most, &at| most.max(at as usize));
    let inside = from.iter().all(|&from| from + most + run <= source.len());
    if len > 0 && inside && columns.iter().all(|column| column.len() == len) {
        imp::run(source, from, runs, run, columns);
    }
}

#[cfg(not(kiln_kernels = "mve"))]
mod imp {
    pub(super) fn run(source: &[i8], from: [usize; 2], runs: &[u32], run: usize, columns: [&mut [i8]; 2]) {
        for (from, column) in from.into_iter().zip(columns) {
            for (&at, to) in runs.iter().zip(column.chunks_exact_mut(run)) {
                let source = source.get(from + at as usize..).unwrap_or(&[]);
                to.iter_mut().zip(source).for_each(|(to, &from)| *to = from);
            }
        }
    }
}

#[cfg(kiln_kernels = "mve")]
#[allow(unsafe_code)]
mod imp {
    /// The arguments of the assembly, in the order in which it loads them.
    #[repr(C)]
    struct Args {
        from: [*const i8; 2],
        runs: *const u32,
        columns: [*mut i8; 2],
        run: usize,
        count: usize,
    }

    #[inline(always)]
    pub(super) fn run(source: &[i8], from: [usize; 2], runs: &[u32], run: usize, columns: [&mut [i8]; 2]) {
        let args = Args {
            from: from.map(|from| source.as_ptr().wrapping_add(from)),
            runs: runs.as_ptr(),
            columns: columns.map(|column| column.as_mut_ptr()),
            run,
            count: runs.len(),
        };
        // SAFETY: the caller compared the end of the furthest run with the length of `source`, and that of the columns with
        // what all runs write. There is a run, and it has a byte.
        unsafe { two_columns(core::hint::black_box(&args)) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn two_columns(args: *const Args) {
        core::arch::naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r9, lr}}",
            "mov r12, r0",
            "ldm r12, {{r0, r1, r2, r3, r4, r5, r12}}",
            "5:",
            "ldr r6, [r2], #4",
            "add r7, r1, r6",
            "add r6, r6, r0",
            "mov r8, r3",
            "mov r9, r4",
            "dlstp.8 lr, r5",
            "10:",
            "vldrb.u8 q0, [r6], #16",
            "vldrb.u8 q1, [r7], #16",
            "vstrb.8 q0, [r8], #16",
            "vstrb.8 q1, [r9], #16",
            "letp lr, 10b",
            "add r3, r3, r5",
            "add r4, r4, r5",
            "subs r12, r12, #1",
            "bne 5b",
            "pop {{r4-r9, pc}}",
        )
    }
}
