//! The kernels for cores with vectors.

use super::dsp::{split_groups, words_of_runs};
use super::interleave::interleave;
use super::{as_conv, exchange, layer};
use crate::kernels::{ConstData, Kernel};
use crate::program::{Program, Step};
use kiln_runtime_core::{
    Conv2dI8, Conv2dI8Simd, DepthwiseConv2dI8, DepthwiseConv2dI8Simd, Family, FullyConnectedI8,
    FullyConnectedI8Simd, PointwiseConv2dI8Simd,
};

/// A kernel and the names and values of its tables.
type Exchange = (Kernel, [(&'static str, ConstData); 2]);

/// Exchanges every step that has a faster form.
pub(super) fn select(program: &mut Program) {
    let plain = program.clone();
    interleave(program);
    split_groups(program);
    for i in 0..program.steps.len() {
        if let Kernel::AddI8(p) = program.steps[i].kernel {
            program.steps[i].kernel = Kernel::AddI8Simd(p);
        }
        let step = &program.steps[i];
        let exchanged = match &step.kernel {
            Kernel::Conv2dI8(p) if p.groups == 1 => conv(program, step, p),
            Kernel::DepthwiseConv2dI8(p) if p.input.channels == 1 => conv(program, step, &as_conv(p)),
            Kernel::DepthwiseConv2dI8(p) => depthwise(program, step, p),
            Kernel::FullyConnectedI8(p) => dense(program, step, p),
            _ => None,
        };
        // What a kernel cannot compute, its own check says; offsets in the arena are not known yet.
        let fits =
            |(kernel, tables): &Exchange| kernel.check(&[&tables[0].1, &tables[1].1], usize::MAX).is_ok();
        if let Some((kernel, tables)) = exchanged.filter(fits) {
            exchange(program, i, kernel, tables);
        }
    }
    // A layout without a kernel that wants it.
    if program.family() == Family::Plain {
        *program = plain;
    }
}

fn conv(program: &Program, step: &Step, p: &Conv2dI8) -> Option<Exchange> {
    let layer = layer(program, step)?;
    let Conv2dI8 { input, output, window, input_zero_point, output_zero_point, min, max, .. } = *p;
    let scratch = 0;
    if p.is_pointwise() {
        let p = PointwiseConv2dI8Simd { input, output, output_zero_point, min, max, scratch };
        return Some((Kernel::PointwiseConv2dI8Simd(p), layer.blocks(&words_of_runs(1, input.channels))));
    }
    let words = match window.dilation_w {
        1 => words_of_runs(window.height, window.width * input.channels),
        _ => words_of_runs(window.height * window.width, input.channels),
    };
    let p = Conv2dI8Simd { input, output, window, input_zero_point, output_zero_point, min, max, scratch };
    Some((Kernel::Conv2dI8Simd(p), layer.blocks(&words)))
}

fn depthwise(program: &Program, step: &Step, p: &DepthwiseConv2dI8) -> Option<Exchange> {
    let layer = layer(program, step)?;
    let p = DepthwiseConv2dI8Simd {
        input: p.input,
        output: p.output,
        window: p.window,
        depth_multiplier: p.depth_multiplier,
        fold: 1,
        input_zero_point: p.input_zero_point,
        output_zero_point: p.output_zero_point,
        min: p.min,
        max: p.max,
        scratch: 0,
    };
    let p = DepthwiseConv2dI8Simd { fold: p.folds(), ..p };
    Some((Kernel::DepthwiseConv2dI8Simd(p), layer.sixteens(p.fold)))
}

fn dense(program: &Program, step: &Step, p: &FullyConnectedI8) -> Option<Exchange> {
    let features = p.input.width * p.input.channels;
    let tables = layer(program, step)?.blocks(&words_of_runs(1, features));
    let p = FullyConnectedI8Simd {
        input: p.input,
        output: p.output,
        output_zero_point: p.output_zero_point,
        min: p.min,
        max: p.max,
        scratch: 0,
    };
    Some((Kernel::FullyConnectedI8Simd(p), tables))
}
