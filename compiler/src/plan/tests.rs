//! Random programs: a planned run equals a run in which every buffer has its own place.

use super::*;
use crate::kernels::{ConstData, Kernel};
use crate::program::{self, BufferId, Port, Step, image};
use crate::tensor::{ElemType, Tensor, TensorType};
use kiln_runtime_core::{Conv2dI8, FlipSign, Image, Window};

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }
}

const SIDE: usize = 3;

/// A 3x3 image of `channels`, from `first` on, of a buffer with `all` channels, in channel-last layout.
fn part(first: usize, channels: usize, all: usize) -> Image {
    image(first, (SIDE, SIDE * all), (SIDE, all), (channels, 1))
}

fn conv(program: &mut Program, rng: &mut Rng, from: BufferId, to: BufferId, first: usize, channels: usize) {
    let input_channels = program.buffers[from.0].len / (SIDE * SIDE);
    let all = program.buffers[to.0].len / (SIDE * SIDE);
    let one = Window {
        height: 1,
        width: 1,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 0,
        pad_left: 0,
    };
    let kernel = Conv2dI8 {
        input: part(0, input_channels, input_channels),
        output: part(first, channels, all),
        window: one,
        groups: 1,
        input_zero_point: 0,
        output_zero_point: 0,
        min: -128,
        max: 127,
        scratch: 0,
    };
    let weights = (0..channels * input_channels).map(|_| rng.below(256) as u8 as i8).collect();
    let tables = [
        ("weights", ConstData::I8(weights)),
        ("bias", ConstData::I32((0..channels).map(|_| rng.below(1000) as i32 - 500).collect())),
        ("multiplier", ConstData::I32(vec![1 << 26; channels])),
        ("shift", ConstData::U8(vec![])),
        ("weight_zero_point", ConstData::I8(vec![])),
    ];
    let consts = tables.map(|(name, data)| program.constant(name, data)).to_vec();
    push(program, Kernel::Conv2dI8(kernel), from, to, consts);
}

fn push(program: &mut Program, kernel: Kernel, from: BufferId, to: BufferId, consts: Vec<program::ConstId>) {
    let layer = format!("layer{}", program.steps.len());
    let (reads, writes) = (vec![Some(from)], vec![to]);
    program.steps.push(Step { layer, op: "Test".into(), kernel, reads, writes, consts });
}

fn port(program: &Program, buffer: BufferId) -> Port {
    let ty = TensorType::new(ElemType::I8, vec![program.buffers[buffer.0].len]);
    Port { name: format!("port{}", buffer.0), buffer, ty, qparams: None }
}

/// Convolutions from random earlier values, concatenations of two, sign flips, and one to three outputs.
fn random(seed: u64) -> Program {
    let mut rng = Rng(seed);
    let mut program = Program { name: "random".into(), ..Program::default() };
    let inputs = 1 + rng.below(2);
    let mut values: Vec<BufferId> = (0..inputs)
        .map(|i| program.buffer(format!("in{i}"), ElemType::I8, SIDE * SIDE * (1 + rng.below(4))))
        .collect();
    program.inputs = values.iter().map(|b| port(&program, *b)).collect();
    for _ in 0..2 + rng.below(12) {
        let from = values[values.len() - 1 - rng.below(values.len().min(3))];
        let channels = 1 + rng.below(6);
        let kind = rng.below(3);
        let len = if kind == 1 { program.buffers[from.0].len } else { SIDE * SIDE * (channels + 1) };
        let to = program.buffer(format!("v{}", values.len()), ElemType::I8, len);
        if kind == 1 {
            let whole = image(0, (1, len), (1, len), (len, 1));
            push(&mut program, Kernel::FlipSign(FlipSign { input: whole, output: whole }), from, to, vec![]);
        } else {
            let other = values[rng.below(values.len())];
            conv(&mut program, &mut rng, from, to, 0, channels);
            conv(&mut program, &mut rng, other, to, channels, 1);
        }
        values.push(to);
    }
    let outputs = values.split_off(values.len().saturating_sub(1 + rng.below(3)).max(inputs));
    program.outputs = outputs.into_iter().map(|b| port(&program, b)).collect();
    program
}

#[test]
fn planned_runs_equal_unplanned_runs() {
    let (mut reused, mut overlaid) = (0, 0);
    for seed in 0..200 {
        let program = random(seed);
        assert_eq!(program::verify(&program), Ok(()), "seed {seed}");
        let plan = plan(&program);
        assert_eq!(verify(&program, &plan), Ok(()), "seed {seed}\n{program}\n{}", plan);
        assert!(plan.arena_len >= plan.lower_bound_with_scratch.max(plan.lower_bound));
        let mut rng = Rng(seed + 1);
        let inputs: Vec<Tensor> = program
            .inputs
            .iter()
            .map(|p| {
                let values: Vec<i8> = (0..p.ty.elements()).map(|_| rng.below(256) as u8 as i8).collect();
                Tensor::from_i8(&p.ty.shape, &values)
            })
            .collect();
        let expected = program::run(&program, &inputs).unwrap();
        let planned = program::run_placed(&program, &plan.placement, &inputs, &mut |_, _| {}).unwrap();
        assert_eq!(planned, expected, "seed {seed}");
        reused += usize::from(plan.arena_len < program::Placement::unplanned(&program).arena / 2);
        overlaid += plan.overlays.len();
    }
    assert!(reused > 50 && overlaid > 50, "{reused} {overlaid}");
}

