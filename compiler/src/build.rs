//! Files in, files out: the API for build scripts, and what the command and the macro share with it.
//!
//! ```no_run
//! // build.rs
//! kiln_compiler::Compiler::new("model.onnx").compile_or_exit();
//! ```
//!
//! ```ignore
//! // main.rs
//! include!(concat!(env!("OUT_DIR"), "/model.rs"));
//! ```

mod source;

pub use source::{Precision, Source, model_hash, profile_path, source};

use crate::diag::{Diagnostic, Diagnostics};
use crate::driver::{self, Artifact, Options};
use crate::files;
use crate::plan::Axis;
use kiln_runtime_core::Family;
use std::path::{Path, PathBuf};

/// Compiles the model in a file, or the quantized one that the profile beside it names. Tensors that the file stores outside
/// are read from its folder, and from nowhere else.
///
/// # Errors
/// As [`source()`] and [`driver::compile`].
pub fn compile_file(path: &Path, options: &Options) -> Result<Artifact, Diagnostics> {
    compile_source(&source(path, Precision::default())?, options)
}

/// Compiles what [`source()`] has read.
///
/// # Errors
/// As [`driver::compile`].
pub fn compile_source(source: &Source, options: &Options) -> Result<Artifact, Diagnostics> {
    driver::compile(&source.bytes, &mut files::external(&source.folder), options)
}

/// Reads a model file.
///
/// # Errors
/// `E0100` when it cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    std::fs::read(path).map_err(|e| {
        Diagnostic::new("E0100", format!("the model file `{}` cannot be read", path.display()))
            .fact("reason", e)
            .help(
                "give the path of an ONNX file; build scripts and macros look from the folder of Cargo.toml",
            )
    })
}

/// Writes the text to `path`, its tables beside it, each only when it changed.
///
/// # Errors
/// When a file cannot be written.
pub fn write_artifact(path: &Path, artifact: &Artifact) -> Result<(), Diagnostic> {
    write_if_changed(path, artifact.text.as_bytes())?;
    match &artifact.weights {
        Some(weights) => write_if_changed(&path.with_file_name(&artifact.weights_file), weights),
        None => Ok(()),
    }
}

fn write_if_changed(path: &Path, contents: &[u8]) -> Result<(), Diagnostic> {
    let written = files::write_if_changed(path, contents).map(|_| ());
    written.map_err(|e| {
        Diagnostic::new("E0701", format!("`{}` cannot be written", path.display())).fact("reason", e)
    })
}

/// Compiles a model in a build script.
#[derive(Debug, Clone)]
pub struct Compiler {
    model: PathBuf,
    out_dir: Option<PathBuf>,
    precision: Precision,
    options: Options,
}

impl Compiler {
    /// A compiler of `model`, a path from the package's folder. The module takes the file's name.
    pub fn new(model: impl Into<PathBuf>) -> Compiler {
        Compiler {
            model: model.into(),
            out_dir: None,
            precision: Precision::default(),
            options: Options::default(),
        }
    }

    /// Names the module, and the file `NAME.rs`.
    pub fn name(mut self, name: &str) -> Compiler {
        self.options.name = Some(name.to_owned());
        self
    }

    /// What a dynamic first dimension becomes; 1 when not called.
    pub fn batch(mut self, batch: usize) -> Compiler {
        self.options.batch = batch;
        self
    }

    /// The shape of an input with dynamic dimensions.
    pub fn shape(mut self, input: &str, shape: &[usize]) -> Compiler {
        self.options.shapes.insert(input.to_owned(), shape.to_vec());
        self
    }

    /// The input comes row by row, through `Model::run_rows`, and never lies in memory as a whole.
    pub fn stream_input(mut self) -> Compiler {
        self.options.stream_input = true;
        self
    }

    /// The model takes one frame of its window over time a call, through `Model::step`, and computes only what is new:
    /// `Axis::Time`, or the number of the input's axis that is time.
    pub fn stream(mut self, axis: impl Into<Axis>) -> Compiler {
        self.options.stream = Some(axis.into());
        self
    }

    /// With [`Compiler::stream`]: padding in time, which cannot be streamed, is left out. The window is that of the model without
    /// it, and its outputs are others.
    pub fn stream_pad_drop(mut self) -> Compiler {
        self.options.drop_time_padding = true;
        self
    }

    /// Bytes of memory that the model may take, for instance `32.kib()` with [`Bytes`]. A model that needs more is an error,
    /// as it is with [`Compiler::flash`].
    pub fn ram(mut self, bytes: usize) -> Compiler {
        self.options.budget.ram = Some(bytes);
        self
    }

