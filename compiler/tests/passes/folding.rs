//! fold_constants, fold_batch_normalization, fold_pad, fold_add_into_bias.

use crate::build::{Build, conv_op, find, operators, window};
use kiln_compiler::ops::shared::{AutoPad, Clamp};
use kiln_compiler::ops::{self, Op};
use kiln_compiler::passes::{
    FoldAddIntoBias, FoldBatchNormalization, FoldConstants, FoldPad, FuseClamp, MatMulToGemm,
};
use kiln_compiler::tensor::Tensor;

#[test]
fn what_depends_on_constants_is_computed() {
    let mut b = Build::default();
    let x = b.input("x", &[2, 3]);
    let c = b.weights(&[3, 2]);
    let c = b.relu(c);
    let c = b.transpose(c, &[1, 0]);
    let d = b.weights(&[3]);
    let c = b.add(c, d);
    let y = b.mul(x, c);
    b.output(y);
    assert_eq!(b.after(&FoldConstants { dequantize: false }), "Mul");
}

#[test]
fn weights_stay_quantized_until_the_end() {
    let mut b = Build::default();
    let x = b.input("x", &[2]);
    let w = b.constant(Tensor::from_i8(&[2], &[3, -4]));
    let w = b.dequantize(w, 0.5, 1);
    let y = b.mul(x, w);
    b.output(y);
    assert_eq!(b.after(&FoldConstants { dequantize: false }), "DequantizeLinear Mul");
    assert_eq!(b.after(&FoldConstants { dequantize: true }), "Mul");
}

/// `normalize(conv(x))` with a bias in between.
fn normalized(b: &mut Build) -> kiln_compiler::graph::ValueId {
    let x = b.input("x", &[1, 2, 4, 4]);
    let (w, bias) = (b.weights(&[3, 2, 3, 3]), b.weights(&[3]));
    b.node(conv_op(1), &[x, w, bias])
}

fn normalize(
    b: &mut Build,
    x: kiln_compiler::graph::ValueId,
    channels: usize,
) -> kiln_compiler::graph::ValueId {
    let (gamma, beta, mean) = (b.weights(&[channels]), b.weights(&[channels]), b.weights(&[channels]));
    let variance = b.f32(&[channels], &vec![0.7; channels]);
    b.node(ops::BatchNormalization { epsilon: 1e-3 }, &[x, gamma, beta, mean, variance])
}

#[test]
fn a_normalization_becomes_weights() {
    let mut b = Build::default();
    let x = normalized(&mut b);
    let y = normalize(&mut b, x, 3);
    let k = b.weights(&[1, 3, 1, 1]);
    let y = b.mul(k, y);
    let y = b.relu(y);
    b.output(y);
    let graph = b.run(&[&FoldBatchNormalization, &FuseClamp]);
    assert_eq!(operators(&graph), "Conv");
    assert_eq!(find(&graph, "Conv").origin.nodes, ["conv", "batchnormalization", "mul", "relu"]);
}

#[test]
fn a_normalization_becomes_weights_of_a_dense_layer() {
    for trans_b in [false, true] {
        let mut b = Build::default();
        let x = b.input("x", &[2, 4]);
        let w = b.weights(if trans_b { &[3, 4] } else { &[4, 3] });
        let c = b.weights(&[1, 3]);
        let op = ops::Gemm { alpha: 0.5, beta: 2.0, trans_a: false, trans_b, clamp: Clamp::NONE };
        let y = b.node(op, &[x, w, c]);
        let y = normalize(&mut b, y, 3);
        b.output(y);
        assert_eq!(b.after(&FoldBatchNormalization), "Gemm");
    }
}

#[test]
fn a_normalization_behind_an_activation_or_a_fork_stays() {
    let mut b = Build::default();
    let x = normalized(&mut b);
    let y = b.relu(x);
    let y = normalize(&mut b, y, 3);
    b.output(y);
    assert_eq!(b.after(&FoldBatchNormalization), "Conv Relu BatchNormalization");
    assert_eq!(b.after_all(), "Conv BatchNormalization");
    let mut b = Build::default();
    let x = normalized(&mut b);
    let y = normalize(&mut b, x, 3);
    let y = b.add(x, y);
    b.output(y);
    assert_eq!(b.after(&FoldBatchNormalization), "Conv BatchNormalization Add");
}

