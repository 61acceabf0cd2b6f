//! The choice of streams: which ranges of steps run interleaved.
//!
//! The steps, in their order, are cut into ranges: single steps and groups. What is live during a range does not depend on the
//! other ranges, but for the form of the buffers between them: whole planes, or row by row. So the cut with the least peak is a
//! shortest path over positions and forms. Of all cuts below a limit of memory the one that adds least instructions is taken,
//! and the limit is the lowest at which that is at most a share, [`MOST_MORE`] by default, of the program's estimated instructions.

use super::in_place;
use super::live::{self, Life};
use super::stream::Streams;
use crate::kernels::Kernel;
use crate::program::{BufferId, Form, Program, Shape};
use kiln_runtime_core::Family;
use std::ops::Range;

/// Instructions that streams may add, as a share of all.
pub(super) const MOST_MORE: f64 = 0.03;
/// Longest group.
const MOST_STEPS: usize = 24;
/// Shapes that are planned as a whole.
const MOST_SHAPES: usize = 12;
/// Rows a tick that are tried.
const PACES: [usize; 4] = [1, 2, 4, 8];

/// A range of steps, what it needs and what it costs.
struct Segment {
    steps: Range<usize>,
    /// Whether buffers before and behind it lie row by row; `None` where none can.
    sides: [Option<bool>; 2],
    shape: Shape,
    bytes: usize,
    more: f64,
}

/// Shapes of a program that need little memory and are cheap enough, as far as segments say it, the smallest first; none where
/// no stream helps. What segments do not see is that overlays tie buffers together, so there are several. They add the
/// share `most` of instructions. The rows of the input `fed` come one by one, whatever that adds at least.
pub(super) fn shapes(program: &Program, fed: Option<BufferId>, most: f64) -> Vec<Shape> {
    let segments = segments(program, fed);
    let total: f64 = program.steps.iter().map(|s| instructions(&s.kernel)).sum();
    let mut limits: Vec<usize> = segments.iter().map(|s| s.bytes).collect();
    limits.sort_unstable();
    limits.dedup();
    let Some(all) = limits.last().and_then(|&limit| cut(&segments, program.steps.len(), limit)) else {
        return vec![];
    };
    let most = if fed.is_some() { all.1.max(most * total) } else { most * total };
    let cheap = |limit: usize| cut(&segments, program.steps.len(), limit).filter(|c| c.1 <= most);
    let lowest = limits.partition_point(|&limit| cheap(limit).is_none());
    let Some(&least) = limits.get(lowest) else { return vec![] };
    let mut found: Vec<Vec<usize>> = vec![];
    for &limit in limits[lowest..].iter().take_while(|&&limit| limit <= least + least / 4) {
        let Some((chosen, _)) = cheap(limit) else { continue };
        if found.last() != Some(&chosen) {
            found.push(chosen);
        }
        if found.len() == MOST_SHAPES {
            break;
        }
    }
    let shapes = found.iter().map(|chosen| joined(program, chosen.iter().map(|&i| &segments[i])));
    shapes.filter(|shape| !shape.streams.is_empty()).collect()
}

/// All segments in one shape.
fn joined<'a>(program: &Program, segments: impl Iterator<Item = &'a Segment>) -> Shape {
    let mut shape = Shape { forms: vec![None; program.buffers.len()], streams: vec![], time: None };
    for segment in segments {
        shape.streams.extend(segment.shape.streams.clone());
        // Who writes a buffer says how it lies.
        let written = program.steps[segment.steps.clone()].iter().flat_map(|s| s.writes.iter().copied());
        let fed = segment.shape.streams.iter().filter_map(|s| Some(s.feed.as_ref()?.buffer));
        for to in written.chain(fed) {
            shape.forms[to.0] = segment.shape.forms[to.0];
        }
    }
    shape
}

