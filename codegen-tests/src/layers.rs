//! Random int8 layers at the edges of what kernels must compute: extreme values, every residue of extents, any layout.

use kiln_compiler::kernels::{ConstData, Kernel};
use kiln_compiler::program::{BufferId, Port, Program, Step};
use kiln_compiler::tensor::{ElemType, Tensor, TensorType};
use kiln_runtime_core::{Conv2dI8, DepthwiseConv2dI8, FullyConnectedI8, Image, Layout, Window};

/// SplitMix64.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn range(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low + 1) as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.range(1, n) == 1
    }

    /// Values of one kind: random, all the same extreme, or extremes in any order.
    fn values(&mut self, n: usize, least: i8) -> Vec<i8> {
        let kind = self.range(0, 4);
        let value = |random: &mut Random| match kind {
            0 | 1 => (random.next() as i8).max(least),
            2 => least,
            3 => 127,
            _ => [least, 127][random.range(0, 1)],
        };
        (0..n).map(|_| value(self)).collect()
    }
}

/// A program of one step for each layer, each with an input and an output of its own, and values for the inputs.
#[derive(Debug)]
pub struct Layers {
    /// The program, of plain kernels.
    pub program: Program,
    /// Values of its inputs.
    pub inputs: Vec<Tensor>,
}

/// Draws `n` layers whose images hold at most about `size` values.
pub fn layers(random: &mut Random, n: usize, size: usize) -> Layers {
    let program = Program { name: "layers".into(), ..Program::default() };
    let mut layers = Layers { program, inputs: vec![] };
    for i in 0..n {
        match i % 6 {
            0 => pointwise(&mut layers, random, size),
            1 => first(&mut layers, random, size),
            2 => depthwise(&mut layers, random, size),
            3 => depthwise_3x3(&mut layers, random, size),
            4 => dense(&mut layers, random, size),
            _ => conv(&mut layers, random, size),
        }
    }
    layers
}

/// As [`layers`], `3 * n` of them with some hundred output channels at most: as many as kernels compute at once, and more.
pub fn wide_layers(random: &mut Random, n: usize, size: usize) -> Layers {
    let program = Program { name: "wide".into(), ..Program::default() };
    let mut layers = Layers { program, inputs: vec![] };
    for _ in 0..n {
        let outputs = (50, 150);
        pointwise_to(&mut layers, random, size, outputs);
        conv_to(&mut layers, random, size, outputs);
        dense_to(&mut layers, random, size, outputs);
    }
    layers
}

/// Adds two convolutions, the second one on the output of the first: families whose windows want interleaved images get them.
pub fn chain(layers: &mut Layers, random: &mut Random) {
    let mut input = (random.range(3, 9), random.range(3, 9), random.range(1, 6));
    for _ in 0..2 {
        let kernel = (random.range(1, 3), random.range(2, 3));
        let window = window(random, kernel, true);
        let (height, width) = outputs(random, &window, (input.0, input.1));
        let output = (height, width, random.range(2, 6));
        let planes = |(height, width, channels)| {
            let layout = Layout { row: width, col: 1, chan: width * height };
            Image { offset: 0, height, width, channels, layout, ring: height }
        };
        push_conv_of(layers, random, (planes(input), planes(output)), 1, window);
        input = output;
    }
    let program = &mut layers.program;
    let between = program.outputs.swap_remove(program.outputs.len() - 2).buffer;
    program.inputs.pop();
    layers.inputs.pop();
    if let Some(second) = program.steps.last_mut() {
        second.reads = vec![Some(between)];
    }
}

/// What an image may look like.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// Any: planar, planar with gaps, interleaved, planar in each row.
    Any,
    /// Any but interleaved.
    Planar,
    /// Any without gaps, since what lies there is no output.
    Dense,
}

/// An image from offset 0.
fn image(random: &mut Random, (height, width, channels): (usize, usize, usize), form: Form) -> Image {
    let layout = match random.range(0, 5) {
        0 if form != Form::Planar => Layout { row: width * channels, col: channels, chan: 1 },
        1 => Layout { row: width * channels, col: 1, chan: width },
        2 if form != Form::Dense => Layout { row: width + 3, col: 1, chan: (width + 3) * height + 5 },
        _ => Layout { row: width, col: 1, chan: width * height },
    };
    Image { offset: 0, height, width, channels, layout, ring: height }
}

