//! Pieces of assembly for Cortex-M0+ and M23.

/// Adds the products of a block of taps to the sums of two pixels; `r12` is 2^15.
macro_rules! end_of_block {
    ($p:literal, $total:literal, $high:literal) => {
        crate::scalar::thumb::end_of_block!($p, $total, $high, "r12")
    };
    ($p:literal, $total:literal, $high:literal, $half:literal) => {
        concat!(
            "add ",
            $total,
            ", ",
            $p,
            "\n add ",
            $p,
            ", ",
            $half,
            "\n asrs ",
            $p,
            ", ",
            $p,
            ", #16\n add ",
            $high,
            ", ",
            $p,
            "\n"
        )
    };
}
pub(super) use end_of_block;

/// The short requantization of a sum: multiplier, its rounded form, and what is added before the last shift.
macro_rules! narrow {
    ($acc:literal, $t:literal, $multiplier:literal, $m:literal, $offset:literal) => {
        concat!(
            "movs ",
            $t,
            ", ",
            $acc,
            "\n muls ",
            $t,
            ", ",
            $multiplier,
            ", ",
            $t,
            "\n asrs ",
            $t,
            ", ",
            $t,
            ", #12\n",
            "muls ",
            $acc,
            ", ",
            $m,
            ", ",
            $acc,
            "\n subs ",
            $acc,
            ", ",
            $acc,
            ", ",
            $t,
            "\n",
            "add ",
            $acc,
            ", ",
            $offset,
            "\n asrs ",
            $acc,
            ", ",
            $acc,
            ", #20\n"
        )
    };
}
pub(super) use narrow;

/// The requantization of a sum by halves (`high_by_halves` in `requantize.rs`): multiplier in r6, zero point in r9, 2^15 in r12; r0, r1
/// and r7 are lost.
macro_rules! halves {
    ($acc:literal) => {
        concat!(
            "uxth r0, ",
            $acc,
            "\n asrs ",
            $acc,
            ", ",
            $acc,
            ", #16\n uxth r1, r6\n",
            "movs r7, r0\n muls r7, r1, r7\n lsrs r7, r7, #16\n muls r1, ",
            $acc,
            ", r1\n adds r7, r7, r1\n add r7, r12\n",
            "lsrs r1, r6, #16\n muls r0, r1, r0\n muls ",
            $acc,
            ", r1, ",
            $acc,
            "\n",
            "uxth r1, r7\n adds r0, r0, r1\n lsrs r0, r0, #16\n asrs r7, r7, #16\n",
            "adds ",
            $acc,
            ", ",
            $acc,
            ", r0\n adds ",
            $acc,
            ", ",
            $acc,
            ", r7\n add ",
            $acc,
            ", r9\n"
        )
    };
}
pub(super) use halves;

/// Saturates to int8.
macro_rules! saturate {
    ($q:literal, $t:literal) => {
        concat!(
            "sxtb ",
            $t,
            ", ",
            $q,
            "\n cmp ",
            $t,
            ", ",
            $q,
            "\n beq 1f\n",
            "asrs ",
            $q,
            ", ",
            $q,
            ", #31\n movs ",
            $t,
            ", #127\n eors ",
            $q,
            ", ",
            $t,
            "\n 1:\n"
        )
    };
}
pub(super) use saturate;
