//! Elementwise steps of a stream in place: the rows of an input that only such a step reads lie where its output's rows will.
//!
//! The writer of the input computes a row when, in the same tick, the step is to compute its own from it. The place of that row in
//! the output's ring is free by then: what still reads the output in this tick comes later, and finds its rows beside the newest.
//! (Steps that run as a whole lie over a dying input by `live::Overlay`; here both live as long as the stream.)

use crate::kernels::Overlay;
use crate::program::{BufferId, Program, Shape, Stream};

/// An input that lies in the place of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InPlace {
    pub from: BufferId,
    pub to: BufferId,
}

/// Gives inputs that may lie in the place of an output a ring of as many rows.
pub(super) fn share_rings(program: &Program, shape: &mut Shape) {
    for stream in shape.streams.clone() {
        for step in stream.steps().rev() {
            let kernel = shape.kernel(program, step);
            let Some(ring) = kernel.writes().first().map(|to| to.ring) else { continue };
            if let Some(InPlace { from, .. }) = candidate(program, shape, &stream, step)
                && let Some(form) = shape.forms.get_mut(from.0).and_then(Option::as_mut)
            {
                form.ring = ring;
            }
        }
    }
}

/// All inputs that lie in the place of an output, in the order of steps.
pub(super) fn all(program: &Program, shape: &Shape) -> Vec<InPlace> {
    let of = |stream: &Stream| {
        let stream = stream.clone();
        stream.steps().filter_map(move |step| {
            let found = candidate(program, shape, &stream, step)?;
            let kernel = shape.kernel(program, step);
            let operands = || kernel.reads().into_iter().zip(&program.steps[step].reads);
            let same = operands().all(|(image, id)| *id != Some(found.from) || kernel.writes()[0] == image);
            same.then_some(found)
        })
    };
    shape.streams.iter().flat_map(of).collect()
}

/// The step that first writes where a buffer lies, if that is an input in its place.
pub(super) fn earliest_writer(program: &Program, shape: &Shape, buffer: BufferId) -> Option<usize> {
    let all = all(program, shape);
    let mut first = buffer;
    while let Some(found) = all.iter().find(|found| found.to == first) {
        first = found.from;
    }
    let writer = program.steps.iter().position(|step| step.writes.contains(&first));
    writer.filter(|_| first != buffer)
}

/// The first input of a step that may lie in the place of its output, if both have as many rows in memory.
fn candidate(program: &Program, shape: &Shape, stream: &Stream, index: usize) -> Option<InPlace> {
    let step = &program.steps[index];
    let kernel = &step.kernel;
    let ([to], Overlay::Elements) = (&step.writes[..], kernel.overlay()) else { return None };
    let same_size = kernel.read_elems().iter().all(|elem| elem.size() == kernel.write_elems()[0].size());
    let alone = |from: BufferId| {
        let uses = |i: usize| {
            let step = &program.steps[i];
            (step.writes.contains(&from), step.reads.contains(&Some(from)))
        };
        let users: Vec<usize> = (0..program.steps.len()).filter(|&i| uses(i) != (false, false)).collect();
        let [writer, reader] = users[..] else { return false };
        let ports = program.inputs.iter().chain(&program.outputs);
        let together = || {
            let (writer, reader) = (stream.rows_of(writer)?, stream.rows_of(reader)?);
            Some((0..stream.ticks).all(|tick| writer.done(tick) <= reader.done(tick)))
        };
        // Who writes the output, too, may do so in between.
        let writers = program.steps.iter().filter(|s| s.writes.contains(to)).count();
        let only = uses(writer) == (true, false) && reader == index && writers == 1;
        only && ports.into_iter().all(|p| p.buffer != from) && together() == Some(true)
    };
    let formed =
        |from: BufferId| shape.form(from).is_some_and(|form| form.interleaved) || shape.form(*to).is_some();
    let from =
        step.reads.iter().flatten().copied().find(|&from| from != *to && formed(from) && alone(from))?;
    same_size.then_some(InPlace { from, to: *to })
}
