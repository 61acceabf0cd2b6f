//! Compiled models as firmware on emulated microcontrollers: the host's bits, no reachable panic, RAM as planned.

use codegen_tests::{text, zoo};
use kiln_cli::bench::{self, BOARDS, BenchModel, BenchOptions, BenchResult};
use kiln_cli::npy;
use kiln_cli::toolchain::{Toolchain, find_program};
use kiln_compiler::driver::{self, Artifact, Options};
use kiln_compiler::program;
use kiln_compiler::tensor::{ElemType, Tensor};
use serde_json::json;
use std::path::Path;

fn compile(path: &Path, name: &str, target: &str) -> Artifact {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    compile_bytes(&bytes, name, target)
}

fn compile_bytes(bytes: &[u8], name: &str, target: &str) -> Artifact {
    let family = kiln_cli::target::family(target).expect("a known target");
    let options = Options { name: Some(name.to_owned()), family, ..Options::default() };
    driver::compile(bytes, &mut |_, _, _| Err("none".into()), &options)
        .unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What the machine cannot do is skipped, unless `cargo test-all` has seen to it that it can.
fn missing(board: &bench::Board) -> bool {
    let reason = match Toolchain::find(board.target) {
        Err(reason) => reason,
        Ok(_) if find_program(board.emulator).is_none() => format!("`{}` is not installed", board.emulator),
        Ok(_) => return false,
    };
    assert!(std::env::var_os("KILN_TEST_ALL").is_none(), "{reason}");
    println!("skipped: {reason}");
    true
}

/// Runs all models in one build, and compares each with the interpreter.
fn firmware(target: &str, models: &[(Artifact, Vec<Tensor>)]) -> Vec<BenchResult> {
    firmware_at(target, "3", models)
}

/// As [`firmware`], at an opt-level.
fn firmware_at(target: &str, opt_level: &str, models: &[(Artifact, Vec<Tensor>)]) -> Vec<BenchResult> {
    let options = BenchOptions { opt_level: opt_level.to_owned(), ..BenchOptions::new(target) };
    let all: Vec<BenchModel> =
        models.iter().map(|(artifact, inputs)| BenchModel::new(artifact, inputs)).collect();
    let results = bench::run(&all, &options).unwrap_or_else(|e| panic!("{target}: {e}"));
    for ((artifact, inputs), result) in models.iter().zip(&results) {
        let outputs = program::run(&artifact.program, inputs).expect("it runs");
        let host: Vec<Vec<u8>> = outputs.iter().map(|output| output.bytes().to_vec()).collect();
        println!("{} {}", artifact.module, result.json(artifact.report.macs, &host));
        assert!(result.outputs == host, "{} on {target} computes other bits", artifact.module);
        assert!(result.steady_outputs == host, "{} on {target} depends on its last call", artifact.module);
        assert_eq!(result.ram_model, artifact.report.ram as u64);
        match &result.stack_bound {
            Ok(bound) => assert!(*bound >= result.stack_peak, "{bound} is no bound of {}", result.stack_peak),
            // Its instructions are not read.
            Err(_) if target.starts_with("aarch64") => {}
            Err(reason) => panic!("{} on {target}: no bound of the stack: {reason}", artifact.module),
        }
        assert!(
            result.flash_code > 0 && result.stack_peak > 0 && result.instructions * 8 > artifact.report.macs
        );
    }
    results
}

/// Compares figures with those of the repository, `bench/TARGET.json`: none may grow by more than 2 %. With
/// `KILN_UPDATE_FIGURES` set, writes them.
fn check_figures(target: &str, names: &[&str], results: &[BenchResult]) {
    let path = format!("{}/bench/{target}.json", env!("CARGO_MANIFEST_DIR"));
    let figures = |result: &BenchResult| {
        json!({
            "instructions": result.instructions,
            "flash_code": result.flash_code,
            "flash_weights": result.flash_weights,
            "ram_model": result.ram_model,
        })
    };
    let fresh: serde_json::Value =
        names.iter().zip(results).map(|(name, result)| (name.to_string(), figures(result))).collect();
    if std::env::var_os("KILN_UPDATE_FIGURES").is_some() {
        std::fs::write(&path, format!("{fresh:#}\n")).expect("the figures can be written");
    }
    let text = std::fs::read_to_string(&path).expect("the figures can be read");
    let kept = serde_json::from_str(&text).expect("the figures are JSON");
    let changes = bench::compare(&kept, &fresh);
    assert_eq!(changes.len(), names.len() * 4, "{path} has every figure of every model");
    let text: String = changes.iter().map(|change| format!("{change}\n")).collect();
    assert!(changes.iter().all(|change| change.percent() <= 2.0), "figures that grew:\n{text}");
}

#[test]
fn digits_give_the_hosts_bits_on_every_board() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models");
    let digit = npy::read(&models.join("digit.npy")).expect("digit.npy is read");
    for board in BOARDS.iter().filter(|board| !missing(board)) {
        let digits = [("digits.int8.onnx", "digits_int8"), ("digits.onnx", "digits")]
            .map(|(file, name)| (compile(&models.join(file), name, board.name()), vec![digit.clone()]));
        firmware(board.name(), &digits);
    }
}

