//! Pruning: what is redundant goes without loss through every structure, and real models keep their accuracy.

use codegen_tests::text;
use codegen_tests::zoo;
use kiln_cli::npy;
use kiln_compiler::driver::{self, Options, PrunedModel};
use kiln_compiler::graph::Graph;
use kiln_compiler::program;
use kiln_compiler::prune::{Importance, PruneOptions};
use kiln_compiler::quant::Samples;
use kiln_compiler::tensor::{Tensor, TensorType};
use std::path::{Path, PathBuf};

fn no_data(_: &str, _: u64, _: Option<u64>) -> Result<Vec<u8>, String> {
    Err("no external data".into())
}

fn float(bytes: &[u8]) -> Graph {
    driver::calibration_graph(bytes, &mut no_data, &Options::default(), &mut vec![])
        .unwrap_or_else(|d| panic!("{d}"))
}

/// Random inputs from -1 to 1.
fn inputs(graph: &Graph, count: usize) -> Vec<Vec<Tensor>> {
    let mut state = 17u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut tensor = |ty: &TensorType| {
        Tensor::from_f32(&ty.shape, &(0..ty.elements()).map(|_| next()).collect::<Vec<_>>())
    };
    (0..count).map(|_| graph.inputs.iter().map(|v| tensor(&graph.value(*v).ty)).collect()).collect()
}

fn pruned(graph: &Graph, data: &[Vec<Tensor>], options: &PruneOptions) -> Result<PrunedModel, String> {
    let load = |i: usize| Ok(data[i].clone());
    let samples = Samples { count: data.len(), load: &load, threads: 2, progress: &|| {} };
    driver::prune(graph, &samples, options).map_err(|d| d.to_string())
}

fn run(bytes: &[u8], x: &[Tensor]) -> Vec<f32> {
    let artifact =
        driver::compile(bytes, &mut no_data, &Options::default()).unwrap_or_else(|d| panic!("{d}"));
    program::run(&artifact.program, x).unwrap_or_else(|d| panic!("{d}"))[0].to_f32s()
}

fn keep(share: f64) -> PruneOptions {
    PruneOptions { keep: Some(share), ..PruneOptions::default() }
}

/// Eight channels that are sums of two: six of them tell nothing new, and the layers behind can do without them.
fn linear(name: &str, behind: &str, weights: &str) -> Vec<u8> {
    text::encode(&format!(
        r#"<ir_version: 8, opset_import: ["" : 13]>
        {name} (float[1,2,6,6] x) => (float[1,4,4,4] y)
        <float[8,2,1,1] a = random(1), float[8] ab = random(2), float[8,2,1,1] b = random(3), float[8] bb = random(4), {weights}>
        {{ {behind} }}"#
    ))
}

#[test]
fn redundant_channels_go_without_loss() {
    let one = "float[4,8,3,3] w = random(5), float[4] wb = random(6)";
    let cases = [
        ("chain", "p = Conv(x, a, ab) y = Conv(p, w, wb)", one),
        // Both operands of an addition go together.
        ("residual", "p = Conv(x, a, ab) q = Conv(x, b, bb) s = Add(p, q) y = Conv(s, w, wb)", one),
        (
            "joined",
            "p = Conv(x, a, ab) q = Conv(x, b, bb) s = Concat<axis=1>(p, q) y = Conv(s, v, wb)",
            "float[4,16,3,3] v = random(5), float[4] wb = random(6)",
        ),
        (
            "parts",
            "p = Conv(x, a, ab) f, g = Split<axis=1>(p, sizes) s = Add(f, g) y = Conv(s, v, wb)",
            "int64[2] sizes = {4, 4}, float[4,4,3,3] v = random(5), float[4] wb = random(6)",
        ),
        (
            "flat",
            "p = Conv(x, a, ab) m = AveragePool<kernel_shape=[3,3], strides=[3,3]>(p) f = Flatten(m)
             g = Gemm(f, v, vb) y = Reshape(g, shape)",
            "float[32,64] v = random(5), float[64] vb = random(6), int64[4] shape = {1, 4, 4, 4}",
        ),
    ];
    for (name, behind, weights) in cases {
        let bytes = linear(name, behind, weights);
        let graph = float(&bytes);
        let data = inputs(&graph, 24);
        let model = pruned(&graph, &data, &keep(0.6)).unwrap_or_else(|d| panic!("{name}: {d}"));
        let (before, after) = model.pruned.macs();
        assert!(after as f64 <= 0.6 * before as f64, "{name}: {before} -> {after}");
        assert!(model.pruned.snr_db > 50.0, "{name}: {} dB", model.pruned.snr_db);
        let compiled = driver::compile(&model.onnx, &mut no_data, &Options::default())
            .unwrap_or_else(|d| panic!("{name}: {d}"));
        assert_eq!(compiled.program.macs(), after, "{name}: what is reported is what is there");
        for x in &inputs(&graph, 40)[24..] {
            let (wanted, got) = (run(&bytes, x), run(&model.onnx, x));
            let close = wanted.iter().zip(&got).all(|(a, b)| (a - b).abs() < 0.1);
            assert!(close, "{name}: {wanted:?} became {got:?}");
        }
    }
}

