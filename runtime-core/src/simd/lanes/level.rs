//! What vectors an x86-64 has.

#[cfg(feature = "std")]
use core::sync::atomic::{AtomicU8, Ordering};

/// What an x86-64 has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VectorLevel {
    /// Nothing but what every one has.
    Sse2,
    /// AVX2.
    Avx2,
    /// AVX2, and AVX-512 with BW, VL and VNNI.
    Avx512,
}

/// The highest level that is used.
#[cfg(feature = "std")]
static LIMIT: AtomicU8 = AtomicU8::new(VectorLevel::Avx512 as u8);

/// Has all kernels of the process do without what is above `level`, so that tests reach every one of them. The bits are the same.
/// Returns the level that is used from now on, which is lower where the machine has less.
#[cfg(feature = "std")]
pub fn limit_vectors(limit: VectorLevel) -> VectorLevel {
    LIMIT.store(limit as u8, Ordering::Relaxed);
    level()
}

/// The level of the machine, as far as it may be used: asked at run time.
#[cfg(feature = "std")]
#[inline(always)]
pub(in crate::simd) fn level() -> VectorLevel {
    use std::arch::is_x86_feature_detected as has;
    let limit = LIMIT.load(Ordering::Relaxed);
    let dot = || has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512vnni");
    if limit < VectorLevel::Avx2 as u8 || !has!("avx2") {
        VectorLevel::Sse2
    } else if limit < VectorLevel::Avx512 as u8 || !dot() {
        VectorLevel::Avx2
    } else {
        VectorLevel::Avx512
    }
}

/// The level that the compiler was told.
#[cfg(not(feature = "std"))]
#[inline(always)]
pub(in crate::simd) const fn level() -> VectorLevel {
    let dot = cfg!(all(
        target_feature = "avx512f",
        target_feature = "avx512bw",
        target_feature = "avx512vl",
        target_feature = "avx512vnni"
    ));
    match (cfg!(target_feature = "avx2"), dot) {
        (false, _) => VectorLevel::Sse2,
        (true, false) => VectorLevel::Avx2,
        (true, true) => VectorLevel::Avx512,
    }
}
