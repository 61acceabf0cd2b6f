//! What each accuracy tool of quantization does to real models, alone: the table of `compiler/docs/quantization.md`.
//! `cargo test -p codegen-tests --test tools -- --nocapture` prints it. Output signal-to-noise ratio on test inputs that
//! calibration did not see; ranges from the smallest to the largest value where nothing else is said.

use codegen_tests::random::RandomState;
use codegen_tests::zoo::{self, Entry};
use kiln_cli::npy;
use kiln_compiler::driver::{self, Options};
use kiln_compiler::graph::Graph;
use kiln_compiler::quant::equalize::Balance;
use kiln_compiler::quant::tune::{Plan, Tuned, Widths};
use kiln_compiler::quant::{
    Choice, Method, Samples, Scheme, WEIGHT_MAX, Weights, bias_correction, nearest, score,
};
use kiln_compiler::tensor::{QParams, Tensor, TensorType};
use kiln_compiler::{build, files};

/// Nothing but ranges, and weights rounded to nearest for each output channel.
const PLAIN: Plan = Plan {
    balance: None,
    shift: false,
    rounding: false,
    correction: false,
    choice: Choice::Only(Method::MinMax),
};

struct Model {
    graph: Graph,
    calibration: Vec<Tensor>,
    test: Vec<Tensor>,
}

impl Model {
    fn new(entries: &[Entry], name: &str) -> Model {
        let entry = entries.iter().find(|e| e.name == name).unwrap_or_else(|| panic!("{name}"));
        let bytes = build::read_file(&entry.model()).unwrap_or_else(|d| panic!("{d}"));
        let graph =
            driver::float_graph(&bytes, &mut files::external(&entry.dir), &Options::default(), &mut vec![])
                .unwrap_or_else(|d| panic!("{d}"));
        let ty = graph.value(graph.inputs[0]).ty.clone();
        let read = |file: &str, seed: u32, count: usize| match npy::read_npz(&entry.dir.join(file), "x") {
            Ok(array) => rows(&array.to_f32s(), &ty),
            Err(_) => normal(seed, count, &ty),
        };
        let (calibration, test) = (read("calib.npz", 0, 32), read("testset.npz", 1, 16));
        Model { graph, calibration, test }
    }

    fn samples<T>(samples: &[Tensor], with: impl FnOnce(&Samples) -> T) -> T {
        let load = |i: usize| Ok(vec![samples[i].clone()]);
        with(&Samples { count: samples.len(), load: &load, threads: 2, progress: &|| {} })
    }

    fn fit(&self, plan: &Plan) -> Tuned {
        let all: Vec<usize> = (0..self.calibration.len()).collect();
        let fit = |s: &Samples| plan.fit(&self.graph, &|_| false, &Widths::new(), s, &all);
        Model::samples(&self.calibration, fit).unwrap_or_else(|d| panic!("{d}"))
    }

    fn snr(&self, graph: &Graph, scheme: &Scheme) -> f64 {
        Model::samples(&self.test, |s| score::output_db(graph, scheme, s)).unwrap_or_else(|d| panic!("{d}"))
    }

    /// The ratio with a plan, printed.
    fn with(&self, what: &str, plan: &Plan) -> f64 {
        let tuned = self.fit(plan);
        self.print(what, &tuned.graph, &tuned.scheme)
    }

    fn print(&self, what: &str, graph: &Graph, scheme: &Scheme) -> f64 {
        let snr = self.snr(graph, scheme);
        println!("{snr:8.2} dB  {what}");
        snr
    }
}

fn rows(values: &[f32], ty: &TensorType) -> Vec<Tensor> {
    values.chunks_exact(ty.elements()).map(|row| Tensor::from_f32(&ty.shape, row)).collect()
}

fn normal(seed: u32, count: usize, ty: &TensorType) -> Vec<Tensor> {
    let mut state = RandomState::new(seed);
    let values: Vec<f32> = (0..count * ty.elements()).map(|_| state.normal() as f32).collect();
    rows(&values, ty)
}

