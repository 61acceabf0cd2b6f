//! The kernels for cores with the DSP extension.

use super::pack::{self, Layer, Taps};
use super::{as_conv, exchange, layer};
use crate::kernels::{ConstData, Kernel};
use crate::program::{ConstId, Program, Step};
use kiln_runtime_core::{
    Conv2dI8, Conv2dI8Dsp, DepthwiseConv2dI8, DepthwiseConv2dI8Dsp, FullyConnectedI8, FullyConnectedI8Dsp,
    Image, Layout, PointwiseConv2dI8Dsp, Window,
};

/// A kernel and the names and values of its tables.
type Exchange = (Kernel, [(&'static str, ConstData); 2]);

/// Exchanges every step that has a faster form.
pub(super) fn select(program: &mut Program) {
    split_groups(program);
    for i in 0..program.steps.len() {
        let step = &program.steps[i];
        let candidates = match &step.kernel {
            Kernel::Conv2dI8(p) if p.groups == 1 => conv(program, step, p),
            Kernel::DepthwiseConv2dI8(p) if p.input.channels == 1 => conv(program, step, &as_conv(p)),
            Kernel::DepthwiseConv2dI8(p) => depthwise(program, step, p),
            Kernel::FullyConnectedI8(p) => dense(program, step, p),
            _ => None,
        };
        // What a kernel cannot compute, its own check says; offsets in the arena are not known yet.
        let fits =
            |(kernel, tables): &Exchange| kernel.check(&[&tables[0].1, &tables[1].1], usize::MAX).is_ok();
        if let Some((kernel, tables)) = candidates.into_iter().flatten().find(fits) {
            exchange(program, i, kernel, tables);
        }
    }
}

/// The values of interleaved pixels as columns of one channel: a window of `kw` pixels is one of `kw * channels` columns, and
/// the order of its weights stays.
pub(super) fn as_columns(input: &Image, window: &Window) -> Option<(Image, Window)> {
    let n = input.channels;
    if input.layout.chan != 1 && n != 1 || input.layout.col != n || window.dilation_w != 1 {
        return None;
    }
    let layout = Layout { row: input.layout.row, col: 1, chan: 1 };
    let image = Image { width: input.width * n, channels: 1, layout, ..*input };
    let window = Window {
        width: window.width * n,
        stride_w: window.stride_w * n,
        pad_left: window.pad_left * n,
        ..*window
    };
    Some((image, window))
}

/// The forms of a convolution, the fastest first.
fn conv(program: &Program, step: &Step, p: &Conv2dI8) -> Option<Vec<Exchange>> {
    let layer = layer(program, step)?;
    let Conv2dI8 { output, window, input_zero_point, output_zero_point, min, max, .. } = *p;
    let windowed = |input: Image, window: Window| {
        let runs = if input.channels == 1 { window.height } else { window.height * window.width };
        let packed =
            layer.pack(&words_of_runs(runs, if input.channels == 1 { window.width } else { input.channels }));
        let dual = packed.dual;
        let scratch = 0;
        let p = Conv2dI8Dsp {
            input,
            output,
            window,
            dual,
            input_zero_point,
            output_zero_point,
            min,
            max,
            scratch,
        };
        (Kernel::Conv2dI8Dsp(p), packed.tables)
    };
    if let Some((input, window)) =
        as_columns(&p.input, &window).filter(|_| p.input.height * p.input.width > 1)
    {
        return Some(vec![windowed(input, window)]);
    }
    let mut forms = vec![];
    if p.is_pointwise() {
        // One pixel is a dense layer, when its channels lie one after the other.
        if p.input.layout.chan == 1 && output.height == 1 && output.width == 1 {
            forms.push(dense_of(&layer, (p.input, output), (output_zero_point, min, max)));
        }
        let packed = layer.pack(&words_of_runs(1, p.input.channels));
        let (input, dual, scratch) = (p.input, packed.dual, 0);
        let p = PointwiseConv2dI8Dsp { input, output, dual, output_zero_point, min, max, scratch };
        forms.push((Kernel::PointwiseConv2dI8Dsp(p), packed.tables));
    }
    forms.push(windowed(p.input, window));
    Some(forms)
}

/// Runs of neighbouring taps in words of two; the last tap of an odd run has no partner.
pub(super) fn words_of_runs(runs: usize, length: usize) -> Vec<Taps> {
    let word = |run: usize, i: usize| (run * length + i, (i + 1 < length).then_some(run * length + i + 1));
    (0..runs).flat_map(|run| (0..length).step_by(2).map(move |i| word(run, i))).collect()
}

fn depthwise(program: &Program, step: &Step, p: &DepthwiseConv2dI8) -> Option<Vec<Exchange>> {
    let tables = pack::depthwise(&layer(program, step)?, (p.window.height, p.window.width));
    let p = DepthwiseConv2dI8Dsp {
        input: p.input,
        output: p.output,
        window: p.window,
        depth_multiplier: p.depth_multiplier,
        input_zero_point: p.input_zero_point,
        output_zero_point: p.output_zero_point,
        min: p.min,
        max: p.max,
        strip: p.output.height,
        scratch: 0,
    };
    Some(vec![(Kernel::DepthwiseConv2dI8Dsp(p), tables)])
}

fn dense(program: &Program, step: &Step, p: &FullyConnectedI8) -> Option<Vec<Exchange>> {
    Some(vec![dense_of(&layer(program, step)?, (p.input, p.output), (p.output_zero_point, p.min, p.max))])
}

fn dense_of(
    layer: &Layer,
    (input, output): (Image, Image),
    (output_zero_point, min, max): (i8, i8, i8),
) -> Exchange {
    let packed = pack::dense(layer, input.width * input.channels);
    let (dual, scratch) = (packed.dual, 0);
    let p = FullyConnectedI8Dsp { input, output, dual, output_zero_point, min, max, scratch };
    (Kernel::FullyConnectedI8Dsp(p), packed.tables)
}

/// A convolution in groups as one for each group, on slices of its images and tables: the fast forms know no groups.
pub(super) fn split_groups(program: &mut Program) {
    let steps = std::mem::take(&mut program.steps);
    for step in steps {
        let parts = match &step.kernel {
            Kernel::Conv2dI8(p) if (2..=MOST_GROUPS).contains(&p.groups) => groups(program, &step, p),
            _ => None,
        };
        program.steps.extend(parts.unwrap_or_else(|| vec![step]));
    }
}

/// Calls and columns of four pixels cost more than they save when every group has few channels.
const MOST_GROUPS: usize = 8;

fn groups(program: &mut Program, step: &Step, p: &Conv2dI8) -> Option<Vec<Step>> {
    let layer = layer(program, step)?;
    let (inputs, outputs) = (p.input.channels / p.groups, p.output.channels / p.groups);
    let taps = p.window.height * p.window.width * inputs;
    let tables: Vec<[ConstData; 3]> = (0..p.groups)
        .map(|g| {
            let channels = g * outputs..(g + 1) * outputs;
            [
                ConstData::I8(layer.weights[channels.start * taps..channels.end * taps].to_vec()),
                ConstData::I32(layer.bias[channels.clone()].to_vec()),
                ConstData::I32(layer.multiplier[channels].to_vec()),
            ]
        })
        .collect();
    let slice = |image: Image, g: usize, channels: usize| Image {
        offset: image.offset + g * channels * image.layout.chan,
        channels,
        ..image
    };
    let mut part = |(g, tables): (usize, [ConstData; 3])| {
        let (input, output) = (slice(p.input, g, inputs), slice(p.output, g, outputs));
        let names = ["weights", "bias", "multiplier"];
        let mut consts: Vec<ConstId> =
            names.into_iter().zip(tables).map(|(name, data)| program.constant(name, data)).collect();
        consts.extend(&step.consts[3..]);
        let kernel = Kernel::Conv2dI8(Conv2dI8 { input, output, groups: 1, ..*p });
        Step { kernel, consts, ..step.clone() }
    };
    Some(tables.into_iter().enumerate().map(&mut part).collect())
}
