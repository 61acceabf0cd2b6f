//! Random graphs of spatial layers, any range of them as a stream: the plan holds by simulation, and the run gives the bits of a
//! run without reuse, also when every byte that nobody will read is poisoned before each call.

use codegen_tests::layers::Random;
use kiln_compiler::kernels::{ConstData, Kernel};
use kiln_compiler::plan::{self, Plan};
use kiln_compiler::program::{BufferId, Placement, Port, Program, Shape, Step, run, run_placed};
use kiln_compiler::select;
use kiln_compiler::tensor::{ElemType, Tensor, TensorType};
use kiln_runtime_core::{
    AddI8, AveragePoolI8, Block, ClampI8, Conv2dI8, DepthwiseConv2dI8, Family, Image, Layout, MaxPoolI8,
    Window, view, view_mut,
};
use std::ops::Range;

/// A planar activation.
#[derive(Clone, Copy)]
struct Value {
    buffer: BufferId,
    height: usize,
    width: usize,
    channels: usize,
}

impl Value {
    /// `channels` of its channels from `first` on.
    fn part(&self, first: usize, channels: usize) -> Image {
        let plane = self.height * self.width;
        let layout = Layout { row: self.width, col: 1, chan: plane };
        let (height, width) = (self.height, self.width);
        Image { offset: first * plane, height, width, channels, layout, ring: height }
    }

    fn image(&self) -> Image {
        self.part(0, self.channels)
    }
}

struct Graph {
    program: Program,
    values: Vec<Value>,
    random: Random,
}

impl Graph {
    fn value(&mut self, height: usize, width: usize, channels: usize) -> Value {
        let name = format!("v{}", self.program.buffers.len());
        let buffer = self.program.buffer(name, ElemType::I8, height * width * channels);
        Value { buffer, height, width, channels }
    }

