//! Accuracy on labelled data, against the figures that ONNX Runtime reaches on the same files (`manifest.tsv`).

use codegen_tests::zoo;
use kiln_cli::npy;
use kiln_compiler::driver::{self, Options};
use kiln_compiler::program;
use kiln_compiler::tensor::{Tensor, TensorType};

/// Model, ONNX Runtime's accuracy in percent on `testset.npz`.
const LABELLED: &[(&str, f64)] = &[
    ("trained__digits_cnn", 99.17),
    ("trained__digits_cnn_nchw", 99.17),
    ("trained__digits_mlp", 98.61),
    ("trained__fsdd_dscnn", 99.67),
    ("trained__fsdd_dscnn_nchw", 99.67),
    ("trained__har_conv1d", 95.00),
    ("ortq__digits_cnn_qdq_s8s8_pc", 99.17),
    ("ortq__digits_cnn_qdq_u8s8_pt", 98.89),
    ("ortq__digits_cnn_qop_s8s8_pc", 99.17),
    ("ortq__fsdd_dscnn_qdq_s8s8_pc", 99.33),
    ("ortq__fsdd_dscnn_qop_s8s8_pc", 99.33),
];

/// The quantized models have no data of their own: those of the float model that they were made from.
fn data_of(model: &str) -> &str {
    match model {
        m if m.starts_with("ortq__digits_cnn") => "trained__digits_cnn_nchw",
        m if m.starts_with("ortq__fsdd") => "trained__fsdd_dscnn_nchw",
        m => m,
    }
}

#[test]
fn accuracy_is_within_half_a_point_of_onnx_runtime() {
    let Some(entries) = zoo::entries() else { return };
    let mut failures = vec![];
    for (model, reference) in LABELLED {
        let find = |name: &str| entries.iter().find(|e| e.name == name).expect("the model is in the zoo");
        let data = find(data_of(model)).dir.join("testset.npz");
        let read = |name| npy::read_npz(&data, name).unwrap_or_else(|e| panic!("{e}"));
        let (x, y) = (read("x"), read("y").to_i64s());
        let bytes = std::fs::read(find(model).model()).expect("the model can be read");
        let artifact = driver::compile(&bytes, &mut |_, _, _| Err("none".into()), &Options::default());
        let artifact = artifact.unwrap_or_else(|e| panic!("{model}: {e}"));
        let input = artifact.program.inputs[0].ty.clone();
        let hits = (0..y.len()).filter(|&i| {
            let sample = sample(&x, i, &input);
            let outputs =
                program::run_placed(&artifact.program, &artifact.plan.placement, &[sample], &mut |_, _| {});
            argmax(&outputs.expect("the sample fits the input")[0]) == y[i] as usize
        });
        let accuracy = 100.0 * hits.count() as f64 / y.len() as f64;
        println!("{model:35} {accuracy:6.2} %, ONNX Runtime {reference:6.2} %");
        if accuracy < reference - 0.5 {
            failures.push(format!("{model}: {accuracy:.2} % against {reference:.2} %"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn sample(x: &Tensor, index: usize, ty: &TensorType) -> Tensor {
    let size = ty.elements() * ty.elem.size();
    Tensor::new(ty.clone(), x.bytes()[index * size..(index + 1) * size].to_vec())
        .expect("samples fill the input")
}

fn argmax(output: &Tensor) -> usize {
    let values = output.to_f64s();
    (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}
