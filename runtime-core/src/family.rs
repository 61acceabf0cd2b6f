//! Kernel families: which of a kernel's forms this build of the crate runs fast.
//!
//! A family is decided once, in this crate's build script, because `cfg(target_feature = "dsp")` is invisible on stable
//! Rust. Build scripts learn it as `DEP_KILN_RUNTIME_CORE_KERNELS`; a proc macro cannot know the target, so it emits one
//! module for each family whose text differs and leaves the choice to [`select!`](crate::select).

/// The kernels that a program was compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Family {
    /// Scalar Rust, for every target.
    #[default]
    Plain,
    /// Armv7E-M and Armv8-M with the DSP extension: Cortex-M4, M7, M33, M35P.
    Dsp,
    /// Armv8.1-M with MVE ("Helium"): Cortex-M52, M55, M85.
    Mve,
    /// Cores of 32 bits without SIMD: Cortex-M0+, M3, M23, M33 without DSP, RV32.
    Scalar,
    /// Vectors: x86-64 (AVX2 where it is found), AArch64, wasm32 with simd128.
    Simd,
}

impl Family {
    /// Every family; the plain one last, as [`select!`](crate::select) wants them.
    pub const ALL: [Family; 5] = [Family::Mve, Family::Dsp, Family::Scalar, Family::Simd, Family::Plain];

    /// Its name in `cfg(kiln_kernels)`, in `DEP_KILN_RUNTIME_CORE_KERNELS` and in [`select!`](crate::select).
    pub const fn name(self) -> &'static str {
        match self {
            Family::Plain => "plain",
            Family::Dsp => "dsp",
            Family::Mve => "mve",
            Family::Scalar => "scalar",
            Family::Simd => "simd",
        }
    }

    /// The family of that name.
    pub fn find(name: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.name() == name)
    }

    /// Whether a target with this family runs a program that was compiled for `other` as fast as it was meant to. Plain
    /// programs run everywhere.
    pub const fn runs(self, other: Family) -> bool {
        matches!(other, Family::Plain) || self as u8 == other as u8
    }
}

/// The family of this build.
pub const FAMILY: Family = if cfg!(kiln_kernels = "mve") {
    Family::Mve
} else if cfg!(kiln_kernels = "dsp") {
    Family::Dsp
} else if cfg!(kiln_kernels = "scalar") {
    Family::Scalar
} else if cfg!(kiln_kernels = "simd") {
    Family::Simd
} else {
    Family::Plain
};

/// Keeps the items of the family that this build has, and those of `plain`, which stands last, where it is not listed.
///
/// ```
/// kiln_runtime_core::select! {
///     mve { const CHOSEN: &str = "mve"; }
///     dsp { const CHOSEN: &str = "dsp"; }
///     scalar { const CHOSEN: &str = "scalar"; }
///     simd { const CHOSEN: &str = "simd"; }
///     plain { const CHOSEN: &str = "plain"; }
/// }
/// assert_eq!(CHOSEN, kiln_runtime_core::FAMILY.name());
/// ```
#[macro_export]
macro_rules! select {
    ($($families:tt)*) => { $crate::__select! { $($families)* } };
}

#[cfg(kiln_kernels = "dsp")]
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (plain { $($items:tt)* }) => { $($items)* };
    (dsp { $($items:tt)* } $($rest:tt)*) => { $($items)* };
    ($other:ident { $($items:tt)* } $($rest:tt)*) => { $crate::__select! { $($rest)* } };
}

#[cfg(kiln_kernels = "mve")]
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (plain { $($items:tt)* }) => { $($items)* };
    (mve { $($items:tt)* } $($rest:tt)*) => { $($items)* };
    ($other:ident { $($items:tt)* } $($rest:tt)*) => { $crate::__select! { $($rest)* } };
}

#[cfg(kiln_kernels = "scalar")]
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (plain { $($items:tt)* }) => { $($items)* };
    (scalar { $($items:tt)* } $($rest:tt)*) => { $($items)* };
    ($other:ident { $($items:tt)* } $($rest:tt)*) => { $crate::__select! { $($rest)* } };
}

#[cfg(kiln_kernels = "simd")]
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (plain { $($items:tt)* }) => { $($items)* };
    (simd { $($items:tt)* } $($rest:tt)*) => { $($items)* };
    ($other:ident { $($items:tt)* } $($rest:tt)*) => { $crate::__select! { $($rest)* } };
}

#[cfg(kiln_kernels = "plain")]
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (plain { $($items:tt)* }) => { $($items)* };
    ($other:ident { $($items:tt)* } $($rest:tt)*) => { $crate::__select! { $($rest)* } };
}