    /// Bytes of constant tables that the model may take.
    pub fn flash(mut self, bytes: usize) -> Compiler {
        self.options.budget.flash = Some(bytes);
        self
    }

    /// Which arithmetic: what the profile `MODEL.kiln.toml` says where there is one, when not called.
    pub fn precision(mut self, precision: Precision) -> Compiler {
        self.precision = precision;
        self
    }

    /// Where the files are written; `OUT_DIR` when not called.
    pub fn out_dir(mut self, folder: impl Into<PathBuf>) -> Compiler {
        self.out_dir = Some(folder.into());
        self
    }

    /// Compiles the model, or the quantized one that its profile names. Writes `NAME.rs` and, for larger models,
    /// `NAME.weights.bin`, tells Cargo what they depend on, and prints the report
    /// to the standard output, where `cargo build -vv` shows it.
    ///
    /// # Errors
    /// What is wrong with the model; `E0702` outside of a build script when no folder was named; `E0703` when the package
    /// does not depend on the runtime.
    pub fn compile(mut self) -> Result<Artifact, Diagnostics> {
        println!("cargo::rerun-if-changed={}", self.model.display());
        if std::env::var_os("OUT_DIR").is_some() {
            let kernels = std::env::var("DEP_KILN_RUNTIME_CORE_KERNELS").ok();
            self.options.family = runtime_family(kernels.as_deref())?;
        }
        let Some(folder) = self.out_dir.take().or_else(|| std::env::var_os("OUT_DIR").map(PathBuf::from))
        else {
            return Err(Diagnostic::new("E0702", "there is no folder to write to")
                .help("call this from a build script, or name a folder with `out_dir`")
                .into());
        };
        name_after_file(&mut self.options, &self.model);
        let source = source(&self.model, self.precision)?;
        // A profile that comes into being later is noticed because `kiln quantize` touches the model.
        for file in &source.files[1..] {
            println!("cargo::rerun-if-changed={}", file.display());
        }
        let artifact = compile_source(&source, &self.options)?;
        write_artifact(&folder.join(format!("{}.rs", artifact.module)), &artifact)?;
        println!("{}", artifact.report);
        Ok(artifact)
    }

    /// [`Compiler::compile`], for `main` of a build script: prints what is wrong and ends the build with exit code 1.
    pub fn compile_or_exit(self) -> Artifact {
        self.compile().unwrap_or_else(|diagnostics| {
            eprintln!("{diagnostics}");
            std::process::exit(1)
        })
    }
}

/// Bytes in units of 1024: `use kiln_compiler::Bytes;`, then `32.kib()`.
pub trait Bytes {
    /// So many times 1024 bytes.
    fn kib(self) -> usize;
    /// So many times 1024 * 1024 bytes.
    fn mib(self) -> usize;
}

impl Bytes for usize {
    fn kib(self) -> usize {
        self.saturating_mul(1024)
    }

    fn mib(self) -> usize {
        self.kib().kib()
    }
}

/// Names module and source after the model's file, where they have no name yet.
pub fn name_after_file(options: &mut Options, model: &Path) {
    let text = |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().into_owned());
    if options.name.is_none() {
        options.name = text(model.file_stem());
    }
    if options.source.is_empty() {
        options.source = text(model.file_name()).unwrap_or_default();
    }
}

/// The runtime's build script tells its dependents which kernels it has; silence means that it is no dependency.
fn runtime_family(published: Option<&str>) -> Result<Family, Diagnostic> {
    let Some(name) = published else {
        return Err(Diagnostic::new(
            "E0703",
            "the package does not depend on `kiln-runtime-core`, which generated code calls",
        )
        .help("add it to [dependencies]: `cargo add kiln-runtime-core`"));
    };
    Family::find(name).ok_or_else(|| {
        Diagnostic::new("E0704", format!("`kiln-runtime-core` has kernels `{name}`, which this compiler does not know"))
            .help("give `kiln-compiler` in [build-dependencies] the version of `kiln-runtime-core` in [dependencies]")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_says_which_kernels_it_has() {
        assert_eq!(runtime_family(Some("dsp")), Ok(Family::Dsp));
        assert_eq!(runtime_family(None).unwrap_err().code, "E0703");
        let unknown = runtime_family(Some("vliw")).unwrap_err();
        assert_eq!(unknown.code, "E0704");
        assert!(unknown.to_string().contains("`vliw`"), "{unknown}");
    }
}
