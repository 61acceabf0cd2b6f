//! One model of the bench.
#![no_std]
#![no_main]

mod generated {
    include!("@TEXT@");
}
use generated::@NAME@::Model;

static mut MODEL: Model = Model::new();

fn model() -> &'static mut Model {
    // SAFETY: one thread, and the harness holds one borrow at a time.
    unsafe { &mut *(&raw mut MODEL) }
}

@PLACE@
fn input(i: usize) -> &'static mut [u8] {
    @INPUT@
}

#[unsafe(no_mangle)]
fn kiln_bench_invoke() {
    @INVOKE@;
}

fn output(i: usize) -> &'static [u8] {
    model().output_bytes(i)
}

@INPUTS@

static BENCH: firmware::Bench = firmware::Bench {
    inputs: &[@INPUT_LIST@],
    input,
    invoke: kiln_bench_invoke,
    output,
    outputs: Model::OUTPUTS,
    ram: size_of::<Model>(),
};

#[unsafe(no_mangle)]
pub extern "C" fn kiln_bench_main() -> ! {
    firmware::run(&BENCH)
}
