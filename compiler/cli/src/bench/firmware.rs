//! The throwaway crate around the models, and its build.

use super::targets::Board;
use super::{BenchModel, BenchOptions};
use crate::toolchain::Toolchain;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const LIB: &str = include_str!("firmware/lib.rs");
const CORTEX_M: &str = include_str!("firmware/cortex_m.rs");
const RISCV32: &str = include_str!("firmware/riscv32.rs");
const AARCH64: &str = include_str!("firmware/aarch64.rs");
const LINK: &str = include_str!("firmware/link.x");
const MODEL: &str = include_str!("firmware/model.rs");
const BASELINE: &str = include_str!("firmware/baseline.rs");

/// Linked programs: one for each model, and one without any.
pub struct Programs {
    /// In the order of the models.
    pub models: Vec<PathBuf>,
    /// The bench alone.
    pub baseline: PathBuf,
}

/// Writes the crate and builds it. Names carry a hash of their contents, so that two benches may use one folder at once.
pub fn build(models: &[BenchModel], options: &BenchOptions, board: &Board) -> Result<Programs, String> {
    let toolchain = Toolchain::find(board.target)?;
    let folder = options.folder.join(board.name());
    let names: Vec<String> = models.iter().map(|model| program_name(model, options)).collect();
    let baseline = format!("baseline_o{}", options.opt_level);
    let source = folder.join(format!("firmware_{}", hash(&[names.join(" ").as_bytes()])));
    // Its path is a flag of the compiler: one path for all models, so that `core` is built once.
    let script = folder.join("link.x");
    write(&source.join("Cargo.toml"), manifest(&names, &baseline, options).as_bytes())?;
    write(&script, LINK.replace("@FLASH@", board.flash).replace("@RAM@", board.ram).as_bytes())?;
    write(&source.join("src/lib.rs"), LIB.as_bytes())?;
    write(&source.join("src/cortex_m.rs"), CORTEX_M.as_bytes())?;
    write(&source.join("src/riscv32.rs"), RISCV32.as_bytes())?;
    write(&source.join("src/aarch64.rs"), AARCH64.as_bytes())?;
    write(&source.join(format!("{baseline}.rs")), BASELINE.as_bytes())?;
    for (model, name) in models.iter().zip(&names) {
        write_model(&source, model, name)?;
    }

    let mut flags: Vec<String> = board.rustflags.iter().map(|flag| flag.to_string()).collect();
    flags.push(format!("-Clink-arg=-T{}", script.display()));
    // Which addresses are taken, for the bound of the stack.
    flags.push("-Clink-arg=--emit-relocs".to_owned());
    let target_dir = folder.join("target");
    let output = toolchain
        .cargo("build", &flags)
        .args(["--release", "--bins", "--quiet", "--manifest-path"])
        .arg(source.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_dir)
        .output()
        .map_err(|error| format!("cannot run `{}`: {error}", toolchain.cargo.display()))?;
    if !output.status.success() {
        return Err(build_error(&String::from_utf8_lossy(&output.stderr)));
    }
    let program = |name: &String| target_dir.join(board.target).join("release").join(name);
    Ok(Programs { models: names.iter().map(program).collect(), baseline: program(&baseline) })
}

/// The one error with a meaning of its own: a panic is reachable, and its handler is missing on purpose.
fn build_error(errors: &str) -> String {
    if errors.contains("kiln_panic_reached") {
        format!("the generated code can panic: the firmware links `kiln_panic_reached`\n{errors}")
    } else {
        format!("the firmware does not build\n{errors}")
    }
}

pub(super) fn program_name(model: &BenchModel, options: &BenchOptions) -> String {
    let mut parts: Vec<&[u8]> = vec![model.text.as_bytes(), options.opt_level.as_bytes()];
    parts.extend(model.weights.iter().map(|(_, bytes)| bytes.as_slice()));
    parts.extend(model.inputs.iter().map(Vec::as_slice));
    format!("{}_{}", model.name, hash(&parts))
}

fn hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The dependency on the runtime, with features.
pub(super) fn runtime(options: &BenchOptions, features: &str) -> String {
    match &options.runtime_path {
        Some(path) => format!("{{ path = {:?}, features = [{features}] }}", path.display().to_string()),
        None => format!("{{ version = {:?}, features = [{features}] }}", env!("CARGO_PKG_VERSION")),
    }
}

/// The level as Cargo's manifest has it.
pub(super) fn opt_level(options: &BenchOptions) -> String {
    match options.opt_level.as_str() {
        number if number.parse::<u8>().is_ok() => number.to_owned(),
        letter => format!("{letter:?}"),
    }
}

fn manifest(names: &[String], baseline: &str, options: &BenchOptions) -> String {
    let (runtime, opt_level) = (runtime(options, ""), opt_level(options));
    let mut text = format!(
        "[package]\nname = \"firmware\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         kiln-runtime-core = {runtime}\n\n[lints.rust]\nunexpected_cfgs = \"allow\"\n\n[profile.release]\n\
         opt-level = {opt_level}\nlto = true\ncodegen-units = 1\npanic = \"abort\"\nstrip = false\n",
    );
    for (name, path) in names
        .iter()
        .map(|name| (name.as_str(), format!("{name}/main.rs")))
        .chain([(baseline, format!("{baseline}.rs"))])
    {
        let _ = write!(text, "\n[[bin]]\nname = {name:?}\npath = {path:?}\n");
    }
    text
}

/// Writes the generated text, and the file that it includes.
pub(super) fn write_text(folder: &Path, model: &BenchModel) -> Result<(), String> {
    write(&folder.join(format!("{}.rs", model.name)), model.text.as_bytes())?;
    match &model.weights {
        Some((file, bytes)) => write(&folder.join(file), bytes),
        None => Ok(()),
    }
}

fn write_model(source: &Path, model: &BenchModel, name: &str) -> Result<(), String> {
    let folder = source.join(name);
    let text = format!("{}.rs", model.name);
    write_text(&folder, model)?;
    let (mut statics, mut list) = (String::new(), String::new());
    for (i, bytes) in model.inputs.iter().enumerate() {
        write(&folder.join(format!("input_{i}.bin")), bytes)?;
        let _ = write!(
            statics,
            "#[unsafe(link_section = \".bench_inputs\")]\nstatic INPUT_{i}: [u8; {}] = *include_bytes!(\"input_{i}.bin\");\n",
            bytes.len()
        );
        let _ = write!(list, "&INPUT_{i}, ");
    }
    let [place, input, invoke] = match model.inputs.first().filter(|_| model.fed) {
        Some(input) => [
            format!("static mut FED: [u8; {0}] = [0; {0}];\n", input.len()),
            "// SAFETY: as in `model`.\n    let _ = i;\n    unsafe { &mut *(&raw mut FED) }".to_owned(),
            "model().run_bytes(input(0))".to_owned(),
        ],
        None => [String::new(), "model().input_bytes_mut(i)".to_owned(), "model().invoke()".to_owned()],
    };
    let main = MODEL.replace("@PLACE@", &place).replace("@INPUT@", &input).replace("@INVOKE@", &invoke);
    let main = main.replace("@TEXT@", &text).replace("@NAME@", &model.name);
    let main = main.replace("@INPUTS@", &statics).replace("@INPUT_LIST@", &list);
    write(&folder.join("main.rs"), main.as_bytes())
}

/// Writes only what changed, so that Cargo builds only what changed.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)
        .and_then(|()| std::fs::write(path, bytes))
        .map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}
