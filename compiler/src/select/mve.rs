//! The kernels for cores with MVE.

use super::pack::{self, Layer};
use super::{Exchange, Forms};
use crate::kernels::Kernel;
use kiln_runtime_core::{
    Conv2dI8, Conv2dI8Mve, DepthwiseConv2dI8, DepthwiseConv2dI8Mve, FullyConnectedI8, FullyConnectedI8Mve,
    PointwiseConv2dI8Mve,
};

/// The forms of each kind of layer.
pub(super) const FORMS: Forms = Forms { conv, depthwise, dense };

fn conv(layer: &Layer, p: &Conv2dI8) -> Vec<Exchange> {
    let tables = pack::vectors(layer);
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
    vec![(kernel, Some(tables))]
}

fn depthwise(_: &Layer, p: &DepthwiseConv2dI8) -> Vec<Exchange> {
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
    vec![(Kernel::DepthwiseConv2dI8Mve(p), None)]
}

fn dense(layer: &Layer, p: &FullyConnectedI8) -> Vec<Exchange> {
    let tables = pack::dense_vectors(layer);
    let p = FullyConnectedI8Mve {
        input: p.input,
        output: p.output,
        output_zero_point: p.output_zero_point,
        min: p.min,
        max: p.max,
        scratch: 0,
    };
    vec![(Kernel::FullyConnectedI8Mve(p), Some(tables))]
}
