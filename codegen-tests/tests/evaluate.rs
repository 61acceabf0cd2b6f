//! What `kiln evaluate` measures: on models whose answers are known by hand, and on real ones against other tools' figures.

use codegen_tests::{text, zoo};
use kiln_cli::data::{DataArgs, Dataset};
use kiln_cli::evaluate::{Comparison, Evaluation, Task};
use kiln_cli::npy;
use kiln_compiler::driver::{self, Artifact, Options, QuantizeOptions};
use kiln_compiler::graph::{self, Graph, ImportOptions};
use kiln_compiler::quant::{Choice, Method, Samples};
use kiln_compiler::tensor::Tensor;
use kiln_compiler::{lower, onnx};
use std::path::Path;

const HEAD: &str = r#"<ir_version: 8, opset_import: ["" : 13]>"#;

/// The input is the output, times one: `n` values.
fn same(n: usize) -> String {
    format!("{HEAD} g (float[1,{n}] x) => (float[1,{n}] y) <float[1] one = {{1}}> {{ y = Mul(x, one) }}")
}

/// The same in int8 steps of 0.5.
fn steps(n: usize) -> String {
    format!(
        "{HEAD} g (float[1,{n}] x) => (float[1,{n}] y) <float s = {{0.5}}, int8 z = {{0}}>
         {{ q = QuantizeLinear(x, s, z)\n y = DequantizeLinear(q, s, z) }}"
    )
}

fn compile(bytes: &[u8]) -> Artifact {
    driver::compile(bytes, &mut |_, _, _| Err("none".into()), &Options::default())
        .unwrap_or_else(|e| panic!("{e}"))
}

fn compare(
    compiled: &Artifact,
    float: Option<&Artifact>,
    data: &Path,
    task: Option<Task>,
    threads: usize,
) -> Result<Evaluation, String> {
    let data =
        Dataset::open(data, &compiled.program.inputs, &DataArgs::default()).map_err(|d| d.to_string())?;
    let comparison =
        Comparison { compiled, float, layers: None, data: &data, task, output: 0, threads, progress: &|| {} };
    comparison.run().map_err(|d| d.to_string())
}

/// Evaluates textual models on arrays.
fn evaluate(
    compiled: &str,
    float: Option<&str>,
    x: &Tensor,
    y: Option<&Tensor>,
    task: Option<Task>,
) -> Result<Evaluation, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data.npz");
    let arrays = std::iter::once(("x", x)).chain(y.map(|y| ("y", y)));
    npy::write_npz(&path, arrays).expect("it can be written");
    let float = float.map(|f| compile(&text::encode(f)));
    compare(&compile(&text::encode(compiled)), float.as_ref(), &path, task, 2)
}

