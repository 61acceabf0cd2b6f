//! Checks a plan by simulation, without looking at lives: every byte of the arena knows the buffer that wrote it last,
//! and every read must find its own buffer there.

use super::Plan;
use crate::kernels::Overlay;
use crate::program::{Placement, Program};
use kiln_runtime_core::Image;

const NOBODY: u32 = u32::MAX;

struct Arena {
    owner: Vec<u32>,
    /// The last step (plus 1) that reads each byte.
    read: Vec<u32>,
}

/// Checks that the program computes in this placement what it computes without reuse.
///
/// # Errors
/// A sentence that names the step and the buffer; a bug of the planner.
pub fn verify(program: &Program, plan: &Plan) -> Result<(), String> {
    let placement = &plan.placement;
    let mut arena = Arena { owner: vec![NOBODY; placement.arena], read: vec![0; placement.arena] };
    for port in &program.inputs {
        let at = placement.buffers[port.buffer.0];
        let size = program.buffers[port.buffer.0].size();
        let bytes = arena.owner.get_mut(at..at + size).ok_or_else(|| outside(&port.name))?;
        if bytes.iter().any(|&o| o != NOBODY) {
            return Err(format!("input `{}` overlaps another input", port.name));
        }
        bytes.fill(port.buffer.0 as u32);
    }
    for index in 0..program.steps.len() {
        let layer = &program.steps[index].layer;
        arena.step(program, placement, index).map_err(|e| format!("step {index} `{layer}`: {e}"))?;
    }
    for port in &program.outputs {
        let at = placement.buffers[port.buffer.0];
        let size = program.buffers[port.buffer.0].size();
        let bytes = arena.owner.get(at..at + size).ok_or_else(|| outside(&port.name))?;
        if bytes.iter().any(|&o| o != port.buffer.0 as u32) {
            return Err(format!("output `{}` is overwritten", port.name));
        }
    }
    Ok(())
}

fn outside(name: &str) -> String {
    format!("`{name}` lies outside of the arena")
}

impl Arena {
    fn step(&mut self, program: &Program, placement: &Placement, index: usize) -> Result<(), String> {
        let step = &program.steps[index];
        let kernel = placement.kernel(program, index);
        kernel.check(&program.tables(step), placement.arena)?;
        let stamp = index as u32 + 1;
        let (reads, writes) = (kernel.reads(), kernel.writes());
        for ((image, buffer), elem) in reads.iter().zip(&step.reads).zip(kernel.read_elems()) {
            let Some(buffer) = buffer else { continue };
            let name = &program.buffers[buffer.0].name;
            elements(image, elem.size(), &mut |byte| {
                let owner = self.owner.get(byte).ok_or_else(|| outside(name))?;
                self.read[byte] = stamp;
                if *owner == buffer.0 as u32 {
                    Ok(())
                } else {
                    Err(format!("`{name}` is lost at byte {byte}"))
                }
            })?;
        }
        for ((image, buffer), elem) in writes.iter().zip(&step.writes).zip(kernel.write_elems()) {
            // The kernel says so of these images.
            let over = match kernel.overlay() {
                Overlay::No => false,
                Overlay::Elements => reads.first() == Some(image),
                Overlay::Start => true,
            };
            let inner = step.reads.contains(&Some(*buffer));
            let name = &program.buffers[buffer.0].name;
            elements(image, elem.size(), &mut |byte| {
                let owner = self.owner.get_mut(byte).ok_or_else(|| outside(name))?;
                if self.read[byte] == stamp && !over && !inner {
                    return Err(format!("`{name}` is written over an input at byte {byte}"));
                }
                *owner = buffer.0 as u32;
                Ok(())
            })?;
        }
        self.scratch(program, index, placement.scratch[index], kernel.scratch_len())
    }

    /// Scratch is apart from what the step reads and writes, and destroys what lies there.
    fn scratch(&mut self, program: &Program, index: usize, at: usize, len: usize) -> Result<(), String> {
        let step = &program.steps[index];
        for byte in at..at + len {
            let owner = self.owner.get_mut(byte).ok_or_else(|| outside("scratch"))?;
            let used = step.writes.iter().chain(step.reads.iter().flatten()).any(|b| *owner == b.0 as u32);
            if used {
                return Err(format!("scratch overlaps an operand at byte {byte}"));
            }
            *owner = NOBODY;
        }
        Ok(())
    }
}

/// Calls `f` with each byte of each element.
fn elements(
    image: &Image,
    size: usize,
    f: &mut dyn FnMut(usize) -> Result<(), String>,
) -> Result<(), String> {
    for y in 0..image.height {
        for x in 0..image.width {
            for c in 0..image.channels {
                let at = image.at(y, x, c) * size;
                (at..at + size).try_for_each(&mut *f)?;
            }
        }
    }
    Ok(())
}
