//! Any bytes: compiled or refused, never a panic. `cargo +nightly fuzz run compile` in `codegen-tests`.
#![no_main]

use kiln_compiler::driver::{self, Options};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = driver::compile(bytes, &mut |_, _, _| Err("no external data".into()), &Options::default());
});
