//! The kernels for cores with vectors.

use super::interleave::{interleave, movable};
use super::pack::{Layer, words_of_runs};
use super::{Exchange, Forms, exchange_layers};
use crate::kernels::Kernel;
use crate::program::Program;
use kiln_runtime_core::{
    Conv2dI8, Conv2dI8Simd, DepthwiseConv2dI8, DepthwiseConv2dI8Simd, Family, FullyConnectedI8,
    FullyConnectedI8Simd, PointwiseConv2dI8Simd,
};

/// The forms of each kind of layer.
const FORMS: Forms = Forms { conv, depthwise, dense };

/// Exchanges every step that has a faster form, on interleaved activations.
pub(super) fn select(program: &mut Program, may: &dyn Fn(&Kernel, &Kernel) -> bool) {
    let plain = program.clone();
    interleave(program, &movable(program));
    exchange_layers(program, &FORMS, may);
    for step in &mut program.steps {
        match step.kernel {
            Kernel::AddI8(p) => step.kernel = Kernel::AddI8Simd(p),
            Kernel::AveragePoolI8(p) => step.kernel = Kernel::AveragePoolI8Simd(p),
            _ => {}
        }
    }
    // A layout without a kernel that wants it.
    if program.family() == Family::Plain {
        *program = plain;
    }
}

fn conv(layer: &Layer, p: &Conv2dI8) -> Vec<Exchange> {
    let Conv2dI8 { input, output, window, input_zero_point, output_zero_point, min, max, .. } = *p;
    let scratch = 0;
    if p.is_pointwise() {
        let p = PointwiseConv2dI8Simd { input, output, output_zero_point, min, max, scratch };
        let tables = layer.blocks(&words_of_runs(1, input.channels));
        return vec![(Kernel::PointwiseConv2dI8Simd(p), Some(tables))];
    }
    let words = match window.dilation_w {
        1 => words_of_runs(window.height, window.width * input.channels),
        _ => words_of_runs(window.height * window.width, input.channels),
    };
    let p = Conv2dI8Simd { input, output, window, input_zero_point, output_zero_point, min, max, scratch };
    vec![(Kernel::Conv2dI8Simd(p), Some(layer.blocks(&words)))]
}

fn depthwise(layer: &Layer, p: &DepthwiseConv2dI8) -> Vec<Exchange> {
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
    vec![(Kernel::DepthwiseConv2dI8Simd(p), Some(layer.sixteens(p.fold)))]
}

fn dense(layer: &Layer, p: &FullyConnectedI8) -> Vec<Exchange> {
    let features = p.input.width * p.input.channels;
    let tables = layer.blocks(&words_of_runs(1, features));
    let p = FullyConnectedI8Simd {
        input: p.input,
        output: p.output,
        output_zero_point: p.output_zero_point,
        min: p.min,
        max: p.max,
        scratch: 0,
    };
    vec![(Kernel::FullyConnectedI8Simd(p), Some(tables))]
}
