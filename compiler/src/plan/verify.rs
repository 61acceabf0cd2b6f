//! Checks a plan by simulation, without looking at lives: every byte of the arena knows the buffer that wrote it last, and of
//! a buffer that lies row by row also which row, and every read must find its own there.

use super::Plan;
use crate::kernels::{Kernel, Overlay};
use crate::program::{BufferId, Feed, Placement, Program};
use kiln_runtime_core::Image;
use std::collections::BTreeSet;
use std::ops::Range;

mod over_time;

const NOBODY: u64 = u64::MAX;

struct Arena<'a> {
    program: &'a Program,
    placement: &'a Placement,
    owner: Vec<u64>,
    /// The last event that reads each byte.
    read: Vec<u32>,
    event: u32,
    /// Frames that came before the number of frames began again.
    before: usize,
}

/// Checks that the program computes in this placement what it computes without reuse.
///
/// # Errors
/// A sentence that names the step and the buffer; a bug of the planner.
pub fn verify(program: &Program, plan: &Plan) -> Result<(), String> {
    let placement = &plan.placement;
    let (owner, read) = (vec![NOBODY; placement.arena], vec![0; placement.arena]);
    let mut arena = Arena { program, placement, owner, read, event: 0, before: 0 };
    if let Some(time) = &placement.shape.time {
        return over_time::verify(&mut arena, time);
    }
    for port in program.inputs.iter().filter(|port| placement.shape.feed(port.buffer).is_none()) {
        let at = placement.buffers[port.buffer.0];
        let size = program.buffers[port.buffer.0].size();
        let bytes = arena.owner.get_mut(at..at + size).ok_or_else(|| outside(&port.name))?;
        if bytes.iter().any(|&o| o != NOBODY) {
            return Err(format!("input `{}` overlaps another input", port.name));
        }
        bytes.fill(tag(port.buffer, None));
    }
    let mut index = 0;
    while index < program.steps.len() {
        let named = |i: usize| move |e| format!("step {i} `{}`: {e}", program.steps[i].layer);
        match placement.shape.stream(index) {
            Some(stream) => {
                for (tick, step) in stream.calls() {
                    if let Some(feed) = stream.feed.as_ref().filter(|_| step == stream.first) {
                        arena.feed(feed, tick).map_err(named(step))?;
                    }
                    arena.call(step, stream.rows_at(step, tick)).map_err(named(step))?;
                }
                let unfinished =
                    |&i: &usize| stream.rows_at(i, stream.ticks).start != placement.kernel(program, i).rows();
                if let Some(step) = stream.steps().find(unfinished) {
                    return Err(named(step)("not all rows are computed".to_owned()));
                }
                index = stream.steps().end;
            }
            None => {
                arena.step(index).map_err(named(index))?;
                index += 1;
            }
        }
    }
    for port in &program.outputs {
        let at = placement.buffers[port.buffer.0];
        let size = program.buffers[port.buffer.0].size();
        let bytes = arena.owner.get(at..at + size).ok_or_else(|| outside(&port.name))?;
        if bytes.iter().any(|&o| o != tag(port.buffer, None)) {
            return Err(format!("output `{}` is overwritten", port.name));
        }
    }
    Ok(())
}

fn outside(name: &str) -> String {
    format!("`{name}` lies outside of the arena")
}

/// What a byte of a buffer, or of a row of it, is known by.
fn tag(buffer: BufferId, row: Option<usize>) -> u64 {
    (buffer.0 as u64) << 32 | row.map_or(0, |row| row as u64 + 1)
}

fn buffer_of(tag: u64) -> Option<BufferId> {
    (tag != NOBODY).then_some(BufferId((tag >> 32) as usize))
}

