//! Where everything lies: one arena, every buffer and scratch area at a fixed offset.
//!
//! Time runs from 0, when the inputs are there, over step `i` at `i + 1`, to the end, when the outputs are read. Two
//! buffers whose lives meet lie apart, except where a kernel may write its output over its dying input.

mod live;
mod order;
mod place;
mod svg;
mod text;
mod verify;

pub use live::{Life, Overlay};
pub use order::{Order, order, reordered};
pub use verify::verify;

use crate::program::{Placement, Program, Step};
use live::Lives;

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

/// Plans a program in the order of its steps.
pub fn plan(program: &Program) -> Plan {
    let lives = live::lives(program);
    let placement = place::place(program, &lives);
    let scratch = |i: usize| program.steps[i].kernel.scratch_len();
    let steps = program.steps.len();
    let live: Vec<usize> = (0..steps).map(|i| lives.bytes_at(program, i + 1) + scratch(i)).collect();
    let ends = [0, steps + 1].map(|t| lives.bytes_at(program, t)).into_iter().max().unwrap_or(0);
    let without = (0..steps).map(|i| live[i] - scratch(i)).max().unwrap_or(0);
    let peak = live.iter().copied().max().unwrap_or(0);
    let Lives { lives, overlays, .. } = lives;
    let planned = |s: &Step| PlannedStep {
        layer: s.layer.clone(),
        kernel: s.kernel.function(),
        scratch: s.kernel.scratch_len(),
    };
    Plan {
        name: program.name.clone(),
        buffers: program.buffers.iter().map(|b| (b.name.clone(), b.size())).collect(),
        steps: program.steps.iter().map(planned).collect(),
        order_exact: false,
        arena_len: placement.arena,
        placement,
        lives,
        overlays,
        lower_bound: without.max(ends),
        lower_bound_with_scratch: peak.max(ends),
        peak_step: live.iter().position(|&b| b == peak).unwrap_or(0),
        scratch_max: (0..steps).map(scratch).max().unwrap_or(0),
        live,
    }
}

#[cfg(test)]
mod tests;
