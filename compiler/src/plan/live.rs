//! When each buffer is needed, and which buffers may share memory while both are.

use super::in_place::{self, InPlace};
use super::overlap;
use crate::kernels;
use crate::program::{BufferId, Program, Shape, Step};
use std::ops::Range;

/// From the first to the last time that a buffer is needed, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Time of the first write.
    pub first: usize,
    /// Time of the last use.
    pub last: usize,
}

impl Life {
    /// Whether both are needed at some time.
    pub fn meets(&self, other: &Life) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Whether it is needed at `time`.
    pub fn covers(&self, time: usize) -> bool {
        self.first <= time && time <= self.last
    }
}

/// A step that writes over the buffer that it, or its stream, reads for the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlay {
    /// Index of the step.
    pub step: usize,
    /// The dying input.
    pub from: BufferId,
    /// The output that takes its place.
    pub to: BufferId,
    /// Bytes by which the output begins before the input.
    pub shift: usize,
}

/// Lives, overlays, and the groups of buffers that overlays tie together.
pub(super) struct Lives {
    pub lives: Vec<Life>,
    pub overlays: Vec<Overlay>,
    /// Inputs of elementwise steps of streams.
    pub in_place: Vec<InPlace>,
    /// The group of each buffer: the first buffer of its chain of overlays.
    pub group: Vec<usize>,
    /// Where each buffer begins in its group, which may be before the group's first buffer.
    pub begin: Vec<isize>,
    /// Bytes of each buffer.
    pub sizes: Vec<usize>,
}

impl Lives {
    /// The same with only those overlays without which more than `bytes` would be needed at some time: what is not tied together
    /// is easier to place. `scratch` are the bytes of each step's. Also the bytes that no plan goes below: those that tied
    /// buffers span, or what is needed at least where one of these overlays is given up.
    pub fn loosened(&self, scratch: &[usize], bytes: usize) -> (Lives, usize) {
        let without = |o: &Overlay| {
            let shared = self.sizes[o.to.0].saturating_sub(o.shift).min(self.sizes[o.from.0]);
            let times = self.lives[o.to.0].first..=self.lives[o.from.0].last;
            let need = |t: usize| self.bytes_at(t) + scratch.get(t.wrapping_sub(1)).copied().unwrap_or(0);
            times.map(|t| need(t) + shared).max().unwrap_or(0)
        };
        let costs = self.overlays.iter().map(|o| (*o, without(o))).filter(|(_, cost)| *cost > bytes);
        let (overlays, costs): (Vec<Overlay>, Vec<usize>) = costs.unzip();
        let loose = tied(self.lives.clone(), (overlays, self.in_place.clone()), self.sizes.clone());
        let span = loose.span().min(costs.into_iter().min().unwrap_or(usize::MAX));
        (loose, bytes.max(span))
    }

    /// The most bytes from the first to the last of buffers that are tied together.
    fn span(&self) -> usize {
        let used = |b: &usize| self.lives[*b].first <= self.lives[*b].last;
        let spans = (0..self.sizes.len()).map(|group| {
            let members = || (0..self.sizes.len()).filter(|&b| self.group[b] == group).filter(used);
            let end = members().map(|b| self.begin[b] + self.sizes[b] as isize).max().unwrap_or(0);
            (end - members().map(|b| self.begin[b]).min().unwrap_or(0)) as usize
        });
        spans.max().unwrap_or(0)
    }

    /// Bytes of all buffers that are needed at `time`; bytes that buffers share count once.
    pub fn bytes_at(&self, time: usize) -> usize {
        let live = (0..self.sizes.len()).filter(|&i| self.lives[i].covers(time) && self.sizes[i] > 0);
        let span = |i: usize| (self.group[i], self.begin[i], self.begin[i] + self.sizes[i] as isize);
        let mut spans: Vec<(usize, isize, isize)> = live.map(span).collect();
        spans.sort_unstable();
        let mut sum = 0;
        let mut done = (usize::MAX, 0);
        for (group, begin, end) in spans {
            let from = if done.0 == group { begin.max(done.1) } else { begin };
            sum += (end - from).max(0) as usize;
            done = (group, if done.0 == group { end.max(done.1) } else { end });
        }
        sum
    }
}