impl Arena<'_> {
    /// A step that runs as a whole. Where its output lies over an input, and not from the same start on, it runs by rows: as
    /// many of them at once, each time, as its kernel may take.
    fn step(&mut self, index: usize) -> Result<(), String> {
        let kernel = self.placement.kernel(self.program, index);
        let (reads, writes) = (kernel.reads(), kernel.writes());
        let over = kernel.overlay() == Overlay::Start || same_place(&kernel);
        let bytes = |image: &Image, size: usize| image.offset * size..image.end() * size;
        let meets = reads.iter().zip(kernel.read_elems()).any(|(read, elem)| {
            let (a, b) = (bytes(read, elem.size()), bytes(&writes[0], kernel.write_elems()[0].size()));
            a.start < b.end && b.start < a.end
        });
        if over || !meets || kernel.window().is_none() {
            self.event += 1;
            self.check(index, &kernel)?;
            self.read_all(index, &kernel)?;
            self.write(index, &kernel, 0..kernel.rows(), over)?;
            return self.scratch(index, &kernel);
        }
        self.check(index, &kernel)?;
        for y in 0..kernel.rows() {
            self.event += 1;
            self.read_for(index, &kernel, (y + 1).saturating_sub(kernel.rows_at_once())..y + 1)?;
            self.write(index, &kernel, y..y + 1, false)?;
        }
        self.scratch(index, &kernel)
    }

    /// One call of a step in a stream.
    fn call(&mut self, index: usize, rows: Range<usize>) -> Result<(), String> {
        let kernel = self.placement.kernel(self.program, index);
        self.event += 1;
        self.check(index, &kernel)?;
        self.read_for(index, &kernel, rows.clone())?;
        self.write(index, &kernel, rows, same_place(&kernel))?;
        self.scratch(index, &kernel)
    }

    /// Rows of an input come.
    fn feed(&mut self, feed: &Feed, tick: usize) -> Result<(), String> {
        let (at, form) = (self.placement.buffers[feed.buffer.0], self.placement.shape.form(feed.buffer));
        let form = form.ok_or("the fed input is no ring")?;
        let len = form.row() * self.program.buffers[feed.buffer.0].elem.size();
        for y in feed.rows.at(tick) {
            let at = at + y % form.ring * len;
            let bytes = self.owner.get_mut(at..at + len).ok_or_else(|| outside("input"))?;
            bytes.fill(tag(feed.buffer, Some(y + self.before)));
        }
        Ok(())
    }

    /// What a byte of a row is known by to a step.
    fn tag_of(&self, index: usize, buffer: BufferId, y: usize) -> u64 {
        let shape = &self.placement.shape;
        let Some((time, stream)) = shape.time.as_ref().zip(shape.stream(index)) else {
            return tag(buffer, shape.form(buffer).is_some().then_some(y));
        };
        // Rows have the numbers of all frames that ever came, not those that begin again.
        let rows =
            time.history(buffer).map(|h| &h.rows).or_else(|| over_time::rows(self.program, stream, buffer));
        tag(buffer, Some(y + rows.map_or(0, |rows| self.before / rows.every.max(1) as usize)))
    }

    fn check(&self, index: usize, kernel: &Kernel) -> Result<(), String> {
        Ok(kernel.check(&self.program.tables(&self.program.steps[index]), self.placement.arena)?)
    }

    fn read_all(&mut self, index: usize, kernel: &Kernel) -> Result<(), String> {
        for (operand, image) in kernel.reads().iter().enumerate() {
            self.read_rows(index, kernel, operand, 0..image.height)?;
        }
        Ok(())
    }

    /// Reads what output rows need.
    fn read_for(&mut self, index: usize, kernel: &Kernel, rows: Range<usize>) -> Result<(), String> {
        let Some(window) = kernel.window() else { return Err("it cannot run by rows".to_owned()) };
        for (operand, image) in kernel.reads().iter().enumerate() {
            let taps = rows.clone().flat_map(|y| (0..window.height).map(move |ky| (y, ky)));
            let needed: BTreeSet<usize> =
                taps.filter_map(|(y, ky)| window.input_row(y, ky, image.height)).collect();
            for row in needed {
                self.read_rows(index, kernel, operand, row..row + 1)?;
            }
        }
        Ok(())
    }

    fn read_rows(
        &mut self,
        index: usize,
        kernel: &Kernel,
        operand: usize,
        rows: Range<usize>,
    ) -> Result<(), String> {
        let (image, size) = (kernel.reads()[operand], kernel.read_elems()[operand].size());
        let Some(buffer) = self.program.steps[index].reads[operand] else { return Ok(()) };
        let name = &self.program.buffers[buffer.0].name;
        for y in rows {
            let expected = self.tag_of(index, buffer, y);
            row(&image, size, y, &mut |byte| {
                let owner = self.owner.get(byte).ok_or_else(|| outside(name))?;
                self.read[byte] = self.event;
                if *owner == expected {
                    Ok(())
                } else {
                    Err(format!("row {y} of `{name}` is lost at byte {byte}"))
                }
            })?;
        }
        Ok(())
    }

    /// Writes output rows, not over what the same event reads, unless the kernel says that it may.
    fn write(&mut self, index: usize, kernel: &Kernel, rows: Range<usize>, over: bool) -> Result<(), String> {
        let step = &self.program.steps[index];
        for ((image, buffer), elem) in kernel.writes().iter().zip(&step.writes).zip(kernel.write_elems()) {
            let inner = step.reads.contains(&Some(*buffer));
            let name = &self.program.buffers[buffer.0].name;
            for y in rows.clone() {
                let tag = self.tag_of(index, *buffer, y);
                row(image, elem.size(), y, &mut |byte| {
                    let owner = self.owner.get_mut(byte).ok_or_else(|| outside(name))?;
                    if self.read[byte] == self.event && !over && !inner {
                        return Err(format!("`{name}` is written over an input at byte {byte}"));
                    }
                    *owner = tag;
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// Scratch is apart from what the step reads and writes, and destroys what lies there.
    fn scratch(&mut self, index: usize, kernel: &Kernel) -> Result<(), String> {
        let step = &self.program.steps[index];
        let at = self.placement.scratch[index];
        for byte in at..at + kernel.scratch_len() {
            let owner = self.owner.get_mut(byte).ok_or_else(|| outside("scratch"))?;
            let used =
                buffer_of(*owner).is_some_and(|b| step.writes.contains(&b) || step.reads.contains(&Some(b)));
            if used {
                return Err(format!("scratch overlaps an operand at byte {byte}"));
            }
            *owner = NOBODY;
        }
        Ok(())
    }
}

/// Whether the output of an elementwise kernel is the very image of an input.
fn same_place(kernel: &Kernel) -> bool {
    let output = kernel.writes();
    kernel.overlay() == Overlay::Elements && kernel.reads().iter().any(|read| output.first() == Some(read))
}

/// Calls `f` with each byte of each element of a row.
fn row(
    image: &Image,
    size: usize,
    y: usize,
    f: &mut dyn FnMut(usize) -> Result<(), String>,
) -> Result<(), String> {
    for x in 0..image.width {
        for c in 0..image.channels {
            let at = image.at(y, x, c) * size;
            (at..at + size).try_for_each(&mut *f)?;
        }
    }
    Ok(())
}