    fn push(
        &mut self,
        kernel: Kernel,
        reads: Vec<Option<BufferId>>,
        to: Value,
        tables: Vec<(&'static str, ConstData)>,
    ) {
        let layer = format!("layer{}", self.program.steps.len());
        let consts = tables.into_iter().map(|(name, data)| self.program.constant(name, data)).collect();
        self.program.steps.push(Step {
            layer,
            op: "Test".into(),
            kernel,
            reads,
            writes: vec![to.buffer],
            consts,
        });
    }

    fn window(&mut self, size: usize) -> Window {
        let stride = self.random.range(1, 2);
        let dilation = if size > 1 { self.random.range(1, 2) } else { 1 };
        let pad = self.random.range(0, size / 2);
        let (stride_w, pad_left) = (stride, pad);
        Window {
            height: size,
            width: size,
            stride_h: stride,
            stride_w,
            dilation_h: dilation,
            dilation_w: 1,
            pad_top: pad,
            pad_left,
        }
    }

    /// Extents behind a window with as much padding below as above.
    fn behind(from: &Value, w: &Window) -> Option<(usize, usize)> {
        let extent = |input: usize, size: usize, dilation: usize, stride: usize, pad: usize| {
            Some((input + 2 * pad).checked_sub((size - 1) * dilation + 1)? / stride + 1)
        };
        let height = extent(from.height, w.height, w.dilation_h, w.stride_h, w.pad_top)?;
        Some((height, extent(from.width, w.width, w.dilation_w, w.stride_w, w.pad_left)?))
    }

    fn filter(&mut self, channels: usize, taps: usize) -> Vec<(&'static str, ConstData)> {
        let weights = (0..channels * taps).map(|_| self.random.range(0, 255) as u8 as i8).collect();
        let bias = (0..channels).map(|_| self.random.range(0, 2000) as i32 - 1000).collect();
        vec![
            ("weights", ConstData::I8(weights)),
            ("bias", ConstData::I32(bias)),
            ("multiplier", ConstData::I32(vec![1 << 24; channels])),
            ("shift", ConstData::U8(vec![])),
            ("weight_zero_point", ConstData::I8(vec![])),
        ]
    }

    fn layer(&mut self, from: Value) -> Option<Value> {
        let (input, zero_point) = (from.image(), 3);
        let reads = vec![Some(from.buffer)];
        match self.random.range(0, 6) {
            0 | 1 => {
                let size = [1, 3, 3][self.random.range(0, 2)];
                let window = if size == 1 && self.random.range(0, 1) == 0 {
                    Window { stride_h: 1, stride_w: 1, ..self.window(1) }
                } else {
                    self.window(size)
                };
                let (height, width) = Graph::behind(&from, &window)?;
                // Sometimes two layers fill one value, as behind a concatenation.
                let parts = self.random.range(1, 2);
                let channels = self.random.range(1, 5);
                let to = self.value(height, width, parts * channels);
                for part in 0..parts {
                    let filter = self.filter(channels, size * size * from.channels);
                    let kernel = Kernel::Conv2dI8(Conv2dI8 {
                        input,
                        output: to.part(part * channels, channels),
                        window,
                        groups: 1,
                        input_zero_point: zero_point,
                        output_zero_point: 1,
                        min: -128,
                        max: 127,
                        scratch: 0,
                    });
                    self.push(kernel, reads.clone(), to, filter);
                }
                Some(to)
            }
            2 | 3 => {
                let window = self.window(3);
                let (height, width) = Graph::behind(&from, &window)?;
                let to = self.value(height, width, from.channels);
                let filter = self.filter(from.channels, 9);
                let kernel = Kernel::DepthwiseConv2dI8(DepthwiseConv2dI8 {
                    input,
                    output: to.image(),
                    window,
                    depth_multiplier: 1,
                    input_zero_point: zero_point,
                    output_zero_point: -2,
                    min: -128,
                    max: 100,
                });
                self.push(kernel, reads, to, filter);
                Some(to)
            }
            4 => {
                let window = Window { dilation_h: 1, ..self.window(2) };
                let (height, width) = Graph::behind(&from, &window)?;
                let to = self.value(height, width, from.channels);
                let output = to.image();
                let kernel = match self.random.range(0, 1) {
                    0 => Kernel::MaxPoolI8(MaxPoolI8 { input, output, window, min: -128, max: 127 }),
                    _ => Kernel::AveragePoolI8(AveragePoolI8 {
                        input,
                        output,
                        window,
                        count_include_pad: false,
                        input_zero_point: zero_point,
                        output_zero_point: 0,
                        multiplier: 1 << 30,
                        shift: 30,
                        min: -128,
                        max: 127,
                    }),
                };
                self.push(kernel, reads, to, vec![]);
                Some(to)
            }
            5 => {
                let to = self.value(from.height, from.width, from.channels);
                let kernel = Kernel::ClampI8(ClampI8 { input, output: to.image(), min: -60, max: 70 });
                self.push(kernel, reads, to, vec![]);
                Some(to)
            }
            _ => {
                let same =
                    |v: &&Value| (v.height, v.width, v.channels) == (from.height, from.width, from.channels);
                let other = *self.values.iter().rev().filter(same).nth(1)?;
                let to = self.value(from.height, from.width, from.channels);
                let kernel = Kernel::AddI8(AddI8 {
                    a: input,
                    b: other.image(),
                    output: to.image(),
                    a_multiplier: 300,
                    b_multiplier: 200,
                    constant: 256,
                    shift: 9,
                    min: -128,
                    max: 127,
                });
                self.push(
                    kernel,
                    vec![Some(from.buffer), Some(other.buffer)],
                    to,
                    vec![("table", ConstData::I8(vec![]))],
                );
                Some(to)
            }
        }
    }
}

fn port(program: &Program, value: &Value) -> Port {
    let ty = TensorType::new(ElemType::I8, vec![program.buffers[value.buffer.0].len]);
    Port { name: format!("port{}", value.buffer.0), buffer: value.buffer, ty, qparams: None }
}

/// Layers that mostly follow each other, with residuals, branches and one or two outputs; and values for the input.
fn random(seed: u64) -> (Program, Vec<Tensor>) {
    let mut graph = Graph { program: Program::default(), values: vec![], random: Random(seed) };
    let (height, width) = (graph.random.range(3, 17), graph.random.range(1, 9));
    let channels = graph.random.range(1, 4);
    let input = graph.value(height, width, channels);
    graph.values.push(input);
    graph.program.inputs = vec![port(&graph.program, &input)];
    for _ in 0..graph.random.range(3, 9) {
        let back = if graph.random.range(0, 3) == 0 { graph.random.range(1, 3) } else { 1 };
        let from = graph.values[graph.values.len().saturating_sub(back)];
        if let Some(to) = graph.layer(from) {
            graph.values.push(to);
        }
    }
    let outputs: Vec<Value> =
        graph.values[1..].iter().rev().take(graph.random.range(1, 2)).copied().collect();
    graph.program.outputs = outputs.iter().map(|v| port(&graph.program, v)).collect();
    let values =
        (0..height * width * channels).map(|_| graph.random.range(0, 255) as u8 as i8).collect::<Vec<i8>>();
    let inputs = vec![Tensor::from_i8(&[values.len()], &values)];
    (graph.program, inputs)
}

/// All kernel calls in order, streams call by call, and, where the input comes by rows, those that come before a call.
fn calls(program: &Program, placement: &Placement) -> Vec<(usize, Range<usize>, Range<usize>)> {
    let mut calls = vec![];
    let mut index = 0;
    while index < program.steps.len() {
        match placement.shape.stream(index) {
            Some(stream) => {
                calls.extend(stream.calls().map(|(tick, step)| {
                    let feed = stream.feed.as_ref().filter(|_| step == stream.first);
                    (step, stream.rows_at(step, tick), feed.map_or(0..0, |feed| feed.rows.at(tick)))
                }));
                index = stream.steps().end;
            }
            None => {
                calls.push((index, 0..placement.kernel(program, index).rows(), 0..0));
                index += 1;
            }
        }
    }
    calls
}

/// The bytes of some rows.
fn bytes(image: &Image, rows: impl Iterator<Item = usize>) -> Vec<usize> {
    let pixels =
        |y: usize| (0..image.width).flat_map(move |x| (0..image.channels).map(move |c| image.at(y, x, c)));
    rows.filter(|&y| y < image.height).flat_map(pixels).collect()
}

/// Runs a plan call by call. Before each, every byte that is not read again before it is written gets another value.
fn run_poisoned(program: &Program, plan: &Plan, inputs: &[Tensor], random: &mut Random) -> Vec<Vec<u8>> {
    let placement = &plan.placement;
    let calls = calls(program, placement);
    let kernels: Vec<Kernel> = (0..program.steps.len()).map(|i| placement.kernel(program, i)).collect();
    let place = |port: &Port| {
        let at = placement.buffers[port.buffer.0];
        at..at + program.buffers[port.buffer.0].size()
    };
    // Where the rows of an input that comes by rows go, and where they come from.
    let fed = program.inputs.iter().position(|p| placement.shape.feed(p.buffer).is_some());
    let rows_of = |rows: &Range<usize>| -> Vec<(usize, usize)> {
        let Some(buffer) = fed.map(|i| program.inputs[i].buffer) else { return vec![] };
        let form = placement.shape.form(buffer).expect("a ring");
        let cells = rows.clone().flat_map(|y| (0..form.channels).map(move |c| (y, c)));
        let cells = cells.flat_map(|(y, c)| (0..form.width).map(move |x| (y, c, x)));
        let to = |y: usize, c: usize, x: usize| (y % form.ring * form.channels + c) * form.width + x;
        cells
            .map(|(y, c, x)| {
                (placement.buffers[buffer.0] + to(y, c, x), (c * form.height + y) * form.width + x)
            })
            .collect()
    };
    // From the end: who is still read.
    let mut live = vec![false; placement.arena];
    program.outputs.iter().for_each(|p| live[place(p)].fill(true));
    let mut before = vec![];
    for (step, rows, feed) in calls.iter().rev() {
        let kernel = &kernels[*step];
        bytes(&kernel.writes()[0], rows.clone()).into_iter().for_each(|at| live[at] = false);
        for (image, _) in kernel.reads().iter().zip(&program.steps[*step].reads).filter(|(_, b)| b.is_some())
        {
            let read: Vec<usize> = match kernel.window() {
                Some(window) => {
                    let taps = rows.clone().flat_map(|y| (0..window.height).map(move |ky| (y, ky)));
                    taps.filter_map(|(y, ky)| window.input_row(y, ky, image.height)).collect()
                }
                None => (0..image.height).collect(),
            };
            bytes(image, read.into_iter()).into_iter().for_each(|at| live[at] = true);
        }
        before.push(live.clone());
        rows_of(feed).into_iter().for_each(|(at, _)| live[at] = false);
    }
    let mut mem = vec![Block::ZERO; placement.arena / 16];
    for (port, tensor) in program.inputs.iter().zip(inputs).filter(|_| fed.is_none()) {
        view_mut::<u8>(&mut mem)[place(port)].copy_from_slice(tensor.bytes());
    }
    for ((step, rows, feed), live) in calls.iter().zip(before.iter().rev()) {
        for (to, from) in rows_of(feed) {
            view_mut::<u8>(&mut mem)[to] = inputs[0].bytes()[from];
        }
        let poison = random.range(0, 255) as u8;
        let dead = view_mut::<u8>(&mut mem).iter_mut().zip(live).filter(|(_, live)| !**live);
        dead.for_each(|(byte, _)| *byte = byte.wrapping_add(poison | 1));
        kernels[*step].run(&mut mem, &program.tables(&program.steps[*step]), rows.clone());
    }
    program.outputs.iter().map(|p| view::<u8>(&mem)[place(p)].to_vec()).collect()
}

#[test]
fn streams_compute_the_bits_of_whole_layers() {
    let (mut streams, mut overlaps, mut long, mut smaller) = (0, 0, 0, 0);
    for seed in 0..400 {
        let (plain, inputs) = random(seed);
        let expected = run(&plain, &inputs).expect("it runs");
        let expected: Vec<Vec<u8>> = expected.iter().map(|t| t.bytes().to_vec()).collect();
        let mut random = Random(seed + 1);
        for family in Family::ALL {
            let program = select::select(plain.clone(), family);
            let count = program.steps.len();
            if count == 0 {
                continue;
            }
            for _ in 0..4 {
                let first = random.range(0, count - 1);
                let steps = first..random.range(first + 1, count);
                let Some(shape) = plan::stream(&program, steps.clone(), random.range(1, 3)) else { continue };
                let plan = plan::plan_as(&program, shape);
                assert_eq!(
                    plan::verify(&program, &plan),
                    Ok(()),
                    "seed {seed} {family:?} {steps:?}\n{program}\n{plan}"
                );
                let outputs =
                    run_placed(&program, &plan.placement, &inputs, &mut |_, _| {}).expect("it runs");
                let same = outputs.iter().zip(&expected).all(|(o, e)| o.bytes() == *e);
                assert!(same, "seed {seed} {family:?} {steps:?}\n{program}\n{plan}");
                let poisoned = run_poisoned(&program, &plan, &inputs, &mut random);
                assert!(
                    poisoned == expected,
                    "poisoned: seed {seed} {family:?} {steps:?}\n{program}\n{plan}"
                );
                streams += 1;
                overlaps += usize::from(plan.overlays.iter().any(|o| steps.contains(&o.step)));
                long += usize::from(steps.len() > 3);
                smaller += usize::from(plan.arena_len < plan::plan_as(&program, Shape::default()).arena_len);
            }
        }
    }
    println!(
        "{streams} streams, {overlaps} with overlap, {long} of more than 3 steps, {smaller} saved memory"
    );
    assert!(streams > 1000 && overlaps > 100 && long > 100 && smaller > 200);
}

#[test]
fn the_plan_of_the_planner_computes_the_bits_of_whole_layers() {
    let mut overlaid = 0;
    for seed in 1000..1150 {
        let (plain, inputs) = random(seed);
        let expected: Vec<Vec<u8>> =
            run(&plain, &inputs).expect("it runs").iter().map(|t| t.bytes().to_vec()).collect();
        for family in Family::ALL {
            let program = select::select(plain.clone(), family);
            let plan = plan::plan(&program);
            assert_eq!(plan::verify(&program, &plan), Ok(()), "seed {seed} {family:?}\n{program}\n{plan}");
            let poisoned = run_poisoned(&program, &plan, &inputs, &mut Random(seed));
            assert!(poisoned == expected, "seed {seed} {family:?}\n{program}\n{plan}");
            overlaid += plan.overlays.len();
        }
    }
    assert!(overlaid > 100, "{overlaid}");
}

#[test]
fn a_ring_that_is_too_small_is_found() {
    let (mut found, mut tried) = (0, 0);
    for seed in 0..60 {
        let (program, _) = random(seed);
        let Some(shape) = plan::stream(&program, 0..program.steps.len(), 1) else { continue };
        let places = plan::plan_as(&program, shape.clone()).placement.buffers;
        for buffer in 0..program.buffers.len() {
            let mut shape = shape.clone();
            let Some(Some(form)) = shape.forms.get_mut(buffer) else { continue };
            // An input in the place of an output has more rows than it needs.
            let in_place = places.iter().filter(|place| **place == places[buffer]).count() > 1;
            if form.ring < 2 || form.ring == form.height || in_place {
                continue;
            }
            form.ring -= 1;
            tried += 1;
            found += usize::from(plan::verify(&program, &plan::plan_as(&program, shape)).is_err());
        }
    }
    assert!(tried > 20 && found == tried, "{found} of {tried}");
}

#[test]
fn inputs_by_rows_give_the_bits_of_whole_ones() {
    let (mut fed, mut rings) = (0, 0);
    for seed in 2000..2300 {
        let (plain, inputs) = random(seed);
        let expected: Vec<Vec<u8>> =
            run(&plain, &inputs).expect("it runs").iter().map(|t| t.bytes().to_vec()).collect();
        for family in Family::ALL {
            let program = select::select(plain.clone(), family);
            let Ok(plan) = plan::plan_by_rows(&program) else { continue };
            let shape = &plan.placement.shape;
            assert!(shape.is_fed());
            assert_eq!(plan::verify(&program, &plan), Ok(()), "seed {seed} {family:?}\n{program}\n{plan}");
            let outputs = run_placed(&program, &plan.placement, &inputs, &mut |_, _| {}).expect("it runs");
            let same = outputs.iter().zip(&expected).all(|(o, e)| o.bytes() == *e);
            assert!(same, "seed {seed} {family:?}\n{program}\n{plan}");
            let poisoned = run_poisoned(&program, &plan, &inputs, &mut Random(seed));
            assert!(poisoned == expected, "poisoned: seed {seed} {family:?}\n{program}\n{plan}");
            fed += 1;
            rings +=
                usize::from(shape.form(program.inputs[0].buffer).is_some_and(|form| form.ring < form.height));
        }
    }
    println!("{fed} inputs by rows, {rings} of them not as a whole");
    assert!(fed > 300 && rings > 200, "{fed} {rings}");
}
