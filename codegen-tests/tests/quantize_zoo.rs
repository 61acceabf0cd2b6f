//! Quantization of real labelled models against ONNX Runtime's `quantize_static` on the same calibration and test data.

use codegen_tests::zoo;
use kiln_cli::data::{DataArgs, Dataset};
use kiln_cli::evaluate::{Comparison, Evaluation};
use kiln_compiler::driver::{self, Artifact, Options, QuantizeOptions};
use kiln_compiler::quant::{Choice, Method, Samples};
use kiln_compiler::{build, files, lower};
use std::path::Path;

/// Model; output SNR in dB of ONNX Runtime 1.32, MinMax, int8, per channel (`ptq.tsv` among the peers' figures).
const MINMAX: [(&str, f64); 4] = [
    ("trained__digits_cnn", 43.58),
    ("trained__digits_mlp", 42.26),
    ("trained__fsdd_dscnn", 36.22),
    ("trained__har_conv1d", 34.71),
];

fn compile(bytes: &[u8], folder: &Path) -> Artifact {
    driver::compile(bytes, &mut files::external(folder), &Options::default())
        .unwrap_or_else(|d| panic!("{d}"))
}

/// Quantizes a model of the zoo on its calibration data, and compares both on its test set.
fn quantized(folder: &Path, choice: Choice) -> Evaluation {
    let bytes = build::read_file(&folder.join("model.onnx")).unwrap_or_else(|d| panic!("{d}"));
    let options = Options::default();
    let graph = driver::float_graph(&bytes, &mut files::external(folder), &options, &mut vec![]);
    let graph = graph.unwrap_or_else(|d| panic!("{d}"));
    let ports = lower::lower(&graph).unwrap_or_else(|d| panic!("{d}")).inputs;
    let open = |file: &str| Dataset::open(&folder.join(file), &ports, &DataArgs::default());
    let calibration = open("calib.npz").unwrap_or_else(|d| panic!("{d}"));
    let load = |i| calibration.sample(i);
    let samples = Samples { count: calibration.len(), load: &load, threads: 2, progress: &|| {} };
    let options = QuantizeOptions { choice, ..QuantizeOptions::default() };
    let result = driver::quantize(&graph, &samples, &options).unwrap_or_else(|d| panic!("{d}"));
    let (float, compiled) = (compile(&bytes, folder), compile(&result.onnx, folder));
    let data = open("testset.npz").unwrap_or_else(|d| panic!("{d}"));
    let comparison = Comparison {
        compiled: &compiled,
        float: Some(&float),
        imported: None,
        data: &data,
        task: None,
        output: 0,
        threads: 2,
        progress: &|| {},
    };
    comparison.run().unwrap_or_else(|d| panic!("{d}"))
}

#[test]
fn ranges_of_all_samples_lose_no_more_than_onnx_runtime() {
    let Some(entries) = zoo::entries() else { return };
    for (name, peer) in MINMAX {
        let entry =
            entries.iter().find(|e| e.name == name).unwrap_or_else(|| panic!("{name} is not in the zoo"));
        let evaluation = quantized(&entry.dir, Choice::Only(Method::MinMax));
        let snr = evaluation.snr_db.unwrap_or_else(|| panic!("{name}: no float model"));
        println!("{name}: {snr:.2} dB, ONNX Runtime {peer} dB");
        // The peers' figures have two digits behind the point.
        assert!(snr >= peer - 0.01, "{name}: {snr} dB, ONNX Runtime {peer} dB");
    }
}

#[test]
fn auto_loses_no_more_than_ranges_of_all_samples() {
    let Some(entries) = zoo::entries() else { return };
    for (name, peer) in MINMAX.into_iter().filter(|(name, _)| *name != "trained__fsdd_dscnn") {
        let entry =
            entries.iter().find(|e| e.name == name).unwrap_or_else(|| panic!("{name} is not in the zoo"));
        let snr = quantized(&entry.dir, Choice::Auto).snr_db.unwrap_or_default();
        assert!(snr >= peer - 0.01, "{name}: {snr} dB, ONNX Runtime {peer} dB");
    }
}
