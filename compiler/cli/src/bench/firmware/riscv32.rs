//! Start-up, semihosting and the cycle counter of the emulated RISC-V board.

use core::arch::{asm, global_asm};

global_asm!(
    ".section .text.Reset, \"ax\"",
    ".globl Reset",
    "Reset:",
    "    la sp, __stack_top",
    "    la t0, trap",
    "    csrw mtvec, t0",
    "    call {start}",
    ".balign 4",
    "trap:",
    "    call {fault}",
    start = sym crate::start,
    fault = sym fault,
);

unsafe extern "C" fn fault() -> ! {
    crate::text("fault\n");
    exit(2)
}

/// One semihosting call. The emulator knows it by its three uncompressed instructions, which must lie in one page.
pub fn semihosting(operation: usize, argument: usize) -> usize {
    let result;
    // SAFETY: the operations used here only read memory.
    unsafe {
        asm!(
            ".option push",
            ".option norvc",
            ".balign 16",
            "slli x0, x0, 0x1f",
            "ebreak",
            "srai x0, x0, 7",
            ".option pop",
            inlateout("a0") operation => result,
            in("a1") argument,
            options(nostack),
        )
    }
    result
}

pub fn exit(code: usize) -> ! {
    if code == 0 {
        semihosting(0x18, 0x20026);
    } else {
        semihosting(0x18, 0x20024);
    }
    loop {}
}

pub fn begin() {}

pub fn end() {}

pub fn stack_pointer() -> usize {
    let sp;
    // SAFETY: reads a register.
    unsafe { asm!("mv {}, sp", out(reg) sp, options(nomem, nostack)) }
    sp
}

pub fn start_timers() {}

/// Ticks so far, and ticks / 256. Both wrap. Under `-icount` the cycle counter is the emulator's virtual time.
#[inline(always)]
pub fn ticks() -> (u32, u32) {
    let (high, low, again): (u32, u32, u32);
    // SAFETY: reads counters.
    unsafe {
        asm!("csrr {0}, mcycleh", "csrr {1}, mcycle", "csrr {2}, mcycleh", out(reg) high, out(reg) low, out(reg) again);
    }
    // When the high word moved in between, the low word was read near its wrap: take the side it is on.
    let high = if low >> 31 == 1 { high } else { again };
    (low, (high << 24) | (low >> 8))
}
