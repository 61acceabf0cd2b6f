//! Firmware that reads handwritten digits: a Cortex-M4 under QEMU, `cargo run --release`.
#![no_std]
#![no_main]

mod images;

use core::panic::PanicInfo;
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use digits_int8::Model;
use images::IMAGES;

include!(concat!(env!("OUT_DIR"), "/digits_int8.rs"));

#[entry]
fn main() -> ! {
    // The model is its memory: in a static it takes no stack, and its size is known when the firmware links.
    static mut MODEL: Model = Model::new();

    hprintln!("{} bytes of RAM, {} bytes of tables, {} MACs", Model::RAM, Model::FLASH, Model::MACS);
    for (label, image) in &IMAGES {
        for (pixel, &ink) in MODEL.input_mut().iter_mut().zip(image) {
            *pixel = f32::from(ink) / 16.0;
        }
        MODEL.invoke();
        let (digit, probability) = best(MODEL.output());
        hprintln!("a {}: read as {}, {} %", label, digit, (probability * 100.0) as u32);
    }
    debug::exit(debug::EXIT_SUCCESS);
    loop {}
}

/// The most probable digit.
fn best(probabilities: &[f32]) -> (usize, f32) {
    let pairs = probabilities.iter().copied().enumerate();
    pairs.fold((0, 0.0), |best, next| if next.1 > best.1 { next } else { best })
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
