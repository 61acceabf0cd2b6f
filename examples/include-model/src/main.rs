//! Recognises a handwritten digit.

use std::sync::Mutex;

kiln_macros::include_model!(pub struct Digits = "../models/digits.onnx");

/// Models live in a `static`: their memory is part of them, and known before the program runs.
static MODEL: Mutex<Digits> = Mutex::new(Digits::new());

/// A 3, eight by eight pixels of grey from 0 to 16.
#[rustfmt::skip]
const THREE: [u8; 64] = [
    0,  2, 12, 16, 16,  8,  0,  0,
    0,  8, 12,  4,  8, 16,  0,  0,
    0,  0,  0,  0,  8, 14,  0,  0,
    0,  0,  0,  8, 16,  4,  0,  0,
    0,  0,  0,  4, 12, 16,  2,  0,
    0,  0,  0,  0,  0, 12,  8,  0,
    0,  4,  6,  4,  8, 16,  4,  0,
    0,  2, 12, 16, 14,  6,  0,  0,
];

fn main() {
    let mut model = MODEL.lock().expect("one thread");
    let probabilities = model.predict(&THREE.map(|grey| f32::from(grey) / 16.0));
    let best = (0..10).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap_or(0);
    println!("{best} ({:.0} %)", 100.0 * probabilities[best]);
    println!("{} bytes of RAM, {} bytes of tables, {} multiply-accumulates", Digits::RAM, Digits::FLASH, Digits::MACS);
}