fn window(random: &mut Random, kernel: (usize, usize), dilate: bool) -> Window {
    let (height, width) = kernel;
    let dilation = |random: &mut Random| if dilate && random.one_in(4) { random.range(1, 3) } else { 1 };
    Window {
        height,
        width,
        stride_h: random.range(1, 3),
        stride_w: random.range(1, 3),
        dilation_h: dilation(random),
        dilation_w: dilation(random),
        pad_top: random.range(0, 2),
        pad_left: random.range(0, 2),
    }
}

/// Output rows and columns: all that the window allows, and sometimes one more, which lies in the padding.
fn outputs(random: &mut Random, window: &Window, (height, width): (usize, usize)) -> (usize, usize) {
    let extent = |input: usize, kernel: usize, dilation: usize, stride: usize, pad: usize, extra: usize| {
        let reach = (kernel - 1) * dilation + 1;
        (input + pad + extra).saturating_sub(reach) / stride + 1
    };
    let extra = random.range(0, 2);
    (
        extent(height, window.height, window.dilation_h, window.stride_h, window.pad_top, extra),
        extent(width, window.width, window.dilation_w, window.stride_w, window.pad_left, extra),
    )
}

/// Rows, columns and channels with a product of at most about `size`.
fn extents(random: &mut Random, size: usize, channels: (usize, usize)) -> (usize, usize, usize) {
    let channels = random.range(channels.0, channels.1);
    let side = (size / channels).max(1);
    let width = random.range(1, side.min(13));
    (random.range(1, (side / width).clamp(1, 9)), width, channels)
}

fn pointwise(layers: &mut Layers, random: &mut Random, size: usize) {
    pointwise_to(layers, random, size, (1, 9));
}

fn pointwise_to(layers: &mut Layers, random: &mut Random, size: usize, outputs: (usize, usize)) {
    let extent = extents(random, size, (2, 40));
    let window = Window {
        height: 1,
        width: 1,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 0,
        pad_left: 0,
    };
    let outputs = random.range(outputs.0, outputs.1);
    push_conv(layers, random, extent, (extent.0, extent.1, outputs), window);
}

/// Images of one or three channels.
fn first(layers: &mut Layers, random: &mut Random, size: usize) {
    let channels = [1, 3][random.range(0, 1)];
    let extent = extents(random, size, (channels, channels));
    let kernel = (random.range(1, 5), random.range(1, 5));
    let window = window(random, kernel, false);
    let (height, width) = outputs(random, &window, (extent.0, extent.1));
    let channels = random.range(1, 9);
    push_conv(layers, random, extent, (height, width, channels), window);
}

fn conv(layers: &mut Layers, random: &mut Random, size: usize) {
    conv_to(layers, random, size, (1, 9));
}

fn conv_to(layers: &mut Layers, random: &mut Random, size: usize, channels: (usize, usize)) {
    let extent = extents(random, size, (2, 12));
    let kernel = (random.range(1, 4), random.range(1, 4));
    let window = window(random, kernel, true);
    let (height, width) = outputs(random, &window, (extent.0, extent.1));
    let channels = random.range(channels.0, channels.1);
    push_conv(layers, random, extent, (height, width, channels), window);
}

fn push_conv(
    layers: &mut Layers,
    random: &mut Random,
    input: (usize, usize, usize),
    output: (usize, usize, usize),
    window: Window,
) {
    let groups =
        if random.one_in(5) && input.2.is_multiple_of(2) && output.2.is_multiple_of(2) { 2 } else { 1 };
    let images = (image(random, input, Form::Any), image(random, output, Form::Dense));
    push_conv_of(layers, random, images, groups, window);
}

fn push_conv_of(
    layers: &mut Layers,
    random: &mut Random,
    (input, output): (Image, Image),
    groups: usize,
    window: Window,
) {
    let taps = window.height * window.width * input.channels / groups;
    let q = quantization(random);
    let p = Conv2dI8 {
        input,
        output,
        window,
        groups,
        input_zero_point: q.0,
        output_zero_point: q.1,
        min: q.2,
        max: q.3,
        scratch: 0,
    };
    push(layers, random, Kernel::Conv2dI8(p), taps);
}

fn depthwise(layers: &mut Layers, random: &mut Random, size: usize) {
    let extent = extents(random, size, (1, 12));
    let kernel = (random.range(1, 6), random.range(1, 6));
    let window = Window { dilation_w: 1, ..window(random, kernel, true) };
    let multiplier = if random.one_in(4) { 2 } else { 1 };
    push_depthwise(layers, random, extent, multiplier, window);
}

fn depthwise_3x3(layers: &mut Layers, random: &mut Random, size: usize) {
    let extent = extents(random, size, (1, 12));
    let stride = random.range(1, 2);
    let window = window(random, (3, 3), false);
    push_depthwise(layers, random, extent, 1, Window { stride_h: stride, stride_w: stride, ..window });
}

