//! Quantization of float models: calibration data in, integer programs out.

use codegen_tests::text;
use kiln_compiler::driver::{self, Options, QuantizeOptions};
use kiln_compiler::graph::{self, Graph, ValueId};
use kiln_compiler::quant::{self, Samples, Scheme, Sites, Trace, extent};
use kiln_compiler::tensor::Tensor;
use kiln_compiler::{onnx, program};
use std::collections::BTreeMap;

fn no_data(_: &str, _: u64, _: Option<u64>) -> Result<Vec<u8>, String> {
    Err("no external data".into())
}

/// The fused float graph of a model of `models/`.
fn model(name: &str) -> Graph {
    let path = format!("{}/tests/models/{name}.onnx.txt", env!("CARGO_MANIFEST_DIR"));
    let bytes = text::encode(&std::fs::read_to_string(path).expect("the model can be read"));
    driver::float_graph(&bytes, &mut no_data, &Options::default(), &mut vec![])
        .unwrap_or_else(|d| panic!("{d}"))
}

/// Sample `index` of random inputs, floats from -1 to 1.
fn sample(graph: &Graph, index: usize) -> Vec<Tensor> {
    let mut state = index as u32 * 7919 + 17;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut tensor = |id: &ValueId| {
        let ty = &graph.value(*id).ty;
        Tensor::from_f32(&ty.shape, &(0..ty.elements()).map(|_| next()).collect::<Vec<_>>())
    };
    graph.inputs.iter().map(&mut tensor).collect()
}

/// The plain scheme for ranges measured on a few samples.
fn plain(graph: &Graph, float: &dyn Fn(&str) -> bool) -> Scheme {
    let sites = Sites::of(graph, &|id| float(graph.node(id).op.name()));
    let measured = sites.measured(graph);
    let trace = Trace::new(graph, &measured).unwrap_or_else(|d| panic!("{d}"));
    let mut ranges = BTreeMap::new();
    for index in 0..16 {
        let mut visit = |i: usize, t: &Tensor| {
            let (low, high) = extent(&t.to_f32s());
            let range = ranges.entry(measured[i]).or_insert((low, high));
            *range = (range.0.min(low), range.1.max(high));
        };
        trace.run(&sample(graph, index), &mut visit).unwrap_or_else(|d| panic!("{d}"));
    }
    Scheme::new(graph, &sites, &ranges)
}

/// Signal-to-noise ratio in dB of the compiled QDQ file against the float graph, and names of the kernels.
fn compiled(graph: &Graph, scheme: &Scheme) -> (f64, Vec<&'static str>) {
    let quantized = scheme.apply(graph).unwrap_or_else(|d| panic!("{d}"));
    graph::verify(&quantized).unwrap_or_else(|e| panic!("{e}"));
    let file = onnx::write(&graph::export(&quantized).unwrap_or_else(|d| panic!("{d}")));
    let artifact =
        driver::compile(&file, &mut no_data, &Options::default()).unwrap_or_else(|d| panic!("{d}"));
    let float = Trace::new(graph, &[]).unwrap_or_else(|d| panic!("{d}"));
    let (mut signal, mut noise) = (0.0, 0.0);
    for index in 0..8 {
        let inputs = sample(graph, index);
        let expected = float.run(&inputs, &mut |_, _| {}).unwrap_or_else(|d| panic!("{d}"));
        let got = program::run(&artifact.program, &inputs).unwrap_or_else(|d| panic!("{d}"));
        for (a, b) in expected.iter().zip(&got).flat_map(|(a, b)| a.to_f64s().into_iter().zip(b.to_f64s())) {
            signal += a * a;
            noise += (a - b).powi(2);
        }
    }
    (10.0 * (signal / noise).log10(), artifact.program.steps.iter().map(|s| s.kernel.function()).collect())
}

#[test]
fn float_models_become_integer_programs() {
    for name in ["conv_relu_pool_dense", "branches", "channel_shuffle", "conv1d", "nhwc_wrapper"] {
        let graph = model(name);
        let (snr, kernels) = compiled(&graph, &plain(&graph, &|_| false));
        println!("{name}: {snr:.1} dB, {kernels:?}");
        assert!(snr > 35.0, "{name}: {snr} dB");
        assert_eq!(float_kernels(&kernels), 0, "{name}: {kernels:?}");
    }
}

#[test]
fn layers_stay_in_float_on_request() {
    let graph = model("conv_relu_pool_dense");
    let (all, _) = compiled(&graph, &plain(&graph, &|_| false));
    let (mixed, kernels) = compiled(&graph, &plain(&graph, &|op| op == "Gemm" || op == "Softmax"));
    assert_eq!(float_kernels(&kernels), 2, "{kernels:?}");
    assert!(mixed > all, "{mixed} dB, {all} dB with everything in int8");
    let nothing = compiled(&graph, &Scheme::default());
    assert_eq!(nothing.0, f64::INFINITY, "an empty scheme changes nothing");
}

fn float_kernels(kernels: &[&str]) -> usize {
    kernels.iter().filter(|k| k.ends_with("_f32") && **k != "dequantize_i8_f32").count()
}

#[test]
fn what_cannot_be_quantized_says_why() {
    let graph = model("conv_relu_pool_dense");
    let load = |index| Ok(sample(&graph, index));
    let samples = |count| Samples { count, load: &load, threads: 1, progress: &|| {} };
    let error = |graph: &Graph, count: usize| {
        let result = driver::quantize(graph, &samples(count), &QuantizeOptions::default());
        result.map(|_| ()).expect_err("it cannot be quantized").to_string()
    };
    assert!(error(&graph, 0).contains("error[E0320]"), "{}", error(&graph, 0));
    let text =
        r#"<ir_version: 8, opset_import: ["" : 13]> g (float[1,4] x) => (float[1,4] y) { y = Div(x, x) }"#;
    let division = driver::float_graph(&text::encode(text), &mut no_data, &Options::default(), &mut vec![]);
    let division = division.unwrap_or_else(|d| panic!("{d}"));
    assert!(error(&division, 4).contains("error[E0323]"), "{}", error(&division, 4));
    let integers = quant::integer_graph(&graph, &plain(&graph, &|_| false)).unwrap_or_else(|d| panic!("{d}"));
    let refused = graph::export(&integers).map(|_| ()).expect_err("int8 Conv is no ONNX operator");
    assert!(refused.to_string().contains("error[E0905]"), "{refused}");
}
