//! What LLVM is told on small cores, where code counts; nothing elsewhere.

/// LLVM unrolls no loop that holds this: for the loops that are not worth their code.
#[inline(always)]
pub(crate) fn rolled() {
    #[cfg(any(target_arch = "arm", target_arch = "riscv32"))]
    #[allow(unsafe_code)]
    // SAFETY: no instruction at all.
    unsafe {
        core::arch::asm!("", options(nomem, nostack, preserves_flags));
    }
}

/// The same number, and LLVM does not know it.
#[inline(always)]
pub(crate) fn opaque(number: usize) -> usize {
    #[cfg(any(target_arch = "arm", target_arch = "riscv32"))]
    #[allow(unsafe_code)]
    // SAFETY: no instruction at all.
    let number = unsafe {
        let same;
        core::arch::asm!("/* {} */", inout(reg) number => same, options(nomem, nostack, preserves_flags));
        same
    };
    number
}
