//! Streams: which steps run interleaved, and which rows each of them computes when.
//!
//! ```text
//! tick 0   conv: rows 0..2
//! tick 1   conv: row 2      depthwise: row 0
//! tick 2   conv: row 3      depthwise: row 1     ..
//! ```
//!
//! The inputs of a group are there as a whole. In each tick its first steps compute some more rows, and every step behind them
//! those rows for which all input rows are there. With `n(t) = (lead + step * t) / every` rows of its input, a window of `k` rows
//! at stride `s` under `p` rows of padding gives `(n(t) + p - k) / s + 1` rows, a formula of the same kind: so three numbers a
//! step say it all ([`Rows`]). Rows beyond the last one count as there, which is the padding below.
//!
//! A buffer that only the group uses keeps the rows from the oldest that some step still reads to the newest: a ring.

use crate::kernels::Kernel;
use crate::program::{BufferId, Feed, Form, Program, Shape, Step, Stream};
use kiln_runtime_core::{Image, Rows, Window};
use std::collections::BTreeMap;
use std::ops::Range;

/// What streams need to know of a program.
pub(super) struct Streams<'a> {
    program: &'a Program,
    /// The form of each buffer of whole planes that may lie row by row, with all of its rows.
    forms: Vec<Option<Form>>,
    /// First and last step that uses each buffer; ports are used before the first and behind the last step.
    uses: Vec<Range<usize>>,
    ports: Vec<bool>,
    /// The input whose rows come one by one.
    fed: Option<BufferId>,
}

/// Buffers that steps share with others, and how they may lie row by row.
pub(super) type Outer = Vec<(BufferId, Form)>;