/// Weights with one scale for all channels of a layer.
fn per_tensor(graph: &Graph, scheme: &Scheme) -> Scheme {
    let mut result = scheme.clone();
    for (&(id, input), weights) in &mut result.weights {
        let floats = graph.node(id).inputs[input].and_then(|v| graph.constant(v)).expect("weights");
        let largest = floats.to_f32s().iter().fold(0f32, |m, w| m.max(w.abs()));
        let scale = largest / WEIGHT_MAX;
        let integers: Vec<i8> = floats.to_f32s().iter().map(|w| nearest(*w, scale)).collect();
        let scales = vec![scale; weights.params.scale.len()];
        let zeros = vec![0; scales.len()];
        let params = QParams::per_axis(scales, zeros, weights.params.axis);
        *weights = Weights { integers: Tensor::from_i8(floats.shape(), &integers), params };
    }
    result
}

#[test]
fn rounding_and_bias_correction() {
    let Some(entries) = zoo::entries() else { return };
    let model = Model::new(&entries, "mlkws__DS_CNN_S");
    println!("mlkws__DS_CNN_S");
    let tuned = model.fit(&PLAIN);
    let coarse = model.print("one scale a layer", &tuned.graph, &per_tensor(&tuned.graph, &tuned.scheme));
    let plain = model.print("a scale for each output channel", &tuned.graph, &tuned.scheme);
    let correction = model.with("empirical bias correction", &Plan { correction: true, ..PLAIN });
    let rounding = model.with("weights rounded by output error", &Plan { rounding: true, ..PLAIN });
    let both = model.with("both", &Plan { rounding: true, correction: true, ..PLAIN });
    assert!(plain > coarse + 1.0 && correction > plain && both > plain + 2.0);
    // Rounding leaves the mean of its error to the bias.
    assert!(both > rounding && both > correction);
}

#[test]
fn bias_correction_without_samples() {
    let Some(entries) = zoo::entries() else { return };
    for name in ["tinymaix__mbnet96_0.25", "trained__fsdd_dscnn"] {
        let model = Model::new(&entries, name);
        println!("{name}");
        let tuned = model.fit(&PLAIN);
        let coarse = per_tensor(&tuned.graph, &tuned.scheme);
        for (what, mut scheme) in [("a layer", coarse), ("an output channel", tuned.scheme.clone())] {
            let plain = model.print(&format!("one scale for {what}"), &tuned.graph, &scheme);
            // Both models read inputs of mean 0 and variance 1, or nearly.
            scheme.corrections = bias_correction::analytic(&tuned.graph, &scheme.weights, (0.0, 1.0));
            let corrected = model.print("with analytic bias correction", &tuned.graph, &scheme);
            assert!(corrected > plain + 1.0, "{name}");
        }
    }
}

#[test]
fn equalization() {
    let Some(entries) = zoo::entries() else { return };
    let model = Model::new(&entries, "hard__fsdd_dscnn_rescaled");
    println!("hard__fsdd_dscnn_rescaled");
    let tuned = model.fit(&PLAIN);
    let coarse = model.print("one scale a layer", &tuned.graph, &per_tensor(&tuned.graph, &tuned.scheme));
    let plain = model.print("a scale for each output channel", &tuned.graph, &tuned.scheme);
    let with = |what: &str, balance| model.with(what, &Plan { balance: Some(balance), ..PLAIN });
    let weights = with("equalized by weights", Balance::Weights);
    let half = with("equalized by activations, 0.5", Balance::Activations(0.5));
    assert!(plain > coarse + 3.0 && weights > plain + 10.0 && half > plain + 10.0);
}

#[test]
fn ranges_of_each_method() {
    let Some(entries) = zoo::entries() else { return };
    for name in ["trained__har_conv1d", "mlkws__DS_CNN_S"] {
        let model = Model::new(&entries, name);
        println!("{name}");
        let with =
            |method: Method| model.with(method.name(), &Plan { choice: Choice::Only(method), ..PLAIN });
        let best = Method::ALL.map(with).into_iter().fold(f64::NEG_INFINITY, f64::max);
        let chosen = model.with("auto", &Plan { choice: Choice::Auto, ..PLAIN });
        // The choice is made on other samples.
        assert!(chosen >= best - 1.5, "{name}: {chosen} dB of {best}");
    }
}
