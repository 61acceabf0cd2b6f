//! Decides the kernel family once (see `src/family.rs`), and tells the user's build script through `links` metadata
//! (`DEP_KILN_RUNTIME_CORE_KERNELS`): stable Rust shows no `target_feature` for Arm, so a `cfg` cannot.

/// Cores that have the DSP extension although their target triple does not say so.
const DSP_CORES: [&str; 2] = ["cortex-m33", "cortex-m35p"];

/// Targets of 32 bits without SIMD. Those of them that have DSP or MVE are found out first.
const SCALAR: [&str; 5] = ["thumbv6m", "thumbv7m", "thumbv8m.base", "thumbv8m.main", "riscv32"];

/// Those whose multiplier gives the low 32 bits of a product only.
const SHORT_PRODUCTS: [&str; 2] = ["thumbv6m", "thumbv8m.base"];

/// Cores that have MVE, which no target triple says.
const MVE_CORES: [&str; 3] = ["cortex-m52", "cortex-m55", "cortex-m85"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!(
        "cargo::rustc-check-cfg=cfg(kiln_kernels, values(\"dsp\", \"mve\", \"plain\", \"scalar\", \"simd\"))"
    );
    let family = family();
    println!("cargo::rustc-cfg=kiln_kernels=\"{family}\"");
    // Assembly for Armv8-M has to name a core with the extension: flags do not reach naked functions.
    println!("cargo::rustc-check-cfg=cfg(kiln_armv8m)");
    if std::env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv8m")) {
        println!("cargo::rustc-cfg=kiln_armv8m");
    }
    println!("cargo::rustc-check-cfg=cfg(kiln_short_products)");
    if target_is(&SHORT_PRODUCTS) {
        println!("cargo::rustc-cfg=kiln_short_products");
    }
    // Whether programs are to be small: loops are then unrolled less.
    println!("cargo::rustc-check-cfg=cfg(kiln_small)");
    if std::env::var("OPT_LEVEL").is_ok_and(|level| level == "s" || level == "z") {
        println!("cargo::rustc-cfg=kiln_small");
    }
    // Cores with a single-precision FPU at least.
    println!("cargo::rustc-check-cfg=cfg(kiln_vfp)");
    if std::env::var("TARGET").is_ok_and(|target| target.starts_with("thumb") && target.ends_with("hf")) {
        println!("cargo::rustc-cfg=kiln_vfp");
    }
    println!("cargo::metadata=KERNELS={family}");
}

fn family() -> &'static str {
    let target = std::env::var("TARGET").unwrap_or_default();
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let armv8m = target.starts_with("thumbv8m.main");
    let has = |cores: &[&str], feature: &str| {
        armv8m && (cores.contains(&target_cpu(&flags)) || std::env::var_os(feature).is_some())
    };
    // Of wasm32 only builds with `-C target-feature=+simd128` have vectors; that feature is visible.
    let features = std::env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let vectors = || {
        target.starts_with("x86_64")
            || target.starts_with("aarch64")
            || features.split(',').any(|feature| feature == "simd128")
    };
    if has(&MVE_CORES, "CARGO_FEATURE_MVE") {
        "mve"
    } else if target.starts_with("thumbv7em") || has(&DSP_CORES, "CARGO_FEATURE_DSP") {
        "dsp"
    } else if target_is(&SCALAR) {
        "scalar"
    } else if vectors() {
        "simd"
    } else {
        "plain"
    }
}

/// Whether the target is one of those whose names begin so.
fn target_is(beginnings: &[&str]) -> bool {
    let target = std::env::var("TARGET").unwrap_or_default();
    beginnings.iter().any(|beginning| target.starts_with(beginning))
}

/// What `-C target-cpu` names, in flags that are separated by 0x1f. A feature list in it is no concern of ours.
fn target_cpu(flags: &str) -> &str {
    let mut cpu = flags.split('\x1f').filter_map(|flag| {
        let flag = flag.strip_prefix("-C").unwrap_or(flag).trim_start();
        flag.strip_prefix("target-cpu=")
    });
    cpu.next_back().unwrap_or_default()
}
