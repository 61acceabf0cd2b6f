//! Rounding of weights and correction of biases, one layer at a time.

use super::build::{Build, conv_op, find};
use super::{outputs, with_samples};
use kiln_compiler::graph::{Graph, NodeId};
use kiln_compiler::ops;
use kiln_compiler::ops::shared::Clamp;
use kiln_compiler::quant::layer_inputs::{Geometry, Moments};
use kiln_compiler::quant::{self, Choice, Method, Scheme, Sites, Trace, Weights, bias_correction, rounding};
use kiln_compiler::tensor::Tensor;

const SAMPLES: usize = 16;

struct Layer {
    graph: Graph,
    id: NodeId,
    geometry: Geometry,
    moments: Moments,
    floats: Tensor,
    plain: Weights,
}

/// The only layer of a graph, with what some samples show of its inputs.
fn layer(graph: Graph, op: &str) -> Layer {
    let name = find(&graph, op).name.clone();
    let id = graph.node_ids().into_iter().find(|id| graph.node(*id).name == name).expect("the layer");
    let geometry = Geometry::of(&graph, id).expect("a layer");
    let mut moments = Moments::new(&geometry);
    let trace = Trace::new(&graph, &[graph.node(id).inputs[0].expect("an input")]).expect("it lowers");
    for index in 0..SAMPLES {
        let input = super::sample(&graph.value(graph.inputs[0]).ty, index);
        trace.run(&input, &mut |_, t| moments.add(&geometry, t)).expect("it runs");
    }
    let scheme = scheme(&graph);
    let plain = scheme.weights[&(id, 1)].clone();
    let floats = graph.constant(graph.node(id).inputs[1].expect("weights")).expect("a constant").clone();
    Layer { graph, id, geometry, moments, floats, plain }
}

fn scheme(graph: &Graph) -> Scheme {
    let sites = Sites::of(graph, &|_| false);
    let ranges = with_samples(graph, SAMPLES, |s| {
        quant::calibrate(graph, &sites, s, Choice::Only(Method::MinMax)).expect("it calibrates")
    });
    Scheme::new(graph, &sites, &quant::bounds(&ranges))
}

/// A convolution whose inputs are alike, so that errors of neighbours add up or cancel.
fn smooth(groups: usize) -> Graph {
    let mut b = Build::default();
    let x = b.input("x", &[1, 4, 9, 9]);
    let pool = ops::AveragePool { window: super::build::window(&[5, 5], 2), count_include_pad: false };
    let x = b.node(pool, &[x]);
    let (w, bias) = (b.weights(&[8, 4 / groups, 3, 3]), b.weights(&[8]));
    let y = b.node(ops::Conv { groups, clamp: Clamp::RELU, ..conv_op(1) }, &[x, w, bias]);
    b.output(y);
    b.graph
}

fn dense() -> Graph {
    let mut b = Build::default();
    let x = b.input("x", &[1, 24]);
    let x = b.relu(x);
    let w = b.weights(&[24, 6]);
    let y = b.gemm(x, w);
    b.output(y);
    b.graph
}

/// Mean squared error of the layer's output for other weights, from the definition: the layer is run with them.
fn measured(layer: &Layer, weights: &Weights) -> (f64, f64) {
    let mut other = layer.graph.clone();
    let inner: usize = match &layer.graph.node(layer.id).op {
        ops::Op::Gemm(_) => 1,
        _ => layer.floats.shape()[1..].iter().product(),
    };
    let channels = weights.params.channels();
    let real = |(i, q): (usize, &i8)| *q as f32 * weights.params.scale[i / inner % channels];
    let values: Vec<f32> = weights.integers.to_i8s().iter().enumerate().map(real).collect();
    let constant = other.add_constant("other", Tensor::from_f32(layer.floats.shape(), &values));
    let mut plain = layer.graph.clone();
    for graph in [&mut other, &mut plain] {
        // Without the clamp, so that errors show.
        match &mut graph.node_mut(layer.id).op {
            ops::Op::Conv(op) => op.clamp = Clamp::NONE,
            ops::Op::Gemm(op) => op.clamp = Clamp::NONE,
            _ => {}
        }
    }
    other.node_mut(layer.id).inputs[1] = Some(constant);
    let (mut sum, mut squares, mut n) = (0.0, 0.0, 0.0);
    for index in 0..SAMPLES {
        for (a, b) in outputs(&plain, index).into_iter().zip(outputs(&other, index)) {
            let d = (a - b) as f64;
            (sum, squares, n) = (sum + d, squares + d * d, n + 1.0);
        }
    }
    (sum / n, squares / n)
}

