//! Start-up, semihosting and the generic timer of the emulated AArch64 board.

use core::arch::{asm, global_asm};

// Before anything is read as data: floats and NEON are allowed at this exception level (CPACR_EL1.FPEN), and the first 4 GiB are
// mapped to themselves as ordinary memory, since without a map all memory is that of devices, where unaligned reads are faults.
global_asm!(
    ".section .text.Reset, \"ax\"",
    ".globl Reset",
    "Reset:",
    "    mov x0, #(3 << 20)",
    "    msr cpacr_el1, x0",
    "    adr x0, vectors",
    "    msr vbar_el1, x0",
    "    mov x0, #0xff", // attribute 0: ordinary memory, cached
    "    msr mair_el1, x0",
    "    adr x0, map",
    "    msr ttbr0_el1, x0",
    "    ldr x0, =0x803520", // addresses of 32 bits from one table of 4 entries, cached and shared; no second table
    "    msr tcr_el1, x0",
    "    isb",
    "    mrs x0, sctlr_el1",
    "    mov x1, #0x1005", // translation, caches of data and instructions
    "    orr x0, x0, x1",
    "    bic x0, x0, #2", // unaligned accesses are allowed
    "    msr sctlr_el1, x0",
    "    isb",
    "    ldr x0, =__stack_top",
    "    mov sp, x0",
    "    b {start}",
    ".ltorg",
    // Entries of 1 GiB: a block, attribute 0, inner shareable, accessed.
    ".balign 32",
    "map:",
    "    .quad 0x00000701, 0x40000701, 0x80000701, 0xc0000701",
    // Sixteen entries of 128 bytes; the harness expects no exception.
    ".balign 2048",
    "vectors:",
    ".rept 16",
    "    b {fault}",
    "    .balign 128",
    ".endr",
    start = sym crate::start,
    fault = sym fault,
);

unsafe extern "C" fn fault() -> ! {
    crate::text("fault\n");
    exit(2)
}

/// One semihosting call.
pub fn semihosting(operation: usize, argument: usize) -> usize {
    let result;
    // SAFETY: the operations used here only read memory.
    unsafe { asm!("hlt #0xf000", inlateout("x0") operation => result, in("x1") argument, options(nostack)) }
    result
}

pub fn exit(code: usize) -> ! {
    // In 64 bits the reason, "the application ended", comes with a code.
    let block = [0x20026, code];
    semihosting(0x18, &raw const block as usize);
    loop {}
}

pub fn begin() {}

pub fn end() {}

pub fn stack_pointer() -> usize {
    let sp;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) sp, options(nomem, nostack)) }
    sp
}

pub fn start_timers() {}

/// Ticks so far, and ticks / 256. Both wrap.
#[inline(always)]
pub fn ticks() -> (u32, u32) {
    let ticks: u64;
    // SAFETY: reads a counter.
    unsafe { asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nostack)) }
    (ticks as u32, (ticks >> 8) as u32)
}
