//! From planes to interleaved pixels: eight pixels at a time, one channel after the other.
//!
//! ```text
//! r0  plane     r1  to the next plane     lr  channels left     r3  first pixel     q1  where the eight pixels lie from it
//!
//! for each channel, 6 instructions for 8 bytes, the lanes beyond the last pixel predicated:
//!     q0 = eight bytes of the plane, as halves
//!     scatter their low bytes to the pixels
//!     next plane; next byte of the pixels
//! ```

/// Pixels of one call.
pub(super) const PIXELS: usize = 8;

/// Most channels: where the last pixel lies must fit a half.
pub(super) const MOST_CHANNELS: usize = (u16::MAX as usize / (PIXELS - 1)) / 8 * 8;

/// `to[p * step + c] = from[c * plane + p]` for `count` pixels, at most [`PIXELS`], of `channels` channels. Nothing is written
/// when the lengths do not fit.
#[inline(always)]
pub(super) fn transpose(
    (from, plane): (&[i8], usize),
    channels: usize,
    (to, step): (&mut [i8], usize),
    count: usize,
) {
    let (Some(last_channel), Some(last)) = (channels.checked_sub(1), count.checked_sub(1)) else { return };
    let halves = step <= MOST_CHANNELS && count <= PIXELS;
    if halves && last_channel * plane + last < from.len() && last * step + last_channel < to.len() {
        imp::run((from, plane), channels, (to, step), count);
    }
}

#[cfg(not(kiln_kernels = "mve"))]
mod imp {
    pub(super) fn run(
        (from, plane): (&[i8], usize),
        channels: usize,
        (to, step): (&mut [i8], usize),
        count: usize,
    ) {
        for c in 0..channels {
            let from = from.get(c * plane..).unwrap_or(&[]);
            let to = to.get_mut(c..).unwrap_or(&mut []);
            to.iter_mut().step_by(step).zip(from).take(count).for_each(|(to, &from)| *to = from);
        }
    }
}

#[cfg(kiln_kernels = "mve")]
#[allow(unsafe_code)]
mod imp {
    #[inline(always)]
    pub(super) fn run(
        (from, plane): (&[i8], usize),
        channels: usize,
        (to, step): (&mut [i8], usize),
        count: usize,
    ) {
        // SAFETY: the caller compared the last byte that is read and the last one that is written with the lengths, and the
        // places of the pixels fit halves.
        unsafe { eight_pixels(from.as_ptr(), plane, channels, to.as_mut_ptr(), step, count) }
    }

    #[unsafe(naked)]
    unsafe extern "C" fn eight_pixels(
        from: *const i8,
        plane: usize,
        channels: usize,
        to: *mut i8,
        step: usize,
        count: usize,
    ) {
        core::arch::naked_asm!(
            ".cpu cortex-m55",
            "push {{r4, lr}}",
            "movs r4, #0",
            "vidup.u16 q1, r4, #1",
            "ldrd r4, r12, [sp, #8]",
            "vmul.i16 q1, q1, r4",
            "vctp.16 r12",
            "dls lr, r2",
            "10:",
            "vpstt",
            "vldrbt.u16 q0, [r0]",
            "vstrbt.16 q0, [r3, q1]",
            "add r0, r0, r1",
            "adds r3, r3, #1",
            "le lr, 10b",
            "pop {{r4, pc}}",
        )
    }
}
