//! `kiln bench`: a throwaway firmware around generated code, built for a microcontroller and run under QEMU; or a program, timed on
//! this machine or under Node.
//!
//! The program itself is the proof that no panic is reachable: its panic handler calls a function that does not exist.
//! Instructions are counted by the emulator, exactly and repeatably; code and tables are what the program has more than
//! the same bench without a model.

mod compare;
mod elf;
mod emulator;
mod firmware;
mod stack;
mod targets;
pub mod timed;

pub use compare::{Change, compare};
pub use targets::{BOARDS, Board};
pub use timed::{Timed, TimedResult};

use kiln_compiler::codegen;
use kiln_compiler::driver::Artifact;
use kiln_compiler::tensor::Tensor;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The function of a firmware that runs the model.
const INVOKE: &str = "kiln_bench_invoke";

/// The function by which a firmware marks the end of some rows of a step.
pub const MARK: &str = "::firmware::mark";

/// A generated model with the inputs to run it on.
#[derive(Debug, Clone)]
pub struct BenchModel {
    /// Name of the generated module.
    pub name: String,
    /// Generated text.
    pub text: String,
    /// File that the text includes, by the name it uses.
    pub weights: Option<(String, Vec<u8>)>,
    /// Contents of the input buffers.
    pub inputs: Vec<Vec<u8>>,
    /// Bytes of constant tables, as the compiler counts them; `None` counts the module's named constants in the program,
    /// which misses those that the compiler took apart.
    pub tables: Option<u64>,
    /// Whether the input comes row by row; it lies outside of the model's memory then.
    pub fed: bool,
}

impl BenchModel {
    /// A compiled model and one inference's inputs.
    pub fn new(artifact: &Artifact, inputs: &[Tensor]) -> BenchModel {
        BenchModel {
            name: artifact.module.clone(),
            text: artifact.text.clone(),
            weights: artifact.weights.clone().map(|weights| (artifact.weights_file.clone(), weights)),
            inputs: inputs.iter().map(|input| input.bytes().to_vec()).collect(),
            tables: Some(artifact.report.flash as u64),
            fed: artifact.plan.placement.shape.is_fed(),
        }
    }

    /// The same, with a call of `mark` behind each kernel call, so that [`BenchResult::steps`] says what each of them takes.
    pub fn marked(artifact: &Artifact, inputs: &[Tensor], mark: &str) -> BenchModel {
        let options = codegen::Options {
            name: artifact.module.clone(),
            source: String::new(),
            after_step: Some(mark.to_owned()),
        };
        let code = codegen::generate(&artifact.program, &artifact.plan, &options);
        BenchModel { text: code.text, ..BenchModel::new(artifact, inputs) }
    }
}

/// Where and how to build.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// Triple or short name of a [`Board`].
    pub target: String,
    /// `1`, `2`, `3`, `s` or `z`. At 0 the compiler keeps the panics that the others prove unreachable.
    pub opt_level: String,
    /// Folder of `kiln-runtime-core`; `None` takes the published version.
    pub runtime_path: Option<PathBuf>,
    /// Folder that is kept between runs, so that `core` is built once.
    pub folder: PathBuf,
    /// How long one program may run.
    pub limit: Duration,
    /// Whether WebAssembly is built without vectors, for a model of plain kernels.
    pub plain: bool,
    /// A plugin of the emulator that counts cycles; see `codegen-tests/cycles`.
    pub plugin: Option<PathBuf>,
}

impl BenchOptions {
    /// The defaults for a target: opt-level 3, the runtime of this checkout where there is one.
    pub fn new(target: &str) -> BenchOptions {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let runtime_path = workspace.join("runtime-core").canonicalize().ok();
        let cache = match (std::env::var_os("CARGO_TARGET_DIR"), &runtime_path) {
            (Some(folder), _) => std::path::absolute(folder).unwrap_or_else(|_| std::env::temp_dir()),
            (None, Some(runtime)) => runtime.parent().unwrap_or(&workspace).join("target"),
            (None, None) => user_cache(),
        };
        BenchOptions {
            target: target.to_owned(),
            opt_level: "3".to_owned(),
            runtime_path,
            folder: cache.join("kiln-bench"),
            limit: Duration::from_secs(300),
            plain: false,
            plugin: None,
        }
    }
}

