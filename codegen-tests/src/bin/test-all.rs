//! `cargo test-all`: installs what is missing (QEMU, a linker, `core` for bare targets), then runs every check and test,
//! and skips nothing. Stops at the first failure.

use kiln_cli::bench::BOARDS;
use kiln_cli::toolchain::{DEBIAN_EMULATORS, DEBIAN_RUST, Toolchain, find_program};
use std::path::Path;
use std::process::{Command, ExitCode};

/// Beside the boards: a target without an emulator here.
const WASM: &str = "wasm32-unknown-unknown";

type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if let Err(e) = std::env::set_current_dir(&root) {
        eprintln!("error: {}: {e}", root.display());
        return ExitCode::FAILURE;
    }
    match install().and_then(|()| checks()) {
        Ok(()) => {
            println!("\nall checks and tests passed{}", without_zoo());
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("\nerror: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The zoo of real models is too large for the repository: a clone has none, and is told so. CI has it.
fn without_zoo() -> &'static str {
    match std::env::var_os("KILN_ZOO") {
        Some(_) => "",
        None => {
            "; KILN_ZOO names no folder of more real models, so that only those of this repository were compiled"
        }
    }
}

fn checks() -> Outcome {
    cargo("format", &["fmt", "--all", "--check"])?;
    cargo("lints", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-Dwarnings"])?;
    cargo("documentation", &["doc", "--workspace", "--no-deps", "--quiet"])?;
    cargo("tests", &["test", "--workspace"])?;
    sanitized_runtime()?;
    for example in ["build-script", "include-model"] {
        let manifest = format!("examples/{example}/Cargo.toml");
        cargo(
            &format!("examples/{example}"),
            &["run", "--release", "--quiet", "--manifest-path", &manifest],
        )?;
    }
    for target in BOARDS.iter().map(|board| board.target).chain([WASM]) {
        bare_runtime(target)?;
    }
    firmware_example()
}

/// The runtime builds for `target`, which has no std (or, for wasm, is not asked for it).
fn bare_runtime(target: &str) -> Outcome {
    println!("\n== kiln-runtime-core for {target}");
    let mut command = Toolchain::find(target)?.cargo("build", &[]);
    command.args(["--release", "--quiet", "--package", "kiln-runtime-core", "--target-dir", "target/bare"]);
    run(command)
}

/// The tests of the runtime under AddressSanitizer, which only a nightly compiler has: the runtime owns all `unsafe`.
fn sanitized_runtime() -> Outcome {
    println!("\n== kiln-runtime-core under AddressSanitizer");
    let version = Command::new("rustc").arg("-vV").output().map_err(|e| format!("rustc: {e}"))?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let mut command = Command::new("cargo");
    // Named, so that build scripts and macros are not sanitized.
    command.args([
        "+nightly",
        "test",
        "--quiet",
        "--package",
        "kiln-runtime-core",
        "--lib",
        "--tests",
        "--target",
        host,
    ]);
    command.args(["--target-dir", "target/sanitized"]).env("RUSTFLAGS", "-Zsanitizer=address");
    // This program runs under the stable Cargo, which would otherwise choose the compiler of its child.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC").env_remove("CARGO");
    run(command)
}

/// The firmware of the example prints on the emulator what its file says.
fn firmware_example() -> Outcome {
    let folder = Path::new("examples/cortex-m-qemu");
    println!("\n== {}", folder.display());
    let mut command = Toolchain::find(BOARDS[0].target)?.cargo("run", &[]);
    // Started inside of the folder, so that Cargo finds the example's own configuration.
    let output = command.args(["--release", "--quiet"]).current_dir(folder).output();
    let output = output.map_err(|e| format!("cargo: {e}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).replace('\0', "");
    let expected =
        std::fs::read_to_string(folder.join("expected.txt")).map_err(|e| format!("expected.txt: {e}"))?;
    if output.status.success() && printed == expected {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{} printed\n{printed}\ninstead of\n{expected}\n{errors}", folder.display()))
}

fn cargo(what: &str, arguments: &[&str]) -> Outcome {
    println!("\n== {what}: cargo {}", arguments.join(" "));
    let mut command = Command::new("cargo");
    command.args(arguments).env("KILN_TEST_ALL", "1").env("RUSTDOCFLAGS", "-Dwarnings");
    run(command).map_err(|e| format!("{what}: {e}"))
}

fn run(mut command: Command) -> Outcome {
    let status = command.status().map_err(|e| format!("{}: {e}", command.get_program().to_string_lossy()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {status}", command.get_program().to_string_lossy()))
    }
}

/// QEMU and a linker from the distribution; `core` from rustup, or built from the distribution's sources.
fn install() -> Outcome {
    let emulators = ["qemu-system-arm", "qemu-system-aarch64", "qemu-system-riscv32", "arm-none-eabi-ld"];
    if emulators.iter().any(|program| find_program(program).is_none()) {
        apt_get(DEBIAN_EMULATORS)?;
    }
    let nightly = Command::new("rustup").args(["run", "nightly", "rustc", "-V"]).output();
    if !nightly.is_ok_and(|output| output.status.success()) {
        println!("== rustup toolchain install nightly");
        let mut command = Command::new("rustup");
        command.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
        run(command).map_err(|e| format!("AddressSanitizer needs a nightly compiler: {e}"))?;
    }
    let targets = || BOARDS.iter().map(|board| board.target).chain([WASM]);
    let missing = || targets().filter(|target| Toolchain::find(target).is_err()).collect::<Vec<_>>();
    for target in missing() {
        println!("== rustup target add {target}");
        // Where that cannot be (no network, no rustup), the distribution's sources will do.
        let _ = Command::new("rustup").args(["target", "add", target]).status();
    }
    if !missing().is_empty() {
        apt_get(DEBIAN_RUST)?;
    }
    match missing().first() {
        Some(target) => Err(Toolchain::find(target).err().unwrap_or_default()),
        None => Ok(()),
    }
}

fn apt_get(packages: &[&str]) -> Outcome {
    let install = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    println!("== {install}");
    if find_program("apt-get").is_none() {
        return Err(format!("install what Debian calls `{}`, then run this again", packages.join(" ")));
    }
    // Asks for no password: where neither root nor a free `sudo` is at hand, the user is told what to run.
    let script = format!(
        "if [ \"$(id -u)\" = 0 ]; then s=; else s='sudo -n'; fi; $s apt-get update -q && DEBIAN_FRONTEND=noninteractive $s {install}"
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    run(command).map_err(|_| format!("run this as root, then try again: apt-get update && {install}"))
}
