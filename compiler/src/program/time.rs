//! A stream that goes on: its input is a window over time, of which one frame comes in each tick, and whoever calls it keeps
//! what it remembers from tick to tick.

use super::{BufferId, Program, Shape};
use kiln_runtime_core::{Clock, Image, Rows};

/// What a stream needs to know where its ticks are frames that come one a call. Its steps compute in each tick the rows that the
/// frame completes; the steps behind it run as a whole, when an output is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Time {
    /// When numbers begin again, and when an output is due.
    pub clock: Clock,
    /// Buffers whose contents last from one frame to the next.
    pub kept: Vec<BufferId>,
    /// Buffers of the stream that the steps behind it read, or that are outputs.
    pub windows: Vec<History>,
    /// Byte offset of the number of the next frame, an `u32`.
    pub tick: usize,
}

/// A buffer that always holds the last rows of the window, oldest first, where and how the program says: all move down by one
/// before a row comes, which takes the last place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// The buffer.
    pub buffer: BufferId,
    /// When its rows come.
    pub rows: Rows,
    /// Rows that it holds.
    pub height: usize,
    /// Elements from a row to the next.
    pub by: usize,
}

impl History {
    /// Where the newest row of an image of the window comes.
    pub(super) fn last(&self, image: &Image) -> Image {
        let offset = image.offset + (self.height - 1) * image.layout.row;
        Image { offset, height: self.rows.height, ring: 1, ..*image }
    }
}

impl Time {
    /// How a buffer holds the window, if it does.
    pub fn history(&self, buffer: BufferId) -> Option<&History> {
        self.windows.iter().find(|h| h.buffer == buffer)
    }

    /// The buffers that step `index` is the first to write of all that move down: those move before it runs.
    pub fn moved_by(&self, program: &Program, index: usize) -> impl Iterator<Item = &History> {
        let first = move |h: &&History| {
            h.height > 1 && program.steps.iter().position(|s| s.writes.contains(&h.buffer)) == Some(index)
        };
        self.windows.iter().filter(first)
    }
}

impl Shape {
    /// Multiply-accumulates from one output to the next of a model that takes frame after frame, and the frames between them.
    pub fn macs_per_hop(&self, program: &Program) -> Option<(u64, usize)> {
        let hop = self.time.as_ref()?.clock.hop;
        let macs = program.steps.iter().enumerate().map(|(i, step)| {
            let (macs, height) = (step.kernel.macs(), step.kernel.rows().max(1) as u64);
            match self.stream(i).and_then(|stream| stream.rows_of(i)) {
                Some(rows) => macs / height * (hop as isize * rows.step / rows.every) as u64,
                None => macs,
            }
        });
        Some((macs.sum(), hop))
    }
}
