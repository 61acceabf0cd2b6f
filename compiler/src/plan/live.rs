//! When each buffer is needed, and which buffers may share one place.

use crate::kernels;
use crate::program::{BufferId, Program, Step};

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

/// A step that writes over the buffer that it reads for the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlay {
    /// Index of the step.
    pub step: usize,
    /// The dying input.
    pub from: BufferId,
    /// The output that takes its place.
    pub to: BufferId,
}

/// Lives, overlays, and the groups of buffers that overlays put in one place.
pub(super) struct Lives {
    pub lives: Vec<Life>,
    pub overlays: Vec<Overlay>,
    /// The group of each buffer: the first buffer of its chain of overlays.
    pub group: Vec<usize>,
}

impl Lives {
    /// Bytes of all buffers that are needed at `time`; those that share a place count once.
    pub fn bytes_at(&self, program: &Program, time: usize) -> usize {
        let mut need = vec![0; program.buffers.len()];
        for (i, buffer) in program.buffers.iter().enumerate() {
            if self.lives[i].covers(time) {
                let slot = &mut need[self.group[i]];
                *slot = buffer.size().max(*slot);
            }
        }
        need.iter().sum()
    }
}

pub(super) fn lives(program: &Program) -> Lives {
    let lives = life(program);
    let overlays: Vec<Overlay> =
        (0..program.steps.len()).filter_map(|i| overlay(program, &lives, i)).collect();
    let mut group: Vec<usize> = (0..lives.len()).collect();
    for o in &overlays {
        group[o.to.0] = group[o.from.0];
    }
    Lives { lives, overlays, group }
}

fn life(program: &Program) -> Vec<Life> {
    const UNUSED: Life = Life { first: usize::MAX, last: 0 };
    let mut lives = vec![UNUSED; program.buffers.len()];
    let mut touch = |buffer: BufferId, time: usize| {
        let life = &mut lives[buffer.0];
        life.first = life.first.min(time);
        life.last = life.last.max(time);
    };
    for port in &program.inputs {
        touch(port.buffer, 0);
    }
    for (i, step) in program.steps.iter().enumerate() {
        for buffer in step.reads.iter().flatten().chain(&step.writes) {
            touch(*buffer, i + 1);
        }
    }
    for port in &program.outputs {
        touch(port.buffer, program.steps.len() + 1);
    }
    lives
}

/// The overlay of a step, when its kernel allows one, its first input dies there, and its output is born there.
fn overlay(program: &Program, lives: &[Life], index: usize) -> Option<Overlay> {
    let step = &program.steps[index];
    let (from, to) = may_overlay(step)?;
    let time = index + 1;
    let dies = lives[from.0].last == time && lives[from.0].first < time;
    let born = lives[to.0].first == time;
    (dies && born).then_some(Overlay { step: index, from, to })
}

/// The first input of a step and its output, when the output may lie over the input once that dies.
pub(super) fn may_overlay(step: &Step) -> Option<(BufferId, BufferId)> {
    let (from, to) = (*step.reads.first()?.as_ref()?, *step.writes.first()?);
    let allowed = match step.kernel.overlay() {
        kernels::Overlay::No => false,
        kernels::Overlay::Elements => same_place(step, from),
        kernels::Overlay::Start => true,
    };
    (allowed && from != to).then_some((from, to))
}

/// Whether every read of `from` is the very image that is written: then each element is read before it is overwritten.
fn same_place(step: &Step, from: BufferId) -> bool {
    let (reads, writes) = (step.kernel.reads(), step.kernel.writes());
    let (read_elems, write_elems) = (step.kernel.read_elems(), step.kernel.write_elems());
    let (Some(to), Some(to_elem)) = (writes.first(), write_elems.first()) else { return false };
    writes.len() == 1
        && reads
            .iter()
            .zip(&step.reads)
            .zip(read_elems)
            .filter(|((_, buffer), _)| **buffer == Some(from))
            .all(|((image, _), elem)| image == to && elem.size() == to_elem.size())
}