#[test]
fn padding_moves_into_the_window() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let pads = b.i64(&[0, 0, 1, 2, 0, 0, 0, 1]);
    let y = b.node(ops::Pad, &[x, pads]);
    let mut conv = conv_op(0);
    conv.window.padding.auto = AutoPad::Valid;
    conv.window.padding.pads = vec![];
    let w = b.weights(&[3, 2, 3, 3]);
    let y = b.node(conv, &[y, w]);
    let y = b.relu(y);
    let y = b.node(ops::Pad, &[y, pads]);
    let y = b.node(ops::AveragePool { window: window(&[2, 2], 0), count_include_pad: false }, &[y]);
    let pads = b.i64(&[1, 1, 1, 1]);
    let (low, axes) = (b.f32(&[], &[f32::NEG_INFINITY]), b.i64(&[2, -1]));
    let y = b.node(ops::Pad, &[y, pads, low, axes]);
    let y = b.node(ops::MaxPool { window: window(&[3, 3], 0) }, &[y]);
    b.output(y);
    let graph = b.run(&[&FoldPad]);
    assert_eq!(operators(&graph), "Conv Relu AveragePool MaxPool");
    let Op::Conv(conv) = &find(&graph, "Conv").op else { panic!() };
    assert_eq!(conv.window.padding.pads, [1, 2, 0, 1]);
}

#[test]
fn padding_passes_conversions() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let pads = b.i64(&[0, 0, 1, 1, 0, 0, 1, 1]);
    let y = b.node(ops::Pad, &[x, pads]);
    let y = b.quantize(y, 0.01, 5);
    let y = b.dequantize(y, 0.01, 5);
    let y = b.conv(y, 3, 2, 3);
    b.output(y);
    assert_eq!(b.after(&FoldPad), "QuantizeLinear DequantizeLinear Conv");
}

#[test]
fn padding_of_integers_counts_from_the_zero_point() {
    for (value, zero, expected) in [
        (5, 5, "QuantizeLinear Transpose DequantizeLinear Conv"),
        (0, 5, "QuantizeLinear Pad Transpose DequantizeLinear Conv"),
    ] {
        let mut b = Build::default();
        let x = b.input("x", &[1, 4, 5, 2]);
        let y = b.quantize(x, 0.01, zero);
        let pads = b.i64(&[0, 1, 2, 0, 0, 1, 2, 0]);
        let constant = b.constant(Tensor::from_i8(&[], &[value as i8]));
        let y = b.node(ops::Pad, &[y, pads, constant]);
        let y = b.transpose(y, &[0, 3, 1, 2]);
        let y = b.dequantize(y, 0.01, zero);
        let mut conv = conv_op(0);
        conv.window.padding.pads = vec![0; 4];
        let w = b.weights(&[3, 2, 3, 3]);
        let y = b.node(conv, &[y, w]);
        b.output(y);
        let graph = b.rewrite(&[&FoldPad]);
        assert_eq!(operators(&graph), expected);
        let Op::Conv(conv) = &find(&graph, "Conv").op else { panic!() };
        assert_eq!(conv.window.padding.pads, if value == zero { [1, 2, 1, 2] } else { [0; 4] });
    }
}

#[test]
fn zeros_next_to_what_is_not_negative_never_win_a_maximum() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let pads = b.i64(&[0, 0, 1, 1, 0, 0, 1, 1]);
    let y = b.relu(x);
    let y = b.node(ops::Pad, &[y, pads]);
    let y = b.node(ops::MaxPool { window: window(&[3, 3], 0) }, &[y]);
    b.output(y);
    assert_eq!(b.after(&FoldPad), "Relu MaxPool");
}

