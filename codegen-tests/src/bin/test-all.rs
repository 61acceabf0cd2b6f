//! `cargo test-all`: installs what is missing (QEMU, a linker, `core` for bare targets), then runs every check and test,
//! and skips nothing. Stops at the first failure.

use kiln_cli::bench::BOARDS;
use kiln_cli::toolchain::{DEBIAN_EMULATORS, DEBIAN_RUST, Toolchain, find_program};
use std::path::Path;
use std::process::{Command, ExitCode};

type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if let Err(e) = std::env::set_current_dir(&root) {
        eprintln!("error: {}: {e}", root.display());
        return ExitCode::FAILURE;
    }
    match install().and_then(|()| checks()) {
        Ok(()) => {
            println!("\nall checks and tests passed");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("\nerror: {message}");
            ExitCode::FAILURE
        }
    }
}

fn checks() -> Outcome {
    cargo("format", &["fmt", "--all", "--check"])?;
    cargo("lints", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-Dwarnings"])?;
    cargo("documentation", &["doc", "--workspace", "--no-deps", "--quiet"])?;
    cargo("tests", &["test", "--workspace"])?;
    for example in ["build-script", "include-model"] {
        let manifest = format!("examples/{example}/Cargo.toml");
        cargo(
            &format!("examples/{example}"),
            &["run", "--release", "--quiet", "--manifest-path", &manifest],
        )?;
    }
    Ok(())
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
    let emulators = ["qemu-system-arm", "qemu-system-riscv32", "arm-none-eabi-ld"];
    if emulators.iter().any(|program| find_program(program).is_none()) {
        apt_get(DEBIAN_EMULATORS)?;
    }
    let missing = || BOARDS.iter().filter(|b| Toolchain::find(b.target).is_err()).collect::<Vec<_>>();
    for board in missing() {
        println!("== rustup target add {}", board.target);
        // Where that cannot be (no network, no rustup), the distribution's sources will do.
        let _ = Command::new("rustup").args(["target", "add", board.target]).status();
    }
    if !missing().is_empty() {
        apt_get(DEBIAN_RUST)?;
    }
    match missing().first() {
        Some(board) => Err(Toolchain::find(board.target).err().unwrap_or_default()),
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
