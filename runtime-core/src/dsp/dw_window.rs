//! The micro-kernel of depthwise convolutions of any window: all rows of one plane, a pixel at a time.
//!
//! ```text
//! r0  window     r2  from row to row     r4  sum                 r6, r7  weights        r9  arguments     r11, lr  rows, words left
//! r1  output     r3  words of a row      r5, r8  values          r10  row of it         r12  weights
//!
//! for each pixel:
//!     r4 = bias
//!     for each row of the window, for each four columns, 4 products in 8 instructions (a single four: 9 with the row's loop):
//!         r5 = x0 x1 x2 x3;  r6, r7 = [w0 w2] [w1 w3]
//!         r4 += (x0, x2) . r6 + (x1, x3) . r7
//!     requantize, saturate, store
//! ```

use super::DepthwiseLayerDsp;

/// A padded plane, and `rows` rows of an output channel.
pub(super) struct Plane<'a> {
    pub values: &'a [i8],
    pub channel: usize,
    pub rows: usize,
    pub out: &'a mut [i8],
}

/// Computes rows of a plane. Nothing is written when the lengths do not fit.
pub(super) fn plane(p: &DepthwiseLayerDsp, plane: &mut Plane) {
    // The tables tell the rows of the kernel, and those tell how far they are apart.
    let size = p.filter.weights.len().checked_div(p.channels as usize).unwrap_or(0);
    let (words, stride) = (p.words as usize, p.stride as usize);
    let height = size.checked_div(2 * words).unwrap_or(0);
    let kernel = (p.reach_h as usize).saturating_sub(1);
    let dilation = kernel.checked_div(height.saturating_sub(1)).unwrap_or(0);
    let (Some(last), Some(column)) = (plane.rows.checked_sub(1), (p.width as usize).checked_sub(1)) else {
        return;
    };
    let reach = (last * p.stride_h as usize + kernel) * stride + column * p.stride_w as usize + 4 * words;
    let fits = reach <= plane.values.len() && last * p.output.step() + column < plane.out.len();
    let weights = p.filter.weights.get(plane.channel * size..).and_then(|weights| weights.get(..size));
    let tables = p.filter.channels.as_chunks::<2>().0.get(plane.channel);
    if let (Some(weights), Some(tables), true) =
        (weights, tables, fits && size > 0 && size == 2 * height * words)
    {
        imp::run(p, plane, (height, dilation), weights, tables);
    }
}

#[cfg(not(kiln_kernels = "dsp"))]
mod imp {
    use super::{DepthwiseLayerDsp, Plane};
    use crate::dsp::words::{even, mac, odd, word};
    use crate::requantize;

    pub fn run(
        p: &DepthwiseLayerDsp,
        plane: &mut Plane,
        (height, dilation): (usize, usize),
        weights: &[u32],
        &[bias, multiplier]: &[i32; 2],
    ) {
        let Plane { values, rows, ref mut out, .. } = *plane;
        let (stride, columns) = (p.stride as usize, 4 * p.words as usize);
        for (i, row) in out.chunks_mut(p.output.step().max(1)).take(rows).enumerate() {
            for (x, to) in row.iter_mut().take(p.width as usize).enumerate() {
                let mut acc = bias;
                let mut at = i * p.stride_h as usize * stride + x * p.stride_w as usize;
                let mut weights = weights.as_chunks::<2>().0.iter();
                for _ in 0..height {
                    let row = values.get(at..).and_then(|row| row.get(..columns)).unwrap_or(&[]);
                    at += dilation * stride;
                    for (&bytes, &[a, b]) in row.as_chunks::<4>().0.iter().zip(&mut weights) {
                        let bytes = word(bytes);
                        acc = mac(odd(bytes), b, mac(even(bytes), a, acc));
                    }
                }
                let q = requantize(acc, multiplier, 0).wrapping_add(p.zero_point as i32);
                *to = q.clamp(-128, 127) as i8;
            }
        }
    }
}

#[cfg(kiln_kernels = "dsp")]
#[allow(unsafe_code)]
mod imp {
    use super::{DepthwiseLayerDsp, Plane};

