//! The command as users call it: what it prints, and how it exits.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn model(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/models").join(file);
    path.to_str().expect("UTF-8").to_owned()
}

fn kiln(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kiln")).args(arguments).output().expect("kiln starts")
}

fn succeeds(arguments: &[&str]) -> String {
    let output = kiln(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it says on the error stream; it exits with 1 and prints nothing else.
fn fails(arguments: &[&str]) -> String {
    let output = kiln(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn file(folder: &tempfile::TempDir, name: &str) -> (PathBuf, String) {
    let path = folder.path().join(name);
    let text = path.to_str().expect("UTF-8").to_owned();
    (path, text)
}

#[test]
fn compile_writes_what_check_accepts() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, out) = file(&folder, "digits.rs");
    let report = succeeds(&["compile", &model("digits.onnx"), "-o", &out]);
    assert!(report.contains("conv2d_f32") && report.contains("quantize"), "{report}");
    assert!(folder.path().join("digits.weights.bin").exists());
    succeeds(&["check", &model("digits.onnx"), &out]);
    let text = std::fs::read_to_string(&path).expect("it was written");
    std::fs::write(&path, text.replace("offset: 0", "offset: 4")).expect("it can be changed");
    assert!(fails(&["check", &model("digits.onnx"), &out]).contains("out of date"));
    succeeds(&["compile", &model("digits.onnx"), "-o", &out]);
    std::fs::write(folder.path().join("digits.weights.bin"), b"other").expect("it can be changed");
    assert!(fails(&["check", &model("digits.onnx"), &out]).contains("out of date"));
}

#[test]
fn compile_and_check_keep_to_a_budget() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, out) = file(&folder, "digits.rs");
    let small = ["compile", &model("digits.int8.onnx"), "-o", &out, "--ram", "512", "--flash", "1M"];
    assert!(
        fails(&small).starts_with("error[E0721]: the model needs 784 bytes of RAM, where the budget is 512")
    );
    assert!(!path.exists());
    succeeds(&["compile", &model("digits.int8.onnx"), "-o", &out, "--ram", "1K", "--flash", "8K"]);
    succeeds(&["check", &model("digits.int8.onnx"), &out, "--ram", "784"]);
    assert!(fails(&["check", &model("digits.int8.onnx"), &out, "--flash", "4K"]).contains("E0721"));
}

#[test]
fn the_report_is_json_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, out) = file(&folder, "digits.rs");
    let text = succeeds(&["compile", &model("digits.int8.onnx"), "-o", &out, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(json["ram"].as_u64() >= json["ram_lower_bound"].as_u64());
    assert_eq!(json["layers"].as_array().map(Vec::len), Some(9));
}

#[test]
fn run_prints_and_writes_outputs() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, out) = file(&folder, "out.npz");
    let input = format!("input={}", model("digit.npy"));
    succeeds(&["run", &model("digits.int8.onnx"), "--input", &input, "-o", &out]);
    let printed = succeeds(&["run", &model("digits.int8.onnx"), "--input", &input]);
    assert!(printed.contains("probabilities") && printed.contains("[9] 0.9960785"), "{printed}");
    assert!(path.metadata().is_ok_and(|m| m.len() > 40));
    let seeded = |seed| succeeds(&["run", &model("digits.onnx"), "--seed", seed]);
    assert_eq!(seeded("3"), seeded("3"));
    assert_ne!(seeded("3"), seeded("4"));
    let wrong = fails(&["run", &model("digits.onnx"), "--input", &format!("x={}", model("digit.npy"))]);
    assert!(wrong.contains("`x`"), "{wrong}");
}

#[test]
fn evaluate_compares_with_the_float_model() {
    let int8 = model("digits.int8.onnx");
    let (data, float) = (model("digits.npz"), model("digits.onnx"));
    let of = |words: &[&str]| succeeds(&[&["evaluate", &int8, "--data", &data][..], words].concat());
    let text = of(&["--reference", &float, "--layers", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).expect("one object");
    let number = |key: &str| json[key].as_f64().unwrap_or_else(|| panic!("{key}: {text}"));
    assert_eq!((json["n"].as_u64(), json["metric"].as_str()), (Some(360), Some("accuracy")));
    assert!(number("compiled") > 0.95 && (number("compiled") - number("float")).abs() < 0.005, "{text}");
    assert!(number("argmax_agreement") > 0.99 && number("snr_db") > 40.0, "{text}");
    assert!(json["layers"].as_array().is_some_and(|l| l.len() > 8), "{text}");
    assert_eq!(
        of(&["--reference", &float, "--threads", "1"]),
        of(&["--reference", &float, "--threads", "3"])
    );
    let alone: serde_json::Value = serde_json::from_str(&of(&["--json"])).expect("one object");
    assert!(alone["float"].is_null() && alone["snr_db"].is_null() && alone["compiled"].is_number());
    let same = succeeds(&["evaluate", &float, "--data", &data]);
    assert!(same.contains("the same values") && same.contains("note: the model computes in f32"), "{same}");
}

#[test]
fn evaluate_refuses_with_a_way_out() {
    let int8 = model("digits.int8.onnx");
    let refuse = |words: &[&str]| fails(&[&["evaluate", &int8][..], words].concat());
    assert!(refuse(&["--data", &model("digits.npz"), "--layers"]).contains("--reference"));
    assert!(refuse(&["--data", &model("digits.npz"), "--output", "y"]).contains("`probabilities`"));
    assert!(refuse(&["--data", &model("none.npz")]).starts_with("error[E0603]"));
    assert!(refuse(&["--data", &model("digits.npz"), "--task", "regression"]).starts_with("error[E0606]"));
}

#[test]
fn inspect_shows_every_stage() {
    let of =
        |arguments: &[&str]| succeeds(&[&["inspect", &model("digits.int8.onnx")][..], arguments].concat());
    assert!(of(&["--after", "import"]).contains("DequantizeLinear"));
    assert!(of(&["--stage", "graph", "--format", "dot"]).starts_with("digraph"));
    assert!(of(&["--stage", "program"]).contains("conv2d_i8("));
    assert!(of(&["--stage", "plan"]).contains("lower bound"));
    let picture = of(&["--stage", "plan", "--format", "svg"]);
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"), "{picture}");
    assert!(picture.matches("<title>").count() >= 10 && picture.contains("peak: "), "{picture}");
    assert!(fails(&["inspect", &model("digits.onnx"), "--format", "svg"]).contains("`--stage plan`"));
    for stage in ["graph", "program", "plan"] {
        let text = of(&["--stage", stage, "--format", "json"]);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{stage}: {text}");
    }
    assert!(fails(&["inspect", &model("digits.onnx"), "--after", "nothing"]).contains("`nothing`"));
}

#[test]
fn cycles_need_an_emulator() {
    for target in ["host", "wasm32"] {
        let error = fails(&["bench", &model("digits.onnx"), "--target", target, "--cycles", "plugin.so"]);
        let parts = ["plugin of QEMU", &format!("`{target}` is not emulated"), "help: leave `--cycles` out"];
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn errors_go_to_the_error_stream() {
    assert!(fails(&["run", &model("none.onnx"), "--seed", "1"]).contains("none.onnx"));
    assert!(fails(&["run", &model("digits.npz"), "--seed", "1"]).starts_with("error[E0101]"));
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_early_ends_it_quietly() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.args(["inspect", &model("digits.onnx"), "--stage", "program"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("kiln starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(
        !output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