/// All single steps and groups, in the order of their first steps.
fn segments(program: &Program, fed: Option<BufferId>) -> Vec<Segment> {
    let streams = Streams::new(program, fed);
    let mut search = Search { program, streams, lives: live::lives(program, &Shape::default()).lives };
    let uses = |step: usize| program.steps[step].reads.iter().any(|b| b.is_some() && *b == fed);
    if let (Some(fed), Some(step)) = (fed, (0..program.steps.len()).find(|&s| uses(s))) {
        search.lives[fed.0].first = step + 1;
    }
    let mut segments = vec![];
    for first in 0..program.steps.len() {
        if !uses(first) {
            search.add(first..first + 1, &Shape::default(), &[false, true], &mut segments);
        }
        for last in first..program.steps.len().min(first + MOST_STEPS) {
            if program.steps[last].kernel.window().is_none() {
                break;
            }
            for pace in PACES {
                if let Some(group) = search.streams.group(first..last + 1, pace) {
                    search.add(first..last + 1, &group, &[true], &mut segments);
                }
            }
        }
    }
    segments
}

struct Search<'a> {
    program: &'a Program,
    streams: Streams<'a>,
    lives: Vec<Life>,
}

impl Search<'_> {
    /// Adds `steps` in the shape that their streams and inner buffers have, with every form of the other buffers; `before`
    /// lists what those that it reads may be.
    fn add(&self, steps: Range<usize>, inner: &Shape, before: &[bool], segments: &mut Vec<Segment>) {
        let (inputs, outputs) = self.streams.outer(&steps);
        let any = |buffers: &[(BufferId, Form)], forms: &[bool]| -> Vec<Option<bool>> {
            if buffers.is_empty() { vec![None] } else { forms.iter().map(|f| Some(*f)).collect() }
        };
        for &before in &any(&inputs, before) {
            for &after in &any(&outputs, &[false, true]) {
                let mut shape = inner.clone();
                shape.forms.resize(self.program.buffers.len(), None);
                let by_rows = |side: Option<bool>| side == Some(true);
                let inputs = inputs.iter().filter(|_| by_rows(before));
                for (buffer, form) in inputs.chain(outputs.iter().filter(|_| by_rows(after))) {
                    shape.forms[buffer.0] = Some(*form);
                }
                in_place::share_rings(self.program, &mut shape);
                let more = steps.clone().map(|i| more(self.program, &shape, i)).sum();
                let bytes = self.bytes(&steps, &shape);
                segments.push(Segment { steps: steps.clone(), sides: [before, after], shape, bytes, more });
            }
        }
    }

    /// Bytes that are needed while the steps run.
    fn bytes(&self, steps: &Range<usize>, shape: &Shape) -> usize {
        let (first, last) = (steps.start + 1, steps.end);
        let stretched = |life: &Life| match *life {
            life if life.last < first || life.first > last => life,
            Life { first: f, last: l } => {
                Life { first: if f >= first { first } else { f }, last: if l <= last { last } else { l } }
            }
        };
        let lives: Vec<Life> = self.lives.iter().map(stretched).collect();
        let in_place = in_place::all(self.program, shape);
        let apart = |b: usize| in_place.iter().all(|i| i.from.0 != b);
        let live = (0..lives.len()).filter(|&b| lives[b].covers(first) && apart(b));
        let sum: usize = live.map(|b| shape.size(self.program, BufferId(b))).sum();
        let overlay = live::overlay_of(self.program, shape, &lives, steps.clone());
        let saved = overlay.map_or(0, |o| {
            let size = |buffer| shape.size(self.program, buffer);
            size(o.to).saturating_sub(o.shift).min(size(o.from))
        });
        let scratch = steps.clone().map(|i| shape.kernel(self.program, i).scratch_len()).max().unwrap_or(0);
        sum - saved + scratch
    }
}

/// The cut into segments of at most `limit` bytes that adds least instructions, as indices, with what it adds.
fn cut(segments: &[Segment], steps: usize, limit: usize) -> Option<(Vec<usize>, f64)> {
    // By position, and whether the buffers there lie row by row: the least cost, the last segment, and the form before it.
    type Known = Option<(f64, usize, bool)>;
    let mut best: Vec<[Known; 2]> = vec![[None; 2]; steps + 1];
    best[0] = [Some((0.0, usize::MAX, false)), None];
    // Segments come in the order of their first steps: what ends where one begins is final.
    for (i, segment) in segments.iter().enumerate().filter(|(_, s)| s.bytes <= limit) {
        for before in [false, true].into_iter().filter(|b| segment.sides[0].is_none_or(|side| side == *b)) {
            let Some((cost, ..)) = best[segment.steps.start][before as usize] else { continue };
            let cost = cost + segment.more;
            for after in [false, true].into_iter().filter(|a| segment.sides[1].is_none_or(|side| side == *a))
            {
                let known = &mut best[segment.steps.end][after as usize];
                if known.is_none_or(|(best, ..)| cost < best) {
                    *known = Some((cost, i, before));
                }
            }
        }
    }
    let cost = |form: &usize| best[steps][*form].map_or(f64::INFINITY, |k| k.0);
    let mut form = [0, 1].into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
    let (more, ..) = best[steps][form]?;
    let (mut chosen, mut at) = (vec![], steps);
    while at > 0 {
        let (_, i, before) = best[at][form]?;
        chosen.push(i);
        (at, form) = (segments[i].steps.start, before as usize);
    }
    chosen.reverse();
    Some((chosen, more))
}

