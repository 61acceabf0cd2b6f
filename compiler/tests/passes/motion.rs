//! cancel_transposes, merge_reshapes, move_quantize, absorb_transpose.

use crate::build::{Build, find, operators, window};
use kiln_compiler::ops;
use kiln_compiler::passes::{
    self, AbsorbTranspose, CancelConversions, CancelTransposes, MergeReshapes, MoveQuantize,
};
use kiln_compiler::tensor::{ElemType, Tensor};

const NCHW: [usize; 4] = [0, 3, 1, 2];
const NHWC: [usize; 4] = [0, 2, 3, 1];

#[test]
fn wrappers_of_layers_vanish() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 5, 4, 3]);
    let mut y = x;
    for channels in [(2, 3), (4, 2)] {
        let t = b.transpose(y, &NCHW);
        let t = b.conv(t, channels.0, channels.1, 3);
        let t = b.transpose(t, &NHWC);
        let bias = b.weights(&[channels.0]);
        let t = b.add(t, bias);
        y = b.relu(t);
    }
    b.output(y);
    assert_eq!(b.after(&CancelTransposes), "Transpose Conv Add Relu Conv Add Relu Transpose");
    assert_eq!(b.after_all(), "Transpose Conv Conv Transpose");
}

#[test]
fn residual_additions_let_them_through() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let x = b.relu(x);
    let shortcut = b.transpose(x, &NHWC);
    let t = b.transpose(shortcut, &NCHW);
    let t = b.conv(t, 2, 2, 3);
    let t = b.transpose(t, &NHWC);
    let y = b.add(t, shortcut);
    let y = b.relu(y);
    let y = b.transpose(y, &NCHW);
    b.output(y);
    assert_eq!(b.after(&CancelTransposes), "Relu Conv Add Relu");
}

#[test]
fn a_gate_of_one_number_a_channel_lets_them_through() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3, 4, 4]);
    let x = b.conv(x, 3, 3, 3);
    let long = b.transpose(x, &NHWC);
    let mean = b.node(ops::GlobalAveragePool, &[x]);
    let gate = b.transpose(mean, &NHWC);
    let y = b.mul(long, gate);
    let y = b.transpose(y, &NCHW);
    b.output(y);
    assert_eq!(b.after_all(), "Conv GlobalAveragePool Mul");
}

#[test]
fn axes_are_renamed() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3, 4, 6]);
    let t = b.transpose(x, &NHWC);
    let y = b.node(ops::Concat { axis: -1 }, &[t, t]);
    let y = b
        .node(ops::ReduceMean { axes: Some(vec![1, 2]), keepdims: false, noop_with_empty_axes: false }, &[y]);
    b.output(y);
    let graph = b.run(&[&CancelTransposes]);
    assert_eq!(operators(&graph), "Concat ReduceMean");
    let ops::Op::ReduceMean(mean) = &find(&graph, "ReduceMean").op else { panic!() };
    assert_eq!(mean.axes, Some(vec![2, 3]));
}

#[test]
fn slices_and_pads_let_them_through() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3, 4, 6]);
    let t = b.transpose(x, &NHWC);
    let (starts, ends, axes) = (b.i64(&[1, 0]), b.i64(&[3, 2]), b.i64(&[1, 3]));
    let y = b.node(ops::Slice, &[t, starts, ends, axes]);
    let pads = b.i64(&[0, 1, 2, 0, 0, 0, 1, 3]);
    let y = b.node(ops::Pad, &[y, pads]);
    let y = b.transpose(y, &NCHW);
    b.output(y);
    assert_eq!(b.after(&CancelTransposes), "Slice Pad");
}

#[test]
fn a_transposition_of_unit_axes_is_a_reshape() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 1, 4, 6]);
    let y = b.transpose(x, &NHWC);
    b.output(y);
    assert_eq!(b.after(&CancelTransposes), "Reshape");
}

#[test]
fn reshapes_of_unit_axes_let_them_through() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 5, 3]);
    let y = b.reshape(x, &[1, 1, 5, 3]);
    let y = b.transpose(y, &NCHW);
    let y = b.conv(y, 2, 3, 1);
    let y = b.transpose(y, &NHWC);
    let y = b.reshape(y, &[1, 5, 2]);
    let y = b.relu(y);
    let y = b.reshape(y, &[1, 1, 5, 2]);
    let y = b.transpose(y, &NCHW);
    let y = b.conv(y, 2, 2, 1);
    b.output(y);
    assert_eq!(b.after_all(), "Reshape Transpose Conv Conv");
}