#[test]
fn classification_counts_the_first_of_the_largest() {
    let x = Tensor::from_f32(&[4, 3], &[0.9, 0.1, 0.0, 0.2, 0.6, 0.4, 0.1, 0.3, 0.2, 0.0, 0.0, 1.0]);
    let y = Tensor::from_i64(&[4], &[0, 1, 2, 2]);
    // In steps of 0.5, ties to even: [1, 0, 0], [0, 0.5, 0.5], [0, 0.5, 0], [0, 0, 1].
    let e = evaluate(&steps(3), Some(&same(3)), &x, Some(&y), None).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((e.metric(), e.n), (Some("accuracy"), 4));
    assert_eq!((e.compiled.accuracy, e.float.as_ref().and_then(|f| f.accuracy)), (Some(0.75), Some(0.75)));
    assert_eq!((e.agreement, e.compiled.top_five), (Some(1.0), None));
    let signal = x.to_f64s().iter().map(|v| v * v).sum::<f64>();
    let noise = 0.02 + (0.04 + 0.01 + 0.01) + (0.01 + 0.04 + 0.04);
    let snr = e.snr_db.expect("both are there");
    assert!((snr - 10.0 * (signal / noise).log10()).abs() < 1e-4, "{snr}");
    let text = e.to_string();
    assert!(text.contains("75.00 % correct") && text.contains("1 (1 times)"), "{text}");
    let hot = Tensor::from_f32(&[4, 3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    let one_hot = evaluate(&same(3), None, &x, Some(&hot), Some(Task::Classification));
    assert_eq!(one_hot.map(|e| (e.compiled.accuracy, e.float, e.snr_db)), Ok((Some(0.75), None, None)));
}

#[test]
fn top_five_counts_from_ten_classes_on() {
    let row: Vec<f32> = (0..10).map(|v| v as f32).collect();
    let x = Tensor::from_f32(&[3, 10], &[&row[..], &row[..], &row[..]].concat());
    let e =
        evaluate(&same(10), None, &x, Some(&Tensor::from_i64(&[3], &[9, 5, 4])), Some(Task::Classification));
    let figures = e.map(|e| (e.compiled.accuracy, e.compiled.top_five));
    assert_eq!(figures, Ok((Some(1.0 / 3.0), Some(2.0 / 3.0))));
}

#[test]
fn a_single_output_says_yes_or_no() {
    // Between 0 and 1 it is a probability; otherwise its sign decides.
    let rows: &[(&[f32], [i64; 4], f64, f64)] = &[
        (&[0.1, 0.6, 0.4, 0.9], [0, 1, 1, 1], 0.75, 1.0),
        (&[-3.0, 2.0, 0.25, -0.5], [0, 1, 0, 1], 0.5, 0.75),
    ];
    for (x, y, accuracy, auc) in rows {
        let (x, y) = (Tensor::from_f32(&[4, 1], x), Tensor::from_i64(&[4], y));
        let e = evaluate(&same(1), Some(&same(1)), &x, Some(&y), None).unwrap_or_else(|e| panic!("{e}"));
        let figures = (e.task, e.compiled.accuracy, e.compiled.auc, e.agreement);
        assert_eq!(figures, (Some(Task::Classification), Some(*accuracy), Some(*auc), Some(1.0)));
        assert_eq!(e.snr_db, Some(f64::INFINITY));
        assert!(e.to_json()["snr_db"].is_null() && e.to_json()["identical"] == true);
    }
}

#[test]
fn regression_has_errors() {
    let x = Tensor::from_f32(&[4, 1], &[1.0, 2.0, 3.0, 4.0]);
    let y = Tensor::from_f32(&[4, 1], &[1.5, 2.5, 3.5, 3.5]);
    let e = evaluate(&same(1), None, &x, Some(&y), None).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((e.task, e.metric()), (Some(Task::Regression), Some("rmse")));
    assert_eq!((e.compiled.mae, e.compiled.rmse), (Some(0.5), Some(0.5)));
    // Mean 2.75, squares around it 1.5625 + 0.0625 + 0.5625 + 0.5625.
    assert_eq!(e.compiled.r2, Some(1.0 - 1.0 / 2.75));
    assert_eq!(e.agreement, None);
}

#[test]
fn reconstruction_finds_anomalies_by_their_error() {
    // Steps of 0.5 repeat 0, 1 and 3 exactly, and 0.2 and 0.7 not.
    let x = Tensor::from_f32(&[4, 3], &[0.0, 1.0, 3.0, 0.2, 1.0, 3.0, 0.2, 0.7, 3.0, 3.0, 1.0, 0.0]);
    let bare = evaluate(&steps(3), Some(&same(3)), &x, None, None).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((bare.task, bare.metric()), (Some(Task::Reconstruction), Some("rmse")));
    let rmse = bare.compiled.rmse.expect("an error");
    assert!((rmse - (0.12f64 / 12.0).sqrt()).abs() < 1e-7, "{rmse}");
    assert_eq!(bare.float.and_then(|f| f.rmse), Some(0.0));
    for (labels, auc) in [([0, 1, 1, 0], 1.0), ([0, 1, 0, 1], 0.375)] {
        let e = evaluate(&steps(3), None, &x, Some(&Tensor::from_i64(&[4], &labels)), None);
        assert_eq!(e.map(|e| (e.metric(), e.compiled.auc)), Ok((Some("auc"), Some(auc))), "{labels:?}");
    }
}

#[test]
fn labels_that_do_not_fit_are_refused() {
    let x = Tensor::from_f32(&[2, 3], &[0.0; 6]);
    let rows: &[(Tensor, Option<Task>, &[&str])] = &[
        (Tensor::from_i64(&[2], &[0, 3]), None, &["E0606", "label 3", "0 to 2"]),
        (Tensor::from_i64(&[2], &[-1, 0]), None, &["E0606", "3 numbers a sample"]),
        (Tensor::from_f32(&[2], &[0.5, 0.1]), Some(Task::Classification), &["E0606", "no classes"]),
        (Tensor::from_i64(&[2], &[0, 2]), Some(Task::Reconstruction), &["E0606", "anomalies"]),
    ];
    for (y, task, parts) in rows {
        let refused = evaluate(&same(3), None, &x, Some(y), *task).map(|_| "evaluated").unwrap_err();
        assert!(parts.iter().all(|p| refused.contains(p)), "{parts:?}: {refused}");
    }
    let wider = format!("{HEAD} g (float[1,3] x) => (float[1,6] y) {{ y = Concat<axis = 1>(x, x) }}");
    let refused =
        evaluate(&wider, None, &x, None, Some(Task::Reconstruction)).map(|_| "evaluated").unwrap_err();
    assert!(refused.contains("E0606") && refused.contains("does not repeat"), "{refused}");
    let refused = evaluate(&wider, Some(&same(3)), &x, None, None).map(|_| "evaluated").unwrap_err();
    assert!(refused.contains("E0606") && refused.contains("f32[1, 3] -> f32[1, 6]"), "{refused}");
}

#[test]
fn figures_do_not_depend_on_threads() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models");
    let read = |name: &str| compile(&std::fs::read(models.join(name)).expect("the model can be read"));
    let (int8, float) = (read("digits.int8.onnx"), read("digits.onnx"));
    let of = |threads| compare(&int8, Some(&float), &models.join("digits.npz"), None, threads);
    let one = of(1).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(of(2), Ok(one.clone()));
    assert_eq!(of(5), Ok(one.clone()));
    assert!(one.snr_db.is_some_and(|s| s > 40.0) && one.compiled.accuracy.is_some_and(|a| a > 0.98), "{one}");
}

/// Quantized model, float model, samples, accuracy of the two by ONNX Runtime in percent.
const PAIRS: &[(&str, &str, f64, f64)] = &[
    ("ortq__digits_cnn_qdq_s8s8_pc", "trained__digits_cnn_nchw", 99.17, 99.17),
    ("ortq__digits_cnn_qop_s8s8_pc", "trained__digits_cnn_nchw", 99.17, 99.17),
    ("ortq__fsdd_dscnn_qdq_s8s8_pc", "trained__fsdd_dscnn_nchw", 99.33, 99.67),
];

/// Compares layer by layer, on the test set beside the float model `data`.
fn layered(quantized: &Artifact, float: &[u8], data: &Path) -> Evaluation {
    let none = &mut |_: &str, _: u64, _: Option<u64>| Err("none".into());
    let model = onnx::read(float, none).unwrap_or_else(|e| panic!("{e}"));
    let options = ImportOptions { batch: 1, shapes: Default::default() };
    let imported = graph::import(&model, &options, &lower::evaluate).unwrap_or_else(|e| panic!("{e}"));
    let fused = calibrated(float);
    let data = Dataset::open(&data.join("testset.npz"), &quantized.program.inputs, &DataArgs::default());
    let comparison = Comparison {
        compiled: quantized,
        float: Some(&compile(float)),
        layers: Some([&fused, &imported]),
        data: &data.unwrap_or_else(|e| panic!("{e}")),
        task: None,
        output: 0,
        threads: 2,
        progress: &|| {},
    };
    let evaluation = comparison.run().unwrap_or_else(|e| panic!("{e}"));
    println!("{evaluation}");
    // Every value is what the float model has under its name.
    assert!(evaluation.layers.iter().all(|l| l.snr_db > 15.0), "{evaluation}");
    evaluation
}

/// The graph that is calibrated.
fn calibrated(model: &[u8]) -> Graph {
    let none = &mut |_: &str, _: u64, _: Option<u64>| Err("none".into());
    let graph = driver::calibration_graph(model, none, &Options::default(), &mut vec![]);
    graph.unwrap_or_else(|e| panic!("{e}"))
}

fn percent(accuracy: Option<f64>) -> f64 {
    (10_000.0 * accuracy.unwrap_or(0.0)).round() / 100.0
}

#[test]
fn layers_lose_step_by_step() {
    let Some(entries) = zoo::entries() else { return };
    for (quantized, float, accuracy, float_accuracy) in PAIRS {
        let find = |name: &str| entries.iter().find(|e| e.name == name).expect("the model is in the zoo");
        let bytes = |name: &str| std::fs::read(find(name).model()).expect("the model can be read");
        let compiled = compile(&bytes(quantized));
        let e = layered(&compiled, &bytes(float), &find(float).dir);
        assert!((percent(e.compiled.accuracy) - accuracy).abs() <= 0.5, "{quantized}: {e}");
        assert_eq!(percent(e.float.as_ref().and_then(|f| f.accuracy)), *float_accuracy, "{quantized}");
        let computed = compiled.graph.node_ids().len();
        assert!(e.layers.len() + 3 >= computed, "{quantized}: {} of {computed} values", e.layers.len());
        // The last value is the output.
        assert_eq!(e.layers.last().map(|l| l.snr_db), e.snr_db, "{quantized}");
    }
}

#[test]
fn a_dynamically_quantized_model_becomes_a_static_one() {
    let Some(entries) = zoo::entries() else { return };
    let find = |name: &str| entries.iter().find(|e| e.name == name).expect("the model is in the zoo");
    let bytes = std::fs::read(find("ortq__digits_mlp_dyn").model()).expect("the model can be read");
    let data = &find("trained__digits_mlp").dir;
    let graph = calibrated(&bytes);
    let ports = lower::lower(&graph).unwrap_or_else(|e| panic!("{e}")).inputs;
    let calibration = Dataset::open(&data.join("calib.npz"), &ports, &DataArgs::default());
    let calibration = calibration.unwrap_or_else(|e| panic!("{e}"));
    let samples =
        Samples { count: calibration.len(), load: &|i| calibration.sample(i), threads: 2, progress: &|| {} };
    let options = QuantizeOptions { choice: Choice::Only(Method::MinMax), ..QuantizeOptions::default() };
    let quantized = driver::quantize(&graph, &samples, &options).unwrap_or_else(|e| panic!("{e}"));
    let compiled = compile(&quantized.onnx);
    let kernels: Vec<_> = compiled.program.steps.iter().map(|s| s.kernel.function()).collect();
    assert_eq!(kernels.iter().filter(|k| **k == "fully_connected_i8").count(), 3, "{kernels:?}");
    assert!(!kernels.iter().any(|k| k.contains("dynamic") || k.ends_with("_i8_i32")), "{kernels:?}");
    let e = layered(&compiled, &bytes, data);
    assert_eq!(e.layers.len(), 6, "{e}");
    assert!(percent(e.compiled.accuracy) >= 98.3 && e.snr_db.is_some_and(|s| s > 35.0), "{e}");
    assert!(e.agreement.is_some_and(|a| a >= 0.995), "{e}");
}
