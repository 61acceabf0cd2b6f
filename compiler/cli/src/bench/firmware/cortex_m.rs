//! Start-up, semihosting and the two timers of the emulated Cortex-M boards.

use core::arch::asm;

unsafe extern "C" {
    static __stack_top: u32;
}

/// An entry of the vector table.
#[repr(C)]
pub union Vector {
    function: unsafe extern "C" fn() -> !,
    address: *const u32,
    reserved: usize,
}

// SAFETY: the table is constant.
unsafe impl Sync for Vector {}

const FAULT: Vector = Vector { function: fault };
const RESERVED: Vector = Vector { reserved: 0 };

#[unsafe(link_section = ".vector_table")]
#[unsafe(no_mangle)]
#[used]
static VECTORS: [Vector; 16] = [
    Vector { address: &raw const __stack_top },
    Vector { function: Reset },
    FAULT,
    FAULT,
    FAULT,
    FAULT,
    FAULT,
    FAULT,
    RESERVED,
    RESERVED,
    RESERVED,
    FAULT,
    FAULT,
    RESERVED,
    FAULT,
    FAULT,
];

/// The first code to run: the floating-point unit is off until the second line, so nothing else happens here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Reset() -> ! {
    #[cfg(target_abi = "eabihf")]
    unsafe {
        let access = 0xE000_ED88 as *mut u32;
        access.write_volatile(access.read_volatile() | (0xF << 20));
        asm!("dsb", "isb");
    }
    unsafe { crate::start() }
}

unsafe extern "C" fn fault() -> ! {
    crate::text("fault\n");
    exit(2)
}

/// One semihosting call: the emulator reads the operation from r0 and its argument from r1.
pub fn semihosting(operation: usize, argument: usize) -> usize {
    let result;
    // SAFETY: the operations used here only read memory.
    unsafe { asm!("bkpt 0xAB", inlateout("r0") operation => result, in("r1") argument, options(nostack)) }
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

/// Where a plugin of the emulator begins to count: an instruction that no compiler writes.
#[inline(always)]
pub fn begin() {
    // SAFETY: changes nothing.
    unsafe { asm!("mov r10, r10", options(nomem, nostack, preserves_flags)) }
}

/// Where it ends.
#[inline(always)]
pub fn end() {
    // SAFETY: changes nothing.
    unsafe { asm!("mov r11, r11", options(nomem, nostack, preserves_flags)) }
}

pub fn stack_pointer() -> usize {
    let sp;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) sp, options(nomem, nostack)) }
    sp
}

#[cfg(not(board = "an547"))]
mod timers {
    //! The CMSDK timer counts every tick in 32 bits, the dual timer every 256th: together they never wrap unseen.

    #[cfg(board = "an505")]
    const TIMERS: usize = 0x5000_0000;
    #[cfg(not(board = "an505"))]
    const TIMERS: usize = 0x4000_0000;
    const FINE: *mut u32 = TIMERS as *mut u32;
    const COARSE: *mut u32 = (TIMERS + 0x2000) as *mut u32;

    pub fn start_timers() {
        // SAFETY: timer registers of the board: control, value, reload, and load, value, control.
        unsafe {
            FINE.add(2).write_volatile(u32::MAX);
            FINE.add(1).write_volatile(u32::MAX);
            FINE.write_volatile(1);
            COARSE.write_volatile(u32::MAX);
            COARSE.add(2).write_volatile(0x80 | 0x8 | 0x2); // on, divided by 256, 32 bits, wrapping
        }
    }

    /// Ticks so far, and ticks / 256. Both wrap.
    #[inline(always)]
    pub fn ticks() -> (u32, u32) {
        // SAFETY: reads timer registers, which count down.
        unsafe { (!FINE.add(1).read_volatile(), !COARSE.add(1).read_volatile()) }
    }
}

#[cfg(board = "an547")]
mod timers {
    //! The system counter of SSE-300, 64 bits, read through the first of its timers.

    const COUNTER: *mut u32 = 0x5810_0000 as *mut u32;
    const LOW: *const u32 = 0x4800_0000 as *const u32;
    const HIGH: *const u32 = 0x4800_0004 as *const u32;

    pub fn start_timers() {
        // SAFETY: the counter's control register: on.
        unsafe { COUNTER.write_volatile(1) }
    }

    /// Ticks so far, and ticks / 256. Both wrap.
    #[inline(always)]
    pub fn ticks() -> (u32, u32) {
        // SAFETY: reads timer registers.
        let (high, low, again) = unsafe { (HIGH.read_volatile(), LOW.read_volatile(), HIGH.read_volatile()) };
        // When the high word moved in between, the low word was read near its wrap: take the side it is on.
        let high = if low >> 31 == 1 { high } else { again };
        (low, (high << 24) | (low >> 8))
    }
}

pub use timers::{start_timers, ticks};