fn push_depthwise(
    layers: &mut Layers,
    random: &mut Random,
    extent: (usize, usize, usize),
    depth_multiplier: usize,
    window: Window,
) {
    let (height, width) = outputs(random, &window, (extent.0, extent.1));
    let (input, output) = (
        image(random, extent, Form::Planar),
        image(random, (height, width, extent.2 * depth_multiplier), Form::Dense),
    );
    let q = quantization(random);
    let p = DepthwiseConv2dI8 {
        input,
        output,
        window,
        depth_multiplier,
        input_zero_point: q.0,
        output_zero_point: q.1,
        min: q.2,
        max: q.3,
    };
    push(layers, random, Kernel::DepthwiseConv2dI8(p), window.height * window.width);
}

fn dense(layers: &mut Layers, random: &mut Random, size: usize) {
    dense_to(layers, random, size, (1, 13));
}

fn dense_to(layers: &mut Layers, random: &mut Random, size: usize, outputs: (usize, usize)) {
    let (rows, features, outputs) =
        (random.range(1, 3), random.range(1, (size / 3).min(150)), random.range(outputs.0, outputs.1));
    let layout = Layout { row: features, col: features, chan: 1 };
    let input = Image { offset: 0, height: rows, width: 1, channels: features, layout, ring: rows };
    let output = image(random, (rows, 1, outputs), Form::Dense);
    let q = quantization(random);
    let p = FullyConnectedI8 { input, output, output_zero_point: q.1, min: q.2, max: q.3 };
    push(layers, random, Kernel::FullyConnectedI8(p), features);
}

/// Zero points and clamp.
fn quantization(random: &mut Random) -> (i8, i8, i8, i8) {
    let (x, y) = ([-128, 127, 0, random.next() as i8], [-128, 127, 3, random.next() as i8]);
    let (x, y) = (x[random.range(0, 3)], y[random.range(0, 3)]);
    if random.one_in(3) { (x, y, -90, 100) } else { (x, y, -128, 127) }
}

/// Adds a step with tables for `taps` weights an output channel, and an input of its own.
fn push(layers: &mut Layers, random: &mut Random, kernel: Kernel, taps: usize) {
    let program = &mut layers.program;
    let (input, output) = (kernel.reads()[0], kernel.writes()[0]);
    let n = output.channels;
    let least = if random.one_in(4) { -128 } else { -127 };
    let weights: Vec<i8> = random.values(n * taps, least);
    let (mut bias, mut multiplier) = (vec![], vec![]);
    for weights in weights.chunks(taps) {
        let sum: i64 = weights.iter().map(|&w| (w as i64).abs()).sum::<i64>() * 128 + 1;
        // Outputs over the range of int8 and beyond, or about one value; biases from none to those that need 24 bits and more.
        let most = [200.0, 20_000.0, 1.5][random.range(0, 2)];
        multiplier.push(((most / sum as f64) * 2f64.powi(32)).min(2f64.powi(31) - 1.0) as i32);
        let bits = [1, 10, 23, 28][random.range(0, 3)];
        bias.push((random.next() as i32) >> (32 - bits));
    }
    let tables = [
        ("weights", ConstData::I8(weights)),
        ("bias", ConstData::I32(bias)),
        ("multiplier", ConstData::I32(multiplier)),
        ("shift", ConstData::U8(vec![])),
        ("weight_zero_point", ConstData::I8(vec![])),
    ];
    let consts = tables.into_iter().map(|(name, data)| program.constant(name, data)).collect();
    let layer = format!("layer{}", program.steps.len());
    let port = |program: &mut Program, name: String, len: usize| -> (Port, BufferId) {
        let buffer = program.buffer(&name, ElemType::I8, len);
        (Port { name, buffer, ty: TensorType::new(ElemType::I8, [len]), qparams: None }, buffer)
    };
    let (input_port, from) = port(program, format!("{layer}_in"), input.end());
    let (output_port, to) = port(program, format!("{layer}_out"), output.end());
    let values: Vec<u8> = random.values(input.end(), -128).iter().map(|&v| v as u8).collect();
    layers.inputs.push(Tensor::new(input_port.ty.clone(), values).expect("as long as its type says"));
    program.inputs.push(input_port);
    program.outputs.push(output_port);
    let op = "Test".to_owned();
    program.steps.push(Step { layer, op, kernel, reads: vec![Some(from)], writes: vec![to], consts });
}
