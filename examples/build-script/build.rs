//! Compiles the model for this program. Everything that it says is in `cargo build -vv`.

fn main() {
    kiln_compiler::Compiler::new("../models/digits.int8.onnx").name("digits").compile_or_exit();
}