/// A model that is nothing but a loop of two instructions, `turns` times.
fn counted(turns: u32) -> BenchModel {
    let text = format!(
        r#"pub mod counted {{
            pub struct Model;
            impl Model {{
                pub const OUTPUTS: usize = 0;
                pub const fn new() -> Model {{ Model }}
                pub fn input_bytes_mut(&mut self, _: usize) -> &mut [u8] {{ &mut [] }}
                pub fn output_bytes(&self, _: usize) -> &[u8] {{ &[] }}
                pub fn invoke(&mut self) {{
                    // Not a constant, which takes more instructions or less.
                    static TURNS: usize = {turns};
                    let turns = unsafe {{ (&raw const TURNS).read_volatile() }};
                    #[cfg(target_arch = "aarch64")]
                    unsafe {{ core::arch::asm!("2: subs {{0}}, {{0}}, #1", "b.ne 2b", inout(reg) turns => _) }}
                    #[cfg(target_arch = "arm")]
                    unsafe {{ core::arch::asm!("2: subs {{0}}, #1", "bne 2b", inout(reg) turns => _) }}
                    #[cfg(target_arch = "riscv32")]
                    unsafe {{ core::arch::asm!("2: addi {{0}}, {{0}}, -1", "bnez {{0}}, 2b", inout(reg) turns => _) }}
                }}
            }}
        }}"#
    );
    BenchModel {
        name: "counted".to_owned(),
        text,
        weights: None,
        inputs: vec![],
        tables: Some(0),
        fed: false,
    }
}

#[test]
fn boards_count_every_instruction() {
    for board in BOARDS.iter().filter(|board| !missing(board)) {
        // Beyond 2^32 ticks of the fastest timers.
        let models = [1_000, 1_001, 30_001_000].map(counted);
        let results = bench::run(&models, &BenchOptions::new(board.name())).unwrap_or_else(|e| panic!("{e}"));
        let counts: Vec<u64> = results.iter().map(|result| result.instructions).collect();
        assert!((2_000..2_020).contains(&counts[0]), "{}: {counts:?}", board.name());
        let more = [counts[1] - counts[0], counts[2] - counts[0]];
        assert_eq!(more, [2, 60_000_000], "{}: {counts:?}", board.name());
    }
}

