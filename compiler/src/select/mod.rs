//! Which form of a kernel a program calls: a step of the plain family is exchanged for the one of the target's family that
//! computes the same bits faster, its tables repacked for it. What a family has no kernel for stays plain.

mod dsp;
mod groups;
mod interleave;
mod mve;
mod pack;
mod scalar;
mod simd;

use crate::kernels::{ConstData, Kernel};
use crate::program::{ConstId, Program, Step};
use kiln_runtime_core::{Conv2dI8, DepthwiseConv2dI8, Family, FullyConnectedI8, Image, Layout, Window};
use pack::Layer;
use std::collections::BTreeMap;

/// The program for a family.
pub fn select(program: Program, family: Family) -> Program {
    selected(program, family, &|_, _| true)
}

/// The program for a family, of which frames come one by one: layers of several rows take forms that compute one of them.
pub fn select_over_time(program: Program, family: Family) -> Program {
    selected(program, family, &|plain, form| {
        plain.rows() < 2 || plain.window().is_none() || form.window().is_some()
    })
}

/// Takes forms in place of plain kernels that `may`.
fn selected(mut program: Program, family: Family, may: &dyn Fn(&Kernel, &Kernel) -> bool) -> Program {
    match family {
        Family::Plain => return program,
        Family::Dsp => dsp::select(&mut program, may),
        Family::Mve => exchange_layers(&mut program, &mve::FORMS, may),
        Family::Scalar => exchange_layers(&mut program, &scalar::FORMS, may),
        Family::Simd => simd::select(&mut program, may),
    }
    drop_unused_tables(&mut program);
    program
}

/// Names and values of packed tables.
type Tables = [(&'static str, ConstData); 2];

/// A kernel and its tables; `None` where it takes those of the plain one.
type Exchange = (Kernel, Option<Tables>);

/// What a family has for each kind of layer: its forms, the fastest first.
struct Forms {
    conv: fn(&Layer, &Conv2dI8) -> Vec<Exchange>,
    depthwise: fn(&Layer, &DepthwiseConv2dI8) -> Vec<Exchange>,
    dense: fn(&Layer, &FullyConnectedI8) -> Vec<Exchange>,
}

/// Exchanges every step that has a form which can compute it.
fn exchange_layers(program: &mut Program, forms: &Forms, may: &dyn Fn(&Kernel, &Kernel) -> bool) {
    groups::split_groups(program);
    for i in 0..program.steps.len() {
        let step = &program.steps[i];
        let Some(layer) = layer(program, step) else { continue };
        let candidates = match &step.kernel {
            Kernel::Conv2dI8(p) if p.groups == 1 => (forms.conv)(&layer, p),
            Kernel::DepthwiseConv2dI8(p) if p.input.channels == 1 => (forms.conv)(&layer, &as_conv(p)),
            Kernel::DepthwiseConv2dI8(p) => (forms.depthwise)(&layer, p),
            Kernel::FullyConnectedI8(p) => (forms.dense)(&layer, p),
            _ => continue,
        };
        // What a kernel cannot compute, its own check says; offsets in the arena are not known yet.
        let fits = |(kernel, tables): &Exchange| {
            let tables: Vec<&ConstData> = match tables {
                Some(tables) => tables.iter().map(|(_, data)| data).collect(),
                None => step.consts.iter().map(|c| &program.consts[c.0].data).collect(),
            };
            may(&step.kernel, kernel) && kernel.check(&tables, usize::MAX).is_ok()
        };
        if let Some((kernel, tables)) = candidates.into_iter().find(fits) {
            exchange(program, i, kernel, tables);
        }
    }
}

/// Gives a step another kernel, and tables of its own.
fn exchange(program: &mut Program, step: usize, kernel: Kernel, tables: Option<Tables>) {
    program.steps[step].kernel = kernel;
    if let Some(tables) = tables {
        let consts = tables.into_iter().map(|(name, data)| program.constant(name, data)).collect();
        program.steps[step].consts = consts;
    }
}

/// The tables of a layer, when they are such that the packed form can say them.
fn layer<'a>(program: &'a Program, step: &Step) -> Option<Layer<'a>> {
    let table = |i: usize| step.consts.get(i).map(|c: &ConstId| &program.consts[c.0].data);
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

/// Forgets the tables of the steps that were exchanged.
fn drop_unused_tables(program: &mut Program) {
    let mut kept: BTreeMap<ConstId, ConstId> = BTreeMap::new();
    let mut consts = vec![];
    for id in program.steps.iter_mut().flat_map(|s| &mut s.consts) {
        *id = *kept.entry(*id).or_insert_with(|| {
            consts.push(program.consts[id.0].clone());
            ConstId(consts.len() - 1)
        });
    }
    program.consts = consts;
}
