//! Where everything lies: one arena, every buffer and scratch area at a fixed offset.
//!
//! Time runs from 0, when the inputs are there, over step `i` at `i + 1`, to the end, when the outputs are read. Two
//! buffers whose lives meet lie apart, except where a kernel may write its output over its dying input.

mod fed;
mod group;
mod in_place;
mod live;
mod order;
mod overlap;
mod place;
mod stream;
mod svg;
mod text;
mod time;
mod verify;

pub use fed::plan_by_rows;
pub use live::{Life, Overlay};
pub use order::{Order, order, reordered};
pub use time::{Axis, plan_over_time};
pub use verify::verify;

use crate::kernels::Kernel;
use crate::program::{Placement, Program, Shape, Step};
use live::Lives;
use std::ops::Range;
use stream::Streams;

/// A memory plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Name of the model.
    pub name: String,
    /// Name and bytes of each buffer, by its id.
    pub buffers: Vec<(String, usize)>,
    /// The steps, in the program's order.
    pub steps: Vec<PlannedStep>,
    /// Offsets of all buffers and scratch areas.
    pub placement: Placement,
    /// Life of each buffer, by its id.
    pub lives: Vec<Life>,
    /// Outputs that lie over their dying inputs.
    pub overlays: Vec<Overlay>,
    /// Whether no other order of the steps needs less; not known of an order that was given.
    pub order_exact: bool,
    /// Bytes of the arena: RAM of the model, inputs and outputs included.
    pub arena_len: usize,
    /// Bytes of buffers and scratch that each step needs at least, in the program's order.
    pub live: Vec<usize>,
    /// No plan in this order can be smaller, scratch not counted.
    pub lower_bound: usize,
    /// No plan in this order can be smaller, scratch counted.
    pub lower_bound_with_scratch: usize,
    /// The step that needs most.
    pub peak_step: usize,
    /// Largest scratch of a step.
    pub scratch_max: usize,
}

/// What the plan says of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStep {
    /// Name of the layer.
    pub layer: String,
    /// Function of the runtime.
    pub kernel: &'static str,
    /// Bytes of scratch.
    pub scratch: usize,
}

/// Plans a program in the order of its steps, with the streams that make its memory smallest; those that add more than a few
/// instructions are left out.
pub fn plan(program: &Program) -> Plan {
    let whole = plan_as(program, Shape::default());
    let streamed =
        group::shapes(program, None, group::MOST_MORE).into_iter().map(|shape| plan_as(program, shape));
    // A stream is worth its calls where it saves a twentieth.
    let worth = |p: &Plan| p.arena_len + whole.arena_len / 20 <= whole.arena_len;
    streamed.filter(worth).min_by_key(|p| p.arena_len).unwrap_or(whole)
}

/// The shape in which `steps` are a stream whose first ones compute `rows` rows a tick, and the buffers around it lie row by row
/// where they can; none where those steps cannot run interleaved.
pub fn stream(program: &Program, steps: Range<usize>, rows: usize) -> Option<Shape> {
    let streams = Streams::new(program, None);
    let mut shape = streams.group(steps.clone(), rows)?;
    let (inputs, outputs) = streams.outer(&steps);
    inputs.into_iter().chain(outputs).for_each(|(buffer, form)| shape.forms[buffer.0] = Some(form));
    in_place::share_rings(program, &mut shape);
    Some(shape)
}

/// Plans a program in the order of its steps, with given streams.
pub fn plan_as(program: &Program, shape: Shape) -> Plan {
    let lives = live::lives(program, &shape);
    let kernels: Vec<Kernel> = (0..program.steps.len()).map(|i| shape.kernel(program, i)).collect();
    let scratch: Vec<usize> = kernels.iter().map(Kernel::scratch_len).collect();
    let steps = program.steps.len();
    let without: Vec<usize> = (0..steps).map(|i| lives.bytes_at(i + 1)).collect();
    let live: Vec<usize> = without.iter().zip(&scratch).map(|(bytes, scratch)| bytes + scratch).collect();
    let ends = [0, steps + 1].map(|t| lives.bytes_at(t)).into_iter().max().unwrap_or(0);
    let peak = live.iter().copied().max().unwrap_or(0);
    let bound = peak.max(ends);
    let (loose, bound) = lives.loosened(&scratch, bound);
    let tight = (place::place(program, shape.clone(), &lives, &scratch, bound), lives);
    let loose = (place::place(program, shape, &loose, &scratch, bound), loose);
    let (placement, lives) = if loose.0.arena < tight.0.arena { loose } else { tight };
    let Lives { lives, overlays, sizes, .. } = lives;
    let planned = |(s, &scratch): (&Step, &usize)| PlannedStep {
        layer: s.layer.clone(),
        kernel: s.kernel.function(),
        scratch,
    };
    Plan {
        name: program.name.clone(),
        buffers: program.buffers.iter().map(|b| b.name.clone()).zip(sizes).collect(),
        steps: program.steps.iter().zip(&scratch).map(planned).collect(),
        order_exact: false,
        arena_len: placement.arena,
        placement,
        lives,
        overlays,
        lower_bound: without.into_iter().max().unwrap_or(0).max(ends),
        lower_bound_with_scratch: bound,
        peak_step: live.iter().position(|&b| b == peak).unwrap_or(0),
        scratch_max: scratch.into_iter().max().unwrap_or(0),
        live,
    }
}

#[cfg(test)]
mod tests;
