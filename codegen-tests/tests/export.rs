//! The way out and in again: import, passes, export, import, and the program computes the same bits.

use codegen_tests::{text, zoo};
use kiln_compiler::driver::{self, Options};
use kiln_compiler::program::{self, Program};
use kiln_compiler::tensor::{ElemType, Tensor, TensorType};
use kiln_compiler::{build, files, graph, onnx};
use std::path::Path;

/// Inputs that differ from element to element and between models, floats from -1 to 1.
fn inputs(program: &Program) -> Vec<Tensor> {
    let value = |i: usize| (i as u32).wrapping_mul(2_654_435_761) >> 8;
    let tensor = |ty: &TensorType| match ty.elem {
        ElemType::F32 => {
            let values: Vec<f32> =
                (0..ty.elements()).map(|i| value(i) as f32 / (1 << 23) as f32 - 1.0).collect();
            Tensor::from_f32(&ty.shape, &values)
        }
        elem => {
            let bytes: Vec<u8> = (0..ty.elements() * elem.size()).map(|i| value(i) as u8).collect();
            Tensor::new(ty.clone(), bytes).expect("as many bytes as the type has")
        }
    };
    program.inputs.iter().map(|port| tensor(&port.ty)).collect()
}

/// Exports the fused graph of a model and compiles both; panics where they differ.
fn round_trip(name: &str, bytes: &[u8], folder: &Path) {
    let options = Options { name: Some("model".into()), ..Options::default() };
    let compile = |bytes: &[u8]| driver::compile(bytes, &mut files::external(folder), &options);
    let first = compile(bytes).unwrap_or_else(|d| panic!("{name}: {d}"));
    let fused = driver::float_graph(bytes, &mut files::external(folder), &options, &mut vec![]);
    let exported = graph::export(&fused.expect("it was compiled")).unwrap_or_else(|d| panic!("{name}: {d}"));
    let written = onnx::write(&exported);
    let second = compile(&written).unwrap_or_else(|d| panic!("{name}, exported: {d}"));
    let ports = |p: &Program| {
        let port = |p: &program::Port| (p.name.clone(), p.ty.clone(), p.qparams.clone());
        p.inputs.iter().chain(&p.outputs).map(port).collect::<Vec<_>>()
    };
    assert_eq!(ports(&first.program), ports(&second.program), "{name}");
    let inputs = inputs(&first.program);
    let run = |p: &Program| program::run(p, &inputs).unwrap_or_else(|d| panic!("{name}: {d}"));
    assert_eq!(run(&first.program), run(&second.program), "{name}: outputs differ");
    assert_eq!(first.report.macs, second.report.macs, "{name}");
}

#[test]
fn small_models() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let mut seen = 0;
    for file in std::fs::read_dir(&folder).expect("the folder is there").flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if name.ends_with(".onnx.txt") {
            round_trip(
                &name,
                &text::encode(&std::fs::read_to_string(file.path()).expect("a model")),
                &folder,
            );
            seen += 1;
        }
    }
    assert!(seen >= 7);
}

#[test]
fn real_models() {
    let Some(entries) = zoo::entries() else { return };
    let supported = entries.iter().filter(|e| !matches!(e.rule, zoo::Rule::Unsupported(_)));
    for entry in supported {
        let bytes = build::read_file(&entry.model()).unwrap_or_else(|d| panic!("{d}"));
        round_trip(&entry.name, &bytes, &entry.dir);
    }
}