/// The figures of one model on one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchResult {
    /// Target triple.
    pub target: &'static str,
    /// Instructions of a steady `invoke`, from call to return.
    pub instructions: u64,
    /// Cycles of it, where a plugin estimates them.
    pub cycles: Option<u64>,
    /// Instructions of each step, for a model that was [`marked`](BenchModel::marked).
    pub steps: Vec<u64>,
    /// Bytes of code and of constants that are no tables, for the model and its kernels.
    pub flash_code: u64,
    /// Bytes of constant tables: weights, biases, multipliers.
    pub flash_weights: u64,
    /// `size_of::<Model>()`.
    pub ram_model: u64,
    /// Deepest stack of `invoke` in bytes.
    pub stack_peak: u64,
    /// Bytes of stack that `invoke` can reach, from the frames of the linked program, or why there is no such bound.
    pub stack_bound: Result<u64, String>,
    /// Contents of the output buffers after the first `invoke` of a fresh model.
    pub outputs: Vec<Vec<u8>>,
    /// The same after the second, on the same inputs: equal unless the model has state.
    pub steady_outputs: Vec<Vec<u8>>,
}

impl BenchResult {
    /// The figures as `kiln bench --json` prints them. `host` are the outputs of the same program on this machine.
    pub fn json(&self, macs: u64, host: &[Vec<u8>]) -> serde_json::Value {
        let per_mac = (macs > 0).then(|| (self.instructions as f64 / macs as f64 * 1e3).round() / 1e3);
        let mut json = serde_json::json!({
            "target": self.target,
            "instructions": self.instructions,
            "macs": macs,
            "instructions_per_mac": per_mac,
            "flash_code": self.flash_code,
            "flash_weights": self.flash_weights,
            "ram_model": self.ram_model,
            "stack_peak": self.stack_peak,
            "stack_bound": self.stack_bound.as_ref().ok(),
            "outputs_sha256": self.outputs_sha256(),
            "matches_host": self.outputs == host,
        });
        if let Err(reason) = &self.stack_bound {
            json["stack_unbounded"] = reason.as_str().into();
        }
        if let Some(cycles) = self.cycles {
            json["cycles"] = cycles.into();
        }
        json
    }

    /// Digest of all output buffers, one after the other.
    pub fn outputs_sha256(&self) -> String {
        let digest =
            self.outputs.iter().fold(Sha256::new(), |hash, output| hash.chain_update(output)).finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Builds one firmware for each model, in one go, and runs them.
pub fn run(models: &[BenchModel], options: &BenchOptions) -> Result<Vec<BenchResult>, String> {
    let board = Board::find(&options.target)?;
    let programs = firmware::build(models, options, board)?;
    let without = elf::sizes(&programs.baseline, "")?;
    let measure = |(model, program): (&BenchModel, &PathBuf)| {
        let sizes = elf::sizes(program, &model.name)?;
        let report = emulator::run(board, program, options.limit, options.plugin.as_deref())?;
        let flash = (sizes.text + sizes.constants).saturating_sub(without.text + without.constants);
        let tables = model.tables.unwrap_or(sizes.tables).min(flash);
        Ok(BenchResult {
            target: board.target,
            instructions: report.instructions,
            cycles: report.cycles,
            steps: report.layers,
            flash_code: flash - tables,
            flash_weights: tables,
            ram_model: report.ram,
            stack_peak: report.stack,
            stack_bound: stack::bound(program, INVOKE),
            outputs: report.first,
            steady_outputs: report.second,
        })
    };
    models.iter().zip(&programs.models).map(measure).collect()
}

fn user_cache() -> PathBuf {
    let home = |name| std::env::var_os(name).map(PathBuf::from);
    home("XDG_CACHE_HOME")
        .or_else(|| home("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
}
