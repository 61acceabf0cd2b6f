//! Logits in front of a Softmax, and the score that sees through it.

use super::build::Build;
use super::{assert_same, with_samples};
use kiln_compiler::graph::{Graph, ValueId};
use kiln_compiler::ops;
use kiln_compiler::ops::shared::Clamp;
use kiln_compiler::quant::score::{decision, plain, softmax_input};
use kiln_compiler::quant::tune::Bounds;
use kiln_compiler::quant::{self, Scheme, Sites, logits};

const WHICH: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

/// A classifier with a Reshape between logits and Softmax; `change` may do something else with the logits.
fn classifier(clamp: Clamp, change: impl FnOnce(&mut Build, ValueId)) -> (Graph, ValueId) {
    let mut b = Build::default();
    let x = b.input("x", &[1, 12]);
    let w = b.weights(&[12, 5]);
    let bias = b.f32(&[5], &[3.0, 2.0, -40.0, 4.0, 1.0]);
    let op = ops::Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: false, clamp };
    let z = b.node(op, &[x, w, bias]);
    change(&mut b, z);
    let r = b.reshape(z, &[1, 5]);
    let y = b.node(ops::Softmax { axis: -1, flatten: false }, &[r]);
    b.output(y);
    (b.graph, z)
}

#[test]
fn a_shift_keeps_probabilities_and_brings_the_largest_together() {
    let (graph, z) = classifier(Clamp::NONE, |_, _| {});
    let mut shifted = graph.clone();
    let changed = with_samples(&graph, 8, |s| logits::shift(&mut shifted, s, &WHICH));
    assert_eq!(changed, Ok(1));
    assert_same(&graph, &shifted);
    let spread = |graph: &Graph| {
        let trace = kiln_compiler::quant::Trace::new(graph, &[z]).expect("it lowers");
        let mut tops = vec![];
        for i in WHICH {
            let x = super::sample(&graph.value(graph.inputs[0]).ty, i);
            let top = |t: &kiln_compiler::tensor::Tensor| t.to_f32s().into_iter().fold(f32::MIN, f32::max);
            trace.run(&x, &mut |_, t| tops.push(top(t))).expect("it runs");
        }
        let mean = tops.iter().sum::<f32>() / 8.0;
        (mean, tops.iter().map(|t| (t - mean).powi(2)).sum::<f32>())
    };
    let ((_, before), (mean, after)) = (spread(&graph), spread(&shifted));
    assert!(mean.abs() < 1e-3 && after < 0.3 * before, "mean {mean}, {before} became {after}");
}

#[test]
fn a_shift_leaves_alone_what_others_see() {
    let output: fn(&mut Build, ValueId) = |b, z| b.output(z);
    let reader: fn(&mut Build, ValueId) = |b, z| {
        let y = b.relu(z);
        b.output(y);
    };
    let none: fn(&mut Build, ValueId) = |_, _| {};
    for (clamp, change) in [(Clamp::NONE, output), (Clamp::NONE, reader), (Clamp::RELU, none)] {
        let (graph, _) = classifier(clamp, change);
        let mut shifted = graph.clone();
        let changed = with_samples(&graph, 8, |s| logits::shift(&mut shifted, s, &WHICH));
        assert_eq!((changed, shifted.to_string()), (Ok(0), graph.to_string()));
    }
}

#[test]
fn the_tail_is_cut_below_what_can_win() {
    let (graph, z) = classifier(Clamp::NONE, |_, _| {});
    let sites = Sites::of(&graph, &|_| false);
    let mut ranges = Bounds::from([(z, (-45.0, 6.0))]);
    with_samples(&graph, 8, |s| logits::tail(&graph, &sites, s, &WHICH, &mut ranges)).expect("it runs");
    let (low, high) = ranges[&z];
    // The largest logits are about 3: 8 and ln 5 below that.
    assert!((-9.0..-5.0).contains(&low) && high == 6.0, "{low} to {high}");
    let mut tight = Bounds::from([(z, (-1.0, 6.0))]);
    with_samples(&graph, 8, |s| logits::tail(&graph, &sites, s, &WHICH, &mut tight)).expect("it runs");
    assert_eq!(tight[&z], (-1.0, 6.0));
    let (graph, z) = classifier(Clamp::NONE, |b, z| b.output(z));
    let mut seen = Bounds::from([(z, (-45.0, 6.0))]);
    with_samples(&graph, 8, |s| logits::tail(&graph, &sites, s, &WHICH, &mut seen)).expect("it runs");
    assert_eq!(seen[&z], (-45.0, 6.0), "an output of the model keeps its range");
}

#[test]
fn the_score_sees_logits_through_a_softmax() {
    let (graph, _) = classifier(Clamp::NONE, |_, _| {});
    assert!(softmax_input(&graph, graph.outputs[0]).is_some());
    assert!(softmax_input(&graph, graph.inputs[0]).is_none());
    let z = [4.0, 1.0, -30.0];
    let noise = |q: &[f32]| decision(&z, q).noise;
    assert!(noise(&[5.0, 2.0, -29.0]) < 1e-9, "a shift is no error");
    assert!(noise(&[4.0, 1.0, -17.0]) < 1e-6, "nor is what lies far below");
    assert!(noise(&[4.0, 1.5, -30.0]) > 1e-3);
    assert!((plain(&[3.0, 4.0], &[3.0, 3.9]).db() - 33.98).abs() < 0.01);
    assert!(plain(&[1.0], &[f32::NAN]).db() == f64::NEG_INFINITY);
    assert!(plain(&[1.0], &[1.0]).db() == f64::INFINITY);
}

#[test]
fn faint_probabilities_get_a_range_of_their_own() {
    let find = |classes: usize| {
        let mut b = Build::default();
        let x = b.input("x", &[1, 12]);
        let w = b.weights(&[12, classes]);
        let z = b.gemm(x, w);
        let y = b.node(ops::Softmax { axis: -1, flatten: false }, &[z]);
        b.output(y);
        let sites = Sites::of(&b.graph, &|_| false);
        let mut ranges = Bounds::new();
        with_samples(&b.graph, 8, |s| logits::faint(&b.graph, &sites, s, &WHICH, &mut ranges))
            .expect("it runs");
        (ranges.get(&y).copied(), b.graph, y, sites)
    };
    assert_eq!(find(3).0, None, "probabilities of three classes are not faint");
    let (range, graph, y, sites) = find(400);
    let (low, high) = range.expect("a range");
    assert!(low == 0.0 && (0.0025..0.25).contains(&high), "{low} to {high}");
    let scheme =
        Scheme::new(&graph, &sites, &Bounds::from([(y, (low, high)), (graph.inputs[0], (-1.0, 1.0))]));
    assert_eq!(scheme.values[&y].params, quant::int8_params((low, high)));
}
