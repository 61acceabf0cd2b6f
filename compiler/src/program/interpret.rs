//! Runs a program on the host with the runtime's own kernels.

use super::{Feed, Port, Program, Shape, Step, Time};
use crate::diag::Diagnostic;
use crate::kernels::{ConstData, Kernel};
use crate::tensor::Tensor;
use kiln_runtime_core::{Block, move_rows, view, view_mut};

/// Byte offsets in one arena.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Byte offset of each buffer, a multiple of its element size.
    pub buffers: Vec<usize>,
    /// Byte offset of each step's scratch.
    pub scratch: Vec<usize>,
    /// Bytes of the arena, a multiple of 16.
    pub arena: usize,
    /// Which steps run interleaved, and what their buffers hold.
    pub shape: Shape,
}

impl Placement {
    /// Every buffer in its own place: no reuse, so nothing can overwrite anything. The reference for planned runs.
    pub fn unplanned(program: &Program) -> Placement {
        let mut end = 0;
        let mut place = |size: usize| {
            let at = end;
            end += size.next_multiple_of(16);
            at
        };
        let buffers = program.buffers.iter().map(|b| place(b.size())).collect();
        let scratch = program.steps.iter().map(|s| place(s.kernel.scratch_len())).collect();
        Placement { buffers, scratch, arena: end, shape: Shape::default() }
    }

    /// The kernel of step `index` with absolute offsets.
    pub fn kernel(&self, program: &Program, index: usize) -> Kernel {
        let step = &program.steps[index];
        let mut kernel = self.shape.kernel(program, index);
        let (read_elems, write_elems) = (kernel.read_elems(), kernel.write_elems());
        let places = kernel.places();
        for ((image, buffer), elem) in places.reads.into_iter().zip(&step.reads).zip(read_elems) {
            if let Some(buffer) = buffer {
                image.offset += self.buffers[buffer.0] / elem.size();
            }
        }
        for ((image, buffer), elem) in places.writes.into_iter().zip(&step.writes).zip(write_elems) {
            image.offset += self.buffers[buffer.0] / elem.size();
        }
        if let Some(scratch) = places.scratch {
            *scratch = self.scratch[index];
        }
        kernel
    }
}

/// Runs a program with every buffer in its own place.
///
/// # Errors
/// As [`run_placed`].
pub fn run(program: &Program, inputs: &[Tensor]) -> Result<Vec<Tensor>, Diagnostic> {
    run_placed(program, &Placement::unplanned(program), inputs, &mut |_, _| {})
}

/// Runs a program in the given placement. `observe` sees each step after it ran, with the memory.
///
/// # Errors
/// When the number, types or shapes of the inputs differ from the program's.
pub fn run_placed(
    program: &Program,
    placement: &Placement,
    inputs: &[Tensor],
    observe: &mut dyn FnMut(&Step, &[Block]),
) -> Result<Vec<Tensor>, Diagnostic> {
    Executor::new(program, placement).run(inputs, observe)
}

/// A program that is placed once and run as often as there are inputs. Its memory keeps what the last run left, as on the
/// device.
pub struct Executor<'a> {
    program: &'a Program,
    placement: &'a Placement,
    /// The calls, with absolute offsets and their tables.
    calls: Vec<(Kernel, Vec<&'a ConstData>)>,
    mem: Vec<Block>,
    /// Number of the next frame, where frames come one by one.
    tick: usize,
}

