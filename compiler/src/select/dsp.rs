//! The kernels for cores with the DSP extension.

use super::pack::{self, Layer, words_of_runs};
use super::{Exchange, Forms, as_columns};
use crate::kernels::Kernel;
use kiln_runtime_core::{
    Conv2dI8, Conv2dI8Dsp, DepthwiseConv2dI8, DepthwiseConv2dI8Dsp, FullyConnectedI8, FullyConnectedI8Dsp,
    Image, PointwiseConv2dI8Dsp, Window,
};

/// The forms of each kind of layer.
pub(super) const FORMS: Forms = Forms { conv, depthwise, dense };

fn conv(layer: &Layer, p: &Conv2dI8) -> Vec<Exchange> {
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
        (Kernel::Conv2dI8Dsp(p), Some(packed.tables))
    };
    if let Some((input, window)) =
        as_columns(&p.input, &window).filter(|_| p.input.height * p.input.width > 1)
    {
        return vec![windowed(input, window)];
    }
    let mut forms = vec![];
    if p.is_pointwise() {
        // One pixel is a dense layer, when its channels lie one after the other.
        if p.input.layout.chan == 1 && output.height == 1 && output.width == 1 {
            forms.push(dense_of(layer, (p.input, output), (output_zero_point, min, max)));
        }
        let packed = layer.pack(&words_of_runs(1, p.input.channels));
        let (input, dual, scratch) = (p.input, packed.dual, 0);
        let p = PointwiseConv2dI8Dsp { input, output, dual, output_zero_point, min, max, scratch };
        forms.push((Kernel::PointwiseConv2dI8Dsp(p), Some(packed.tables)));
    }
    forms.push(windowed(p.input, window));
    forms
}

fn depthwise(layer: &Layer, p: &DepthwiseConv2dI8) -> Vec<Exchange> {
    let tables = pack::depthwise(layer, (p.window.height, p.window.width));
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
    vec![(Kernel::DepthwiseConv2dI8Dsp(p), Some(tables))]
}

fn dense(layer: &Layer, p: &FullyConnectedI8) -> Vec<Exchange> {
    vec![dense_of(layer, (p.input, p.output), (p.output_zero_point, p.min, p.max))]
}

fn dense_of(
    layer: &Layer,
    (input, output): (Image, Image),
    (output_zero_point, min, max): (i8, i8, i8),
) -> Exchange {
    let packed = pack::dense(layer, input.width * input.channels);
    let (dual, scratch) = (packed.dual, 0);
    let p = FullyConnectedI8Dsp { input, output, dual, output_zero_point, min, max, scratch };
    (Kernel::FullyConnectedI8Dsp(p), Some(packed.tables))
}
