//! What `kiln bench` wraps around a model: runs it twice, and reports stack, time and outputs through semihosting.
#![no_std]

#[cfg_attr(target_arch = "arm", path = "cortex_m.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv32.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod board;

use board::{begin, end, exit, semihosting, stack_pointer, start_timers, ticks};
use core::hint::black_box;

unsafe extern "C" {
    static mut __sbss: u32;
    static mut __ebss: u32;
    static mut __sdata: u32;
    static mut __edata: u32;
    static __sidata: u32;
    fn kiln_bench_main() -> !;
    fn kiln_panic_reached() -> !;
}

/// Nothing defines the function called here: a program in which a panic is reachable does not link.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe { kiln_panic_reached() }
}

/// Prepares memory and calls the program. Words are copied one by one: nothing here may need an initialised memory.
unsafe extern "C" fn start() -> ! {
    unsafe {
        let mut to = &raw mut __sbss;
        while to < &raw mut __ebss {
            to.write_volatile(0);
            to = to.add(1);
        }
        let (mut to, mut from) = (&raw mut __sdata, &raw const __sidata);
        while to < &raw mut __edata {
            to.write_volatile(from.read_volatile());
            to = to.add(1);
            from = from.add(1);
        }
        start_timers();
        kiln_bench_main()
    }
}

/// A model behind function pointers, so that the code around it is the same for every model and for none.
pub struct Bench {
    pub inputs: &'static [&'static [u8]],
    pub input: fn(usize) -> &'static mut [u8],
    pub invoke: fn(),
    pub output: fn(usize) -> &'static [u8],
    pub outputs: usize,
    pub ram: usize,
}

/// Runs the model and reports. The outputs of the first call are those of a fresh model; the second call is the steady one.
pub fn run(bench: &'static Bench) -> ! {
    let bench = black_box(bench);
    number("ram", bench.ram as u32);
    fill_inputs(bench);
    number("stack", stack_peak(bench.invoke));
    report_outputs("first", bench);
    fill_inputs(bench);
    let empty = time(black_box(nothing));
    restart_marks();
    let steady = time(bench.invoke);
    report_marks();
    number("empty_fine", empty.0);
    number("empty_coarse", empty.1);
    number("steady_fine", steady.0);
    number("steady_coarse", steady.1);
    report_outputs("second", bench);
    text("done\n");
    exit(0)
}

#[inline(never)]
fn nothing() {}

/// Most steps that are told apart.
const STEPS: usize = 1024;

/// Ticks in front of each step's marks, since the marks before them, and how many there were.
static mut STEP: [(u32, u32); STEPS] = [(0, 0); STEPS];
/// When the last mark ended.
static mut MARKED: u32 = 0;

/// What a model says behind each kernel call, where steps are timed: one that streams rows says it once a tick.
#[inline(never)]
pub fn mark(step: usize) {
    let now = ticks().0;
    // SAFETY: one thread, and a step inside of the array.
    unsafe {
        if step < STEPS {
            let (spent, calls) = &mut *(&raw mut STEP).cast::<(u32, u32)>().add(step);
            *spent = spent.wrapping_add(now.wrapping_sub(MARKED));
            *calls += 1;
        }
        MARKED = ticks().0;
    }
}

fn restart_marks() {
    // SAFETY: one thread. Volatile, so that no `memset` is linked that the model itself does not need.
    unsafe {
        for step in 0..STEPS {
            (&raw mut STEP).cast::<(u32, u32)>().add(step).write_volatile((0, 0));
        }
        MARKED = ticks().0;
    }
}

/// What each step took without its marks, where a model made any. The last step stands for two marks in a row.
fn report_marks() {
    let step = |step| unsafe { (&raw const STEP).cast::<(u32, u32)>().add(step).read() };
    if step(0).1 == 0 {
        return;
    }
    mark(STEPS);
    mark(STEPS - 1);
    let cost = step(STEPS - 1).0;
    for (spent, calls) in (0..STEPS - 1).map(step).take_while(|(_, calls)| *calls > 0) {
        number("mark", spent.saturating_sub(calls.wrapping_mul(cost)));
    }
}

/// Ticks from the call to the return, with the cost of looking at the timers.
#[inline(never)]
fn time(function: fn()) -> (u32, u32) {
    let before = ticks();
    begin();
    function();
    end();
    let after = ticks();
    (after.0.wrapping_sub(before.0), after.1.wrapping_sub(before.1))
}

/// Bytes of stack below this frame that `function` touches: paints the free stack and looks for the deepest change.
#[inline(never)]
fn stack_peak(function: fn()) -> u32 {
    const PAINT: u32 = 0x5AFE_C0DE;
    let top = stack_pointer() as *mut u32;
    unsafe {
        let bottom = &raw mut __ebss;
        let mut word = bottom;
        while word < top {
            word.write_volatile(PAINT);
            word = word.add(1);
        }
        function();
        let mut word = bottom;
        while word < top && word.read_volatile() == PAINT {
            word = word.add(1);
        }
        (top as usize - word as usize) as u32
    }
}

fn fill_inputs(bench: &Bench) {
    for (i, bytes) in bench.inputs.iter().enumerate() {
        for (to, from) in (bench.input)(i).iter_mut().zip(*bytes) {
            // Volatile, so that no `memcpy` is linked that the model itself does not need.
            unsafe { (to as *mut u8).write_volatile((from as *const u8).read_volatile()) }
        }
    }
}

fn report_outputs(name: &str, bench: &Bench) {
    for i in 0..bench.outputs {
        text(name);
        byte(b' ');
        for value in (bench.output)(i) {
            hex(*value);
        }
        byte(b'\n');
    }
}

fn number(name: &str, value: u32) {
    text(name);
    byte(b' ');
    for part in value.to_be_bytes() {
        hex(part);
    }
    byte(b'\n');
}

fn hex(value: u8) {
    for digit in [value >> 4, value & 15] {
        byte(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
    }
}

fn text(text: &str) {
    for &value in text.as_bytes() {
        byte(value);
    }
}

fn byte(value: u8) {
    semihosting(3, &raw const value as usize);
}