#[test]
fn depthwise_layers_shrink_with_their_neighbours_and_groups_stay() {
    let depthwise = linear(
        "separable",
        "p = Conv(x, a, ab) d = Conv<group=8>(p, dw, db) r = Clip(d, low, high) y = Conv(r, v, vb)",
        "float[8,1,3,3] dw = random(5), float[8] db = random(6), float low = {0}, float high = {6},
         float[4,8,1,1] v = random(7), float[4] vb = random(8)",
    );
    let graph = float(&depthwise);
    let model = pruned(&graph, &inputs(&graph, 16), &keep(0.5)).unwrap_or_else(|d| panic!("{d}"));
    let left: Vec<usize> = model.pruned.layers.iter().map(|l| l.channels.1).collect();
    assert!(left[0] == left[1] && left[0] <= 4 && left[2] == 4, "{left:?}");
    assert_eq!(run(&model.onnx, &inputs(&graph, 1)[0]).len(), 64);
    // Groups of four have to stay equal: nothing in front of them or in them goes.
    let grouped = linear(
        "grouped",
        "p = Conv(x, a, ab) g = Conv<group=2>(p, v, vb) y = Conv(g, w, wb)",
        "float[8,4,3,3] v = random(5), float[8] vb = random(6), float[4,8,1,1] w = random(7), float[4] wb = random(8)",
    );
    let graph = float(&grouped);
    let error = pruned(&graph, &inputs(&graph, 8), &keep(0.5)).expect_err("nothing can go");
    assert!(error.contains("E0331"), "{error}");
}

#[test]
fn what_cannot_be_reached_is_said() {
    let bytes = linear(
        "chain",
        "p = Conv(x, a, ab) y = Conv(p, w, wb)",
        "float[4,8,3,3] w = random(5), float[4] wb = random(6)",
    );
    let graph = float(&bytes);
    let data = inputs(&graph, 8);
    let error = pruned(&graph, &data, &keep(0.01)).expect_err("a channel stays");
    assert!(error.contains("E0332") && error.contains("12.5 %"), "{error}");
    let strict = PruneOptions { keep: Some(0.13), max_loss: Some(0.0), ..PruneOptions::default() };
    let error = pruned(&graph, &data, &strict).expect_err("it loses more than nothing");
    assert!(error.contains("E0332") && error.contains("within a loss of 0 %"), "{error}");
    let quantized = std::fs::read(digits("digits.int8.onnx")).expect("the model");
    let error = pruned(&float(&quantized), &data, &keep(0.5)).expect_err("it is quantized");
    assert!(error.contains("E0330"), "{error}");
}

#[test]
fn the_bound_on_the_loss_is_kept() {
    let graph = float(&std::fs::read(digits("digits.onnx")).expect("the model"));
    let data = rows(&digits("digits.calib.npz"), &graph);
    let options = PruneOptions { max_loss: Some(1.0), ..PruneOptions::default() };
    let model = pruned(&graph, &data, &options).unwrap_or_else(|d| panic!("{d}"));
    assert!(model.pruned.loss <= 1.0 && model.pruned.macs().1 * 4 < model.pruned.macs().0 * 3);
}

fn digits(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models").join(name)
}

fn rows(path: &Path, graph: &Graph) -> Vec<Vec<Tensor>> {
    let ty = &graph.value(graph.inputs[0]).ty;
    let values = npy::read_npz(path, "x").unwrap_or_else(|e| panic!("{e}")).to_f32s();
    values.chunks(ty.elements()).map(|row| vec![Tensor::from_f32(&ty.shape, row)]).collect()
}

/// Share of the test samples that the original model and the pruned one get right, in percent.
fn accuracy(model: &Path, calibration: &Path, test: &Path, options: &PruneOptions) -> (f64, f64) {
    let bytes = std::fs::read(model).unwrap_or_else(|e| panic!("{e}"));
    let graph = float(&bytes);
    let model = pruned(&graph, &rows(calibration, &graph), options).unwrap_or_else(|d| panic!("{d}"));
    let labels = npy::read_npz(test, "y").unwrap_or_else(|e| panic!("{e}")).to_i64s();
    let test = rows(test, &graph);
    let right = |bytes: &[u8]| {
        let artifact =
            driver::compile(bytes, &mut no_data, &Options::default()).unwrap_or_else(|d| panic!("{d}"));
        let best = |x: &Vec<Tensor>| {
            let y = program::run(&artifact.program, x).unwrap_or_else(|d| panic!("{d}"))[0].to_f32s();
            (0..y.len()).fold(0, |best, i| if y[i] > y[best] { i } else { best }) as i64
        };
        let hits = test.iter().zip(&labels).filter(|(x, label)| best(x) == **label).count();
        100.0 * hits as f64 / labels.len() as f64
    };
    let result = (right(&bytes), right(&model.onnx));
    println!("{options:?}: {result:?}");
    result
}

#[test]
fn half_of_the_digits_model_is_not_needed() {
    let file = |name: &str| digits(name);
    let (model, calibration, test) = (file("digits.onnx"), file("digits.calib.npz"), file("digits.npz"));
    let (before, after) = accuracy(&model, &calibration, &test, &keep(0.5));
    assert!(after >= before - 2.0, "{before} % became {after} %");
    // Plainly, by the magnitudes of weights, it is lost.
    let plain = PruneOptions { importance: Importance::L1, refit: false, ..keep(0.5) };
    let (_, plain) = accuracy(&model, &calibration, &test, &plain);
    assert!(after > plain + 2.0, "{after} %, plainly {plain} %");
}

#[test]
fn a_narrow_model_gives_little_away() {
    let Some(entries) = zoo::entries() else { return };
    let find = |name: &str| entries.iter().find(|e| e.name == name).expect("it is in the zoo");
    let of = |name: &str, share: f64| {
        let entry = find(name);
        accuracy(&entry.model(), &entry.dir.join("calib.npz"), &entry.dir.join("testset.npz"), &keep(share))
    };
    let (before, after) = of("trained__digits_cnn", 0.5);
    assert!(after >= before - 2.0, "{before} % became {after} %");
    for (share, lost) in [(0.9, 1.0), (0.8, 2.5)] {
        let (before, after) = of("trained__fsdd_dscnn", share);
        assert!(after >= before - lost, "{before} % became {after} % at {share}");
    }
}
