//! Targets with a clock: this machine, and WebAssembly under Node. Wall time of many repetitions.

use super::firmware::{program_name, runtime, write, write_text};
use super::{BenchModel, BenchOptions};
use crate::toolchain::{Toolchain, find_program};
use std::path::PathBuf;
use std::process::Command;

/// The function by which a timed program marks the end of some rows of a step.
pub const MARK: &str = "crate::mark";

const MAIN: &str = include_str!("firmware/timed.rs");

/// Runs a program of WASI, the file that is named behind the script.
const NODE: &str = "const { WASI } = require('node:wasi'); const wasi = new WASI({ version: 'preview1' });\n\
    WebAssembly.compile(require('node:fs').readFileSync(process.argv[2])).then(async (module) =>\n\
    wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject())));\n";

/// A target with a clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timed {
    /// This machine, by its triple.
    Host(String),
    /// WebAssembly under Node.
    Wasm,
}

/// The figures of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedResult {
    /// Target triple.
    pub target: String,
    /// Nanoseconds of `invoke`: the median of the repetitions.
    pub median_ns: u64,
    /// And the least of them.
    pub least_ns: u64,
    /// The least of each step, for a model that was [`marked`](BenchModel::marked).
    pub steps: Vec<u64>,
    /// How often the model ran.
    pub repetitions: u64,
    /// `size_of::<Model>()`.
    pub ram_model: u64,
    /// Contents of the output buffers after the first `invoke` of a fresh model.
    pub outputs: Vec<Vec<u8>>,
}

impl TimedResult {
    /// The figures as `kiln bench --json` prints them. `host` are the outputs of the same program in the interpreter.
    pub fn json(&self, macs: u64, host: &[Vec<u8>]) -> serde_json::Value {
        let rate = macs as f64 / self.median_ns.max(1) as f64;
        serde_json::json!({
            "target": self.target,
            "median_us": self.median_ns as f64 / 1e3,
            "least_us": self.least_ns as f64 / 1e3,
            "repetitions": self.repetitions,
            "macs": macs,
            "gmacs_per_second": (rate * 1e3).round() / 1e3,
            "ram_model": self.ram_model,
            "matches_host": self.outputs == host,
        })
    }
}

impl Timed {
    /// The target of that name; `None` where the bench counts instructions instead.
    pub fn find(name: &str) -> Option<Timed> {
        match name {
            "host" => host_triple().map(Timed::Host),
            "wasm32" | "wasm32-wasip1" => Some(Timed::Wasm),
            _ => host_triple().filter(|triple| triple == name).map(Timed::Host),
        }
    }

    fn triple(&self) -> &str {
        match self {
            Timed::Host(triple) => triple,
            Timed::Wasm => "wasm32-wasip1",
        }
    }

    /// Builds a program around the model and runs it.
    ///
    /// # Errors
    /// When it does not build, or what runs it is not installed.
    pub fn run(&self, model: &BenchModel, options: &BenchOptions) -> Result<TimedResult, String> {
        let program = self.build(model, options)?;
        let mut command = match self {
            Timed::Host(_) => Command::new(&program),
            Timed::Wasm => {
                let node = find_program("node").ok_or(
                    "`node` is not installed\n  = help: on Debian, apt-get install --no-install-recommends nodejs",
                )?;
                let script = program.with_file_name("wasi.js");
                write(&script, NODE.as_bytes())?;
                let mut command = Command::new(node);
                command.arg("--no-warnings").arg(script).arg(&program);
                command
            }
        };
        let output =
            command.output().map_err(|error| format!("cannot run `{}`: {error}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        parse(&text, self.triple()).ok_or_else(|| {
            format!("the program stopped early\n{text}{}", String::from_utf8_lossy(&output.stderr))
        })
    }

    fn build(&self, model: &BenchModel, options: &BenchOptions) -> Result<PathBuf, String> {
        let toolchain = Toolchain::find(self.triple())?;
        if toolchain.build_std {
            let triple = self.triple();
            return Err(format!(
                "the Rust on the path has no `std` for `{triple}`\n  = help: rustup target add {triple}"
            ));
        }
        let name = program_name(model, options);
        let folder = options.folder.join(self.triple());
        let source = folder.join(format!("timed_{name}"));
        let manifest = format!(
            "[package]\nname = {name:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
             kiln-runtime-core = {}\n\n[lints.rust]\nunexpected_cfgs = \"allow\"\n\n[profile.release]\nopt-level = {}\n\
             lto = true\ncodegen-units = 1\n\n[[bin]]\nname = {name:?}\npath = \"main.rs\"\n",
            runtime(options, "\"std\""),
            super::firmware::opt_level(options),
        );
        write(&source.join("Cargo.toml"), manifest.as_bytes())?;
        write_text(&source, model)?;
        let mut inputs = String::new();
        for (i, bytes) in model.inputs.iter().enumerate() {
            write(&source.join(format!("input_{i}.bin")), bytes)?;
            inputs += &format!("include_bytes!(\"input_{i}.bin\"), ");
        }
        let main = MAIN.replace("@TEXT@", &format!("{}.rs", model.name)).replace("@NAME@", &model.name);
        let [input, invoke] = match model.fed {
            true => ["", "run_bytes(INPUTS[0])"],
            false => [
                "for (i, bytes) in INPUTS.iter().enumerate() {\n        model.input_bytes_mut(i).copy_from_slice(bytes);\n    }",
                "invoke()",
            ],
        };
        let main = main.replace("@INPUT@", input).replace("@INVOKE@", invoke);
        write(&source.join("main.rs"), main.replace("@INPUTS@", &inputs).as_bytes())?;
        let flags: &[String] = match self {
            Timed::Host(_) => &[],
            Timed::Wasm if options.plain => &[],
            Timed::Wasm => &["-Ctarget-feature=+simd128".to_owned()],
        };
        let target_dir = folder.join("target");
        let output = toolchain
            .cargo("build", flags)
            .args(["--release", "--quiet", "--manifest-path"])
            .arg(source.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target_dir)
            .output()
            .map_err(|error| format!("cannot run `{}`: {error}", toolchain.cargo.display()))?;
        if !output.status.success() {
            return Err(format!("the program does not build\n{}", String::from_utf8_lossy(&output.stderr)));
        }
        let program = target_dir.join(self.triple()).join("release").join(name);
        Ok(if *self == Timed::Wasm { program.with_extension("wasm") } else { program })
    }
}

fn host_triple() -> Option<String> {
    let output = Command::new("rustc").arg("-vV").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

/// Lines of a name and a value.
fn parse(text: &str, target: &str) -> Option<TimedResult> {
    let value = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok())
    };
    let steps = text.lines().filter_map(|line| line.strip_prefix("step ")?.parse().ok());
    let outputs = text.lines().filter_map(|line| line.strip_prefix("output "));
    Some(TimedResult {
        target: target.to_owned(),
        median_ns: value("median")?,
        least_ns: value("least")?,
        steps: steps.collect(),
        repetitions: value("repetitions")?,
        ram_model: value("ram")?,
        outputs: outputs.map(super::emulator::bytes).collect::<Result<_, _>>().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let text = "output 0aff\noutput 01\nram 96\nrepetitions 20\nleast 5\nmedian 7\n";
        let result = parse(text, "host").unwrap();
        assert_eq!((result.median_ns, result.least_ns, result.repetitions, result.ram_model), (7, 5, 20, 96));
        assert_eq!(result.outputs, [vec![0x0a, 0xff], vec![1]]);
        assert_eq!(parse("ram 96\n", "host"), None);
    }
}
