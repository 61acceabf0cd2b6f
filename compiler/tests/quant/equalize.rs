//! Cross-layer equalization.

use super::build::{Build, conv_op, find, window};
use super::{assert_same, outputs};
use kiln_compiler::graph::{Graph, ValueId};
use kiln_compiler::ops::shared::Clamp;
use kiln_compiler::ops::{self, Op};
use kiln_compiler::quant::Trace;
use kiln_compiler::quant::equalize::{Balance, ChannelRanges, equalize};
use kiln_compiler::tensor::Tensor;

const BALANCES: [Balance; 3] = [Balance::Weights, Balance::Activations(0.5), Balance::Activations(1.0)];

/// A convolution with a fused clamp whose output channels are up to 30 to 1.
fn uneven(b: &mut Build, x: ValueId, outputs: usize, inputs: usize, clamp: Clamp) -> ValueId {
    let w = b.weights(&[outputs, inputs, 3, 3]);
    let values = b.graph.constant(w).expect("a constant").to_f32s();
    let per = values.len() / outputs;
    let scale = |i: usize| 30f32.powf((i / per) as f32 / (outputs - 1) as f32 - 0.5);
    let scaled: Vec<f32> = values.iter().enumerate().map(|(i, v)| v * scale(i)).collect();
    let w = b.f32(&[outputs, inputs, 3, 3], &scaled);
    let bias = b.weights(&[outputs]);
    b.node(ops::Conv { clamp, ..conv_op(1) }, &[x, w, bias])
}

/// The largest magnitude of each channel of the outputs of all layers, over some samples.
fn ranges(graph: &Graph) -> ChannelRanges {
    let nodes = graph.node_ids();
    let layers = nodes.iter().filter(|id| matches!(graph.node(**id).op, Op::Conv(_) | Op::Gemm(_)));
    let wanted: Vec<ValueId> = layers.map(|id| graph.node(*id).outputs[0]).collect();
    let trace = Trace::new(graph, &wanted).unwrap_or_else(|d| panic!("{d}"));
    let mut found = ChannelRanges::new();
    for index in 0..3 {
        let input = super::sample(&graph.value(graph.inputs[0]).ty, index);
        let mut visit = |i: usize, t: &Tensor| {
            let (channels, inner) = (t.shape()[1], t.shape()[2..].iter().product::<usize>());
            let list = found.entry(wanted[i]).or_insert_with(|| vec![0f32; channels]);
            for (at, v) in t.to_f32s().iter().enumerate() {
                let m = &mut list[at / inner % channels];
                *m = m.max(v.abs());
            }
        };
        trace.run(&input, &mut visit).unwrap_or_else(|d| panic!("{d}"));
    }
    found
}

/// Equalizes in every way; the outputs must stay. Returns how many layers changed, by data.
fn check(graph: &Graph) -> usize {
    let mut changed = 0;
    for balance in BALANCES {
        let mut other = graph.clone();
        changed = equalize(&mut other, balance, &ranges(graph)).unwrap_or_else(|d| panic!("{d}"));
        assert_same(graph, &other);
    }
    changed
}

/// Conv, depthwise Conv, pooling, Flatten, Gemm.
fn chain(clamp: Clamp) -> Build {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3, 8, 8]);
    let a = uneven(&mut b, x, 6, 3, clamp);
    let (w, bias) = (b.weights(&[6, 1, 3, 3]), b.weights(&[6]));
    let d = b.node(ops::Conv { groups: 6, clamp, ..conv_op(1) }, &[a, w, bias]);
    let p = b.node(ops::MaxPool { window: window(&[4, 4], 0) }, &[d]);
    let f = b.reshape(p, &[1, -1]);
    let features = b.graph.value(f).ty.shape[1];
    let w = b.weights(&[features, 4]);
    let y = b.gemm(f, w);
    b.output(y);
    b
}

#[test]
fn a_chain_keeps_its_function_and_evens_out() {
    let graph = chain(Clamp::RELU).graph;
    assert_eq!(check(&graph), 2, "all layers but the last");
    let spread = |graph: &Graph, value: ValueId| {
        let list = ranges(graph)[&value].clone();
        list.iter().copied().fold(0f32, f32::max) / list.iter().copied().fold(f32::INFINITY, f32::min)
    };
    let first = find(&graph, "Conv").outputs[0];
    assert!(spread(&graph, first) > 5.0);
    let mut even = graph.clone();
    equalize(&mut even, Balance::Activations(1.0), &ranges(&graph)).expect("it works");
    assert!(spread(&even, first) < 1.001, "a depthwise layer behind has no price");
}

