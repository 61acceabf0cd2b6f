//! Quantization of real models against ONNX Runtime's `quantize_static` on the same calibration and test data.
//! `compare_quantization.py` beside this crate repeats the comparison with ONNX Runtime itself.

use codegen_tests::random::RandomState;
use codegen_tests::zoo::{self, Entry};
use kiln_cli::npy;
use kiln_compiler::driver::{self, Options, QuantizeOptions};
use kiln_compiler::quant::tune::Aim;
use kiln_compiler::quant::{Choice, Method, Precision, Samples, WeightBits};
use kiln_compiler::tensor::{Tensor, TensorType};
use kiln_compiler::{build, files, program};
use std::path::Path;

/// ONNX Runtime 1.32, `ptq.tsv` among the peers' figures.
struct Peer {
    model: &'static str,
    /// Output SNR in dB of MinMax, int8, per channel, and of its best method.
    minmax: f64,
    best: f64,
    /// Samples that the method of the best SNR gets right.
    right: usize,
}

const PEERS: [Peer; 6] = [
    Peer { model: "trained__digits_cnn", minmax: 43.58, best: 43.58, right: 357 },
    Peer { model: "trained__digits_cnn_nchw", minmax: 43.58, best: 43.58, right: 357 },
    Peer { model: "trained__digits_mlp", minmax: 42.26, best: 42.26, right: 355 },
    Peer { model: "trained__fsdd_dscnn", minmax: 36.22, best: 36.22, right: 298 },
    Peer { model: "trained__fsdd_dscnn_nchw", minmax: 36.22, best: 36.22, right: 298 },
    Peer { model: "trained__har_conv1d", minmax: 34.71, best: 36.40, right: 39 },
];

/// Inputs for calibration, others for the test, and the classes of these where they are known.
struct Data {
    calibration: Vec<Vec<Tensor>>,
    test: Vec<Vec<Tensor>>,
    labels: Vec<i64>,
}

/// What quantization leaves of a model.
struct Outcome {
    snr_db: f64,
    /// Samples that the float model and the quantized one get right.
    right: (usize, usize),
    /// Samples of which both say the same.
    agree: usize,
}

fn rows(path: &Path, ty: &TensorType) -> Vec<Vec<Tensor>> {
    let array = npy::read_npz(path, "x").unwrap_or_else(|e| panic!("{e}"));
    let values = array.to_f32s();
    values.chunks(ty.elements()).map(|row| vec![Tensor::from_f32(&ty.shape, row)]).collect()
}

fn labelled(calibration: &Path, test: &Path, ty: &TensorType) -> Data {
    let labels = npy::read_npz(test, "y").unwrap_or_else(|e| panic!("{e}")).to_i64s();
    Data { calibration: rows(calibration, ty), test: rows(test, ty), labels }
}

fn random(seed: u32, count: usize, ty: &TensorType) -> Vec<Vec<Tensor>> {
    let mut state = RandomState::new(seed);
    let mut sample = |_| {
        let values: Vec<f32> = (0..ty.elements()).map(|_| state.normal() as f32).collect();
        vec![Tensor::from_f32(&ty.shape, &values)]
    };
    (0..count).map(&mut sample).collect()
}

fn argmax(values: &[f32]) -> usize {
    (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// Quantizes a model, writes the file, compiles that, and compares it with the float model, sample for sample.
fn quantized(model: &Path, choice: Choice, data: impl Fn(&TensorType) -> Data) -> Outcome {
    aimed(model, choice, Aim::default(), data)
}

fn aimed(model: &Path, choice: Choice, aim: Aim, data: impl Fn(&TensorType) -> Data) -> Outcome {
    let fail = |d: &dyn std::fmt::Display| -> ! { panic!("{}: {d}", model.display()) };
    let folder = model.parent().expect("a folder");
    let bytes = build::read_file(model).unwrap_or_else(|d| fail(&d));
    let options = Options::default();
    let graph = driver::float_graph(&bytes, &mut files::external(folder), &options, &mut vec![])
        .unwrap_or_else(|d| fail(&d));
    let data = data(&graph.value(graph.inputs[0]).ty);
    let load = |i: usize| Ok(data.calibration[i].clone());
    let samples = Samples { count: data.calibration.len(), load: &load, threads: 2, progress: &|| {} };
    let request = QuantizeOptions { choice, aim, ..QuantizeOptions::default() };
    let result = driver::quantize(&graph, &samples, &request).unwrap_or_else(|d| fail(&d));
    let compile = |bytes: &[u8]| {
        driver::compile(bytes, &mut files::external(folder), &options).unwrap_or_else(|d| fail(&d)).program
    };
    let (float, compiled) = (compile(&bytes), compile(&result.onnx));
    let (mut signal, mut noise) = (0f64, 0f64);
    let mut outcome = Outcome { snr_db: 0.0, right: (0, 0), agree: 0 };
    for (i, inputs) in data.test.iter().enumerate() {
        let run = |p| program::run(p, inputs).unwrap_or_else(|d| fail(&d))[0].to_f32s();
        let (y, q) = (run(&float), run(&compiled));
        for (y, q) in y.iter().zip(&q) {
            signal += (*y as f64).powi(2);
            noise += (*y as f64 - *q as f64).powi(2);
        }
        let (y, q) = (argmax(&y), argmax(&q));
        outcome.agree += (y == q) as usize;
        if let Some(label) = data.labels.get(i).map(|l| *l as usize) {
            outcome.right.0 += (y == label) as usize;
            outcome.right.1 += (q == label) as usize;
        }
    }
    outcome.snr_db = 10.0 * (signal / noise).log10();
    let Outcome { snr_db, right, agree } = outcome;
    println!("{}: {snr_db:.2} dB, {right:?} right, {agree} of {} alike", model.display(), data.test.len());
    outcome
}

fn entry<'e>(entries: &'e [Entry], name: &str) -> &'e Entry {
    entries.iter().find(|e| e.name == name).unwrap_or_else(|| panic!("{name} is not in the zoo"))
}