/// Every topological order, found by swapping neighbours that do not depend on each other.
fn all_orders(program: &Program) -> Vec<Vec<usize>> {
    let touches = |s: &Step, b: &BufferId| s.reads.contains(&Some(*b)) || s.writes.contains(b);
    let depends = |a: usize, b: usize| {
        let (a, b) = (&program.steps[a], &program.steps[b]);
        a.writes.iter().any(|w| touches(b, w)) || b.writes.iter().any(|w| touches(a, w))
    };
    let mut orders = vec![(0..program.steps.len()).collect::<Vec<_>>()];
    let mut seen = std::collections::HashSet::from([orders[0].clone()]);
    let mut at = 0;
    while at < orders.len() {
        for i in 1..program.steps.len() {
            let mut other = orders[at].clone();
            if !depends(other[i - 1], other[i]) {
                other.swap(i - 1, i);
                if seen.insert(other.clone()) {
                    orders.push(other);
                }
            }
        }
        at += 1;
    }
    orders
}

#[test]
fn no_order_needs_less_than_the_one_that_is_found() {
    let (mut moved, mut most) = (0, 0);
    for seed in 0..300 {
        let program = random(seed);
        if program.steps.len() > 9 {
            continue;
        }
        let found = order(&program);
        let peak = |steps: &[usize]| {
            let candidate = Order { steps: steps.to_vec(), peak: 0, exact: false };
            let candidate = reordered(program.clone(), &candidate);
            let lives = live::lives(&candidate, &Shape::default());
            let scratch =
                |t: usize| candidate.steps.get(t.wrapping_sub(1)).map_or(0, |s| s.kernel.scratch_len());
            (0..steps.len() + 2).map(|t| lives.bytes_at(t) + scratch(t)).max().unwrap_or(0)
        };
        let orders = all_orders(&program);
        let best = orders.iter().map(|o| peak(o)).min().unwrap();
        assert_eq!(
            (found.peak, peak(&found.steps), found.exact),
            (best, best, true),
            "seed {seed}\n{program}"
        );
        let ordered = reordered(program.clone(), &found);
        assert_eq!(program::verify(&ordered), Ok(()), "seed {seed}");
        moved += usize::from(best < peak(&orders[0]));
        most = most.max(orders.len());
    }
    assert!(moved > 20 && most > 100, "{moved} {most}");
}

#[test]
fn a_wrong_plan_is_found() {
    let program = random(7);
    let good = plan(&program);
    let mut found = 0;
    for i in 0..program.buffers.len() {
        let mut bad = good.clone();
        bad.placement.buffers.fill(good.placement.buffers[i]);
        found += usize::from(verify(&program, &bad).is_err());
        let mut bad = good.clone();
        bad.placement.buffers[i] = bad.placement.arena - 1;
        found += usize::from(verify(&program, &bad).is_err());
    }
    assert_eq!(found, 2 * program.buffers.len());
}

#[test]
fn the_plan_as_text() {
    let mut program = Program { name: "two".into(), ..Program::default() };
    let input = program.buffer("x", ElemType::I8, 18);
    let middle = program.buffer("m", ElemType::I8, 36);
    let output = program.buffer("y", ElemType::I8, 36);
    program.inputs = vec![port(&program, input)];
    conv(&mut program, &mut Rng(1), input, middle, 0, 4);
    let whole = image(0, (1, 36), (1, 36), (36, 1));
    push(&mut program, Kernel::FlipSign(FlipSign { input: whole, output: whole }), middle, output, vec![]);
    program.outputs = vec![port(&program, output)];
    let plan = plan(&program);
    insta::assert_snapshot!(plan.to_string(), @r"
    plan two: 64 bytes, lower bound 52 (50 without scratch), peak at step 0 `layer0`, scratch up to 2
    b0 x: 32..50 live 0..=1
    b1 m: 0..36 live 1..=2 over b0
    b2 y: 0..36 live 2..=3 over b1
    step 0 layer0 (conv2d_i8): 52 bytes in b0 b1, scratch 52..54
    step 1 layer1 (flip_sign): 36 bytes in b1 b2
    ");
    assert!(plan.to_json().to_string().contains("\"lower_bound\": 50"));
}
