//! Constant channels go, with what fed only them, and no bit of any output changes.

use kiln_compiler::graph::{Graph, Origin, ValueId, verify};
use kiln_compiler::ops::shared::{AutoPad, Clamp, Padding, WindowSpec};
use kiln_compiler::ops::{self, Op};
use kiln_compiler::quant::{Removed, remove_constant_channels};
use kiln_compiler::tensor::{ElemType, QParams, Tensor, TensorType};
use kiln_compiler::{lower, program};

/// Zero point of every activation.
const ZERO: i32 = -3;

/// An integer graph under construction, and a source of numbers.
struct Net {
    graph: Graph,
    seed: u32,
}

impl Net {
    fn new() -> Net {
        Net { graph: Graph::default(), seed: 1 }
    }

    fn number(&mut self) -> i8 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.seed >> 24) as i8
    }

    fn input(&mut self, shape: &[usize]) -> ValueId {
        let x = self.graph.add_value("x", TensorType::new(ElemType::I8, shape));
        self.graph.value_mut(x).qparams = Some(QParams::per_tensor(0.1, ZERO));
        self.graph.inputs.push(x);
        x
    }

    fn node(&mut self, op: impl Into<Op>, inputs: Vec<ValueId>) -> ValueId {
        let op = op.into();
        let name = op.name().to_lowercase();
        let inputs = inputs.into_iter().map(Some).collect();
        let y = self.graph.insert(&name, op, inputs, Origin::default()).unwrap_or_else(|d| panic!("{d}"));
        self.graph.value_mut(y).qparams = Some(QParams::per_tensor(0.1, ZERO));
        y
    }

    /// Weights, those of the channels `still` zero; biases, which make of a channel `still[..].1` plus the zero point.
    fn tables(&mut self, shape: &[usize], still: &[(usize, i32)]) -> [ValueId; 2] {
        let size: usize = shape[1..].iter().product();
        let numbers: Vec<i8> = (0..shape[0] * size).map(|_| self.number() / 2).collect();
        let constant = |o: usize| still.iter().find(|(channel, _)| *channel == o);
        let weights: Vec<i8> = numbers
            .iter()
            .enumerate()
            .map(|(i, w)| if constant(i / size).is_some() { 0 } else { *w })
            .collect();
        // Scales: 0.1 * 0.01 / 0.1, so that a hundred of the accumulator are a step.
        let bias: Vec<i32> =
            (0..shape[0]).map(|o| constant(o).map_or(o as i32 * 90 - 100, |c| c.1 * 100)).collect();
        let w = self.graph.add_constant("w", Tensor::from_i8(shape, &weights));
        let b = self.graph.add_constant("b", Tensor::from_i32(&[shape[0]], &bias));
        self.graph.value_mut(w).qparams = Some(QParams::per_tensor(0.01, 0));
        self.graph.value_mut(b).qparams = Some(QParams::per_tensor(0.001, 0));
        [w, b]
    }

    fn conv(
        &mut self,
        x: ValueId,
        outputs: usize,
        k: usize,
        groups: usize,
        still: &[(usize, i32)],
    ) -> ValueId {
        let inputs = self.graph.value(x).ty.shape[1] / groups;
        let [w, b] = self.tables(&[outputs, inputs, k, k], still);
        let padding = Padding { auto: AutoPad::NotSet, pads: vec![k / 2; 4] };
        let window =
            WindowSpec { kernel: vec![], strides: vec![], dilations: vec![], padding, ceil_mode: false };
        self.node(ops::Conv { window, groups, clamp: Clamp::NONE }, vec![x, w, b])
    }

    fn gemm(&mut self, x: ValueId, outputs: usize) -> ValueId {
        let inputs = self.graph.value(x).ty.shape[1];
        let [w, b] = self.tables(&[outputs, inputs], &[]);
        let op = ops::Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: true, clamp: Clamp::NONE };
        self.node(op, vec![x, w, b])
    }

    /// Channels of every activation after the rewrite, whose outputs are compared on random and extreme inputs.
    fn check(mut self, output: ValueId) -> (Vec<usize>, Vec<Removed>) {
        self.graph.outputs.push(output);
        let mut after = self.graph.clone();
        let removed = remove_constant_channels(&mut after).unwrap_or_else(|d| panic!("{d}"));
        verify(&after).unwrap_or_else(|e| panic!("{e}\n{after}"));
        let programs = [&self.graph, &after].map(|g| lower::lower(g).unwrap_or_else(|d| panic!("{d}")));
        let ty = self.graph.value(self.graph.inputs[0]).ty.clone();
        for case in 0..50 {
            let fill = |_| match case {
                0 => -128,
                1 => 127,
                _ => self.number(),
            };
            let values: Vec<i8> = (0..ty.elements()).map(fill).collect();
            let input = Tensor::from_i8(&ty.shape, &values);
            let [before, now] = programs
                .each_ref()
                .map(|p| program::run(p, std::slice::from_ref(&input)).unwrap_or_else(|d| panic!("{d}")));
            assert_eq!(before, now, "case {case}\n{after}");
        }
        let order = after.topological().unwrap_or_default();
        (order.iter().map(|id| after.value(after.node(*id).outputs[0]).ty.shape[1]).collect(), removed)
    }
}

