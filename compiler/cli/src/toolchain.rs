//! How to build for a bare target on this machine.
//!
//! Three ways, in this order: the Rust on the path has the target's `core` installed; rustup could install it; or the
//! distribution ships Rust with its sources (Debian: `rustc-web cargo-web rust-web-src`), and `core` is built on the way.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian packages that build `core` for any target.
pub const DEBIAN_RUST: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];
/// Debian packages with the emulators and a linker.
pub const DEBIAN_EMULATORS: &[&str] = &["qemu-system-arm", "qemu-system-misc", "binutils-arm-none-eabi"];

/// A Cargo that builds for one bare target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// Program to call.
    pub cargo: PathBuf,
    /// Compiler that it must use, where that is not the one on the path.
    pub rustc: Option<PathBuf>,
    /// Linker, where the compiler has none of its own.
    pub linker: Option<PathBuf>,
    /// Whether `core` is built from source, with unstable flags allowed.
    pub build_std: bool,
    /// Target triple.
    pub target: String,
}

impl Toolchain {
    /// Finds a way to build for `target`, or says what to install.
    pub fn find(target: &str) -> Result<Toolchain, String> {
        let found = |cargo: &Path, rustc: Option<PathBuf>, linker, build_std| Toolchain {
            cargo: cargo.to_owned(),
            rustc,
            linker,
            build_std,
            target: target.to_owned(),
        };
        if let Some(sysroot) = sysroot(Path::new("rustc"))
            && has_core(&sysroot, target)
        {
            return Ok(found(Path::new("cargo"), None, None, false));
        }
        let (cargo, rustc) = (Path::new("/usr/bin/cargo"), Path::new("/usr/bin/rustc"));
        if let Some(sysroot) = sysroot(rustc).filter(|_| cargo.exists()) {
            let linker = find_linker(target);
            if has_core(&sysroot, target) {
                return Ok(found(cargo, Some(rustc.to_owned()), linker, false));
            }
            if sysroot.join("lib/rustlib/src/rust/library/core").exists() {
                let linker = Some(linker.ok_or_else(|| no_linker(target))?);
                return Ok(found(cargo, Some(rustc.to_owned()), linker, true));
            }
        }
        Err(no_core(target))
    }

    /// `cargo SUBCOMMAND --target ..` with the flags and the environment that the way needs. `rustflags` replace those of
    /// the environment, which were meant for another program.
    pub fn cargo(&self, subcommand: &str, rustflags: &[String]) -> Command {
        let mut command = Command::new(&self.cargo);
        command.arg(subcommand).arg("--target").arg(&self.target);
        for name in [
            "RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_TARGET_DIR",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
        ] {
            command.env_remove(name);
        }
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc).env_remove("RUSTDOC").env_remove("CARGO");
        }
        if self.build_std {
            command.arg("-Zbuild-std=core").env("RUSTC_BOOTSTRAP", "1");
        }
        let mut flags = rustflags.to_vec();
        if let Some(linker) = &self.linker {
            flags.push(format!("-Clinker={}", linker.display()));
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        command
    }
}

/// The folder that a compiler takes its libraries from.
fn sysroot(rustc: &Path) -> Option<PathBuf> {
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn has_core(sysroot: &Path, target: &str) -> bool {
    let Ok(folder) = std::fs::read_dir(sysroot.join("lib/rustlib").join(target).join("lib")) else {
        return false;
    };
    folder.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
}

/// The `rust-lld` that comes with rustup's Rust links for every target; else a linker on the path.
fn find_linker(target: &str) -> Option<PathBuf> {
    let bundled = sysroot(Path::new("rustc")).and_then(|root| bundled_lld(&root));
    let names: &[&str] = if target.starts_with("thumb") {
        &["arm-none-eabi-ld", "ld.lld", "rust-lld"]
    } else {
        &["ld.lld", "rust-lld", "riscv64-unknown-elf-ld", "riscv32-unknown-elf-ld"]
    };
    bundled.or_else(|| names.iter().find_map(|name| find_program(name)))
}

fn bundled_lld(sysroot: &Path) -> Option<PathBuf> {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
    hosts.flatten().map(|host| host.path().join("bin/rust-lld")).find(|lld| lld.exists())
}

/// A program on the path.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn no_core(target: &str) -> String {
    format!(
        "no Rust on this machine builds for `{target}`\n  = help: rustup target add {target}\n  = help: or, on Debian, \
         apt-get install --no-install-recommends {} {}",
        DEBIAN_RUST.join(" "),
        DEBIAN_EMULATORS.join(" ")
    )
}

fn no_linker(target: &str) -> String {
    let package = if target.starts_with("thumb") { "binutils-arm-none-eabi" } else { "lld" };
    format!(
        "no linker for `{target}`\n  = help: on Debian, apt-get install --no-install-recommends {package}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_target_says_what_to_install() {
        assert!(no_core("thumbv6m-none-eabi").contains("rustup target add thumbv6m-none-eabi"));
        assert!(no_linker("thumbv6m-none-eabi").contains("binutils-arm-none-eabi"));
        assert!(no_linker("riscv32imc-unknown-none-elf").contains("install --no-install-recommends lld"));
    }

    #[test]
    fn flags_of_the_environment_do_not_reach_the_firmware() {
        let toolchain = Toolchain {
            cargo: "cargo".into(),
            rustc: None,
            linker: Some("ld".into()),
            build_std: true,
            target: "t".into(),
        };
        let command = toolchain.cargo("build", &["-Copt-level=3".into()]);
        let value = |name: &str| command.get_envs().find(|(key, _)| *key == name).map(|(_, value)| value);
        assert_eq!(value("RUSTFLAGS"), Some(None));
        assert_eq!(value("CARGO_ENCODED_RUSTFLAGS"), Some(Some("-Copt-level=3\x1f-Clinker=ld".as_ref())));
        assert!(command.get_args().any(|argument| argument == "-Zbuild-std=core"));
    }
}
