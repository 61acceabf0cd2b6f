//! The bench on a model written by hand, on every emulated board.

use kiln_cli::bench::{BOARDS, BenchModel, BenchOptions, BenchResult, run};
use kiln_cli::toolchain::{Toolchain, find_program};
use std::path::PathBuf;

/// Weights at 0, biases at 32, multipliers at 48.
fn tables() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..18).map(|i| (i * 7 - 60) as i8 as u8).collect();
    bytes.resize(32, 0);
    for value in [100i32, -200] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.resize(48, 0);
    for value in [1i32 << 27, 1 << 26] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.resize(64, 0);
    bytes
}

fn input() -> Vec<u8> {
    (0..16).map(|i| (i * 37 % 256) as u8).collect()
}

/// The same convolution, written once more.
fn expected() -> Vec<u8> {
    let (tables, input) = (tables(), input());
    let mut output = vec![0; 32];
    for channel in 0..2usize {
        let word = |at: usize| i32::from_le_bytes(tables[at + channel * 4..][..4].try_into().unwrap());
        for (y, x) in (0..4).flat_map(|y| (0..4).map(move |x| (y, x))) {
            let mut acc = word(32);
            for (ky, kx) in (0..3).flat_map(|ky| (0..3).map(move |kx| (ky, kx))) {
                let inside = (1..5).contains(&(y + ky)) && (1..5).contains(&(x + kx));
                let value = if inside { input[(y + ky - 1) * 4 + x + kx - 1] as i8 } else { 3 };
                acc += i32::from(value) * i32::from(tables[channel * 9 + ky * 3 + kx] as i8);
            }
            let scaled = (i64::from(acc) * i64::from(word(48)) + (1 << 31)) >> 32;
            output[channel * 16 + y * 4 + x] = (scaled - 4).clamp(-128, 127) as i8 as u8;
        }
    }
    output
}

fn tiny(text: &str) -> BenchModel {
    BenchModel {
        name: "tiny".into(),
        text: text.into(),
        weights: Some(("tiny.weights.bin".into(), tables())),
        inputs: vec![input()],
        tables: Some(64),
        fed: false,
    }
}

