//! Compiles the model into the firmware, and says where the linker finds the board's memory.

fn main() {
    kiln_compiler::Compiler::new("../models/digits.int8.onnx").compile_or_exit();

    println!("cargo::rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rustc-link-arg=-Tlink.x");
    println!("cargo::rerun-if-changed=memory.x");
}
