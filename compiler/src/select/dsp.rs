//! The kernels for cores with the DSP extension.

use super::pack::{self, Layer, Taps};
use crate::kernels::{ConstData, Kernel};
use crate::program::{Program, Step};
use kiln_runtime_core::{
    Conv2dI8, Conv2dI8Dsp, DepthwiseConv2dI8, DepthwiseConv2dI8Dsp, FullyConnectedI8, FullyConnectedI8Dsp,
    Image, Layout, PointwiseConv2dI8Dsp, Window,
};

/// A kernel and the names and values of its tables.
type Exchange = (Kernel, [(&'static str, ConstData); 2]);

/// Exchanges every step that has a faster form.
pub(super) fn select(program: &mut Program) {
    for i in 0..program.steps.len() {
        let step = &program.steps[i];
        let exchanged = match &step.kernel {
            Kernel::Conv2dI8(p) if p.groups == 1 => conv(program, step, p),
            Kernel::DepthwiseConv2dI8(p) if p.input.channels == 1 => conv(program, step, &as_conv(p)),
            Kernel::DepthwiseConv2dI8(p) => depthwise(program, step, p),
            Kernel::FullyConnectedI8(p) => dense(program, step, p),
            _ => None,
        };
        if let Some((kernel, tables)) = exchanged {
            let consts = tables.into_iter().map(|(name, data)| program.constant(name, data)).collect();
            let step = &mut program.steps[i];
            (step.kernel, step.consts) = (kernel, consts);
        }
    }
}

/// The tables of a layer, when they are such that the packed form can say them.
fn layer<'a>(program: &'a Program, step: &Step) -> Option<Layer<'a>> {
    let table = |i: usize| step.consts.get(i).map(|c: &crate::program::ConstId| &program.consts[c.0].data);
    match (table(0)?, table(1)?, table(2)?) {
        (ConstData::I8(weights), ConstData::I32(bias), ConstData::I32(multiplier))
            if table(3)?.is_empty() && table(4)?.is_empty() && !bias.is_empty() =>
        {
            Some(Layer { weights, bias, multiplier })
        }
        _ => None,
    }
}

/// A depthwise convolution of one channel reads it for every output: a convolution.
fn as_conv(p: &DepthwiseConv2dI8) -> Conv2dI8 {
    Conv2dI8 {
        input: p.input,
        output: p.output,
        window: p.window,
        groups: 1,
        input_zero_point: p.input_zero_point,
        output_zero_point: p.output_zero_point,
        min: p.min,
        max: p.max,
        scratch: 0,
    }
}

/// The values of interleaved pixels as columns of one channel: a window of `kw` pixels is one of `kw * channels` columns, and
/// the order of its weights stays.
fn as_columns(input: &Image, window: &Window) -> Option<(Image, Window)> {
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

fn conv(program: &Program, step: &Step, p: &Conv2dI8) -> Option<Exchange> {
    let layer = layer(program, step)?;
    let (output, min, max) = (p.output, p.min, p.max);
    let Conv2dI8 { input_zero_point, output_zero_point, .. } = *p;
    if let Some((input, window)) = as_columns(&p.input, &p.window) {
        let packed = layer.pack(&words_of_runs(window.height, window.width));
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
        return Some((Kernel::Conv2dI8Dsp(p), packed.tables));
    }
    if p.input.channels == 1 {
        return None;
    }
    let w = &p.window;
    let packed = layer.pack(&words_of_runs(w.height * w.width, p.input.channels));
    let (input, dual, scratch) = (p.input, packed.dual, 0);
    let one = w.height == 1 && w.width == 1 && w.stride_h == 1 && w.stride_w == 1;
    let same = input.height == output.height && input.width == output.width;
    let kernel = if one && same && w.pad_top == 0 && w.pad_left == 0 {
        let p = PointwiseConv2dI8Dsp { input, output, dual, output_zero_point, min, max, scratch };
        Kernel::PointwiseConv2dI8Dsp(p)
    } else {
        let window = *w;
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
        Kernel::Conv2dI8Dsp(p)
    };
    Some((kernel, packed.tables))
}

/// Runs of neighbouring taps in words of two; the last tap of an odd run has no partner.
fn words_of_runs(runs: usize, length: usize) -> Vec<Taps> {
    let word = |run: usize, i: usize| (run * length + i, (i + 1 < length).then_some(run * length + i + 1));
    (0..runs).flat_map(|run| (0..length).step_by(2).map(move |i| word(run, i))).collect()
}

fn depthwise(program: &Program, step: &Step, p: &DepthwiseConv2dI8) -> Option<Exchange> {
    let layer = layer(program, step)?;
    if p.window.dilation_w != 1 {
        return None;
    }
    let tables = pack::depthwise(&layer, (p.window.height, p.window.width));
    let p = DepthwiseConv2dI8Dsp {
        input: p.input,
        output: p.output,
        window: p.window,
        depth_multiplier: p.depth_multiplier,
        input_zero_point: p.input_zero_point,
        output_zero_point: p.output_zero_point,
        min: p.min,
        max: p.max,
        scratch: 0,
    };
    Some((Kernel::DepthwiseConv2dI8Dsp(p), tables))
}

fn dense(program: &Program, step: &Step, p: &FullyConnectedI8) -> Option<Exchange> {
    let packed = pack::dense(&layer(program, step)?, p.input.width * p.input.channels);
    let p = FullyConnectedI8Dsp {
        input: p.input,
        output: p.output,
        dual: packed.dual,
        output_zero_point: p.output_zero_point,
        min: p.min,
        max: p.max,
        scratch: 0,
    };
    Some((Kernel::FullyConnectedI8Dsp(p), packed.tables))
}