pub(super) fn lives(program: &Program, shape: &Shape) -> Lives {
    let lives = life(program, shape);
    let mut overlays: Vec<Overlay> = vec![];
    let mut step = 0;
    while step < program.steps.len() {
        let steps = shape.stream(step).map_or(step..step + 1, |stream| stream.steps());
        overlays.extend(overlay_of(program, shape, &lives, steps.clone()));
        step = steps.end;
    }
    let sizes = (0..lives.len()).map(|b| shape.size(program, BufferId(b))).collect();
    tied(lives, (overlays, in_place::all(program, shape)), sizes)
}

/// Lives of buffers that these overlays tie together.
fn tied(lives: Vec<Life>, (overlays, in_place): (Vec<Overlay>, Vec<InPlace>), sizes: Vec<usize>) -> Lives {
    let mut group: Vec<usize> = (0..lives.len()).collect();
    let mut begin = vec![0; lives.len()];
    for o in &overlays {
        group[o.to.0] = group[o.from.0];
        begin[o.to.0] = begin[o.from.0] - o.shift as isize;
    }
    // Where the place of an output is an input in the place of another, that one comes first.
    for InPlace { from, to } in in_place.iter().rev() {
        (group[from.0], begin[from.0]) = (group[to.0], begin[to.0]);
    }
    Lives { lives, overlays, in_place, group, begin, sizes }
}

/// The overlay of a step, or of the steps of a stream.
pub(super) fn overlay_of(
    program: &Program,
    shape: &Shape,
    lives: &[Life],
    steps: Range<usize>,
) -> Option<Overlay> {
    let alone = shape.stream(steps.start).is_none();
    let exact = if alone { overlay(program, shape, lives, steps.start) } else { None };
    exact.or_else(|| overlap::best(program, shape, lives, steps))
}

/// What a stream uses is there from its first to its last step.
fn life(program: &Program, shape: &Shape) -> Vec<Life> {
    const UNUSED: Life = Life { first: usize::MAX, last: 0 };
    let mut lives = vec![UNUSED; program.buffers.len()];
    let mut touch = |buffer: BufferId, first: usize, last: usize| {
        let life = &mut lives[buffer.0];
        life.first = life.first.min(first);
        life.last = life.last.max(last);
    };
    for port in program.inputs.iter().filter(|port| shape.feed(port.buffer).is_none()) {
        touch(port.buffer, 0, 0);
    }
    for (i, step) in program.steps.iter().enumerate() {
        let steps = shape.stream(i).map_or(i..i + 1, |stream| stream.steps());
        for buffer in step.reads.iter().flatten().chain(&step.writes) {
            touch(*buffer, steps.start + 1, steps.end);
        }
    }
    let end = program.steps.len() + 1;
    for &buffer in shape.time.iter().flat_map(|time| &time.kept) {
        touch(buffer, 0, end);
    }
    for port in &program.outputs {
        touch(port.buffer, end, end);
    }
    lives
}

/// The overlay of a step from the same start on, when its kernel allows one, its first input dies there, and its output is born
/// there.
fn overlay(program: &Program, shape: &Shape, lives: &[Life], index: usize) -> Option<Overlay> {
    let step = &program.steps[index];
    let (from, to) = may_overlay(step, &shape.kernel(program, index))?;
    let time = index + 1;
    let dies = lives[from.0].last == time && lives[from.0].first < time;
    let born = lives[to.0].first == time;
    (dies && born).then_some(Overlay { step: index, from, to, shift: 0 })
}

/// The first input of a step and its output, when the output may begin where the input begins once that dies.
pub(super) fn may_overlay(step: &Step, kernel: &kernels::Kernel) -> Option<(BufferId, BufferId)> {
    let (from, to) = (*step.reads.first()?.as_ref()?, *step.writes.first()?);
    let allowed = match kernel.overlay() {
        kernels::Overlay::No => false,
        kernels::Overlay::Elements => same_place(step, kernel, from),
        kernels::Overlay::Start => true,
    };
    (allowed && from != to).then_some((from, to))
}

/// Whether every read of `from` is the very image that is written: then each element is read before it is overwritten.
fn same_place(step: &Step, kernel: &kernels::Kernel, from: BufferId) -> bool {
    let (reads, writes) = (kernel.reads(), kernel.writes());
    let (read_elems, write_elems) = (kernel.read_elems(), kernel.write_elems());
    let (Some(to), Some(to_elem)) = (writes.first(), write_elems.first()) else { return false };
    writes.len() == 1
        && reads
            .iter()
            .zip(&step.reads)
            .zip(read_elems)
            .filter(|((_, buffer), _)| **buffer == Some(from))
            .all(|((image, _), elem)| image == to && elem.size() == to_elem.size())
}
