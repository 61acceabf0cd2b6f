//! The tools together, ranges, sensitivity.

use super::build::{Build, conv_op};
use super::with_samples;
use kiln_compiler::graph::Graph;
use kiln_compiler::ops;
use kiln_compiler::ops::shared::Clamp;
use kiln_compiler::quant::score::{Energy, Judge, Score};
use kiln_compiler::quant::sensitivity::sensitivity;
use kiln_compiler::quant::tune::{Aim, Bounds, tune};
use kiln_compiler::quant::{self, Choice, Method, Precision, Scheme, Sites, ranges};

const SAMPLES: usize = 24;

/// Three layers with channels of very different ranges.
fn uneven() -> Graph {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 8, 8]);
    let w = b.weights(&[4, 2, 3, 3]);
    let values = b.graph.constant(w).expect("a constant").to_f32s();
    let scaled: Vec<f32> =
        values.iter().enumerate().map(|(i, v)| v * [0.02, 0.1, 1.0, 4.0][i / 18]).collect();
    let w = b.f32(&[4, 2, 3, 3], &scaled);
    let a = b.node(ops::Conv { clamp: Clamp::RELU, ..conv_op(1) }, &[x, w]);
    let w = b.weights(&[4, 4, 3, 3]);
    let values = b.graph.constant(w).expect("a constant").to_f32s();
    let inverse: Vec<f32> =
        values.iter().enumerate().map(|(i, v)| v / [0.02, 0.1, 1.0, 4.0][i / 9 % 4]).collect();
    let w = b.f32(&[4, 4, 3, 3], &inverse);
    let c = b.node(ops::Conv { clamp: Clamp::RELU, ..conv_op(1) }, &[a, w]);
    let y = b.conv(c, 3, 4, 1);
    b.output(y);
    b.graph
}

fn plain(graph: &Graph) -> Scheme {
    let sites = Sites::of(graph, &|_| false);
    let found = with_samples(graph, SAMPLES, |s| {
        quant::calibrate(graph, &sites, s, Choice::Only(Method::MinMax)).expect("it calibrates")
    });
    Scheme::new(graph, &sites, &quant::bounds(&found))
}

#[test]
fn the_tools_beat_the_plain_scheme_and_repeat() {
    let graph = uneven();
    let (tuned, plan, trials) =
        with_samples(&graph, SAMPLES, |s| tune(&graph, &|_| false, s, Aim::default())).expect("it tunes");
    assert!(plan.balance.is_some(), "{trials:?}");
    let score = |graph: &Graph, scheme: &Scheme| {
        let unseen: Vec<usize> = (SAMPLES..2 * SAMPLES).collect();
        with_samples(graph, 2 * SAMPLES, |s| {
            let judge = Judge::new(&uneven(), s, &unseen).expect("it runs");
            judge.score(graph, scheme).expect("it runs").db()
        })
    };
    let (before, after) = (score(&graph, &plain(&graph)), score(&tuned.graph, &tuned.scheme));
    assert!(after > before + 6.0, "{before} dB became {after} dB on other samples");
    let again =
        with_samples(&graph, SAMPLES, |s| tune(&graph, &|_| false, s, Aim::default())).expect("it tunes");
    assert_eq!((again.0.ranges, again.2), (tuned.ranges, trials));
    assert_eq!(again.0.scheme.weights, tuned.scheme.weights);
}

#[test]
fn without_samples_there_is_an_error() {
    let graph = uneven();
    let error = with_samples(&graph, 0, |s| tune(&graph, &|_| false, s, Aim::default()).map(|_| ()))
        .expect_err("no samples");
    assert!(error.to_string().contains("E0320"), "{error}");
    with_samples(&graph, 1, |s| tune(&graph, &|_| false, s, Aim::default()))
        .expect("one sample fits and judges");
}

#[test]
fn a_layer_with_a_bad_range_is_the_most_sensitive() {
    let graph = uneven();
    let mut scheme = plain(&graph);
    let order = graph.topological().expect("no cycle");
    let second = graph.node(order[1]).outputs[0];
    scheme.values.get_mut(&second).expect("quantized").params = quant::int8_params((0.0, 0.1));
    let found = with_samples(&graph, SAMPLES, |s| {
        let judge = Judge::new(&graph, s, &[0, 1, 2, 3]).expect("it runs");
        sensitivity(&graph, &scheme, &judge).expect("it runs")
    });
    assert_eq!(found.len(), 3);
    let score = |i: usize| found[i].1;
    // The third layer reads what the second one writes.
    assert!(score(1) < score(0) - 3.0 && score(2) < score(0) - 3.0, "{found:?}");
}

#[test]
fn bounds_widen_unless_they_cut() {
    let value = uneven().inputs[0];
    let bounds = |low: f32, high: f32| Bounds::from([(value, (low, high))]);
    let (seen, all) = (bounds(-1.0, 2.0), bounds(-1.5, 3.0));
    assert_eq!(ranges::widen(&bounds(-1.0, 2.3), &seen, &all), all);
    assert_eq!(ranges::widen(&bounds(-0.5, 4.0), &seen, &all), bounds(-0.5, 4.0));
}

#[test]
fn one_lucky_sample_makes_no_better_scheme() {
    let score = |noise: &[f64]| Score {
        energies: noise.iter().map(|noise| Energy { signal: 1.0, noise: *noise }).collect(),
    };
    let old = score(&[0.10, 0.10, 0.10, 0.10, 2.0]);
    assert!(score(&[0.10, 0.11, 0.10, 0.10, 0.1]).db() > old.db() + 3.0);
    assert!(!score(&[0.10, 0.11, 0.10, 0.10, 0.1]).beats(&old, 0.0));
    assert!(score(&[0.05, 0.05, 0.05, 0.05, 1.0]).beats(&score(&[0.1, 0.1, 0.1, 0.1, 1.1]), 0.5));
    assert!(!score(&[0.05, 0.05]).beats(&score(&[0.05, 0.05]), 0.0));
}

#[test]
fn what_costs_too_much_falls_back() {
    let graph = uneven();
    let with =
        |aim: Aim| with_samples(&graph, SAMPLES, |s| tune(&graph, &|_| false, s, aim)).expect("it tunes");
    let all = |max_loss: f64| {
        let (tuned, _, trials) = with(Aim { max_loss: Some(max_loss), ..Aim::default() });
        (tuned.scheme.nodes.values().copied().collect::<Vec<_>>(), trials.last().expect("a trial").score)
    };
    let loss = all(100.0).1;
    assert_eq!(all(100.0).0, [Precision::Int8; 3]);
    let (layers, reached) = all(loss / 2.0);
    assert!(layers.contains(&Precision::Int16) && !layers.contains(&Precision::Float), "{layers:?}");
    assert!(reached <= loss / 2.0, "{reached} percent, of {loss}");
    let (layers, reached) = all(0.0);
    assert_eq!(layers, [Precision::Float; 3]);
    assert!(reached < 1e-9, "{reached} percent");
}

#[test]
fn first_and_last_layer_have_a_precision_of_their_own() {
    let graph = uneven();
    let aim = Aim { ends: Some(Precision::Int16), ..Aim::default() };
    let (tuned, _, _) =
        with_samples(&graph, SAMPLES, |s| tune(&graph, &|_| false, s, aim)).expect("it tunes");
    let order = graph.topological().expect("no cycle");
    let precisions: Vec<Precision> = order.iter().map(|id| tuned.scheme.nodes[id]).collect();
    assert_eq!(precisions, [Precision::Int16, Precision::Int8, Precision::Int16]);
}
