//! Build scripts and `include_model!` as users meet them: with plain Cargo, and what they say when something is wrong.

use clap::Parser;
use codegen_tests::text;
use kiln_cli::commands::Cli;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

/// Cargo locks its target folder anyway; one at a time keeps the memory of the machine.
static ONE: Mutex<()> = Mutex::new(());

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cargo(folder: &Path, arguments: &[&str]) -> Output {
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faces");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_TERM_COLOR", "never");
    command.output().expect("cargo starts")
}

fn succeeds(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn fails(output: Output) -> String {
    assert!(!output.status.success(), "it should not build");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A copy of an example, for a test to change. Cargo knows it by another name, one for each test: it takes packages of one
/// name for the same one wherever they lie, and an older file of one for not changed.
fn copy(example: &str, test: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let from = root().join("examples").join(example);
    std::fs::create_dir(folder.path().join("src")).expect("a folder");
    for file in ["Cargo.toml", "Cargo.lock", "build.rs", "src/main.rs"] {
        let Ok(text) = std::fs::read_to_string(from.join(file)) else { continue };
        let text =
            text.replace("../../", &format!("{}/", root().canonicalize().expect("the workspace").display()));
        let text = text.replace(&format!("name = \"{example}\""), &format!("name = \"{example}-{test}\""));
        std::fs::write(folder.path().join(file), text).expect("a file");
    }
    folder
}

fn with_main(test: &str, main: &str, models: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let folder = copy("include-model", test);
    std::fs::write(folder.path().join("src/main.rs"), main).expect("a file");
    for (name, bytes) in models {
        std::fs::write(folder.path().join(name), bytes).expect("a file");
    }
    folder
}

#[test]
fn examples_run() {
    for example in ["build-script", "include-model"] {
        let printed =
            succeeds(cargo(&root().join("examples").join(example), &["run", "--quiet", "--locked"]));
        assert!(printed.starts_with("3 ("), "{example}: {printed}");
    }
}

#[test]
fn five_megabytes_of_weights_are_baked_by_the_macro() {
    let model = r#"<ir_version: 8, opset_import: ["" : 13]>
        large (float[1,1250] x) => (float[1,1000] y)
        <float[1250,1000] w = random(1), float[1000] b = random(2)> { y = Gemm(x, w, b) }"#;
    let main = "kiln_macros::include_model!(pub struct Large = \"large.onnx\");
        static MODEL: std::sync::Mutex<Large> = std::sync::Mutex::new(Large::new());
        fn main() { println!(\"{}\", MODEL.lock().unwrap().predict(&[1.0; 1250])[0] != 0.0) }";
    let folder = with_main("large", main, &[("large.onnx", text::encode(model))]);
    assert_eq!(succeeds(cargo(folder.path(), &["run", "--quiet"])), "true\n");
}

#[test]
fn the_macro_says_what_is_wrong_where_it_stands() {
    let model = r#"<ir_version: 8, opset_import: ["" : 13]>
        odd (float[1,4] x) => (float[1,4] y) { [odd/Det] y = Frobnicate(x) }"#;
    let dense = r#"<ir_version: 8, opset_import: ["" : 13]>
        dense (float[1,4] x) => (float[1,2] y) <float[4,2] w = random(1)> { y = MatMul(x, w) }"#;
    let models = [
        ("odd.onnx", text::encode(model)),
        ("dense.onnx", text::encode(dense)),
        ("no.onnx", b"<html>".to_vec()),
        ("fits.onnx", std::fs::read(root().join("examples/models/digits.int8.onnx")).expect("the model")),
    ];
    let cases = [
        ("include_model!(\"missing.onnx\")", "missing.onnx` cannot be read"),
        ("include_model!(\"odd.onnx\")", "error[E0201]: operator `Frobnicate` is not supported"),
        ("include_model!(\"no.onnx\")", "error[E0101]"),
        ("include_model!(\"odd.onnx\", rom = 1)", "unknown option `rom`"),
        ("include_model!(\"dense.onnx\", stream_input = true)", "error[E0715]"),
        ("include_model!(\"dense.onnx\", stream = \"time\")", "error[E0716]"),
        (
            "include_model!(\"dense.onnx\", stream = \"space\")",
            "`space` is neither `time` nor the number of an axis",
        ),
        ("include_model!(\"fits.onnx\", ram = \"16K\", flash = 64)", "error[E0721]: the model needs"),
        ("include_model!(\"fits.onnx\", ram = \"16Q\")", "`16Q` is no number of bytes"),
        ("include_model!(5)", "expected"),
    ];
    for (call, expected) in cases {
        let folder = with_main("errors", &format!("kiln_macros::{call};\nfn main() {{}}\n"), &models);
        let printed = fails(cargo(folder.path(), &["check", "--quiet"]));
        assert!(printed.contains(expected), "{call}: no `{expected}` in\n{printed}");
        assert!(printed.contains("src/main.rs:1:"), "{call} is not pointed at:\n{printed}");
    }
}

#[test]
fn the_macro_and_the_build_script_take_an_input_by_rows() {
    // Row `y` has the values 8 y to 8 y + 7, for `predict` as for `run_rows`.
    let main = |include: &str, model: &str| {
        format!(
            "{include} fn main() {{
                static MODEL: std::sync::Mutex<{model}> = std::sync::Mutex::new({model}::new());
                let mut model = MODEL.lock().unwrap();
                let whole = model.predict(&std::array::from_fn(|i| i as f32 / 64.0));
                let mut next = 0;
                model.run_rows(|y, to| {{
                    assert_eq!(y, next);
                    next += 1;
                    for (x, to) in to.iter_mut().enumerate() {{ *to = (8 * y + x) as f32 / 64.0 }}
                }});
                println!(\"{{}} {{next}}\", *model.output() == whole);
            }}"
        )
    };
    let include = r#"kiln_macros::include_model!(pub struct Digits = "digits.onnx", stream_input = true);"#;
    let model = std::fs::read(root().join("examples/models/digits.onnx")).expect("the model");
    let models = [("digits.onnx", model.clone())];
    let r#macro = with_main("rows", &main(include, "Digits"), &models);
    let script = copy("build-script", "rows");
    let include = r#"include!(concat!(env!("OUT_DIR"), "/digits.rs"));"#;
    let build =
        "fn main() { kiln_compiler::Compiler::new(\"digits.onnx\").stream_input().compile_or_exit(); }";
    let text = main(include, "digits::Model");
    for (file, contents) in
        [("build.rs", build.as_bytes()), ("src/main.rs", text.as_bytes()), ("digits.onnx", &model)]
    {
        std::fs::write(script.path().join(file), contents).expect("a file");
    }
    for folder in [r#macro.path(), script.path()] {
        assert_eq!(succeeds(cargo(folder, &["run", "--quiet"])), "true 8\n");
    }
}

#[test]
fn the_macro_and_the_build_script_stream_over_time() {
    // The greatest sum of three frames in a row of a window of six; the file pads it in time by one frame on each side.
    let model = text::encode(
        r#"<ir_version: 8, opset_import: ["" : 13]>
        g (float[1,1,6,2] x) => (float[1,1,1,1] y) <float[1,1,3,2] w = {1, 1, 1, 1, 1, 1}> {
            c = Conv<pads = [1, 0, 1, 0]>(x, w) y = GlobalMaxPool(c) }"#,
    );
    let main = |include: &str, model: &str| {
        format!(
            "{include} fn main() {{
                static MODEL: std::sync::Mutex<{model}> = std::sync::Mutex::new({model}::new());
                let mut model = MODEL.lock().unwrap();
                let frames = [[1.0, 0.0], [9.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [2.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]];
                println!(\"{{:?}}\", frames.map(|frame| model.step(&frame).map(|output| output[0])));
            }}"
        )
    };
    let models = [("window.onnx", model)];
    let include = r#"kiln_macros::include_model!(pub struct Window = "window.onnx", stream = "time", stream_pad = "drop");"#;
    let r#macro = with_main("time", &main(include, "Window"), &models);
    let script = copy("build-script", "time");
    let text = main(r#"include!(concat!(env!("OUT_DIR"), "/window.rs"));"#, "window::Model");
    let build = "fn main() {
        kiln_compiler::Compiler::new(\"window.onnx\").stream(2).stream_pad_drop().compile_or_exit();
    }";
    for (file, contents) in
        [("build.rs", build.as_bytes()), ("src/main.rs", text.as_bytes()), ("window.onnx", &models[0].1)]
    {
        std::fs::write(script.path().join(file), contents).expect("a file");
    }
    // The greatest sum of three frames in a row, of the last six.
    let expected = "[None, None, None, None, None, Some(11.0), Some(11.0), Some(3.0), Some(3.0)]\n";
    for folder in [r#macro.path(), script.path()] {
        assert_eq!(succeeds(cargo(folder, &["run", "--quiet"])), expected);
    }
}

#[test]
fn a_build_script_says_what_is_wrong() {
    let folder = copy("build-script", "errors");
    let change = |file: &str, from: &str, to: &str| {
        let path = folder.path().join(file);
        let text = std::fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).expect("a file");
    };
    change("build.rs", "digits.int8.onnx", "missing.onnx");
    let printed = fails(cargo(folder.path(), &["check", "--quiet"]));
    assert!(printed.contains("error[E0100]") && printed.contains("missing.onnx"), "{printed}");
    let model = root().canonicalize().expect("the workspace").join("examples/models/digits.int8.onnx");
    change("build.rs", "../models/missing.onnx", model.to_str().expect("UTF-8"));
    change("build.rs", ".compile_or_exit", ".ram(100).compile_or_exit");
    let printed = fails(cargo(folder.path(), &["check", "--quiet"]));
    assert!(printed.contains("error[E0721]") && printed.contains("where the budget is 100"), "{printed}");
    change("build.rs", ".ram(100)", "");
    change("Cargo.toml", "[dependencies]\nkiln-runtime-core", "[build-dependencies]\nkiln-runtime-core");
    change("Cargo.toml", "\n[build-dependencies]\nkiln-compiler", "kiln-compiler");
    let printed = fails(cargo(folder.path(), &["check", "--quiet"]));
    assert!(printed.contains("error[E0703]") && printed.contains("kiln-runtime-core"), "{printed}");
}

/// The float digits model as users have it after `kiln quantize`.
fn quantize(folder: &Path) {
    let models = root().join("examples/models");
    std::fs::copy(models.join("digits.onnx"), folder.join("digits.onnx")).expect("a copy");
    let (model, data) = (folder.join("digits.onnx"), models.join("digits.calib.npz"));
    let arguments =
        ["kiln".as_ref(), "quantize".as_ref(), model.as_os_str(), "--calibrate".as_ref(), data.as_os_str()];
    let plain = ["--method".as_ref(), "minmax".as_ref()];
    Cli::parse_from(arguments.into_iter().chain(plain)).run().expect("it quantizes");
}

#[test]
fn the_macro_and_the_build_script_follow_a_profile() {
    let main = r#"kiln_macros::include_model!(pub struct Digits = "digits.onnx");
        fn main() { println!("{}", Digits::FLASH) }"#;
    let r#macro = with_main("profile", main, &[]);
    let script = copy("build-script", "profile");
    let build = script.path().join("build.rs");
    std::fs::write(&build, "fn main() { kiln_compiler::Compiler::new(\"digits.onnx\").compile_or_exit(); }")
        .expect("a file");
    let main = r#"include!(concat!(env!("OUT_DIR"), "/digits.rs"));
        fn main() { println!("{}", digits::Model::FLASH) }"#;
    std::fs::write(script.path().join("src/main.rs"), main).expect("a file");
    let float = std::fs::metadata(root().join("examples/models/digits.onnx")).expect("the model").len();
    for folder in [r#macro.path(), script.path()] {
        quantize(folder);
        let flash = succeeds(cargo(folder, &["run", "--quiet"]));
        // int8 weights are a quarter of the float file.
        assert!(flash.trim().parse::<u64>().expect("a number") < float / 2, "{flash}");
        // Another model under the same name: the profile is stale. A producer's name changes nothing but the hash.
        let path = folder.join("digits.onnx");
        let mut bytes = std::fs::read(&path).expect("the model");
        bytes.extend(b"\x12\x01x");
        std::fs::write(&path, bytes).expect("a file");
        let printed = fails(cargo(folder, &["run", "--quiet"]));
        assert!(printed.contains("E0712"), "{printed}");
    }
}