#[test]
fn int16_and_int4_give_the_hosts_bits_on_a_cortex_m4() {
    if missing(&BOARDS[0]) {
        return;
    }
    let models = ["int16_layers", "int4_weights", "mixed_precision"].map(|name| {
        let path = format!("{}/tests/models/{name}.onnx.txt", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the model can be read");
        let artifact = compile_bytes(&text::encode(&text), name, BOARDS[0].target);
        let ty = artifact.program.inputs[0].ty.clone();
        let waves = (0..ty.elements()).map(|i| (i as f32 * 0.7).sin());
        let bytes: Vec<u8> = match ty.elem {
            ElemType::F32 => waves.flat_map(f32::to_le_bytes).collect(),
            _ => waves.flat_map(|x| ((x * 30_000.0) as i32 as u16 ^ 0x8000).to_le_bytes()).collect(),
        };
        (artifact, vec![Tensor::new(ty, bytes).expect("it fits")])
    });
    firmware(BOARDS[0].target, &models);
}

#[test]
fn layers_of_a_stream_have_instructions_of_their_own() {
    let Some(entries) = zoo::entries() else { return };
    if missing(&BOARDS[0]) {
        return;
    }
    let entry =
        entries.iter().find(|entry| entry.name == "mlperf__ic_resnet8_int8").expect("it is in the zoo");
    let artifact = compile(&entry.model(), &entry.name, BOARDS[0].target);
    assert!(artifact.text.contains("for tick in"), "it is streamed");
    let inputs = &entry.cases().expect("cases")[0].inputs;
    let models = [BenchModel::new(&artifact, inputs), BenchModel::marked(&artifact, inputs, bench::MARK)];
    let results = bench::run(&models, &BenchOptions::new(BOARDS[0].target)).unwrap_or_else(|e| panic!("{e}"));
    let (all, steps) = (results[0].instructions as f64, &results[1].steps);
    assert_eq!(steps.len(), artifact.program.steps.len());
    for (step, &instructions) in artifact.program.steps.iter().zip(steps) {
        assert!(instructions * 2 > step.kernel.macs(), "{}: {instructions}", step.layer);
    }
    let sum = steps.iter().sum::<u64>() as f64;
    assert!((sum / all - 1.0).abs() < 0.01, "{sum} of {all} instructions");
}

/// Compiles the int8 models of MLPerf Tiny for a target, runs them, and compares figures, and memory with what must be.
fn mlperf_tiny_on(target: &str) {
    let Some(entries) = zoo::entries() else { return };
    if missing(bench::Board::find(target).expect("a board")) {
        return;
    }
    let names = ["mlperf__kws_int8", "mlperf__ic_resnet8_int8", "mlperf__vww_96_int8", "mlperf__ad01_int8"];
    let models = names.map(|name| {
        let entry = entries.iter().find(|entry| entry.name == name).expect("it is in the zoo");
        let case = entry.cases().expect("it has cases").swap_remove(0);
        (compile(&entry.model(), name, target), case.inputs)
    });
    let results = firmware(target, &models);
    check_figures(target, &names, &results);
    for (artifact, _) in &models {
        let (ram, bound) = (artifact.report.ram, artifact.report.ram_lower_bound);
        assert!(ram * 100 <= bound * 115, "{}: {ram} bytes of RAM, {bound} would do", artifact.module);
    }
}

#[test]
fn mlperf_tiny_on_a_cortex_m4() {
    mlperf_tiny_on(BOARDS[0].target);
}

#[test]
fn mlperf_tiny_on_a_cortex_m55() {
    mlperf_tiny_on("cortex-m55");
}

#[test]
fn mlperf_tiny_on_a_cortex_m0plus() {
    mlperf_tiny_on("thumbv6m-none-eabi");
}

#[test]
fn mlperf_tiny_on_a_cortex_m3() {
    mlperf_tiny_on("thumbv7m-none-eabi");
}

#[test]
fn mlperf_tiny_on_rv32imc() {
    mlperf_tiny_on("riscv32imc-unknown-none-elf");
}

#[test]
fn mlperf_tiny_on_aarch64() {
    mlperf_tiny_on("aarch64-unknown-none");
}

/// Layers of floats at the edges: extents of every residue, windows that leave the image on any side, one channel and odd ones.
fn float_layers() -> String {
    let mut text = (String::new(), String::new(), String::new());
    let mut layer = |from: (&str, usize),
                     to: (usize, usize, usize),
                     groups: usize,
                     (kh, kw): (usize, usize),
                     attributes: &str| {
        let n = text.0.matches("float[").count();
        let (c, h, w) = to;
        let weights = from.1 / groups;
        text.0 += &format!("float[1,{c},{h},{w}] y{n}, ");
        text.1 += &format!(
            "float[{c},{weights},{kh},{kw}] w{n} = random({n}), float[{c}] b{n} = random({}), ",
            n + 50
        );
        text.2 += &format!("[layer{n}] y{n} = Conv<group={groups}{attributes}>({}, w{n}, b{n})\n", from.0);
    };
    // `a` has 5 channels of 7x11 pixels, `b` 6 of 6x9, `c` one of 13x4.
    layer(("a", 5), (7, 7, 11), 1, (1, 1), "");
    layer(("a", 5), (6, 7, 11), 1, (3, 3), ", pads=[1,1,1,1]");
    layer(("a", 5), (4, 3, 4), 1, (3, 5), ", pads=[0,1,0,1], strides=[2,3]");
    layer(("b", 6), (9, 6, 9), 3, (3, 3), ", pads=[1,1,1,1]");
    layer(("c", 1), (8, 13, 4), 1, (4, 2), ", pads=[2,0,1,1]");
    layer(("b", 6), (3, 6, 9), 1, (3, 3), ", pads=[2,2,2,2], dilations=[2,2]");
    layer(("b", 6), (6, 6, 9), 6, (3, 3), ", pads=[1,1,1,1]");
    layer(("b", 6), (6, 3, 5), 6, (3, 3), ", pads=[1,1,1,1], strides=[2,2]");
    layer(("a", 5), (5, 7, 11), 5, (5, 5), ", pads=[2,2,2,2]");
    layer(("a", 5), (10, 3, 4), 5, (3, 4), ", strides=[2,2]");
    layer(("a", 5), (5, 7, 7), 5, (1, 5), "");
    layer(("a", 5), (5, 3, 11), 5, (3, 3), ", pads=[0,1,0,1], dilations=[2,1]");
    layer(("c", 1), (3, 13, 4), 1, (3, 3), ", pads=[1,1,1,1]");
    let (outputs, tables, nodes) = text;
    format!(
        "<ir_version: 8, opset_import: [\"\" : 13]>\n\
         float_layers (float[1,5,7,11] a, float[1,6,6,9] b, float[1,1,13,4] c, float[3,19] d) => ({outputs}float[3,7] dense)\n\
         <{tables}float[7,19] wd = random(90), float[7] bd = random(91)>\n{{ {nodes} [dense] r = Gemm<transB=1>(d, wd, bd)\ndense = Relu(r) }}"
    )
}

#[test]
fn floats_give_the_hosts_bits_on_a_cortex_m4_at_every_opt_level() {
    if missing(&BOARDS[0]) {
        return;
    }
    let artifact = compile_bytes(&text::encode(&float_layers()), "float_layers", BOARDS[0].target);
    // Sizes from denormal numbers to those that swallow others, zeros of both signs; nothing whose products are no numbers.
    let value = |i: usize| match i % 11 {
        0 => -0.0,
        1 => f32::from_bits(i as u32),
        2 => 1e18,
        3 => -1e18,
        n => (i as f32 * 0.7).sin() * 10f32.powi(n as i32 - 7),
    };
    let inputs = |from: usize| -> Vec<Tensor> {
        let ports = artifact.program.inputs.iter();
        ports
            .map(|port| {
                Tensor::from_f32(
                    &port.ty.shape,
                    &(from..from + port.ty.elements()).map(value).collect::<Vec<_>>(),
                )
            })
            .collect()
    };
    let models = [(artifact.clone(), inputs(0)), (artifact.clone(), inputs(1000))];
    for opt_level in ["1", "2", "3", "s", "z"] {
        firmware_at(BOARDS[0].target, opt_level, &models);
    }
}