impl<'a> Streams<'a> {
    /// `fed` is the input whose rows come one by one, if one's do: it is no port then.
    pub fn new(program: &'a Program, fed: Option<BufferId>) -> Streams<'a> {
        let mut ports = vec![false; program.buffers.len()];
        let all = program.inputs.iter().chain(&program.outputs).map(|p| p.buffer);
        all.filter(|b| Some(*b) != fed).for_each(|b| ports[b.0] = true);
        let mut uses = vec![0..0; program.buffers.len()];
        for (i, step) in program.steps.iter().enumerate() {
            for buffer in step.reads.iter().flatten().chain(&step.writes) {
                let range = &mut uses[buffer.0];
                *range = if range.end == 0 { i..i + 1 } else { range.start..i + 1 };
            }
        }
        let forms = (0..program.buffers.len()).map(|b| form(program, BufferId(b), ports[b])).collect();
        Streams { program, forms, uses, ports, fed }
    }

    /// The group of `steps` in which the first ones compute `rows` rows a tick, with the forms of the buffers that only it uses;
    /// none where they cannot run interleaved.
    pub fn group(&self, steps: Range<usize>, rows: usize) -> Option<Shape> {
        if steps.is_empty() || steps.end > self.program.steps.len() || rows == 0 {
            return None;
        }
        let stream = self.schedule(&steps, rows)?;
        if stream.feed.as_ref().is_some_and(|feed| !self.is_inner(feed.buffer, &steps)) {
            return None;
        }
        let mut forms = vec![None; self.program.buffers.len()];
        for buffer in self.buffers(&steps) {
            if self.is_inner(buffer, &steps) {
                // Without a form there is no ring, and nothing to win.
                let form = self.forms[buffer.0]?;
                forms[buffer.0] = Some(Form { ring: self.ring(&stream, buffer)?, ..form });
            }
        }
        Some(Shape { forms, streams: vec![stream], time: None })
    }

    /// Buffers that are there before the steps, and those that are there behind them, which may lie row by row.
    pub fn outer(&self, steps: &Range<usize>) -> (Outer, Outer) {
        let buffers = self.buffers(steps).into_iter().filter_map(|b| Some((b, self.forms[b.0]?)));
        let outer: Outer = buffers.filter(|(b, _)| !self.is_inner(*b, steps)).collect();
        outer.into_iter().partition(|(b, _)| self.uses[b.0].start < steps.start)
    }

    fn buffers(&self, steps: &Range<usize>) -> Vec<BufferId> {
        let all =
            self.program.steps[steps.clone()].iter().flat_map(|s| s.reads.iter().flatten().chain(&s.writes));
        let mut all: Vec<BufferId> = all.copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether nothing but the steps uses a buffer.
    fn is_inner(&self, buffer: BufferId, steps: &Range<usize>) -> bool {
        let uses = &self.uses[buffer.0];
        !self.ports[buffer.0] && uses.start >= steps.start && uses.end <= steps.end
    }

    fn schedule(&self, steps: &Range<usize>, rows: usize) -> Option<Stream> {
        let program = self.program;
        let outer = |buffer: &BufferId, known: &BTreeMap<BufferId, Rows>| !known.contains_key(buffer);
        // The tallest input sets the pace.
        let inputs = steps.clone().flat_map(|i| operands(&program.steps[i]));
        let written: Vec<BufferId> = steps.clone().flat_map(|i| program.steps[i].writes.clone()).collect();
        let tallest = inputs.filter(|(b, _)| !written.contains(b)).map(|(_, image)| image.height).max()?;
        let mut known: BTreeMap<BufferId, Rows> = BTreeMap::new();
        let fed = self.fed.filter(|fed| self.buffers(steps).contains(fed));
        let mut feed = None;
        if let Some(buffer) = fed {
            let height = self.forms[buffer.0]?.height;
            let rows = Rows { lead: rows as isize, step: rows as isize, every: 1, height };
            known.insert(buffer, rows);
            feed = Some(Feed { buffer, rows });
        }
        let mut stages = vec![];
        for step in &program.steps[steps.clone()] {
            let window = step.kernel.window()?;
            let [to] = step.writes[..] else { return None };
            let height = step.kernel.rows();
            let paces = operands(step).into_iter().filter_map(|(buffer, image)| match known.get(&buffer) {
                Some(rows) => Some(*rows),
                None if image.height == tallest && outer(&buffer, &known) => {
                    Some(Rows { lead: rows as isize, step: rows as isize, every: 1, height: image.height })
                }
                None => None,
            });
            let mut pace: Option<Rows> = None;
            for next in paces.map(|from| behind(&from, &window, height)) {
                pace = Some(match pace {
                    None => next,
                    Some(p) if (p.step, p.every) == (next.step, next.every) => {
                        Rows { lead: p.lead.min(next.lead), ..p }
                    }
                    Some(_) => return None,
                });
            }
            let rows = pace?;
            stages.push(rows);
            // A buffer that several steps write is there when all of them are.
            let all = known.entry(to).or_insert(rows);
            if (all.step, all.every) != (rows.step, rows.every) {
                return None;
            }
            all.lead = all.lead.min(rows.lead);
        }
        let ticks = stages.iter().map(ticks).max()?;
        Some(Stream { first: steps.start, ticks, rows: stages, feed })
    }

    /// Rows of a buffer that must be there at once, from the oldest that is still read to the newest.
    fn ring(&self, stream: &Stream, buffer: BufferId) -> Option<usize> {
        let height = self.forms[buffer.0]?.height;
        let users = |f: &dyn Fn(&Step) -> bool| -> Vec<usize> {
            stream.steps().filter(|&i| f(&self.program.steps[i])).collect()
        };
        let writers = users(&|s| s.writes.contains(&buffer));
        let readers = users(&|s| s.reads.contains(&Some(buffer)));
        if readers.first() <= writers.last() {
            return None;
        }
        let mut sources: Vec<&Rows> = writers.iter().filter_map(|&w| stream.rows_of(w)).collect();
        sources.extend(stream.feed.iter().filter(|feed| feed.buffer == buffer).map(|feed| &feed.rows));
        let mut most = 1;
        for tick in 0..stream.ticks {
            let newest = sources.iter().map(|rows| rows.done(tick)).max()?;
            let oldest = readers.iter().filter_map(|&r| {
                let done = stream.rows_of(r)?.at(tick).start;
                first_read(&self.program.steps[r].kernel, done)
            });
            most = most.max(newest.saturating_sub(oldest.min().unwrap_or(newest)));
            let fresh = sources.iter().map(|rows| rows.at(tick).len()).max()?;
            most = most.max(fresh);
        }
        Some(most.min(height))
    }
}

/// Images in memory that a step reads.
pub(super) fn operands(step: &Step) -> Vec<(BufferId, Image)> {
    step.reads.iter().zip(step.kernel.reads()).filter_map(|(b, image)| Some(((*b)?, image))).collect()
}

/// The first input row that output rows from `row` on read; none where there are no more of them.
pub(super) fn first_read(kernel: &Kernel, row: usize) -> Option<usize> {
    let window = kernel.window()?;
    (row < kernel.rows()).then(|| (row * window.stride_h).saturating_sub(window.pad_top))
}

/// The rows of a step behind the rows of its input.
pub(super) fn behind(from: &Rows, window: &Window, height: usize) -> Rows {
    let reach = (window.height.saturating_sub(1) * window.dilation_h + 1) as isize;
    let (pad, stride) = (window.pad_top as isize, window.stride_h as isize);
    let rows = Rows {
        lead: from.lead + from.every * (pad - reach + stride),
        step: from.step,
        every: from.every * stride,
        height,
    };
    // floor((lead + step * t) / every), reduced.
    let shared = gcd(rows.step, rows.every);
    Rows { lead: rows.lead.div_euclid(shared), step: rows.step / shared, every: rows.every / shared, height }
}

pub(super) fn gcd(a: isize, b: isize) -> isize {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

/// Ticks until all rows are done.
fn ticks(rows: &Rows) -> usize {
    let missing = rows.every * rows.height as isize - rows.lead;
    let ticks = (missing + rows.step - 1).div_euclid(rows.step.max(1)) + 1;
    ticks.max(1) as usize
}

/// The row form of a buffer in which every image is of whole planes of the same extent, or every one of whole rows.
pub(super) fn form(program: &Program, buffer: BufferId, port: bool) -> Option<Form> {
    let len = program.buffers[buffer.0].len;
    let mut images = vec![];
    for step in &program.steps {
        let writes = step.writes.iter().map(|b| Some(*b)).zip(step.kernel.writes());
        let all = step.reads.iter().copied().zip(step.kernel.reads()).chain(writes);
        for (_, image) in all.filter(|(b, _)| *b == Some(buffer)) {
            step.kernel.window()?;
            images.push(image);
        }
    }
    let first = images.first().filter(|image| !port && image.height * image.width > 0)?;
    let (height, width) = (first.height, first.width);
    let (plane, row) = (height * width, len / height);
    let same = |i: &Image| (i.height, i.width, i.ring) == (height, width, height);
    let planar = |i: &Image| {
        (i.layout.col == 1 || width == 1)
            && (i.layout.row == width || height == 1)
            && (i.layout.chan == plane || i.channels == 1)
            && i.offset.is_multiple_of(plane)
    };
    if len.is_multiple_of(plane) && images.iter().all(same) && images.iter().all(planar) {
        return Some(Form {
            height,
            width,
            channels: len / plane,
            ring: height,
            interleaved: false,
            passing: height,
        });
    }
    let whole_row = |i: &Image| {
        let last = i.width.saturating_sub(1) * i.layout.col + i.channels.saturating_sub(1) * i.layout.chan;
        (i.height, i.ring, i.layout.row) == (height, height, row) && i.offset + last < row
    };
    let by_rows = height > 1 && len.is_multiple_of(height) && images.iter().all(whole_row);
    by_rows.then_some(Form {
        height,
        width: row,
        channels: 1,
        ring: height,
        interleaved: true,
        passing: height,
    })
}
