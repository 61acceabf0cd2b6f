//! Generated code computes what the interpreter computes, bit for bit, and builds without std and without a warning.

use codegen_tests::build::{self, Workshop};
use kiln_compiler::driver::{self, Artifact, Options};
use kiln_compiler::program;
use kiln_compiler::tensor::{ElemType, Tensor, TensorType};
use std::path::Path;

fn compile(path: &Path, name: &str) -> Artifact {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let options = Options { name: Some(name.to_owned()), ..Options::default() };
    driver::compile(&bytes, &mut |_, _, _| Err("none".into()), &options)
        .unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Deterministic values over the whole range of integers, in -1..1 for floats.
fn random(ty: &TensorType, seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let size = ty.elements() * ty.elem.size();
    match ty.elem {
        ElemType::F32 => {
            let values: Vec<f32> =
                (0..ty.elements()).map(|_| next() as f32 / (1u32 << 30) as f32 - 1.0).collect();
            Tensor::from_f32(&ty.shape, &values)
        }
        _ => Tensor::new(ty.clone(), (0..size).map(|_| next() as u8).collect::<Vec<u8>>()).expect("it fits"),
    }
}

fn agree(workshop: &Workshop, artifact: &Artifact) {
    let program = workshop.program(artifact);
    let inferences: Vec<Vec<Tensor>> = (0..3)
        .map(|n| {
            artifact
                .program
                .inputs
                .iter()
                .enumerate()
                .map(|(i, p)| random(&p.ty, 10 * n + i as u64))
                .collect()
        })
        .collect();
    let expected: Vec<u8> = inferences
        .iter()
        .flat_map(|inputs| program::run(&artifact.program, inputs).expect("it runs"))
        .flat_map(|t| t.bytes().to_vec())
        .collect();
    assert!(build::run(&program, &inferences) == expected, "{} computes other bits", artifact.module);
}

fn example(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models").join(file)
}

#[test]
fn generated_code_equals_the_interpreter() {
    let workshop = Workshop::new();
    agree(&workshop, &compile(&example("digits.onnx"), "digits"));
    agree(&workshop, &compile(&example("digits.int8.onnx"), "digits_int8"));
}
