//! Words of four bytes, and of two 16-bit halves: the instructions that Rust has no name for, and what they compute.

/// The first line of every assembly: the core, where the target alone does not say that the instructions are there.
#[cfg(all(kiln_kernels = "dsp", kiln_armv8m))]
macro_rules! cpu {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(all(kiln_kernels = "dsp", not(kiln_armv8m)))]
macro_rules! cpu {
    () => {
        ""
    };
}
#[cfg(kiln_kernels = "dsp")]
pub(crate) use cpu;

pub(super) use crate::hints::{opaque, rolled};

/// Bytes 0 and 2 of a word, sign-extended to halves.
#[inline(always)]
pub(super) fn even(word: u32) -> u32 {
    imp::sxtb16(word)
}

/// Bytes 1 and 3 of a word, sign-extended to halves.
#[inline(always)]
pub(super) fn odd(word: u32) -> u32 {
    imp::sxtb16_ror8(word)
}

/// The low half of `a` below the low half of `b`.
#[inline(always)]
pub(super) fn low_halves(a: u32, b: u32) -> u32 {
    (a & 0xffff) | (b << 16)
}

/// The high half of `a` below the high half of `b`.
#[inline(always)]
pub(super) fn high_halves(a: u32, b: u32) -> u32 {
    (a >> 16) | (b & 0xffff_0000)
}

/// The same value in both halves.
#[inline(always)]
pub(super) const fn both_halves(value: i8) -> u32 {
    let half = value as i16 as u16 as u32;
    half | half << 16
}

/// Two values as halves, the first one low.
#[inline(always)]
pub(super) const fn halves(low: i8, high: i8) -> u32 {
    (low as i16 as u16 as u32) | (high as i16 as u16 as u32) << 16
}

/// Four bytes as a word.
#[inline(always)]
pub(super) const fn word(bytes: [i8; 4]) -> u32 {
    u32::from_le_bytes([bytes[0] as u8, bytes[1] as u8, bytes[2] as u8, bytes[3] as u8])
}

/// The same value in all words.
#[inline(never)]
pub(super) fn fill(words: &mut [u32], value: u32) {
    for word in words {
        *word = value;
        rolled();
    }
}

/// `acc` plus the product of the low halves plus that of the high ones.
#[inline(always)]
pub(super) fn mac(a: u32, b: u32, acc: i32) -> i32 {
    imp::smlad(a, b, acc)
}

#[cfg(kiln_kernels = "dsp")]
#[allow(unsafe_code)]
mod imp {
    use core::arch::asm;

    #[inline(always)]
    pub fn sxtb16(word: u32) -> u32 {
        let halves;
        // SAFETY: arithmetic on registers.
        unsafe {
            asm!(super::cpu!(), "sxtb16 {}, {}", lateout(reg) halves, in(reg) word, options(pure, nomem, nostack, preserves_flags))
        }
        halves
    }

    #[inline(always)]
    pub fn sxtb16_ror8(word: u32) -> u32 {
        let halves;
        // SAFETY: arithmetic on registers.
        unsafe {
            asm!(super::cpu!(), "sxtb16 {}, {}, ror #8", lateout(reg) halves, in(reg) word, options(pure, nomem, nostack, preserves_flags));
        }
        halves
    }

    #[inline(always)]
    pub fn smlad(a: u32, b: u32, acc: i32) -> i32 {
        let sum;
        // SAFETY: arithmetic on registers; it may set the saturation flag, which nothing reads.
        unsafe {
            asm!(super::cpu!(), "smlad {}, {}, {}, {}", lateout(reg) sum, in(reg) a, in(reg) b, in(reg) acc, options(pure, nomem, nostack, preserves_flags));
        }
        sum
    }
}

#[cfg(not(kiln_kernels = "dsp"))]
mod imp {
    #[inline(always)]
    pub fn sxtb16(word: u32) -> u32 {
        super::halves(word as i8, (word >> 16) as i8)
    }

    #[inline(always)]
    pub fn sxtb16_ror8(word: u32) -> u32 {
        super::halves((word >> 8) as i8, (word >> 24) as i8)
    }

    #[inline(always)]
    pub fn smlad(a: u32, b: u32, acc: i32) -> i32 {
        let low = (a as i16 as i32).wrapping_mul(b as i16 as i32);
        let high = ((a >> 16) as i16 as i32).wrapping_mul((b >> 16) as i16 as i32);
        acc.wrapping_add(low).wrapping_add(high)
    }
}
