//! The bench without a model: what it takes in flash is taken off every model's figures.
#![no_std]
#![no_main]

static mut MEMORY: [u8; 16] = [0; 16];

fn memory() -> &'static mut [u8; 16] {
    // SAFETY: one thread, and the harness holds one borrow at a time.
    unsafe { &mut *(&raw mut MEMORY) }
}

fn input(_: usize) -> &'static mut [u8] {
    memory()
}

fn invoke() {
    core::hint::black_box(memory());
}

fn output(_: usize) -> &'static [u8] {
    memory()
}

#[unsafe(link_section = ".bench_inputs")]
static INPUT_0: [u8; 16] = [1; 16];

static BENCH: firmware::Bench =
    firmware::Bench { inputs: &[&INPUT_0], input, invoke, output, outputs: 1, ram: size_of::<[u8; 16]>() };

#[unsafe(no_mangle)]
pub extern "C" fn kiln_bench_main() -> ! {
    firmware::run(&BENCH)
}
