//! `kiln quantize` and what follows the profile, as users call them.

use kiln_cli::npy;
use kiln_compiler::build::Precision;
use kiln_compiler::tensor::Tensor;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder with the float digits model and samples for it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().expect("a folder"));
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/models/digits.onnx");
        std::fs::copy(model, folder.path("digits.onnx")).expect("the model is copied");
        folder.samples("samples.npz", |i| (i % 17) as f32);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a text file")
    }

    fn samples(&self, name: &str, value: impl Fn(usize) -> f32) {
        let values: Vec<f32> = (0..20 * 64).map(|i| value(i * i / 3 + i)).collect();
        let tensor = Tensor::from_f32(&[20, 8, 8, 1], &values);
        npy::write_npz(&self.path(name), [("x", &tensor)].into_iter()).expect("it can be written");
    }

    fn kiln(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.current_dir(self.0.path()).args(arguments).output().expect("kiln starts")
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.kiln(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.kiln(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

const QUANTIZE: [&str; 4] = ["quantize", "digits.onnx", "--calibrate", "samples.npz"];

#[test]
fn the_same_bytes_again_and_on_two_threads() {
    let f = Folder::new();
    let both = || {
        ["digits.kiln.toml", "digits.int8.onnx"].map(|n| std::fs::read(f.path(n)).expect("it was written"))
    };
    for method in ["auto", "minmax", "average", "percentile", "entropy", "mse"] {
        let with = |threads| [&QUANTIZE[..], &["--method", method, "--threads", threads]].concat();
        f.succeeds(&with("1"));
        let first = both();
        f.succeeds(&with("1"));
        assert!(both() == first, "{method}: not the same again");
        f.succeeds(&with("2"));
        assert!(both() == first, "{method}: not the same on two threads");
        assert!(f.text("digits.kiln.toml").contains(&format!("method = \"{method}\"")));
    }
}

#[test]
fn compile_follows_the_profile() {
    let f = Folder::new();
    let report = f.succeeds(&["compile", "digits.onnx", "-o", "digits.rs"]);
    assert!(report.contains("conv2d_f32") && report.contains("kiln quantize digits.onnx"), "{report}");
    let error = f.fails(&["compile", "digits.onnx", "-o", "digits.rs", "--precision", "int8"]);
    assert!(
        error.contains("E0714") && error.contains("kiln quantize digits.onnx --calibrate DATA"),
        "{error}"
    );

    let said = f.succeeds(&QUANTIZE);
    assert!(said.contains("layers in integers") && said.contains("digits.int8.onnx"), "{said}");
    let report = f.succeeds(&["compile", "digits.onnx", "-o", "digits.rs"]);
    assert!(report.contains("conv2d_i8") && !report.contains("conv2d_f32"), "{report}");
    assert!(f.text("digits.rs").contains("pub mod digits"));
    f.succeeds(&["check", "digits.onnx", "digits.rs"]);
    let again = f.succeeds(&["compile", "digits.onnx", "-o", "digits.rs", "--precision", "int8"]);
    assert_eq!(report, again);
    let float = f.succeeds(&["compile", "digits.onnx", "-o", "float.rs", "--precision", "f32"]);
    assert!(float.contains("conv2d_f32"), "{float}");
}

#[test]
fn compile_calibrates_without_a_profile() {
    let f = Folder::new();
    let arguments = ["compile", "digits.onnx", "-o", "digits.rs", "--calibrate", "samples.npz"];
    assert!(f.succeeds(&arguments).contains("conv2d_i8"));
    assert!(!f.path("digits.kiln.toml").exists() && !f.path("digits.int8.onnx").exists());
    let text = f.text("digits.rs");
    f.succeeds(&QUANTIZE);
    f.succeeds(&["compile", "digits.onnx", "-o", "digits.rs"]);
    assert_eq!(text, f.text("digits.rs"), "both ways give the same program");
}

#[test]
fn evaluation_compares_with_the_float_model() {
    let f = Folder::new();
    f.succeeds(&QUANTIZE);
    let json = f.succeeds(&["evaluate", "digits.onnx", "--data", "samples.npz", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let snr = json["snr_db"].as_f64().expect("a number");
    assert!((20.0..200.0).contains(&snr), "{json}");
}

#[test]
fn layers_stay_in_float() {
    let f = Folder::new();
    f.succeeds(&QUANTIZE);
    let profile = f.text("digits.kiln.toml");
    let layers = profile.split("[layers]\n").nth(1).expect("layers");
    let name = layers.split('"').nth(1).expect("a layer");
    let error = f.fails(&[&QUANTIZE[..], &["--float", "nothing"]].concat());
    assert!(error.contains("E0324") && error.contains(&format!("`{name}`")), "{error}");
    f.succeeds(&[&QUANTIZE[..], &["--float", name]].concat());
    assert!(f.text("digits.kiln.toml").contains(&format!("\"{name}\" = \"float\"")));
}

#[test]
fn stale_and_broken_profiles_are_refused() {
    let f = Folder::new();
    f.succeeds(&QUANTIZE);
    let compile = ["compile", "digits.onnx", "-o", "digits.rs"];
    let profile = f.text("digits.kiln.toml");
    let replace = |name: &str, bytes: &[u8]| std::fs::write(f.path(name), bytes).expect("it can be written");

    let quantized = std::fs::read(f.path("digits.int8.onnx")).expect("it was written");
    replace("digits.int8.onnx", &quantized[..quantized.len() - 1]);
    assert!(f.fails(&compile).contains("E0713"));
    std::fs::remove_file(f.path("digits.int8.onnx")).expect("it was there");
    assert!(f.fails(&compile).contains("E0713"));
    replace("digits.int8.onnx", &quantized);
    f.succeeds(&compile);

    replace("digits.kiln.toml", profile.replace("version = 1", "version = 9").as_bytes());
    let error = f.fails(&compile);
    assert!(error.contains("E0711") && error.contains("version 9"), "{error}");
    replace("digits.kiln.toml", profile.as_bytes());

    let mut model = std::fs::read(f.path("digits.onnx")).expect("a model");
    // An unknown field at the end changes the file, not what it means.
    model.extend([0xfa, 0x7f, 0x00]);
    replace("digits.onnx", &model);
    let error = f.fails(&compile);
    let renew = "kiln quantize digits.onnx --calibrate samples.npz";
    assert!(error.contains("E0712") && error.contains(renew), "{error}");
    f.succeeds(&[&compile[..], &["--precision", "f32"]].concat());
    f.succeeds(&QUANTIZE);
    f.succeeds(&compile);
}

#[test]
fn errors_say_what_to_give() {
    let f = Folder::new();
    let error = f.fails(&["quantize", "digits.onnx"]);
    assert!(error.contains("needs calibration data") && error.contains("--calibrate DATA"), "{error}");
    let error = f.fails(&["quantize", "digits.onnx", "--calibrate", "nothing.npz"]);
    assert!(error.contains("E0603"), "{error}");
    npy::write_npz(&f.path("other.npz"), [("x", &Tensor::from_f32(&[4, 7], &[0.0; 28]))].into_iter())
        .expect("written");
    let error = f.fails(&["quantize", "digits.onnx", "--calibrate", "other.npz"]);
    assert!(error.contains("E0602") && error.contains("f32[4, 7]"), "{error}");
    f.samples("nan.npz", |i| if i > 500 { f32::NAN } else { 1.0 });
    let error = f.fails(&["quantize", "digits.onnx", "--calibrate", "nan.npz"]);
    assert!(error.contains("E0321") && error.contains("scaled as in training"), "{error}");
    assert!(!f.path("digits.kiln.toml").exists(), "nothing was written");
    f.succeeds(&QUANTIZE);
    let error = f.fails(&["quantize", "digits.int8.onnx", "--calibrate", "samples.npz"]);
    assert!(error.contains("E0322"), "{error}");
}

#[test]
fn the_build_script_api_follows_too() {
    let f = Folder::new();
    f.succeeds(&QUANTIZE);
    let compiler = || kiln_compiler::Compiler::new(f.path("digits.onnx")).out_dir(f.0.path());
    let kernels = |a: kiln_compiler::driver::Artifact| a.program.to_string();
    assert!(kernels(compiler().compile().expect("it compiles")).contains("conv2d_i8"));
    let float = compiler().precision(Precision::F32).compile().expect("it compiles");
    assert!(kernels(float).contains("conv2d_f32"));
}

#[test]
fn data_beside_the_model_belong_to_it() {
    let f = Folder::new();
    let bytes = std::fs::read(f.path("digits.onnx")).expect("a model");
    let own = kiln_compiler::build::model_hash(&bytes, f.0.path()).expect("a model");
    assert_eq!(own, kiln_compiler::sha256::sha256(&bytes), "as sha256sum says");
}
