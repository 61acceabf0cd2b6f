//! fuse_clamp.

use crate::build::{Build, find, operators, window};
use kiln_compiler::ops::{self, Op};
use kiln_compiler::passes::FuseClamp;

#[test]
fn activations_that_clamp_go_into_the_producer() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let y = b.conv(x, 2, 2, 3);
    let y = b.relu(y);
    let (zero, six) = (b.f32(&[], &[-1.0]), b.f32(&[], &[0.25]));
    let y = b.node(ops::Clip, &[y, zero, six]);
    let z = b.add(y, x);
    let z = b.relu(z);
    let z = b.mul(z, y);
    let z = b.relu(z);
    b.output(z);
    let graph = b.run(&[&FuseClamp]);
    assert_eq!(operators(&graph), "Conv Add Mul");
    let Op::Conv(conv) = &find(&graph, "Conv").op else { panic!() };
    assert_eq!((conv.clamp.min, conv.clamp.max), (0.0, 0.25));
    assert_eq!(find(&graph, "Conv").origin.nodes, ["conv", "relu", "clip"]);
}

#[test]
fn one_reader_of_several_stays_alone() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let y = b.conv(x, 2, 2, 3);
    let z = b.relu(y);
    let z = b.add(y, z);
    b.output(z);
    // The sum is an output of the model, and its clamp another one.
    let last = b.relu(z);
    b.output(last);
    assert_eq!(b.after(&FuseClamp), "Conv Relu Add Relu");
}

#[test]
fn other_activations_stay() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let y = b.conv(x, 2, 2, 3);
    let y = b.node(ops::Tanh, &[y]);
    let y = b.relu(y);
    b.output(y);
    assert_eq!(b.after(&FuseClamp), "Conv Tanh Relu");
}

#[test]
fn a_clamp_behind_a_concatenation_goes_into_its_parts() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let p = b.conv(x, 2, 2, 3);
    let p = b.node(ops::MaxPool { window: window(&[2, 2], 0) }, &[p]);
    let q = b.relu(x);
    let q = b.node(ops::AveragePool { window: window(&[2, 2], 0), count_include_pad: false }, &[q]);
    let y = b.node(ops::Concat { axis: 1 }, &[p, q]);
    let y = b.relu(y);
    b.output(y);
    let graph = b.run(&[&FuseClamp]);
    assert_eq!(operators(&graph), "Conv MaxPool Relu AveragePool Concat");
    let Op::Conv(conv) = &find(&graph, "Conv").op else { panic!() };
    assert_eq!(conv.clamp.min, 0.0);
}

#[test]
fn a_part_that_cannot_clamp_keeps_it_behind() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 2, 4, 4]);
    let y = b.conv(x, 2, 2, 3);
    let y = b.node(ops::Concat { axis: 1 }, &[y, x]);
    let y = b.relu(y);
    b.output(y);
    let graph = b.run(&[&FuseClamp]);
    assert_eq!(operators(&graph), "Conv Concat Relu");
    let Op::Conv(conv) = &find(&graph, "Conv").op else { panic!() };
    assert_eq!(conv.clamp, ops::shared::Clamp::NONE);
}