#[test]
fn other_padding_stays() {
    let pool = || ops::MaxPool { window: window(&[3, 3], 0) };
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let pads = b.i64(&[0, 0, 1, 1, 0, 0, 1, 1]);
    // Zeros may win against negative values.
    let y = b.node(ops::Pad, &[x, pads]);
    let y = b.node(pool(), &[y]);
    // Not zero.
    let half = b.f32(&[], &[0.5]);
    let y = b.node(ops::Pad, &[y, pads, half]);
    let y = b.conv(y, 2, 2, 3);
    // Channels.
    let pads = b.i64(&[0, 1, 0, 0, 0, 0, 0, 0]);
    let y = b.node(ops::Pad, &[y, pads]);
    let y = b.conv(y, 2, 3, 3);
    // Cropping.
    let pads = b.i64(&[0, 0, 1, -1, 0, 0, 0, 0]);
    let y = b.node(ops::Pad, &[y, pads]);
    let y = b.conv(y, 2, 2, 3);
    b.output(y);
    assert_eq!(b.after(&FoldPad), "Pad MaxPool Pad Conv Pad Conv Pad Conv");
}

#[test]
fn a_constant_for_each_channel_is_a_bias() {
    let mut b = Build::default();
    let x = normalized(&mut b);
    let (c, one) = (b.weights(&[3, 1, 1]), b.f32(&[], &[0.5]));
    let y = b.add(c, x);
    let y = b.add(y, one);
    let y = b.node(ops::Sub { clamp: Clamp::RELU }, &[y, c]);
    b.output(y);
    let graph = b.run(&[&FoldAddIntoBias]);
    assert_eq!(operators(&graph), "Conv");
    let Op::Conv(conv) = &find(&graph, "Conv").op else { panic!() };
    assert_eq!(conv.clamp, Clamp::RELU);
}

#[test]
fn a_dense_layer_in_three_nodes_becomes_one() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 5, 4]);
    let (w, c) = (b.weights(&[4, 3]), b.weights(&[3]));
    let y = b.node(ops::MatMul, &[x, w]);
    let y = b.add(y, c);
    let y = b.relu(y);
    b.output(y);
    assert_eq!(b.after_all(), "Reshape Gemm Reshape");
}

#[test]
fn a_quantized_bias_stays_quantized() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 4]);
    let w = b.constant(Tensor::from_i8(&[4, 2], &[1, 2, 3, 4, 5, 6, 7, 8]));
    let w = b.dequantize(w, 0.5, 0);
    let c = b.constant(Tensor::from_i32(&[1, 2], &[100, -3]));
    let c = b.dequantize(c, 0.01, 0);
    let y = b.node(ops::MatMul, &[x, w]);
    let y = b.add(y, c);
    b.output(y);
    assert_eq!(b.after_all(), "DequantizeLinear DequantizeLinear Gemm");
}

#[test]
fn other_sums_stay() {
    let mut b = Build::default();
    let x = normalized(&mut b);
    // One number a column.
    let columns = b.weights(&[4]);
    let y = b.add(x, columns);
    b.output(y);
    assert_eq!(b.after_all(), "Conv Add");
    // A sum that makes more of the output.
    let mut b = Build::default();
    let x = b.input("x", &[1, 4]);
    let (w, c) = (b.weights(&[4, 3]), b.weights(&[2, 3]));
    let y = b.gemm(x, w);
    let y = b.add(y, c);
    b.output(y);
    assert_eq!(b.after_all(), "Gemm Add");
    // A layer whose output is read twice.
    let mut b = Build::default();
    let x = normalized(&mut b);
    let c = b.weights(&[3, 1, 1]);
    let y = b.add(x, c);
    let y = b.mul(y, x);
    b.output(y);
    assert_eq!(b.after_all(), "Conv Add Mul");
}

#[test]
fn computed_matrices_stay_a_product() {
    let mut b = Build::default();
    let x = b.input("x", &[2, 2]);
    let y = b.node(ops::MatMul, &[x, x]);
    b.output(y);
    assert_eq!(b.after(&MatMulToGemm), "MatMul");
}
