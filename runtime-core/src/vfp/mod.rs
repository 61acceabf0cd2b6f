//! Inner loops of the f32 kernels for cores with a single-precision FPU: Cortex-M4F, M7, M33, M55.
//!
//! `vmla` rounds the product before it adds, as two operations do, so that these loops give the bits of the scalar ones: they
//! keep the order in which each output sums its products, and only run several outputs side by side.

mod depthwise_rows;
mod dots;

pub(crate) use depthwise_rows::{Channel, depthwise_rows};
pub(crate) use dots::dots;

/// The first line of every assembly: core and registers, since flags do not reach naked functions.
#[cfg(all(kiln_armv8m, kiln_kernels = "mve"))]
macro_rules! cpu {
    () => {
        ".cpu cortex-m55\n.fpu fpv5-sp-d16"
    };
}
#[cfg(all(kiln_armv8m, not(kiln_kernels = "mve")))]
macro_rules! cpu {
    () => {
        ".cpu cortex-m33\n.fpu fpv5-sp-d16"
    };
}
#[cfg(not(kiln_armv8m))]
macro_rules! cpu {
    () => {
        ".fpu fpv4-sp-d16"
    };
}
use cpu;

/// Clamps a register between two others as `clamp_float` does: comparisons with NaN are false.
macro_rules! clamp {
    ($x:literal, $min:literal, $max:literal) => {
        concat!(
            "vcmp.f32 ",
            $x,
            ", ",
            $min,
            "\n vmrs APSR_nzcv, fpscr\n it mi\n vmovmi.f32 ",
            $x,
            ", ",
            $min,
            "\n",
            "vcmp.f32 ",
            $x,
            ", ",
            $max,
            "\n vmrs APSR_nzcv, fpscr\n it gt\n vmovgt.f32 ",
            $x,
            ", ",
            $max,
            "\n"
        )
    };
}
use clamp;