#[test]
fn the_paper_makes_weights_of_two_layers_alike() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let a = uneven(&mut b, x, 4, 2, Clamp::RELU);
    let y = b.conv(a, 3, 4, 3);
    b.output(y);
    let mut even = b.graph.clone();
    assert_eq!(equalize(&mut even, Balance::Weights, &ChannelRanges::new()), Ok(1));
    assert_same(&b.graph, &even);
    let nodes = even.node_ids();
    let weights = |i: usize| {
        let id = nodes.iter().filter(|id| even.node(**id).op.name() == "Conv").nth(i).expect("two layers");
        even.constant(even.node(*id).inputs[1].expect("weights")).expect("a constant").to_f32s()
    };
    let (before, behind) = (weights(0), weights(1));
    for c in 0..4 {
        let r1 = before[c * 18..(c + 1) * 18].iter().fold(0f32, |m, w| m.max(w.abs()));
        let r2 =
            (0..3).flat_map(|o| behind[o * 36 + c * 9..][..9].to_vec()).fold(0f32, |m, w| m.max(w.abs()));
        assert!((r1 / r2 - 1.0).abs() < 1e-3, "channel {c}: {r1} and {r2}");
    }
}

#[test]
fn residual_additions_tie_their_operands() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3, 6, 6]);
    let a = uneven(&mut b, x, 4, 3, Clamp::RELU);
    let c = uneven(&mut b, a, 4, 4, Clamp::NONE);
    let sum = b.node(ops::Add { clamp: Clamp::RELU }, &[a, c]);
    let y = b.conv(sum, 2, 4, 1);
    b.output(y);
    assert_eq!(check(&b.graph), 2);
}

#[test]
fn channels_are_followed_through_moves() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3, 4, 4]);
    let (a, c) = (uneven(&mut b, x, 4, 3, Clamp::RELU), uneven(&mut b, x, 2, 3, Clamp::RELU));
    let joined = b.node(ops::Concat { axis: 1 }, &[a, c]);
    // A channel shuffle.
    let s = b.reshape(joined, &[1, 2, 3, 4, 4]);
    let s = b.transpose(s, &[0, 2, 1, 3, 4]);
    let s = b.reshape(s, &[1, 6, 4, 4]);
    let (starts, ends, axes) = (b.i64(&[1]), b.i64(&[5]), b.i64(&[1]));
    let s = b.node(ops::Slice, &[s, starts, ends, axes]);
    let s = b.relu(s);
    let y = b.conv(s, 2, 4, 3);
    b.output(y);
    assert_eq!(check(&b.graph), 2);
}

#[test]
fn a_ceiling_lets_channels_grow_as_far_as_the_samples_reach() {
    let relu6 = Clamp { min: 0.0, max: 6.0 };
    let graph = chain(relu6).graph;
    let mut other = graph.clone();
    assert_eq!(equalize(&mut other, Balance::Weights, &ChannelRanges::new()), Ok(0), "nothing is known");
    assert_eq!(outputs(&graph, 0), outputs(&other, 0));
    let known = ranges(&graph);
    assert_eq!(equalize(&mut other, Balance::Activations(1.0), &known), Ok(2));
    assert_same(&graph, &other);
    let first = find(&graph, "Conv").outputs[0];
    for (old, new) in known[&first].iter().zip(&ranges(&other)[&first]) {
        assert!(*new >= old * 0.999 && *new <= 6.0, "{old} became {new}");
    }
}

#[test]
fn what_is_not_homogeneous_is_left_alone() {
    type Between = fn(&mut Build, ValueId) -> ValueId;
    let betweens: [(&str, Between); 6] = [
        ("a clamp from below", |b, x| {
            let (low, high) = (b.f32(&[], &[-1.0]), b.f32(&[], &[4.0]));
            b.node(ops::Clip, &[x, low, high])
        }),
        ("a sigmoid", |b, x| b.node(ops::Sigmoid, &[x])),
        ("an added constant", |b, x| {
            let c = b.weights(&[4, 1, 1]);
            b.add(x, c)
        }),
        ("a product", |b, x| b.mul(x, x)),
        ("an output of the model", |b, x| {
            b.output(x);
            x
        }),
        ("padding with ones", |b, x| {
            let (pads, one) = (b.i64(&[0, 0, 1, 1, 0, 0, 1, 1]), b.f32(&[], &[1.0]));
            b.node(ops::Pad, &[x, pads, one])
        }),
    ];
    for (what, between) in betweens {
        let mut b = Build::default();
        let x = b.input("x", &[1, 3, 4, 4]);
        let a = uneven(&mut b, x, 4, 3, Clamp::NONE);
        let a = between(&mut b, a);
        let y = b.conv(a, 2, 4, 3);
        b.output(y);
        assert_eq!(check(&b.graph), 0, "{what}");
    }
}

#[test]
fn dead_channels_and_computed_weights_stay() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let w = b.f32(&[2, 2, 1, 1], &[0.0, 0.0, 1.0, -1.0]);
    let a = b.node(ops::Conv { clamp: Clamp::RELU, ..conv_op(0) }, &[x, w]);
    let y = b.conv(a, 2, 2, 1);
    b.output(y);
    check(&b.graph);
    let mut b = Build::default();
    let x = b.input("x", &[4, 4]);
    let y = b.gemm(x, x);
    let w = b.weights(&[4, 3]);
    let z = b.gemm(y, w);
    b.output(z);
    assert_eq!(check(&b.graph), 0);
}
