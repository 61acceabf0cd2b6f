//! Files that were damaged at random never make the compiler panic: they compile, or are refused with a diagnostic.

use codegen_tests::text;
use kiln_compiler::driver::{self, Options};

/// A linear congruential generator is random enough to choose bytes.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

#[test]
fn damaged_models_do_not_panic() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder is there").flatten().map(|f| f.path()).collect();
    files.sort();
    let mut state = 1;
    let (mut compiled, mut refused) = (0, 0);
    for path in files.iter().filter(|p| p.to_string_lossy().ends_with(".onnx.txt")) {
        let bytes = text::encode(&std::fs::read_to_string(path).expect("the model can be read"));
        for _ in 0..300 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + next(&mut state) % 3 {
                let at = next(&mut state) % damaged.len();
                match next(&mut state) % 3 {
                    0 => damaged[at] = next(&mut state) as u8,
                    1 => damaged[at] ^= 1 << (next(&mut state) % 8),
                    _ => drop(damaged.drain(at..(at + 1 + next(&mut state) % 4).min(damaged.len()))),
                }
            }
            let external = &mut |_: &str, _, _| Err("no external data".into());
            match driver::compile(&damaged, external, &Options::default()) {
                Ok(_) => compiled += 1,
                Err(diagnostics) => {
                    let text = diagnostics.to_string();
                    assert!(!text.contains("internal error"), "{}: {text}", path.display());
                    refused += 1;
                }
            }
        }
    }
    assert!(compiled > 50 && refused > 500, "{compiled} compiled, {refused} refused");
}
