//! Generated code computes what the interpreter computes, bit for bit, and builds without std and without a warning.

use codegen_tests::build::{self, Workshop};
use codegen_tests::text;
use codegen_tests::zoo::{self, Rule};
use kiln_compiler::driver::{self, Artifact, Options};
use kiln_compiler::program;
use kiln_compiler::tensor::{ElemType, Tensor, TensorType};
use std::path::Path;

fn compile(path: &Path, name: &str) -> Artifact {
    compile_bytes(&std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())), name)
}

fn compile_bytes(bytes: &[u8], name: &str) -> Artifact {
    let options = Options { name: Some(name.to_owned()), ..Options::default() };
    driver::compile(bytes, &mut |_, _, _| Err("none".into()), &options)
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

/// Compiled so that the input comes row by row.
fn compile_fed(path: &Path, name: &str) -> Artifact {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let options = Options { name: Some(name.to_owned()), stream_input: true, ..Options::default() };
    driver::compile(&bytes, &mut |_, _, _| Err("none".into()), &options)
        .unwrap_or_else(|e| panic!("{name}: {e}"))
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

#[test]
fn an_input_that_comes_by_rows_gives_the_same_bits() {
    let workshop = Workshop::new();
    agree(&workshop, &compile_fed(&example("digits.onnx"), "digits"));
    agree(&workshop, &compile_fed(&example("digits.int8.onnx"), "digits_int8"));
}

#[test]
fn textual_models_equal_the_interpreter() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models");
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("the folder is there").flatten().collect();
    files.sort_by_key(std::fs::DirEntry::path);
    let workshop = Workshop::new();
    let mut seen = 0;
    for file in files {
        let file = file.path();
        let name = file.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".onnx.txt"));
        let Some(name) = name else { continue };
        let bytes = text::encode(&std::fs::read_to_string(&file).expect("the model can be read"));
        agree(&workshop, &compile_bytes(&bytes, name));
        seen += 1;
    }
    assert!(seen >= 7);
}

#[test]
fn models_of_the_zoo_equal_the_interpreter() {
    let Some(entries) = zoo::entries() else { return };
    let workshop = Workshop::new();
    let mut seen = 0;
    for entry in entries.iter().filter(|e| !matches!(e.rule, Rule::Unsupported(_))) {
        let bytes = std::fs::read(entry.model()).expect("the model can be read");
        // Large models take their time in the unoptimised interpreter, and have no kernels that small ones lack.
        if bytes.len() > 1_500_000 {
            continue;
        }
        agree(&workshop, &compile_bytes(&bytes, &entry.name));
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn names_of_users_become_identifiers() {
    let text = r#"<ir_version: 8, opset_import: ["" : 13]>
        odd (float[1,4] type, float[1,4] Model) => (float[1,4] self, float[1,4] f32)
        { [fn] a = Add(type, Model)  [Fn] b = Mul(a, Model)  [core] self = Sigmoid(b)  f32 = Sub(type, b) }"#;
    let artifact = compile_bytes(&text::encode(text), "Option");
    agree(&Workshop::new(), &artifact);
    let expected = [
        "pub mod option ",
        "fn input_type_mut(",
        "fn input_model_mut(",
        "fn output_self(",
        "mod fn_2 ",
        "mod core_ ",
    ];
    for part in expected {
        assert!(artifact.text.contains(part), "no `{part}` in\n{}", artifact.text);
    }
}

#[test]
fn five_megabytes_of_weights_are_baked_as_a_file() {
    let text = r#"<ir_version: 8, opset_import: ["" : 13]>
        large (float[1,1250] x) => (float[1,1000] y)
        <float[1250,1000] w = random(1), float[1000] b = random(2)> { y = Gemm(x, w, b) }"#;
    let artifact = compile_bytes(&text::encode(text), "large");
    assert!(artifact.weights.as_ref().is_some_and(|w| w.len() == 5_000_000) && artifact.text.len() < 100_000);
    let start = std::time::Instant::now();
    agree(&Workshop::new(), &artifact);
    println!("built and run in {:.1?}", start.elapsed());
}