#[test]
fn rounding_makes_less_error_than_to_nearest() {
    for (graph, op, least) in [(smooth(1), "Conv", 3.0), (smooth(4), "Conv", 1.5), (dense(), "Gemm", 1.2)] {
        let layer = layer(graph, op);
        let (rounded, [before, after]) =
            rounding::round(&layer.geometry, &layer.moments, 0.0, &layer.floats, &layer.plain);
        assert!(after * least < before, "{before} became {after}");
        // What the samples really show: the error about its mean, which the bias takes.
        let about_mean = |w: &Weights| measured(&layer, w).1 - measured(&layer, w).0.powi(2);
        let (plain, better) = (about_mean(&layer.plain), about_mean(&rounded));
        assert!(better < plain, "measured: {plain} became {better}");
        assert!(rounded.integers.to_i8s().iter().all(|q| *q != -128));
        let (again, _) = rounding::round(&layer.geometry, &layer.moments, 0.0, &layer.floats, &layer.plain);
        assert_eq!(rounded, again);
    }
}

#[test]
fn an_outlier_that_no_input_reaches_is_cut_off() {
    let mut layer = layer(dense(), "Gemm");
    let mut values = layer.floats.to_f32s();
    // Weight (3, 0) is large, but input 3 hardly varies.
    values[3 * 6] = 1.3;
    for list in &mut layer.moments.products {
        for i in 0..24 {
            list.values[3 * 24 + i] *= 1e-4;
            list.values[i * 24 + 3] *= 1e-4;
        }
    }
    layer.moments.sum[0][3] *= 1e-4;
    layer.floats = Tensor::from_f32(&[24, 6], &values);
    let plain = quant::per_channel(&layer.floats, 1, &[0.0; 6]);
    let (rounded, _) = rounding::round(&layer.geometry, &layer.moments, 0.0, &layer.floats, &plain);
    assert!(rounded.params.scale[0] < 0.95 * plain.params.scale[0]);
}

#[test]
fn what_never_varies_keeps_its_weights() {
    let layer = layer(dense(), "Gemm");
    let still = Moments::new(&layer.geometry);
    let (rounded, [before, after]) =
        rounding::round(&layer.geometry, &still, 0.0, &layer.floats, &layer.plain);
    assert_eq!((rounded.integers, before >= after), (layer.plain.integers.clone(), true));
    let small = Weights { integers: Tensor::from_i8(&[24, 6], &[1; 144]), ..layer.plain.clone() };
    let (rounded, _) = rounding::round(&layer.geometry, &layer.moments, 0.0, &layer.floats, &small);
    assert_eq!(rounded, small, "a scale that the bias needs so large");
    let mut b = Build::default();
    let x = b.input("x", &[3, 3]);
    let y = b.gemm(x, x);
    b.output(y);
    let id = b.graph.node_ids()[0];
    assert_eq!(Geometry::of(&b.graph, id), None, "no constant weights");
}

