//! What holds of every program. Checked after lowering; a failure is a bug of the compiler, never of the model.
//!
//! 1. Buffers and constants that a step names exist, as many as its kernel takes, of its element types.
//! 2. Every image lies inside its buffer.
//! 3. A buffer is written before it is read; inputs are never written except as the overlay of their last reader.
//! 4. Kernel, tables and scratch pass the kernel's own `check`.
//! 5. Outputs are contiguous, written, and of the size of their type.

use super::{Placement, Program};

/// Checks the invariants above.
///
/// # Errors
/// A sentence that names the step and the invariant.
pub fn verify(program: &Program) -> Result<(), String> {
    let mut written: Vec<bool> = vec![false; program.buffers.len()];
    for port in &program.inputs {
        written[port.buffer.0] = true;
    }
    let placement = Placement::unplanned(program);
    for (index, step) in program.steps.iter().enumerate() {
        let fail =
            |what: &str| Err(format!("step {index} `{}` ({}): {what}", step.layer, step.kernel.function()));
        let (reads, writes) = (step.kernel.reads(), step.kernel.writes());
        if reads.len() != step.reads.len() || writes.len() != step.writes.len() {
            return fail("wrong number of operands");
        }
        if step.kernel.tables().map_or(0, |t| t.fields.len()) != step.consts.len() {
            return fail("wrong number of tables");
        }
        for ((image, buffer), elem) in reads.iter().zip(&step.reads).zip(step.kernel.read_elems()) {
            let Some(buffer) = buffer else { continue };
            let Some(b) = program.buffers.get(buffer.0) else { return fail("unknown buffer") };
            if image.end() > b.len {
                return fail("reads outside of its buffer");
            }
            if b.elem.size() != elem.size() {
                return fail("reads a buffer of another element size");
            }
            if !written[buffer.0] {
                return fail("reads a buffer that nothing wrote");
            }
        }
        for ((image, buffer), elem) in writes.iter().zip(&step.writes).zip(step.kernel.write_elems()) {
            let Some(b) = program.buffers.get(buffer.0) else { return fail("unknown buffer") };
            if image.end() > b.len {
                return fail("writes outside of its buffer");
            }
            if b.elem.size() != elem.size() {
                return fail("writes a buffer of another element size");
            }
            written[buffer.0] = true;
        }
        if step.consts.iter().any(|c| c.0 >= program.consts.len()) {
            return fail("unknown constant");
        }
        if let Err(message) = placement.kernel(program, index).check(&program.tables(step), placement.arena) {
            return fail(message);
        }
    }
    for port in program.inputs.iter().chain(&program.outputs) {
        let buffer = &program.buffers[port.buffer.0];
        if buffer.size() != port.ty.elements() * port.ty.elem.size() {
            return Err(format!("port `{}` does not fill its buffer", port.name));
        }
        if !written[port.buffer.0] {
            return Err(format!("output `{}` is never written", port.name));
        }
    }
    Ok(())
}