/// What the machine cannot do is skipped, unless `cargo test-all` has seen to it that it can.
fn missing(target: &str, emulator: &str) -> bool {
    let reason = match Toolchain::find(target) {
        Err(reason) => reason,
        Ok(_) if find_program(emulator).is_none() => format!("`{emulator}` is not installed"),
        Ok(_) => return false,
    };
    assert!(std::env::var_os("KILN_TEST_ALL").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
    true
}

fn bench(target: &str, models: &[BenchModel]) -> Result<Vec<BenchResult>, String> {
    let mut options = BenchOptions::new(target);
    options.folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kiln-bench");
    run(models, &options)
}

const TINY: &str = include_str!("tiny.rs.txt");

#[test]
fn every_board_gives_the_same_bits_and_exact_figures() {
    for board in BOARDS {
        if missing(board.target, board.emulator) {
            continue;
        }
        let models =
            [tiny(TINY), tiny(&TINY.replace("arena: [Block::ZERO; 4]", "arena: [Block::ZERO; 4] /* 2 */"))];
        let results = bench(board.name(), &models).unwrap();
        let first = &results[0];
        println!("{first:?}");
        assert_eq!(first.outputs, [expected()], "{}", board.target);
        assert_eq!(first.steady_outputs, first.outputs);
        assert_eq!((first.ram_model, first.flash_weights), (64, 64), "{}", board.target);
        assert!(
            first.stack_peak > 0 && first.stack_peak < 512,
            "{}: stack {}",
            board.target,
            first.stack_peak
        );
        match &first.stack_bound {
            Ok(bound) => assert!(
                (first.stack_peak..512).contains(bound),
                "{}: {bound} is no bound of {}",
                board.target,
                first.stack_peak
            ),
            Err(reason) => {
                assert!(reason.contains("cannot be read") && board.target.starts_with("aarch64"), "{reason}");
            }
        }
        assert!(
            first.flash_code > 100 && first.flash_code < 4096,
            "{}: code {}",
            board.target,
            first.flash_code
        );
        assert!(first.instructions > 2_000 && first.instructions < 60_000, "{}", first.instructions);
        // The second program differs in a comment only.
        assert_eq!(first, &results[1], "figures repeat exactly");
    }
}

#[test]
fn an_instruction_more_is_an_instruction_more() {
    let board = BOARDS[0];
    if missing(board.target, board.emulator) {
        return;
    }
    let with = |assembly: &str| {
        let text = TINY.replace("#[forbid(unsafe_code)]", "");
        let call = format!("unsafe {{ core::arch::asm!(\"{assembly}\") }} conv2d_i8(");
        tiny(&text.replace("            conv2d_i8(", &call))
    };
    let results = bench(board.target, &[with("nop"), with("nop\\nnop"), with("nop\\nnop\\nnop")]).unwrap();
    let counts: Vec<u64> = results.iter().map(|result| result.instructions).collect();
    assert_eq!(counts, [counts[0], counts[0] + 1, counts[0] + 2]);
}

/// The model with a function of its own behind the convolution.
fn with_function(function: &str) -> BenchModel {
    let text = TINY.replace("#[forbid(unsafe_code)]", "");
    let text = text.replace(
        "            conv2d_i8(",
        "            odd(core::hint::black_box(0));\n            conv2d_i8(",
    );
    let at = text.find("    impl Model").expect("the model");
    tiny(&format!("{}{function}\n{}", &text[..at], &text[at..]))
}

#[test]
fn the_bound_of_the_stack_sees_frames_that_no_run_touches_and_says_where_there_is_none() {
    let board = BOARDS[0];
    if missing(board.target, board.emulator) {
        return;
    }
    // A frame that is made but not written, behind a condition that does not hold.
    let frame = "#[inline(never)] fn odd(n: u32) { if n == 1 {
        unsafe { core::arch::asm!(\"sub sp, #400\", \"sub.w sp, sp, #4000\", \"add.w sp, sp, #4000\", \"add sp, #400\") } } }";
    let call = "#[inline(never)] fn odd(n: u32) { if n > 0 { odd(n - 1); core::hint::black_box(n); } }";
    let table = "#[inline(never)] fn odd(n: u32) { let f: [fn(u32) -> u32; 2] = [one, two];
            core::hint::black_box(core::hint::black_box(f)[n as usize & 1](n)); }
        #[inline(never)] fn one(n: u32) -> u32 { n + 1 }
        #[inline(never)] fn two(n: u32) -> u32 { let a = core::hint::black_box([n; 200]); a[3] }";
    let none = "#[inline(never)] fn odd(_: u32) { unsafe { core::arch::asm!(\"\") } }";
    let results = bench(board.target, &[none, frame, table, call].map(with_function)).unwrap();
    let bounds: Vec<_> = results.iter().map(|result| result.stack_bound.clone()).collect();
    let [Ok(none), Ok(frame), Ok(table), Err(call)] = &bounds[..] else { panic!("{bounds:?}") };
    assert!(*frame >= 4400 && *table >= 800 && *none < 400, "{bounds:?}");
    assert!(results[2].stack_peak < 400, "only the short one runs: {}", results[2].stack_peak);
    assert!(call.contains("odd") && call.ends_with("may call itself"), "{call}");
}

#[test]
fn a_reachable_panic_does_not_link() {
    let board = BOARDS[0];
    if missing(board.target, board.emulator) {
        return;
    }
    let text = TINY.replace(".get(16..48).unwrap_or(&[])", ".get(16..self.arena.len() * 12).unwrap()");
    let text = text.replace("output_bytes(&self, _: usize)", "output_bytes(&self, i: usize)");
    let text = text.replace("self.arena.len() * 12", "48 + i");
    let error = bench(board.target, &[tiny(&text)]).unwrap_err();
    assert!(error.starts_with("the generated code can panic"), "{error}");
}

#[test]
fn an_unknown_target_is_an_error() {
    let error = bench("avr-none", &[tiny(TINY)]).unwrap_err();
    assert!(error.starts_with("no emulated board for target `avr-none`"), "{error}");
}
