//! From bytes to columns: for each tap the words of pixels 0 and 1, and of 2 and 3.

use super::sums::pair;

/// One tap of four pixels.
pub(super) type Tap = [u32; 2];

/// Runs of taps: `count` of them, `step` bytes apart, each of `len` bytes, which are `apart` bytes from each other.
#[derive(Clone, Copy)]
pub(super) struct Runs {
    pub count: usize,
    pub step: usize,
    pub len: usize,
    pub apart: usize,
}

/// The taps of the pixels whose first bytes lie at `at`. Nothing is written when the lengths do not fit.
#[inline(never)]
#[allow(unsafe_code)]
pub(super) fn gather(bytes: &[i8], at: &[usize; 4], runs: Runs, to: &mut [Tap]) {
    let (Some(last), Some(last_byte)) = (runs.count.checked_sub(1), runs.len.checked_sub(1)) else { return };
    let [a, b, c, d] = *at;
    let end = a.max(b).max(c.max(d)) + last * runs.step + last_byte * runs.apart;
    if end >= bytes.len() || to.len() != runs.count * runs.len {
        return;
    }
    // SAFETY: the last byte of each pixel's last run lies inside of `bytes`, as was compared above, and there are as many taps as
    // bytes in all runs.
    unsafe { imp::gather(at.map(|at| bytes.as_ptr().wrapping_add(at)), runs, to.as_mut_ptr()) }
}

#[cfg(not(kiln_short_products))]
mod imp {
    use super::{Runs, Tap, pair};

    #[inline(always)]
    #[allow(unsafe_code)]
    pub unsafe fn gather(mut pixels: [*const i8; 4], runs: Runs, mut to: *mut Tap) {
        for _ in 0..runs.count {
            let mut i = 0;
            for _ in 0..runs.len {
                let [a, b, c, d] = pixels;
                // SAFETY: the caller's.
                unsafe {
                    *to = [pair(*a.add(i), *b.add(i)), pair(*c.add(i), *d.add(i))];
                }
                to = to.wrapping_add(1);
                i += runs.apart;
            }
            pixels = pixels.map(|pixel| pixel.wrapping_add(runs.step));
        }
    }
}

/// Cortex-M0+ and M23:
///
/// ```text
/// r0..r3  pixels    r4  taps    r5, r6  bytes    r7  byte of the run    r8  apart    r9  end of the run    r10  step    r11  runs
///
/// a tap in 13:    r5 = r0[r7] + (r1[r7] << 16);  *r4++ = r5;  r5 = r2[r7] + (r3[r7] << 16);  *r4++ = r5;  r7 += r8
/// ```
#[cfg(kiln_short_products)]
#[allow(unsafe_code)]
mod imp {
    use super::{Runs, Tap};

    /// The arguments of the assembly, in the order in which it loads them.
    #[repr(C)]
    struct Args {
        to: *mut Tap,
        apart: usize,
        end: usize,
        step: usize,
        count: usize,
        pixels: [*const i8; 4],
    }

    #[inline(always)]
    pub unsafe fn gather(pixels: [*const i8; 4], runs: Runs, to: *mut Tap) {
        let Runs { count, step, len, apart } = runs;
        let args = Args { to, apart, end: len * apart, step, count, pixels };
        // SAFETY: the caller's: there are runs, and they have bytes.
        unsafe { all_runs(core::hint::black_box(&args)) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn all_runs(args: *const Args) {
        core::arch::naked_asm!(
            "push {{r4-r7, lr}}",
            "mov r4, r8",
            "mov r5, r9",
            "mov r6, r10",
            "mov r7, r11",
            "push {{r4-r7}}",
            "ldmia r0!, {{r4, r5, r6, r7}}",
            "mov r8, r5",
            "mov r9, r6",
            "mov r10, r7",
            "ldmia r0!, {{r5}}",
            "mov r11, r5",
            "ldmia r0, {{r0, r1, r2, r3}}",
            "5:",
            "movs r7, #0",
            "10:",
            "ldrsb r5, [r0, r7]",
            "ldrsb r6, [r1, r7]",
            "lsls r6, r6, #16",
            "adds r5, r5, r6",
            "stmia r4!, {{r5}}",
            "ldrsb r5, [r2, r7]",
            "ldrsb r6, [r3, r7]",
            "lsls r6, r6, #16",
            "adds r5, r5, r6",
            "stmia r4!, {{r5}}",
            "add r7, r8",
            "cmp r7, r9",
            "bne 10b",
            "add r0, r10",
            "add r1, r10",
            "add r2, r10",
            "add r3, r10",
            "mov r5, r11",
            "subs r5, #1",
            "mov r11, r5",
            "bne 5b",
            "pop {{r4-r7}}",
            "mov r8, r4",
            "mov r9, r5",
            "mov r10, r6",
            "mov r11, r7",
            "pop {{r4-r7, pc}}",
        )
    }
}

/// The taps of four neighbouring pixels of planes that are `plane` bytes apart, one tap for each. Nothing is written when the
/// lengths do not fit.
#[inline(never)]
#[allow(unsafe_code)]
pub(super) fn gather_planes(bytes: &[i8], plane: usize, to: &mut [Tap]) {
    let Some(last) = to.len().checked_sub(1) else { return };
    if last * plane + 4 > bytes.len() {
        return;
    }
    let mut from = bytes.as_ptr();
    for to in to {
        // SAFETY: the four bytes of the last plane lie inside of `bytes`, as was compared above.
        let [a, b, c, d] = unsafe { *from.cast::<[i8; 4]>() };
        *to = [pair(a, b), pair(c, d)];
        from = from.wrapping_add(plane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_become_taps() {
        let bytes: [i8; 100] = core::array::from_fn(|i| i as i8 - 50);
        let runs = Runs { count: 2, step: 40, len: 3, apart: 2 };
        let at = [0, 7, 1, 55];
        let mut taps = [[0; 2]; 6];
        gather(&bytes, &at, runs, &mut taps);
        for (i, tap) in taps.iter().enumerate() {
            let [a, b, c, d] = at.map(|at| bytes[at + i / 3 * 40 + i % 3 * 2]);
            assert_eq!(*tap, [pair(a, b), pair(c, d)]);
        }
        let mut untouched = [[7; 2]; 6];
        gather(&bytes, &[0, 7, 1, 56], runs, &mut untouched);
        gather(&bytes, &at, Runs { count: 0, ..runs }, &mut untouched);
        assert_eq!(untouched, [[7; 2]; 6]);
    }

    #[test]
    fn planes_become_taps() {
        let bytes: [i8; 9] = [1, -2, 3, -4, 5, -6, 7, -8, 9];
        let mut taps = [[0; 2]; 2];
        gather_planes(&bytes, 5, &mut taps);
        assert_eq!(taps, [[pair(1, -2), pair(3, -4)], [pair(-6, 7), pair(-8, 9)]]);
        gather_planes(&bytes, 6, &mut taps);
        assert_eq!(taps[1], [pair(-6, 7), pair(-8, 9)]);
    }
}
