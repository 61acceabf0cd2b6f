//! The micro-kernel of im2col from interleaved images: four runs of bytes, one a pixel, widened side by side, row after row.
//!
//! ```text
//! r0..r3  runs of pixel 0..3      r4..r7  their next four bytes     r8..r11  two of them each, as halves
//! r12  columns                    lr  end of the run's columns      sp: arguments
//!
//! for each row:
//!     four bytes of each pixel, 16 instructions for 16 values:
//!         r4 = *r0++;  r5 = *r1++;  r6 = *r2++;  r7 = *r3++
//!         r8..r11 = bytes 0 and 2 of each;   store them, which is a column
//!         r8..r11 = bytes 1 and 3 of each;   store them
//!     on to the next row
//! ```

use super::words::rolled;

/// The runs of a pixel: the bytes of the first one and on, and the distance of the next one.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub bytes: &'a [i8],
    pub stride: usize,
}

/// For each of `rows` rows, `run` bytes of each pixel as `run / 2` columns: of four bytes first 0 and 2, then 1 and 3. Whether
/// the lengths fit; nothing is written when they do not.
#[inline(never)]
pub(super) fn byte_runs(from: &[Run; 4], rows: usize, run: usize, columns: &mut [[u32; 4]]) -> bool {
    let Some(last) = rows.checked_sub(1) else { return false };
    let mut fits = run > 0 && run.is_multiple_of(4) && columns.len() == rows * (run / 2);
    for pixel in from {
        fits &= pixel.bytes.len() >= last * pixel.stride + run;
        rolled();
    }
    if fits {
        imp::rows(from, rows, run, columns);
    }
    fits
}

#[cfg(not(kiln_kernels = "dsp"))]
mod imp {
    use super::super::words::{even, odd, word};
    use super::Run;

    pub fn rows(from: &[Run; 4], _: usize, run: usize, columns: &mut [[u32; 4]]) {
        for (row, columns) in columns.chunks_exact_mut(run / 2).enumerate() {
            for (i, columns) in columns.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                let words = from.each_ref().map(|pixel| {
                    let bytes = pixel.bytes.get(row * pixel.stride + 4 * i..);
                    word(*bytes.and_then(|bytes| bytes.first_chunk()).unwrap_or(&[0; 4]))
                });
                *columns = [words.map(even), words.map(odd)];
            }
        }
    }
}

#[cfg(kiln_kernels = "dsp")]
#[allow(unsafe_code)]
mod imp {
    use super::{Run, rolled};

    /// The arguments of the assembly, which counts `rows` down.
    #[repr(C)]
    struct Args {
        from: [*const i8; 4],
        to: *mut [u32; 4],
        /// Bytes of a run's columns.
        columns: usize,
        /// Bytes from the end of a run to the next one.
        skip: [usize; 4],
        rows: usize,
    }

    #[inline(always)]
    pub fn rows(from: &[Run; 4], rows: usize, run: usize, columns: &mut [[u32; 4]]) {
        let mut args = Args {
            from: [core::ptr::null(); 4],
            to: columns.as_mut_ptr(),
            columns: 8 * run,
            skip: [0; 4],
            rows,
        };
        for ((pixel, to), skip) in from.iter().zip(&mut args.from).zip(&mut args.skip) {
            (*to, *skip) = (pixel.bytes.as_ptr(), pixel.stride.wrapping_sub(run));
            rolled();
        }
        // SAFETY: the caller has shown that `rows` runs lie inside of each pixel's bytes, and that the columns are as many.
        unsafe { four_runs(core::hint::black_box(&mut args)) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn four_runs(args: *mut Args) {
        core::arch::naked_asm!(
            crate::dsp::words::cpu!(),
            "push {{r0, r4-r11, lr}}",
            "mov r12, r0",
            "ldm r12, {{r0-r3, r12}}",
            "5:",
            "ldr r4, [sp]",
            "ldr r5, [r4, #20]",
            "add lr, r12, r5",
            "10:",
            "ldr r4, [r0], #4",
            "ldr r5, [r1], #4",
            "ldr r6, [r2], #4",
            "ldr r7, [r3], #4",
            "sxtb16 r8, r4",
            "sxtb16 r9, r5",
            "sxtb16 r10, r6",
            "sxtb16 r11, r7",
            "stm r12!, {{r8-r11}}",
            "sxtb16 r8, r4, ror #8",
            "sxtb16 r9, r5, ror #8",
            "sxtb16 r10, r6, ror #8",
            "sxtb16 r11, r7, ror #8",
            "stm r12!, {{r8-r11}}",
            "cmp r12, lr",
            "bne 10b",
            "ldr r4, [sp]",
            "add r5, r4, #24",
            "ldm r5, {{r5-r9}}",
            "add r0, r0, r5",
            "add r1, r1, r6",
            "add r2, r2, r7",
            "add r3, r3, r8",
            "subs r9, r9, #1",
            "str r9, [r4, #40]",
            "bne 5b",
            "pop {{r0, r4-r11, pc}}",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::halves;
    use super::*;

    #[test]
    fn runs_lie_side_by_side() {
        let source: [i8; 40] = core::array::from_fn(|i| i as i8);
        let mut columns = [[0; 4]; 8];
        let from = |strides: [usize; 4]| {
            let mut from = [0, 1, 5, 12].map(|at| Run { bytes: &source[at..], stride: 0 });
            from.iter_mut().zip(strides).for_each(|(run, stride)| run.stride = stride);
            from
        };
        byte_runs(&from([20, 20, 20, 20]), 2, 8, &mut columns);
        for (i, first) in [(0, 0), (1, 1), (2, 4), (3, 5), (4, 20), (7, 25)] {
            assert_eq!(columns[i], [0, 1, 5, 12].map(|at| halves(at + first, at + first + 2)));
        }
        byte_runs(&from([20, 8, 20, 20]), 2, 8, &mut columns);
        assert_eq!(columns[4], [halves(20, 22), halves(9, 11), halves(25, 27), halves(32, 34)]);
        let before = columns;
        byte_runs(&from([20, 20, 20, 21]), 2, 8, &mut columns);
        assert_eq!(columns, before, "the last run is too long");
        byte_runs(&from([0; 4]), 1, 8, &mut columns);
        assert_eq!(columns, before, "too many columns");
    }
}