#[test]
fn what_needs_the_order_stops_them() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3, 4, 6]);
    let other = b.input("other", &[1, 4, 6, 3]);
    let y = b.transpose(x, &NHWC);
    let y = b.add(y, other);
    let y = b.transpose(y, &NCHW);
    // A channel shuffle: the reshape behind it merges two real axes.
    let y = b.reshape(y, &[1, 3, 2, 2, 6]);
    let y = b.transpose(y, &[0, 2, 1, 3, 4]);
    let y = b.reshape(y, &[1, 6, 2, 6]);
    b.output(y);
    assert_eq!(b.after(&CancelTransposes), "Transpose Add Transpose Reshape Transpose Reshape");
}

#[test]
fn chains_of_reshapes_become_one() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 4, 6]);
    let y = b.reshape(x, &[1, 4, 1, 6]);
    let y = b.relu(y);
    let c = b.weights(&[4, 1, 1]);
    let y = b.add(y, c);
    let y = b.reshape(y, &[4, -1]);
    b.output(y);
    assert_eq!(b.after(&MergeReshapes), "Relu Add Reshape");
}

#[test]
fn a_constant_that_does_not_fit_stops_a_reshape() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 4, 6]);
    let y = b.reshape(x, &[1, 24]);
    let y = b.reshape(y, &[3, 8]);
    let c = b.weights(&[8]);
    let y = b.add(y, c);
    let y = b.node(ops::Softmax { axis: -1, flatten: false }, &[y]);
    b.output(y);
    assert_eq!(b.after(&MergeReshapes), "Reshape Add Softmax");
}

#[test]
fn movers_go_between_the_conversions() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let q = b.quantize(x, 0.02, 3);
    let y = b.dequantize(q, 0.02, 3);
    let y = b.node(ops::MaxPool { window: window(&[2, 2], 0) }, &[y]);
    let y = b.transpose(y, &NHWC);
    let y = b.quantize(y, 0.02, 3);
    let y = b.dequantize(y, 0.02, 3);
    b.output(y);
    let graph = b.run(&[&MoveQuantize, &CancelConversions]);
    assert_eq!(operators(&graph), "QuantizeLinear MaxPool Transpose DequantizeLinear");
    assert_eq!(graph.value(find(&graph, "MaxPool").outputs[0]).ty.elem, ElemType::I8);
}

#[test]
fn another_scale_is_a_conversion() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let y = b.quantize(x, 0.02, 3);
    let y = b.dequantize(y, 0.02, 3);
    let y = b.quantize(y, 0.03, 3);
    let y = b.dequantize(y, 0.03, 3);
    let y = b.relu(y);
    b.output(y);
    let all = "QuantizeLinear DequantizeLinear QuantizeLinear DequantizeLinear Relu";
    assert_eq!(operators(&b.run(&[&MoveQuantize, &CancelConversions])), all);
}

#[test]
fn scales_of_channels_follow_their_axis() {
    let mut b = Build::default();
    let x = b.input("x", &[2, 3]);
    let w = b.constant(Tensor::from_i8(&[4, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
    let scale = b.f32(&[4], &[0.1, 0.2, 0.3, 0.4]);
    let w = b.node(ops::DequantizeLinear { axis: 0, block: 0 }, &[w, scale]);
    let w = b.transpose(w, &[1, 0]);
    let y = b.node(ops::MatMul, &[x, w]);
    b.output(y);
    let graph = b.run(&passes::float_passes());
    assert_eq!(operators(&graph), "DequantizeLinear Gemm");
    let ops::Op::DequantizeLinear(op) = &find(&graph, "DequantizeLinear").op else { panic!() };
    assert_eq!(op.axis, 1);
}

#[test]
fn weights_take_the_order_of_a_flattened_image() {
    for trans_b in [false, true] {
        let mut b = Build::default();
        let x = b.input("x", &[1, 3, 2, 4]);
        let y = b.transpose(x, &NHWC);
        let y = b.reshape(y, &[1, 24]);
        let w = b.weights(if trans_b { &[5, 24] } else { &[24, 5] });
        let clamp = ops::shared::Clamp::NONE;
        let y = b.node(ops::Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b, clamp }, &[y, w]);
        b.output(y);
        assert_eq!(b.after(&AbsorbTranspose), "Reshape Gemm");
    }
}

#[test]
fn a_permuted_batch_stays_permuted() {
    let mut b = Build::default();
    let x = b.input("x", &[3, 2, 4]);
    let y = b.transpose(x, &[1, 0, 2]);
    let y = b.reshape(y, &[2, 12]);
    let w = b.weights(&[12, 5]);
    let y = b.gemm(y, w);
    b.output(y);
    assert_eq!(b.after(&AbsorbTranspose), "Transpose Reshape Gemm");
}