#[test]
fn a_channel_at_the_zero_point_goes_through_padding_and_takes_its_feeders_along() {
    let mut net = Net::new();
    let x = net.input(&[1, 3, 5, 5]);
    let a = net.conv(x, 6, 1, 1, &[]);
    // Channel 4 of the depthwise layer is constant, though what it reads is not.
    let b = net.conv(a, 6, 3, 6, &[(1, 0), (4, 0)]);
    let c = net.conv(b, 5, 3, 1, &[]);
    let (channels, removed) = net.check(c);
    assert_eq!(channels, [4, 4, 5]);
    let [a, b, c] = &removed[..] else { panic!("{removed:?}") };
    assert_eq!((a.constant, a.removed, a.macs_before, a.macs_after), (0, 2, 25 * 18, 25 * 12));
    assert_eq!((b.constant, b.removed, b.macs_after), (2, 2, 25 * 4 * 9));
    assert_eq!((c.constant, c.removed, c.macs_after), (0, 0, 25 * 5 * 4 * 9));
}

#[test]
fn another_constant_stays_a_plane_in_front_of_padding_and_goes_where_there_is_none() {
    for (k, kept) in [(3, 4), (1, 3)] {
        let mut net = Net::new();
        let x = net.input(&[1, 2, 4, 4]);
        let a = net.conv(x, 4, 1, 1, &[(2, 17)]);
        let b = net.conv(a, 3, k, 1, &[]);
        assert_eq!(net.check(b).0, [kept, 3], "kernel {k}");
    }
}

#[test]
fn a_constant_that_an_add_joins_with_a_moving_channel_stays_small() {
    let mut net = Net::new();
    let x = net.input(&[1, 2, 4, 4]);
    let a = net.conv(x, 4, 1, 1, &[(0, 9), (2, 9)]);
    let b = net.conv(x, 4, 1, 1, &[(0, -30), (3, 5)]);
    let sum = net.node(ops::Add { clamp: Clamp::NONE }, vec![a, b]);
    let relu = net.node(ops::Relu, vec![sum]);
    let c = net.conv(relu, 3, 1, 1, &[]);
    let (channels, removed) = net.check(c);
    assert_eq!(channels, [3, 3, 3, 3, 3]);
    assert_eq!(removed.iter().map(|r| r.removed).collect::<Vec<_>>(), [1, 1, 0]);
}

#[test]
fn channels_are_followed_through_pools_concat_and_reshape() {
    let mut net = Net::new();
    let x = net.input(&[1, 2, 4, 4]);
    let a = net.conv(x, 3, 1, 1, &[(1, 4)]);
    let b = net.conv(x, 2, 1, 1, &[(0, 7)]);
    let joined = net.node(ops::Concat { axis: 1 }, vec![a, b]);
    let shape = net.graph.add_constant("shape", Tensor::from_i64(&[2], &[1, 80]));
    let flat = net.node(ops::Reshape::default(), vec![joined, shape]);
    let y = net.gemm(flat, 4);
    assert_eq!(net.check(y).0, [2, 1, 3, 48, 4]);

    let mut net = Net::new();
    let x = net.input(&[1, 2, 4, 4]);
    let a = net.conv(x, 5, 1, 1, &[(0, 7), (4, -9)]);
    let pooled = net.node(ops::GlobalAveragePool, vec![a]);
    let flat = net.node(ops::Flatten { axis: 1 }, vec![pooled]);
    let y = net.gemm(flat, 4);
    assert_eq!(net.check(y).0, [3, 3, 3, 4]);
}

#[test]
fn one_channel_stays_where_all_are_constant() {
    let mut net = Net::new();
    let x = net.input(&[1, 2, 4, 4]);
    let a = net.conv(x, 2, 1, 1, &[(0, 7), (1, 8)]);
    let b = net.conv(a, 3, 1, 1, &[]);
    assert_eq!(net.check(b).0, [1, 3]);
}

#[test]
fn outputs_of_the_model_and_unknown_readers_keep_their_channels() {
    let mut net = Net::new();
    let x = net.input(&[1, 2, 4, 4]);
    let a = net.conv(x, 4, 1, 1, &[(1, 7)]);
    assert_eq!(net.check(a).0, [4]);

    let mut net = Net::new();
    let x = net.input(&[1, 2, 4, 4]);
    let a = net.conv(x, 4, 1, 1, &[(1, 7)]);
    let turned = net.node(ops::Transpose { perm: Some(vec![0, 2, 3, 1]) }, vec![a]);
    assert_eq!(net.check(turned).0, [4, 4]);
}

#[test]
fn nothing_changes_where_nothing_is_constant() {
    let mut net = Net::new();
    let x = net.input(&[1, 2, 4, 4]);
    let a = net.conv(x, 4, 3, 1, &[]);
    let b = net.conv(a, 4, 3, 4, &[]);
    let (channels, removed) = net.check(b);
    assert_eq!((channels, removed), (vec![4, 4], vec![]));
}
