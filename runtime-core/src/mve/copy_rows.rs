//! Copies of bytes, in rows.

use crate::dsp::outside::Outside;

/// Copies bytes that lie `step` apart.
#[inline(always)]
pub(super) fn copy(outside: &Outside, from: usize, step: usize, to: &mut [i8]) {
    if step == 1 {
        let (source, n) = (outside.get(from, to.len()), to.len());
        copy_rows((source, n), (to, n), 1, n);
    } else {
        for (x, to) in to.iter_mut().enumerate() {
            *to = outside.get(from + x * step, 1).first().copied().unwrap_or(0);
        }
    }
}

/// Copies `rows` rows of `columns` bytes, each so many bytes behind the one before it as its side says. Nothing is written
/// when the lengths do not fit.
///
/// Not in a safe loop: LLVM would make a `memcpy` of it, and that takes 200 instructions for 24 bytes on bare metal.
#[inline(never)]
pub(super) fn copy_rows(
    (from, from_step): (&[i8], usize),
    (to, to_step): (&mut [i8], usize),
    rows: usize,
    columns: usize,
) {
    let Some(last) = rows.checked_sub(1) else { return };
    if last * from_step + columns > from.len() || last * to_step + columns > to.len() {
        return;
    }
    imp::run((from, from_step), (to, to_step), rows, columns);
}

#[cfg(not(kiln_kernels = "mve"))]
mod imp {
    pub fn run(
        (from, from_step): (&[i8], usize),
        (to, to_step): (&mut [i8], usize),
        rows: usize,
        columns: usize,
    ) {
        for y in 0..rows {
            let from = from.get(y * from_step..).unwrap_or(&[]);
            let to = to.get_mut(y * to_step..).unwrap_or(&mut []);
            to.iter_mut().zip(from).take(columns).for_each(|(to, &from)| *to = from);
        }
    }
}

/// Sixteen bytes at a time, the last ones of a row predicated.
#[cfg(kiln_kernels = "mve")]
#[allow(unsafe_code)]
mod imp {
    #[inline(always)]
    pub fn run(
        (from, from_step): (&[i8], usize),
        (to, to_step): (&mut [i8], usize),
        rows: usize,
        columns: usize,
    ) {
        // SAFETY: the last row ends inside of both slices, as the caller compared; so does every row before it.
        unsafe { rows_of_bytes(from.as_ptr(), from_step, to.as_mut_ptr(), to_step, rows, columns) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn rows_of_bytes(
        from: *const i8,
        from_step: usize,
        to: *mut i8,
        to_step: usize,
        rows: usize,
        columns: usize,
    ) {
        core::arch::naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r7, lr}}",
            "ldrd r4, r5, [sp, #20]",
            "5:",
            "mov r6, r0",
            "mov r7, r2",
            "wlstp.8 lr, r5, 20f",
            "10:",
            "vldrb.u8 q0, [r6], #16",
            "vstrb.8 q0, [r7], #16",
            "letp lr, 10b",
            "20:",
            "add r0, r0, r1",
            "add r2, r2, r3",
            "subs r4, r4, #1",
            "bne 5b",
            "pop {{r4-r7, pc}}",
        )
    }
}