impl<'a> Executor<'a> {
    /// Memory of zeros, and every call ready.
    pub fn new(program: &'a Program, placement: &'a Placement) -> Executor<'a> {
        let call = |(i, step)| (placement.kernel(program, i), program.tables(step));
        Executor {
            program,
            placement,
            calls: program.steps.iter().enumerate().map(call).collect(),
            mem: vec![Block::ZERO; placement.arena.div_ceil(16)],
            tick: 0,
        }
    }

    /// Computes the outputs. `observe` sees each step after it ran, or the stream that it belongs to, with the memory.
    ///
    /// # Errors
    /// `E0601`, `E0602` when the number, types or shapes of the inputs differ from the program's.
    pub fn run(
        &mut self,
        inputs: &[Tensor],
        observe: &mut dyn FnMut(&Step, &[Block]),
    ) -> Result<Vec<Tensor>, Diagnostic> {
        check_inputs(self.program, inputs)?;
        if let Some(time) = &self.placement.shape.time {
            self.tick = 0;
            for y in 0..time.clock.window {
                self.frame(time, y, inputs);
            }
            self.program.steps.iter().for_each(|step| observe(step, &self.mem));
            return self.outputs();
        }
        for (port, tensor) in self.program.inputs.iter().zip(inputs) {
            if self.placement.shape.feed(port.buffer).is_some() {
                continue;
            }
            let at = self.placement.buffers[port.buffer.0];
            let bytes = tensor.bytes();
            view_mut::<u8>(&mut self.mem)[at..at + bytes.len()].copy_from_slice(bytes);
        }
        let mut index = 0;
        while index < self.calls.len() {
            let steps = match self.placement.shape.stream(index) {
                Some(stream) => {
                    for (tick, step) in stream.calls() {
                        if let Some(feed) = stream.feed.as_ref().filter(|_| step == stream.first) {
                            self.feed(feed, feed.rows.at(tick).map(|y| (y, y)), inputs);
                        }
                        let (kernel, tables) = &self.calls[step];
                        kernel.run(&mut self.mem, tables, stream.rows_at(step, tick));
                    }
                    stream.steps()
                }
                None => {
                    self.step(index);
                    index..index + 1
                }
            };
            index = steps.end;
            self.program.steps[steps].iter().for_each(|step| observe(step, &self.mem));
        }
        self.outputs()
    }

    /// Takes row `y` of the input as the next frame of a model over time, as its `step` does; gives the outputs when they are due,
    /// nothing for other models.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn push(&mut self, inputs: &[Tensor], y: usize) -> Result<Option<Vec<Tensor>>, Diagnostic> {
        check_inputs(self.program, inputs)?;
        let Some(time) = &self.placement.shape.time else { return Ok(None) };
        self.frame(time, y, inputs).then(|| self.outputs()).transpose()
    }

    /// One frame; says whether an output is due.
    fn frame(&mut self, time: &Time, y: usize, inputs: &[Tensor]) -> bool {
        let tick = self.tick;
        self.tick = time.clock.next(tick);
        let Some(stream) = self.placement.shape.streams.first() else { return false };
        if let Some(feed) = &stream.feed {
            self.feed(feed, [(y, tick)].into_iter(), inputs);
        }
        for step in stream.steps() {
            let rows = stream.rows_at(step, tick);
            let moved = time.moved_by(self.program, step).filter(|_| !rows.is_empty());
            for history in moved {
                let buffer = &self.program.buffers[history.buffer.0];
                let at = self.placement.buffers[history.buffer.0];
                move_rows(&mut self.mem, at, buffer.size(), history.by * buffer.elem.size());
            }
            let (kernel, tables) = &self.calls[step];
            kernel.run(&mut self.mem, tables, rows);
        }
        let due = time.clock.is_due(tick);
        if due {
            (stream.steps().end..self.calls.len()).for_each(|step| self.step(step));
        }
        due
    }

    fn outputs(&self) -> Result<Vec<Tensor>, Diagnostic> {
        let bytes = view::<u8>(&self.mem);
        let output = |port: &Port| {
            let at = self.placement.buffers[port.buffer.0];
            let size = self.program.buffers[port.buffer.0].size();
            Tensor::new(port.ty.clone(), &bytes[at..at + size])
        };
        self.program.outputs.iter().map(output).collect()
    }

    /// Copies rows of an input into their ring, each as the row with the number beside it.
    fn feed(&mut self, feed: &Feed, rows: impl Iterator<Item = (usize, usize)>, inputs: &[Tensor]) {
        let ports = self.program.inputs.iter().zip(inputs);
        let found = ports.into_iter().find(|(port, _)| port.buffer == feed.buffer);
        let (Some((_, tensor)), Some(form)) = (found, self.placement.shape.form(feed.buffer)) else { return };
        let size = self.program.buffers[feed.buffer.0].elem.size();
        let (at, width) = (self.placement.buffers[feed.buffer.0], form.width * size);
        for (y, number) in rows {
            for channel in 0..form.channels {
                let from = (channel * form.height + y) * width;
                let to = at + (number % form.ring * form.channels + channel) * width;
                view_mut::<u8>(&mut self.mem)[to..to + width]
                    .copy_from_slice(&tensor.bytes()[from..from + width]);
            }
        }
    }

    /// Runs one step again, on what memory holds.
    pub fn step(&mut self, index: usize) {
        let (kernel, tables) = &self.calls[index];
        kernel.run(&mut self.mem, tables, 0..kernel.rows());
    }

    /// What memory holds.
    pub fn memory(&self) -> &[Block] {
        &self.mem
    }

    /// Memory, to change what it holds.
    pub fn memory_mut(&mut self) -> &mut [Block] {
        &mut self.mem
    }
}

fn check_inputs(program: &Program, inputs: &[Tensor]) -> Result<(), Diagnostic> {
    if inputs.len() != program.inputs.len() {
        return Err(Diagnostic::new(
            "E0601",
            format!("the model takes {} inputs, {} were given", program.inputs.len(), inputs.len()),
        ));
    }
    for (port, tensor) in program.inputs.iter().zip(inputs) {
        if tensor.ty() != &port.ty {
            return Err(Diagnostic::new("E0602", format!("input `{}` has another type", port.name))
                .fact("given", tensor.ty())
                .fact("expected", &port.ty)
                .help("give an array of the expected element type and shape"));
        }
    }
    Ok(())
}
