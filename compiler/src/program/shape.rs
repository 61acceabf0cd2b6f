//! How a program runs where that is not one step after the other with every buffer as a whole: groups of steps that run
//! interleaved, some rows a tick, and the buffers that therefore hold few rows.
//!
//! A stream is a range of steps and, for each of them, the rows that it computes in each tick ([`Rows`]). All numbers are
//! found at compile time; what runs is one loop over ticks around the same kernel calls. A buffer that only a stream uses is a
//! ring: row `y` takes the place of row `y - ring`.

use super::{BufferId, Program, Time};
use crate::kernels::Kernel;
use kiln_runtime_core::{Image, Layout, Rows};

/// A buffer whose rows lie one after the other, each of them all channels, one plane behind the other or interleaved. Rows die
/// and are born as a whole then, which planes of all rows do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Rows that memory holds.
    pub ring: usize,
    /// Whether rows follow each other in the program already, channels inside of pixels.
    pub interleaved: bool,
    /// Rows that go through it: all of them, or, where frames come without end, those until numbers begin again.
    pub passing: usize,
}

impl Form {
    /// Elements of a row.
    pub fn row(&self) -> usize {
        self.width * self.channels
    }

    /// An image of whole planes, which begins at one of them, or one of whole rows, in this form.
    fn image(&self, image: &Image) -> Image {
        if self.interleaved {
            return Image { ring: self.ring, height: self.passing, ..*image };
        }
        let plane = (self.height * self.width).max(1);
        Image {
            offset: image.offset / plane * self.width,
            layout: Layout { row: self.row(), col: 1, chan: self.width },
            ring: self.ring,
            height: self.passing,
            ..*image
        }
    }
}

/// An input whose rows come one by one while a stream runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Its buffer, a ring.
    pub buffer: BufferId,
    /// The rows that come in each tick, before any step runs.
    pub rows: Rows,
}

/// Steps that run interleaved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The first step.
    pub first: usize,
    /// How often each step is called.
    pub ticks: usize,
    /// The rows of each step.
    pub rows: Vec<Rows>,
    /// The input that it is fed with, if that is not there as a whole.
    pub feed: Option<Feed>,
}

impl Stream {
    /// The steps.
    pub fn steps(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.rows.len()
    }

    /// All calls in order: tick and step.
    pub fn calls(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.ticks).flat_map(|tick| self.steps().map(move |step| (tick, step)))
    }

    /// The rows that step `index` of the program computes in a tick.
    pub fn rows_at(&self, index: usize, tick: usize) -> std::ops::Range<usize> {
        self.rows_of(index).map_or(0..0, |rows| rows.at(tick))
    }

    /// The rows of step `index` of the program.
    pub fn rows_of(&self, index: usize) -> Option<&Rows> {
        self.rows.get(index.checked_sub(self.first)?)
    }
}

/// Streams, in order and apart, and the forms of buffers, by their id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// Where a buffer is not as the program says. None behind the end.
    pub forms: Vec<Option<Form>>,
    /// Groups of steps.
    pub streams: Vec<Stream>,
    /// Where frames come without end: what the stream, there is one then, keeps between them.
    pub time: Option<Time>,
}

impl Shape {
    /// The form of a buffer.
    pub fn form(&self, buffer: BufferId) -> Option<&Form> {
        self.forms.get(buffer.0)?.as_ref()
    }

    /// The stream of a step.
    pub fn stream(&self, index: usize) -> Option<&Stream> {
        self.streams.iter().find(|s| s.steps().contains(&index))
    }

    /// The stream that is fed with a buffer, and the feed.
    pub fn feed(&self, buffer: BufferId) -> Option<(&Stream, &Feed)> {
        let feeds = self.streams.iter().filter_map(|s| Some((s, s.feed.as_ref()?)));
        feeds.into_iter().find(|(_, feed)| feed.buffer == buffer)
    }

    /// Whether the input comes row by row.
    pub fn is_fed(&self) -> bool {
        self.streams.iter().any(|s| s.feed.is_some())
    }

    /// Bytes of a buffer.
    pub fn size(&self, program: &Program, buffer: BufferId) -> usize {
        let whole = &program.buffers[buffer.0];
        self.form(buffer).map_or(whole.size(), |form| form.ring * form.row() * whole.elem.size())
    }

    /// The kernel of step `index`, its images relative to their buffers.
    pub fn kernel(&self, program: &Program, index: usize) -> Kernel {
        let step = &program.steps[index];
        let mut kernel = step.kernel.clone();
        if let Some(stream) = self.stream(index) {
            kernel.limit_strip((0..stream.ticks).map(|t| stream.rows_at(index, t).len()).max().unwrap_or(1));
        }
        let places = kernel.places();
        let reads = places.reads.into_iter().zip(&step.reads);
        let writes = places.writes.into_iter().zip(&step.writes);
        for (image, buffer) in reads.filter_map(|(i, b)| Some((i, (*b)?))).chain(writes.map(|(i, b)| (i, *b)))
        {
            if let Some(form) = self.form(buffer) {
                *image = form.image(image);
            }
        }
        if let Some((time, rows)) = self.time.as_ref().zip(self.stream(index).and_then(|s| s.rows_of(index)))
        {
            // The same for every row.
            let tables = kernel.places().reads.into_iter().zip(&step.reads).filter(|(_, b)| b.is_none());
            tables.for_each(|(image, _)| image.height = rows.height);
            for (image, buffer) in kernel.places().writes.into_iter().zip(&step.writes) {
                if let Some(history) = time.history(*buffer) {
                    *image = history.last(image);
                }
            }
        }
        kernel
    }
}
