//! The kernels for cores with MVE.

use super::dsp::split_groups;
use super::{as_conv, exchange, layer, pack};
use crate::kernels::{ConstData, Kernel};
use crate::program::{Program, Step};
use kiln_runtime_core::{
    Conv2dI8, Conv2dI8Mve, DepthwiseConv2dI8, DepthwiseConv2dI8Mve, FullyConnectedI8, FullyConnectedI8Mve,
    PointwiseConv2dI8Mve,
};

/// A kernel and its packed tables; `None` where it takes those of the plain one.
type Exchange = (Kernel, Option<[(&'static str, ConstData); 2]>);

/// Exchanges every step that has a faster form.
pub(super) fn select(program: &mut Program) {
    split_groups(program);
    for i in 0..program.steps.len() {
        let step = &program.steps[i];
        let exchanged = match &step.kernel {
            Kernel::Conv2dI8(p) if p.groups == 1 => conv(program, step, p),
            Kernel::DepthwiseConv2dI8(p) if p.input.channels == 1 => conv(program, step, &as_conv(p)),
            Kernel::DepthwiseConv2dI8(p) => depthwise(program, step, p),
            Kernel::FullyConnectedI8(p) => dense(program, step, p),
            _ => None,
        };
        match exchanged {
            Some((kernel, Some(tables))) => exchange(program, i, kernel, tables),
            Some((kernel, None)) => program.steps[i].kernel = kernel,
            None => {}
        }
    }
}

fn conv(program: &Program, step: &Step, p: &Conv2dI8) -> Option<Exchange> {
    let tables = pack::vectors(&layer(program, step)?);
    let Conv2dI8 { input, output, input_zero_point, output_zero_point, min, max, .. } = *p;
    let scratch = 0;
    let kernel = if p.is_pointwise() {
        Kernel::PointwiseConv2dI8Mve(PointwiseConv2dI8Mve {
            input,
            output,
            output_zero_point,
            min,
            max,
            scratch,
        })
    } else {
        let window = p.window;
        Kernel::Conv2dI8Mve(Conv2dI8Mve {
            input,
            output,
            window,
            input_zero_point,
            output_zero_point,
            min,
            max,
            scratch,
        })
    };
    Some((kernel, Some(tables)))
}

fn depthwise(program: &Program, step: &Step, p: &DepthwiseConv2dI8) -> Option<Exchange> {
    layer(program, step)?;
    if p.window.dilation_w != 1 {
        return None;
    }
    let p = DepthwiseConv2dI8Mve {
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
    Some((Kernel::DepthwiseConv2dI8Mve(p), None))
}

fn dense(program: &Program, step: &Step, p: &FullyConnectedI8) -> Option<Exchange> {
    let tables = pack::dense_vectors(&layer(program, step)?);
    let p = FullyConnectedI8Mve {
        input: p.input,
        output: p.output,
        output_zero_point: p.output_zero_point,
        min: p.min,
        max: p.max,
        scratch: 0,
    };
    Some((Kernel::FullyConnectedI8Mve(p), Some(tables)))
}
