//! Neighbouring outputs of one channel of a depthwise convolution, four at a time, where no window leaves the image at the
//! sides.
//!
//! ```text
//! r0  window      r3  from row to row     r6  outputs / 4         s0..s8  values      s12..s15  sums
//! r1  weights     r4  rows of the window  r7  from four to four   s9..s11  weights    s16, s17, s18  bias, smallest, largest
//! r2  output      r5  columns of it       r8, r9  row, weights    r10, r11  rows and columns left    r12  column    s19  0
//!
//! for each four outputs, for each row of the window:
//!     three columns: load the row's values and weights, 12 products in 17 instructions
//!     otherwise, for each column: load four values and a weight, 4 products in 9 instructions (stride 2: 12)
//! add the bias, clamp, store
//! ```

use super::clamp;
use core::hint::black_box;

/// What all rows of a channel share.
#[derive(Clone, Copy)]
pub(crate) struct Channel {
    /// Columns of the window, and values from one of its rows to the next.
    pub columns: usize,
    pub row_step: usize,
    /// Values from output to output, 1 or 2.
    pub stride: usize,
    pub bias: f32,
    pub min: f32,
    pub max: f32,
}

/// The arguments of the assembly, in the order in which it loads them.
#[repr(C)]
struct Args {
    x: *const f32,
    weights: *const f32,
    out: *mut f32,
    row_step: usize,
    rows: usize,
    columns: usize,
    fours: usize,
    next: usize,
    bias: f32,
    min: f32,
    max: f32,
}

/// Computes the outputs of windows that begin at every `stride`-th value of `x`; `weights` are those of the rows that lie in the
/// image. `out` must hold a multiple of four. Nothing is written when the lengths do not fit.
#[inline(never)]
#[allow(unsafe_code)]
pub(crate) fn depthwise_rows(x: &[f32], channel: &Channel, weights: &[f32], out: &mut [f32]) {
    let &Channel { columns, row_step, stride, bias, min, max } = channel;
    let rows = weights.len().checked_div(columns).unwrap_or(0);
    let (Some(last_row), Some(last_out)) = (rows.checked_sub(1), out.len().checked_sub(1)) else { return };
    let fits = last_row * row_step + last_out * stride + columns <= x.len();
    if !fits || !out.len().is_multiple_of(4) || !(1..=2).contains(&stride) {
        return;
    }
    let args = Args {
        x: x.as_ptr(),
        weights: weights.as_ptr(),
        out: out.as_mut_ptr(),
        row_step: 4 * row_step,
        rows,
        columns,
        fours: out.len() / 4,
        next: 16 * stride,
        bias,
        min,
        max,
    };
    // SAFETY: the last window ends inside of `x`, as was compared above, and so does every other; of a row, no value is read
    // that belongs to none of the four windows. There are `rows * columns` weights.
    unsafe {
        match (columns, stride) {
            (3, 1) => three_columns(black_box(&args)),
            (3, _) => three_columns_by_two(black_box(&args)),
            (_, 1) => any_columns(black_box(&args)),
            _ => any_columns_by_two(black_box(&args)),
        }
    }
}

macro_rules! rows {
    ($name:ident, $row:expr) => {
        #[unsafe(naked)]
        #[allow(unsafe_code)]
        unsafe extern "C" fn $name(args: *const Args) {
            core::arch::naked_asm!(
                super::cpu!(),
                "push {{r4-r11, lr}}",
                "vpush {{s16-s19}}",
                "add r12, r0, #32",
                "vldmia r12, {{s16-s18}}",
                "mov r12, #0",
                "vmov s19, r12",
                "ldm r0, {{r0-r7}}",
                "5:",
                "mov r8, r0",
                "mov r9, r1",
                "mov r10, r4",
                "vmov.f32 s12, s19",
                "vmov.f32 s13, s19",
                "vmov.f32 s14, s19",
                "vmov.f32 s15, s19",
                "10:",
                $row,
                "add r8, r8, r3",
                "subs r10, r10, #1",
                "bne 10b",
                "vadd.f32 s12, s12, s16",
                "vadd.f32 s13, s13, s16",
                "vadd.f32 s14, s14, s16",
                "vadd.f32 s15, s15, s16",
                clamp!("s12", "s17", "s18"),
                clamp!("s13", "s17", "s18"),
                clamp!("s14", "s17", "s18"),
                clamp!("s15", "s17", "s18"),
                "vstmia r2!, {{s12-s15}}",
                "add r0, r0, r7",
                "subs r6, r6, #1",
                "bne 5b",
                "vpop {{s16-s19}}",
                "pop {{r4-r11, pc}}",
            )
        }
    };
}

rows!(
    three_columns,
    concat!(
        "vldmia r9!, {{s9-s11}}\n vldmia r8, {{s0-s5}}\n",
        "vmla.f32 s12, s0, s9\n vmla.f32 s13, s1, s9\n vmla.f32 s14, s2, s9\n vmla.f32 s15, s3, s9\n",
        "vmla.f32 s12, s1, s10\n vmla.f32 s13, s2, s10\n vmla.f32 s14, s3, s10\n vmla.f32 s15, s4, s10\n",
        "vmla.f32 s12, s2, s11\n vmla.f32 s13, s3, s11\n vmla.f32 s14, s4, s11\n vmla.f32 s15, s5, s11\n"
    )
);
rows!(
    three_columns_by_two,
    concat!(
        "vldmia r9!, {{s9-s11}}\n vldmia r8, {{s0-s8}}\n",
        "vmla.f32 s12, s0, s9\n vmla.f32 s13, s2, s9\n vmla.f32 s14, s4, s9\n vmla.f32 s15, s6, s9\n",
        "vmla.f32 s12, s1, s10\n vmla.f32 s13, s3, s10\n vmla.f32 s14, s5, s10\n vmla.f32 s15, s7, s10\n",
        "vmla.f32 s12, s2, s11\n vmla.f32 s13, s4, s11\n vmla.f32 s14, s6, s11\n vmla.f32 s15, s8, s11\n"
    )
);
rows!(
    any_columns,
    concat!(
        "mov r11, r5\n mov r12, r8\n 20:\n vldmia r9!, {{s9}}\n vldmia r12, {{s0-s3}}\n add r12, r12, #4\n",
        "vmla.f32 s12, s0, s9\n vmla.f32 s13, s1, s9\n vmla.f32 s14, s2, s9\n vmla.f32 s15, s3, s9\n",
        "subs r11, r11, #1\n bne 20b\n"
    )
);
rows!(
    any_columns_by_two,
    concat!(
        "mov r11, r5\n mov r12, r8\n 20:\n vldmia r9!, {{s9}}\n vldr s0, [r12]\n vldr s1, [r12, #8]\n vldr s2, [r12, #16]\n vldr s3, [r12, #24]\n add r12, r12, #4\n",
        "vmla.f32 s12, s0, s9\n vmla.f32 s13, s1, s9\n vmla.f32 s14, s2, s9\n vmla.f32 s15, s3, s9\n",
        "subs r11, r11, #1\n bne 20b\n"
    )
);