/// A rough estimate of a step's instructions.
fn instructions(kernel: &Kernel) -> f64 {
    let outputs: usize = kernel.writes().iter().map(|i| i.elements()).sum();
    // Of a multiply-accumulate, as measured in `runtime-core/docs/kernels.md`.
    let one = match kernel {
        Kernel::DepthwiseConv2dI8Dsp(_) => 1.9,
        Kernel::DepthwiseConv2dI8Mve(_) => 1.0,
        _ => match kernel.family() {
            Family::Dsp => 0.95,
            Family::Mve => 0.25,
            Family::Scalar => 3.0,
            _ => 8.0,
        },
    };
    one * kernel.macs() as f64 + 2.0 * outputs as f64
}

/// Instructions that a step of a stream takes more than the step as a whole: the calls, and what each of them copies again.
fn more(program: &Program, shape: &Shape, index: usize) -> f64 {
    let kernel = shape.kernel(program, index);
    let (ticks, calls) = match shape.stream(index) {
        Some(stream) => {
            let calls = (0..stream.ticks).filter(|&tick| !stream.rows_at(index, tick).is_empty());
            (stream.ticks, calls.count() as f64)
        }
        None => (0, 0.0),
    };
    let (Some(window), Some(input), Some(output)) =
        (kernel.window(), kernel.reads().first().copied(), kernel.writes().first().copied())
    else {
        return 0.0;
    };
    let again = (window.height.saturating_sub(1) * window.dilation_h + 1).saturating_sub(window.stride_h);
    let values = (again * input.width * input.channels) as f64;
    let tiles = output.width.div_ceil(4) * output.height;
    let flat = (output.width * output.height).div_ceil(4);
    // Planes without gaps are one run of tiles.
    let apart = |form: &Form| !form.interleaved;
    let by_rows = ticks > 0 || program.steps[index].writes.iter().any(|b| shape.form(*b).is_some_and(apart));
    let waste = if by_rows { tiles as f64 / flat.max(1) as f64 - 1.0 } else { 0.0 };
    let waste = waste * 1.1 * kernel.macs() as f64;
    let channels = output.channels as f64;
    let copies = match kernel {
        Kernel::InterleavedConv2dI8Dsp(_) => waste,
        Kernel::Conv2dI8Dsp(_) if input.channels == 1 => calls * values * 3.5 + waste,
        Kernel::Conv2dI8Dsp(_) => calls * values * 6.5 + waste,
        Kernel::PointwiseConv2dI8Dsp(_) => waste,
        Kernel::DepthwiseConv2dI8Dsp(_) => calls * (values * 1.2 + (230 + 20 * again) as f64 * channels),
        Kernel::Conv2dI8Scalar(_) => calls * values * 18.0 + waste,
        Kernel::PointwiseConv2dI8Scalar(_) => waste,
        Kernel::DepthwiseConv2dI8Scalar(_) => calls * (values * 3.0 + (300 + 40 * again) as f64 * channels),
        Kernel::Conv2dI8Mve(_) => calls * (values * 2.0 + 200.0),
        Kernel::PointwiseConv2dI8Mve(_) => calls * 100.0,
        Kernel::DepthwiseConv2dI8Mve(_) => calls * (values * 0.5 + (200 + 20 * again) as f64 * channels),
        _ => calls * 10.0 * channels,
    };
    copies + 100.0 * ticks as f64 + 150.0 * calls
}