fn zoo_model(entry: &Entry, choice: Choice) -> Outcome {
    let data = |ty: &TensorType| labelled(&entry.dir.join("calib.npz"), &entry.dir.join("testset.npz"), ty);
    quantized(&entry.model(), choice, data)
}

#[test]
fn ranges_of_all_samples_lose_no_more_than_onnx_runtime() {
    let Some(entries) = zoo::entries() else { return };
    for peer in PEERS {
        let outcome = zoo_model(entry(&entries, peer.model), Choice::Only(Method::MinMax));
        // The peers' figures have two digits behind the point.
        assert!(outcome.snr_db >= peer.minmax - 0.01, "{}: {} dB", peer.model, outcome.snr_db);
    }
}

#[test]
fn auto_loses_no_more_than_the_best_method_of_onnx_runtime() {
    let Some(entries) = zoo::entries() else { return };
    for peer in PEERS {
        let outcome = zoo_model(entry(&entries, peer.model), Choice::Auto);
        assert!(outcome.snr_db >= peer.best, "{}: {} dB, {}", peer.model, outcome.snr_db, peer.best);
        let (float, ours) = outcome.right;
        assert!(ours >= peer.right, "{}: {ours} right, ONNX Runtime {}", peer.model, peer.right);
        // Half a percent of these test sets is one sample, or two.
        assert!(ours + 1 >= float, "{}: {ours} right, in float {float}", peer.model);
    }
}

#[test]
fn channels_of_very_different_ranges_lose_at_most_one_point() {
    let Some(entries) = zoo::entries() else { return };
    let outcome = zoo_model(entry(&entries, "hard__fsdd_dscnn_rescaled"), Choice::Auto);
    // 82 % of 300 per channel, and 10 % per tensor, with ONNX Runtime.
    assert!(outcome.right.1 + 3 >= outcome.right.0, "{:?} right", outcome.right);
}

#[test]
fn random_inputs_keep_more_than_with_onnx_runtime() {
    let Some(entries) = zoo::entries() else { return };
    for (name, peer) in [("mlkws__DS_CNN_S", 25.6), ("tinymaix__mbnet96_0.25", 18.82)] {
        let data = |ty: &TensorType| Data {
            calibration: random(0, 32, ty),
            test: random(1, 16, ty),
            labels: vec![],
        };
        let outcome = quantized(&entry(&entries, name).model(), Choice::Auto, data);
        assert!(outcome.snr_db >= peer, "{name}: {} dB, ONNX Runtime {peer} dB", outcome.snr_db);
    }
}

#[test]
fn int16_activations_keep_6_db_more() {
    let Some(entries) = zoo::entries() else { return };
    let data =
        |ty: &TensorType| Data { calibration: random(0, 32, ty), test: random(1, 16, ty), labels: vec![] };
    let model = entry(&entries, "mlkws__DS_CNN_S").model();
    let snr = |precision| aimed(&model, Choice::Auto, Aim { precision, ..Aim::default() }, data).snr_db;
    let (int8, int16) = (snr(Precision::Int8), snr(Precision::Int16));
    assert!(int16 >= int8 + 6.0, "int8 {int8} dB, int16 {int16} dB");
}

#[test]
fn int4_weights_rounded_by_output_error_lose_at_most_a_point() {
    let Some(entries) = zoo::entries() else { return };
    let entry = entry(&entries, "trained__fsdd_dscnn");
    let data = |ty: &TensorType| labelled(&entry.dir.join("calib.npz"), &entry.dir.join("testset.npz"), ty);
    let weights = WeightBits::Int4 { block: 0 };
    let outcome = aimed(&entry.model(), Choice::Auto, Aim { weights, ..Aim::default() }, data);
    let (float, ours) = outcome.right;
    assert!(ours + 3 >= float, "{ours} right, in float {float}");
}

#[test]
fn squeezenet_keeps_the_classes_of_its_own_inputs() {
    let Some(entries) = zoo::entries() else { return };
    let entry = entry(&entries, "squeezenet__squeezenet10_imagenet_dc");
    let inputs: Vec<Vec<Tensor>> =
        entry.cases().unwrap_or_else(|e| panic!("{e}")).into_iter().map(|c| c.inputs).collect();
    let count = inputs.len();
    let data = |_: &TensorType| Data { calibration: inputs.clone(), test: inputs.clone(), labels: vec![] };
    assert_eq!(quantized(&entry.model(), Choice::Auto, data).agree, count);
}

#[test]
fn the_shipped_model_loses_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models");
    let data = |ty: &TensorType| labelled(&folder.join("digits.calib.npz"), &folder.join("digits.npz"), ty);
    let outcome = quantized(&folder.join("digits.onnx"), Choice::Auto, data);
    let (float, ours) = outcome.right;
    assert!(outcome.snr_db >= 43.58 && ours + 1 >= float, "{} dB, {ours} right of {float}", outcome.snr_db);
}
