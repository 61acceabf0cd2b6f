//! Which form of a kernel a program calls: a step of the plain family is exchanged for the one of the target's family that
//! computes the same bits faster, its tables repacked for it. What a family has no kernel for stays plain.

mod dsp;
mod interleave;
mod mve;
mod pack;
mod scalar;
mod simd;

use crate::kernels::{ConstData, Kernel};
use crate::program::{ConstId, Program, Step};
use kiln_runtime_core::{Conv2dI8, DepthwiseConv2dI8, Family};
use pack::Layer;
use std::collections::BTreeMap;

/// The program for a family.
pub fn select(mut program: Program, family: Family) -> Program {
    match family {
        Family::Plain => return program,
        Family::Dsp => dsp::select(&mut program),
        Family::Mve => mve::select(&mut program),
        Family::Scalar => scalar::select(&mut program),
        Family::Simd => simd::select(&mut program),
    }
    drop_unused_tables(&mut program);
    program
}

/// Gives a step another kernel with tables of its own.
fn exchange(program: &mut Program, step: usize, kernel: Kernel, tables: [(&'static str, ConstData); 2]) {
    let consts = tables.into_iter().map(|(name, data)| program.constant(name, data)).collect();
    let step = &mut program.steps[step];
    (step.kernel, step.consts) = (kernel, consts);
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
