//! The kernels for cores with the DSP extension.

use super::interleave::{Planes, interleave, movable};
use super::pack::{self, Layer, Taps, words_of_byte_runs, words_of_runs};
use super::{Exchange, Forms, as_columns, exchange_layers, layer};
use crate::kernels::{Kernel, Overlay};
use crate::program::Program;
use kiln_runtime_core::{
    Conv2dI8, Conv2dI8Dsp, DepthwiseConv2dI8, DepthwiseConv2dI8Dsp, FullyConnectedI8, FullyConnectedI8Dsp,
    Image, InterleavedConv2dI8Dsp, PointwiseConv2dI8Dsp,
};

/// The forms of each kind of layer.
const FORMS: Forms = Forms { conv, depthwise, dense };
/// Those of a program with interleaved buffers, which then needs the code of one kind of gather only.
const INTERLEAVED: Forms = Forms { conv: interleaved_conv, ..FORMS };

/// Exchanges every step that has a faster form.
pub(super) fn select(program: &mut Program, may: &dyn Fn(&Kernel, &Kernel) -> bool) {
    let interleaved = interleaved(program);
    interleave(program, &interleaved);
    let some = interleaved.iter().any(Option::is_some);
    exchange_layers(program, if some { &INTERLEAVED } else { &FORMS }, may);
}

/// The buffers to interleave: windows of several channels are then runs of bytes, which need no copy of the rows. Depthwise and
/// grouped layers want planes, and elementwise ones the same order everywhere.
fn interleaved(program: &Program) -> Vec<Option<Planes>> {
    let mut movable = movable(program);
    let mut wanted = vec![false; movable.len()];
    // Buffers that must lie alike, by the first of them.
    let mut alike: Vec<usize> = (0..movable.len()).collect();
    for step in &program.steps {
        let buffers: Vec<usize> = step.reads.iter().flatten().chain(&step.writes).map(|b| b.0).collect();
        match &step.kernel {
            Kernel::Conv2dI8(p) if p.groups == 1 && layer(program, step).is_some() => {
                let read = step.reads.iter().flatten();
                read.for_each(|b| wanted[b.0] |= !p.is_pointwise());
            }
            Kernel::Conv2dI8(_) | Kernel::DepthwiseConv2dI8(_) => {
                buffers.iter().for_each(|&b| movable[b] = None)
            }
            kernel if kernel.overlay() == Overlay::Elements => join(&mut alike, program, &buffers),
            _ => {}
        }
    }
    let alike = &alike;
    let group = |of: usize| (0..alike.len()).filter(move |&b| alike[b] == alike[of]);
    let chosen = |b: usize| group(b).all(|b| movable[b].is_some()) && group(b).any(|b| wanted[b]);
    (0..alike.len()).map(|b| if chosen(b) { movable[b] } else { None }).collect()
}

/// Says that buffers of the same length must lie alike.
fn join(alike: &mut [usize], program: &Program, buffers: &[usize]) {
    let len = |b: usize| program.buffers[b].len;
    let most = buffers.iter().map(|&b| len(b)).max();
    let same: Vec<usize> = buffers.iter().copied().filter(|&b| Some(len(b)) == most).collect();
    let groups: Vec<usize> = same.iter().map(|&b| alike[b]).collect();
    if let Some(&first) = groups.iter().min() {
        alike.iter_mut().filter(|group| groups.contains(group)).for_each(|group| *group = first);
    }
}

fn conv(layer: &Layer, p: &Conv2dI8) -> Vec<Exchange> {
    let columns = as_columns(&p.input, &p.window).filter(|_| p.input.height * p.input.width > 1);
    match columns {
        Some((input, window)) => {
            let words = words_of_runs(window.height, window.width);
            vec![windowed(layer, &Conv2dI8 { input, window, ..*p }, &words)]
        }
        None => interleaved_conv(layer, p),
    }
}

fn interleaved_conv(layer: &Layer, p: &Conv2dI8) -> Vec<Exchange> {
    let Conv2dI8 { input, output, window, input_zero_point, output_zero_point, min, max, .. } = *p;
    let (taps, scratch) = (window.height * window.width, 0);
    // One pixel is of any layout, and mostly a dense layer.
    if input.channels == 1 || input.layout.chan == 1 && input.height * input.width > 1 {
        let whole = window.dilation_w == 1 && input.layout.col == input.channels;
        let packed = layer.pack(&match whole {
            true => words_of_byte_runs(window.height, window.width * input.channels),
            false => words_of_byte_runs(taps, input.channels),
        });
        let dual = packed.dual;
        let p = InterleavedConv2dI8Dsp {
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
        return vec![(Kernel::InterleavedConv2dI8Dsp(p), Some(packed.tables))];
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
    forms.push(windowed(layer, p, &words_of_runs(taps, input.channels)));
    forms
}

/// The form that copies rows into a ring of words.
fn windowed(layer: &Layer, p: &Conv2dI8, words: &[Taps]) -> Exchange {
    let Conv2dI8 { input, output, window, input_zero_point, output_zero_point, min, max, .. } = *p;
    let packed = layer.pack(words);
    let (dual, scratch) = (packed.dual, 0);
    let p =
        Conv2dI8Dsp { input, output, window, dual, input_zero_point, output_zero_point, min, max, scratch };
    (Kernel::Conv2dI8Dsp(p), Some(packed.tables))
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
