//! Convolutions in groups, taken apart.

use super::layer;
use crate::kernels::{ConstData, Kernel};
use crate::program::{ConstId, Program, Step};
use kiln_runtime_core::{Conv2dI8, Image};

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