#[test]
fn the_mean_of_the_error_goes_into_the_bias() {
    for (graph, op) in [(smooth(1), "Conv"), (smooth(2), "Conv"), (dense(), "Gemm")] {
        let layer = layer(graph, op);
        // Rounded down throughout: a bias that shows.
        let down: Vec<i8> = layer.plain.integers.to_i8s().iter().map(|q| (q & !7).max(-127)).collect();
        let weights =
            Weights { integers: Tensor::from_i8(layer.floats.shape(), &down), ..layer.plain.clone() };
        let correction = bias_correction::empirical(&layer.geometry, &layer.moments, &layer.floats, &weights);
        let mean = correction.iter().sum::<f64>() / correction.len() as f64;
        let (error, _) = measured(&layer, &weights);
        assert!((mean - error).abs() < 1e-4 * error.abs().max(1.0), "{mean} for an error of {error}");
        let nothing = bias_correction::empirical(
            &layer.geometry,
            &Moments::new(&layer.geometry),
            &layer.floats,
            &weights,
        );
        assert!(nothing.iter().all(|c| *c == 0.0));
    }
}

/// The mean of the float outputs less that of the quantized ones, and the correction of biases that a tool makes.
#[test]
fn measured_and_analytic_correction_bring_the_mean_back() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 4, 8, 8]);
    let (w, bias) = (b.weights(&[8, 4, 1, 1]), b.weights(&[8]));
    let y = b.node(ops::Conv { clamp: Clamp::RELU, ..conv_op(0) }, &[x, w, bias]);
    let (w, bias) = (b.weights(&[4, 8, 1, 1]), b.weights(&[4]));
    let y = b.node(ops::Conv { ..conv_op(0) }, &[y, w, bias]);
    b.output(y);
    let graph = b.graph;
    let mut scheme = scheme(&graph);
    // Coarse weights, all rounded down.
    for weights in scheme.weights.values_mut() {
        let down: Vec<i8> = weights.integers.to_i8s().iter().map(|q| (q & !31).max(-127)).collect();
        weights.integers = Tensor::from_i8(weights.integers.shape(), &down);
    }
    let offset = |scheme: &Scheme| {
        let integers = quant::integer_graph(&graph, scheme).expect("it converts");
        let mean = |g: &Graph, c: usize| {
            (0..SAMPLES).map(|i| outputs(g, i)[c * 64..(c + 1) * 64].iter().sum::<f32>()).sum::<f32>() / 64.0
        };
        (0..4).map(|c| (mean(&graph, c) - mean(&integers, c)).abs() / SAMPLES as f32).sum::<f32>()
    };
    let plain = offset(&scheme);
    let ids: Vec<NodeId> = graph.topological().expect("no cycle");
    let geometries: Vec<Geometry> = ids.iter().filter_map(|id| Geometry::of(&graph, *id)).collect();
    let layers: Vec<(NodeId, &Geometry)> = ids.iter().copied().zip(&geometries).collect();
    let mut corrected = scheme.clone();
    let which: Vec<usize> = (0..SAMPLES).collect();
    with_samples(&graph, SAMPLES, |s| {
        bias_correction::measured(&graph, &mut corrected, &layers, s, &which).expect("it runs");
    });
    assert!(offset(&corrected) < 0.05 * plain, "{plain} became {}", offset(&corrected));
    // The inputs are uniform in -1 to 1: mean 0, variance 1/3.
    let mut analytic = scheme.clone();
    analytic.corrections = bias_correction::analytic(&graph, &scheme.weights, (0.0, 1.0 / 3.0));
    assert_eq!(analytic.corrections.len(), 2);
    assert!(offset(&analytic) < 0.3 * plain, "{plain} became {}", offset(&analytic));
}

#[test]
fn analytic_correction_stops_where_it_knows_nothing() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let y = b.node(ops::Sigmoid, &[x]);
    let y = b.conv(y, 2, 2, 1);
    b.output(y);
    let scheme = scheme(&b.graph);
    assert!(bias_correction::analytic(&b.graph, &scheme.weights, (0.0, 1.0)).is_empty());
}
