//! Builds generated code with rustc alone, and runs it.

use kiln_compiler::driver::Artifact;
use kiln_compiler::tensor::Tensor;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder in which generated code is built against the runtime.
#[derive(Debug)]
pub struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    /// A folder with the runtime, built as a library without std.
    ///
    /// # Panics
    /// When rustc fails.
    pub fn new() -> Workshop {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime-core/src/lib.rs");
        let workshop = Workshop { folder };
        let mut rustc = workshop.rustc("kiln_runtime_core", "rlib", &runtime);
        finish(rustc.arg("--cap-lints=allow"));
        workshop
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A rustc call that leaves its product in the folder.
    pub fn rustc(&self, name: &str, kind: &str, source: &Path) -> Command {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut command = Command::new(rustc);
        command.args(["--edition=2024", "-Copt-level=2", "--crate-type", kind, "--crate-name", name]);
        command.arg(source).arg("--out-dir").arg(self.path()).arg("-L").arg(self.path());
        command
    }

    /// Writes text and tables, and builds them as a `no_std` library that denies every warning and missing docs.
    ///
    /// # Panics
    /// When rustc fails.
    pub fn library(&self, artifact: &Artifact) {
        let name = &artifact.module;
        std::fs::write(self.path().join(format!("{name}.rs")), &artifact.text).expect("text is written");
        if let Some(weights) = &artifact.weights {
            std::fs::write(self.path().join(&artifact.weights_file), weights).expect("tables are written");
        }
        let text = format!(
            "//! A model.\n#![no_std]\n#![deny(warnings, missing_docs, unsafe_code)]\ninclude!(\"{name}.rs\");\n"
        );
        let library = self.path().join(format!("lib_{name}.rs"));
        std::fs::write(&library, text).expect("the library is written");
        finish(self.rustc(&format!("lib_{name}"), "rlib", &library).arg("--extern=kiln_runtime_core"));
    }

    /// Builds a program around [`Workshop::library`] that reads inputs from its standard input and writes the outputs.
    ///
    /// # Panics
    /// When rustc fails.
    pub fn program(&self, artifact: &Artifact) -> PathBuf {
        self.library(artifact);
        let name = &artifact.module;
        let main = self.path().join(format!("run_{name}.rs"));
        // An input that comes by rows has no place in the model.
        let shape = &artifact.plan.placement.shape;
        let infer = if shape.time.is_some() {
            let input = &artifact.program.inputs[0];
            let (elem, row) = (input.ty.elem, shape.form(input.buffer).expect("a ring").row());
            let size = elem.size();
            format!(
                "let frame = rest.split_off(..{row} * {size}).unwrap();
        let frame = std::array::from_fn(|i| {elem}::from_le_bytes(*frame[i * {size}..].first_chunk().unwrap()));
        if model.step(&frame).is_none() {{
            continue;
        }}"
            )
        } else if shape.is_fed() {
            let size = artifact.program.buffers[artifact.program.inputs[0].buffer.0].size();
            format!("let input = rest.split_off(..{size}).unwrap();\n        model.run_bytes(input);")
        } else {
            "for i in 0..Model::INPUTS {
            rest.read_exact(model.input_bytes_mut(i)).unwrap();
        }
        model.invoke();
        assert!(model.input_bytes_mut(Model::INPUTS).is_empty());"
                .to_owned()
        };
        let text = format!(
            "use lib_{name}::{name}::Model;
#[allow(unused_imports)]
use std::io::{{Read, Write}};
static MODEL: std::sync::Mutex<Model> = std::sync::Mutex::new(Model::new());
fn main() {{
    let mut model = MODEL.lock().unwrap();
    let mut bytes = vec![];
    std::io::stdin().read_to_end(&mut bytes).unwrap();
    let mut rest = &bytes[..];
    while !rest.is_empty() {{
        {infer}
        for i in 0..Model::OUTPUTS {{
            std::io::stdout().write_all(model.output_bytes(i)).unwrap();
        }}
    }}
    assert!(model.output_bytes(Model::OUTPUTS).is_empty());
}}
"
        );
        std::fs::write(&main, text).expect("the program is written");
        let library = format!("--extern=lib_{name}");
        finish(
            self.rustc(&format!("run_{name}"), "bin", &main).arg(library).arg("--extern=kiln_runtime_core"),
        );
        self.path().join(format!("run_{name}"))
    }
}

impl Default for Workshop {
    fn default() -> Workshop {
        Workshop::new()
    }
}

/// Runs a command to its end.
///
/// # Panics
/// When it fails, with what it printed.
pub fn finish(command: &mut Command) {
    let output = command.output().expect("the command starts");
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a program of [`Workshop::program`] on several inferences; returns the outputs of all as bytes.
///
/// # Panics
/// When it fails.
pub fn run(program: &Path, inferences: &[Vec<Tensor>]) -> Vec<u8> {
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    let input: Vec<u8> = inferences.iter().flatten().flat_map(|t| t.bytes().to_vec()).collect();
    let mut stdin = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("inputs are read");
    assert!(output.status.success(), "{} failed", program.display());
    output.stdout
}
