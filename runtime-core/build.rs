//! Decides the kernel family once, and tells the user's build script through `links` metadata
//! (`DEP_KILN_RUNTIME_CORE_KERNELS`): stable Rust shows no `target_feature` for Arm, so a `cfg` cannot.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(kiln_kernels, values(\"plain\"))");
    // The plain scalar family runs everywhere. Faster families are chosen here, from TARGET and the target CPU.
    println!("cargo::rustc-cfg=kiln_kernels=\"plain\"");
    println!("cargo::metadata=KERNELS=plain");
}