    /// The arguments of the assembly, which counts `left` and `rows` down.
    #[repr(C)]
    struct Args {
        plane: *const i8,
        out: *mut i8,
        row: usize,
        words: usize,
        weights: *const u32,
        bias: i32,
        multiplier: i32,
        zero_point: i32,
        height: usize,
        width: usize,
        left: usize,
        step: usize,
        /// From the end of a row to the beginning of the next one.
        next: usize,
        next_out: usize,
        rows: usize,
    }

    #[inline(always)]
    pub fn run(
        p: &DepthwiseLayerDsp,
        plane: &mut Plane,
        (height, dilation): (usize, usize),
        weights: &[u32],
        &[bias, multiplier]: &[i32; 2],
    ) {
        let Plane { values, rows, ref mut out, .. } = *plane;
        let (words, width, stride, step) =
            (p.words as usize, p.width as usize, p.stride as usize, p.stride_w as usize);
        let row = dilation * stride;
        let mut args = Args {
            plane: values.as_ptr(),
            out: out.as_mut_ptr(),
            // A loop over the words of a row leaves the pointer behind them.
            row: if words == 1 { row } else { row.wrapping_sub(4 * words) },
            words,
            weights: weights.as_ptr(),
            bias,
            multiplier,
            zero_point: p.zero_point as i32,
            height,
            width,
            left: width,
            step,
            next: (p.stride_h as usize * stride).wrapping_sub(width * step),
            next_out: p.output.step().wrapping_sub(width),
            rows,
        };
        // SAFETY: the caller has compared the lengths: the last word of the last window's last row ends inside of the plane,
        // the last output inside of `out`, and there are `height * words` pairs of weights.
        unsafe {
            if words == 1 {
                one_word(core::hint::black_box(&mut args));
            } else {
                many_words(core::hint::black_box(&mut args));
            }
        }
    }

    macro_rules! pixels {
        ($name:ident, $row:literal) => {
            #[unsafe(naked)]
            unsafe extern "C" fn $name(args: *mut Args) {
                core::arch::naked_asm!(
                    crate::dsp::words::cpu!(),
                    "push {{r4-r11, lr}}",
                    "mov r9, r0",
                    "ldm r9, {{r0-r3}}",
                    "5:",
                    "ldrd r12, r4, [r9, #16]",
                    "ldr r11, [r9, #32]",
                    "mov r10, r0",
                    "10:",
                    $row,
                    "subs r11, r11, #1",
                    "bne 10b",
                    "ldrd r5, r6, [r9, #24]",
                    "smmlar r4, r4, r5, r6",
                    "ldrd r5, r6, [r9, #40]",
                    "ssat r4, #8, r4",
                    "add r0, r0, r6",
                    "strb r4, [r1], #1",
                    "subs r5, r5, #1",
                    "str r5, [r9, #40]",
                    "bne 5b",
                    "ldr r5, [r9, #36]",
                    "str r5, [r9, #40]",
                    "ldrd r5, r6, [r9, #48]",
                    "add r0, r0, r5",
                    "add r1, r1, r6",
                    "ldr r5, [r9, #56]",
                    "subs r5, r5, #1",
                    "str r5, [r9, #56]",
                    "bne 5b",
                    "pop {{r4-r11, pc}}",
                )
            }
        };
    }

    pixels!(
        one_word,
        "ldr r5, [r10]\n add r10, r10, r2\n ldrd r6, r7, [r12], #8\n sxtb16 r8, r5\n sxtb16 r5, r5, ror #8\n smlad r4, r8, r6, r4\n smlad r4, r5, r7, r4"
    );
    pixels!(
        many_words,
        "mov lr, r3\n 20:\n ldr r5, [r10], #4\n ldrd r6, r7, [r12], #8\n sxtb16 r8, r5\n sxtb16 r5, r5, ror #8\n smlad r4, r8, r6, r4\n smlad r4, r5, r7, r4\n subs lr, lr, #1\n bne 20b\n add r10, r10, r2"
    );
}
