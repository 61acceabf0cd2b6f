//! Plans of models that take one frame of a window over time a call.
//!
//! A window model that is run anew on each window, shifted by a frame, computes most rows again and again: row `j` of a layer
//! without padding depends on the same frames as row `j + 1` did a frame ago. So the steps that work by rows are a stream that does not
//! end: a frame is a tick, each layer computes the one row that the frame completes and keeps the rows that its window still reads, in
//! a ring. What needs the whole window (a dense layer over all of it) runs as a whole behind them, on a buffer that holds the last rows
//! of the window, oldest first ([`History`]).
//!
//! Strides: a layer behind strides of `s` in all computes a row every `s` frames, and windows of all layers begin together every `hop`
//! frames, the least common multiple of these; an output is due every `hop` frames. Rows are numbered until all rings are where they
//! were, then numbers begin again ([`Clock`]).

use super::stream::{behind, form, gcd, operands};
use super::{Plan, plan_as};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::program::{BufferId, Feed, Form, History, Port, Program, Shape, Step, Stream, Time};
use kiln_runtime_core::{Clock, Image, Rows};
use std::collections::BTreeMap;
use std::fmt;

/// Rings are rounded up to powers of two where numbers would begin again later than that.
const LONG_PERIOD: usize = 4096;
/// No numbers begin again later than that: kernels count rows in 16 bits.
const LONGEST_PERIOD: usize = 1 << 15;

/// Rows of a buffer before it is known when their numbers begin again.
const UNENDING: usize = isize::MAX as usize;

/// The axis of the input that is time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// What the first layer sees as rows.
    Time,
    /// Axis of the input's shape, from 0.
    Index(usize),
}

impl std::str::FromStr for Axis {
    type Err = String;

    fn from_str(text: &str) -> Result<Axis, String> {
        match text {
            "time" => Ok(Axis::Time),
            _ => text
                .parse()
                .map(Axis::Index)
                .map_err(|_| format!("`{text}` is neither `time` nor the number of an axis")),
        }
    }
}

impl From<usize> for Axis {
    fn from(axis: usize) -> Axis {
        Axis::Index(axis)
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Axis::Time => f.write_str("time"),
            Axis::Index(axis) => write!(f, "axis {axis}"),
        }
    }
}

/// Plans a program that takes one frame a call and keeps what its layers still read.
///
/// # Errors
/// `E0716` where the first layer does not walk the axis by rows; `E0717` for a layer that is padded in time, whose first and last
/// rows are others in every window.
pub fn plan_over_time(program: &Program, axis: Axis) -> Result<Plan, Diagnostic> {
    let (port, image) = frames(program, axis)?;
    let head = Head::new(program, port.buffer)?;
    let shape = head.shape(program, port.buffer, image.height)?;
    let mut plan = plan_as(program, shape);
    // The number of the next frame.
    let tick = plan.placement.arena;
    plan.placement.shape.time.iter_mut().for_each(|time| time.tick = tick);
    for bytes in [
        &mut plan.placement.arena,
        &mut plan.arena_len,
        &mut plan.lower_bound,
        &mut plan.lower_bound_with_scratch,
    ] {
        *bytes += 16;
    }
    Ok(plan)
}

/// The input, and how its first reader sees the frames.
fn frames(program: &Program, axis: Axis) -> Result<(&Port, Image), Diagnostic> {
    let types: Vec<String> = program.inputs.iter().map(|p| format!("`{}`: {}", p.name, p.ty)).collect();
    let refused = |message: String| Diagnostic::new("E0716", message).fact("inputs", types.join(", "));
    let [port] = &program.inputs[..] else {
        return Err(refused("a model with several inputs cannot be streamed over time".to_owned())
            .help("only a model with one input, a window over time, takes it frame by frame"));
    };
    let first = program.steps.iter().find(|s| s.reads.contains(&Some(port.buffer)));
    let Some(step) = first else {
        return Err(refused("no layer reads the input".to_owned()).help("compile it without streaming"));
    };
    let image = operands(step).into_iter().find(|(buffer, _)| *buffer == port.buffer).map(|(_, image)| image);
    let Some(image) = image.filter(|image| step.kernel.window().is_some() && image.height > 1) else {
        return Err(refused("the first layer needs the whole window at once".to_owned())
            .at(&step.layer, &step.op)
            .fact("kernel", step.kernel.function())
            .help(
                "what can be streamed over time begins with convolutions or pooling that walk the time axis",
            ));
    };
    if let Axis::Index(index) = axis {
        let shape = &port.ty.shape;
        let stride = shape.get(index + 1..).map(|inner| inner.iter().product::<usize>());
        if shape.get(index) != Some(&image.height) || stride != Some(image.layout.row) {
            return Err(refused(format!("{axis} of the input is not what the first layer walks by rows"))
                .at(&step.layer, &step.op)
                .fact("rows of the layer", format!("{}, {} values apart", image.height, image.layout.row))
                .help("`time` takes the rows of the first layer, whichever axis they are"));
        }
    }
    Ok((port, image))
}

/// The steps that take part in the stream: the first ones of the program, and when the rows of their buffers come.
struct Head {
    steps: Vec<Rows>,
    buffers: BTreeMap<BufferId, Rows>,
}

impl Head {
    /// The longest head whose buffers are read either by its own steps or by those behind it.
    fn new(program: &Program, fed: BufferId) -> Result<Head, Diagnostic> {
        let mut most = program.steps.len();
        loop {
            let head = Head::up_to(program, fed, most)?;
            let end = head.steps.len();
            let shared = |&index: &usize| {
                operands(&program.steps[index]).iter().any(|(buffer, _)| head.is_behind(program, *buffer))
            };
            match (0..end).find(shared) {
                Some(index) => most = index,
                None if end == 0 => return Err(whole(program, fed)),
                None => return Ok(head),
            }
        }
    }

    fn up_to(program: &Program, fed: BufferId, most: usize) -> Result<Head, Diagnostic> {
        let first = Rows { lead: 1, step: 1, every: 1, height: UNENDING };
        let mut head = Head { steps: vec![], buffers: BTreeMap::from([(fed, first)]) };
        for step in &program.steps[..most] {
            let Some(rows) = head.rows(program, step)? else { break };
            head.steps.push(rows);
            head.buffers.insert(step.writes[0], rows);
        }
        Ok(head)
    }

    /// When the rows of a step come; `None` where it needs the whole window.
    fn rows(&self, program: &Program, step: &Step) -> Result<Option<Rows>, Diagnostic> {
        let (Some(window), [to]) = (step.kernel.window(), &step.writes[..]) else { return Ok(None) };
        let [output] = step.kernel.writes()[..] else { return Ok(None) };
        let mut rows: Option<Rows> = None;
        for (buffer, image) in operands(step) {
            let Some(from) = self.buffers.get(&buffer).filter(|_| form(program, buffer, false).is_some())
            else {
                return Ok(None);
            };
            let reach = window.height.saturating_sub(1) * window.dilation_h + 1;
            let valid = image.height.checked_sub(reach).map(|behind| behind / window.stride_h.max(1) + 1);
            if image.height == 1 && (window.pad_top > 0 || valid != Some(output.height)) {
                return Ok(None);
            }
            if window.pad_top > 0 || valid.is_none_or(|valid| valid < output.height) {
                let read = output.height.saturating_sub(1) * window.stride_h + reach;
                return Err(padded(step, window.pad_top, read.saturating_sub(image.height + window.pad_top)));
            }
            let next = behind(from, &window, UNENDING);
            rows = match rows {
                None if valid == Some(output.height) => Some(next),
                Some(rows) if (rows.step, rows.every) == (next.step, next.every) => {
                    Some(Rows { lead: rows.lead.min(next.lead), ..rows })
                }
                // Rows are left out, or come at another pace.
                _ => return Ok(None),
            };
        }
        // Tables that differ from row to row belong to places in the window.
        let by_place = |(image, buffer): (Image, &Option<BufferId>)| {
            buffer.is_none() && image.layout.row > 0 && image.height > 1
        };
        let placed = step.kernel.reads().into_iter().zip(&step.reads).any(by_place);
        let same = self.buffers.get(to).is_none_or(|known| Some(*known) == rows);
        Ok(rows.filter(|_| !placed && same))
    }

    /// Whether the steps behind the head read a buffer, or the caller does.
    fn is_behind(&self, program: &Program, buffer: BufferId) -> bool {
        let reads = |step: &Step| step.reads.contains(&Some(buffer));
        program.steps[self.steps.len()..].iter().any(reads)
            || program.outputs.iter().any(|p| p.buffer == buffer)
    }

    fn shape(&self, program: &Program, fed: BufferId, window: usize) -> Result<Shape, Diagnostic> {
        let hop = self.buffers.values().fold(1, |hop, rows| lcm(hop, rows.every as usize));
        let (inner, outer): (Vec<BufferId>, Vec<BufferId>) =
            self.buffers.keys().partition(|&&b| !self.is_behind(program, b));
        let rings: Vec<(BufferId, usize, bool)> = inner
            .into_iter()
            .map(|b| {
                let (ring, kept) = self.ring(program, b, window + 2 * hop);
                (b, ring, kept)
            })
            .collect();
        let period = |size: &dyn Fn(usize) -> usize| {
            let periods = rings.iter().map(|&(b, ring, _)| size(ring) * self.buffers[&b].every as usize);
            periods.fold(hop, lcm)
        };
        let exact = period(&|ring| ring) <= LONG_PERIOD;
        let size = |ring: usize| if exact { ring } else { ring.next_power_of_two() };
        let period = period(&size);
        if period + window >= 2 * LONGEST_PERIOD || period > LONGEST_PERIOD {
            return Err(Diagnostic::new("E0716", "the strides of the layers do not fit together over time")
                .fact("frames until they do", period)
                .help("use strides in time that divide each other"));
        }
        let ticks = window + period;
        let through = |rows: &Rows| Rows { height: rows.done(ticks - 1), ..*rows };
        let mut forms = vec![None; program.buffers.len()];
        for &(buffer, ring, _) in &rings {
            let passing = through(&self.buffers[&buffer]).height;
            forms[buffer.0] =
                form(program, buffer, false).map(|form| Form { ring: size(ring), passing, ..form });
        }
        let windows: Vec<History> =
            outer.iter().filter_map(|&b| self.history(program, b, through(&self.buffers[&b]))).collect();
        let kept = rings.iter().filter(|r| r.2).map(|r| r.0).chain(outer).collect();
        let rows = self.steps.iter().map(through).collect();
        let feed = Feed { buffer: fed, rows: through(&self.buffers[&fed]) };
        let stream = Stream { first: 0, ticks, rows, feed: Some(feed) };
        let time = Time { clock: Clock { window, hop, period }, kept, windows, tick: 0 };
        Ok(Shape { forms, streams: vec![stream], time: Some(time) })
    }

    /// Rows of a buffer that must be there at once, and whether some are read again when the next frame comes.
    fn ring(&self, program: &Program, buffer: BufferId, ticks: usize) -> (usize, bool) {
        let readers: Vec<(&Kernel, &Rows)> = program.steps[..self.steps.len()]
            .iter()
            .zip(&self.steps)
            .filter(|(step, _)| step.reads.contains(&Some(buffer)))
            .map(|(step, rows)| (&step.kernel, rows))
            .collect();
        let rows = &self.buffers[&buffer];
        // The first row that is read when so many rows of a reader are done.
        let oldest = |done: &dyn Fn(&Rows) -> usize| {
            let first = |(kernel, rows): &(&Kernel, &Rows)| Some(done(rows) * kernel.window()?.stride_h);
            readers.iter().filter_map(first).min().unwrap_or(usize::MAX)
        };
        let (mut most, mut kept) = (1, false);
        for tick in 0..ticks {
            most = most.max(rows.done(tick).saturating_sub(oldest(&|rows| rows.at(tick).start)));
            kept |= rows.done(tick) > oldest(&|rows| rows.done(tick));
        }
        (most, kept)
    }

    fn history(&self, program: &Program, buffer: BufferId, rows: Rows) -> Option<History> {
        let writer = program.steps.iter().find(|s| s.writes.contains(&buffer))?;
        let image = writer.kernel.writes().first().copied()?;
        Some(History { buffer, rows, height: image.height, by: image.layout.row })
    }
}

fn lcm(a: usize, b: usize) -> usize {
    let shared = gcd(a as isize, b as isize) as usize;
    (a / shared).saturating_mul(b)
}

/// Nothing can be computed frame by frame.
fn whole(program: &Program, fed: BufferId) -> Diagnostic {
    let d = Diagnostic::new("E0716", "no layer can be computed frame by frame")
        .help("what can be streamed over time begins with convolutions or pooling that walk the time axis");
    match program.steps.iter().find(|s| s.reads.contains(&Some(fed))) {
        Some(step) => d.at(&step.layer, &step.op).fact("kernel", step.kernel.function()),
        None => d,
    }
}

fn padded(step: &Step, before: usize, behind: usize) -> Diagnostic {
    Diagnostic::new("E0717", "a layer that is padded in time cannot be streamed")
        .at(&step.layer, &step.op)
        .fact("rows of padding", format!("{before} before the window, {behind} behind it"))
        .fact("why", "padding follows the window, so that its first and last rows are others in every window")
        .help("`--stream-pad drop` (`stream_pad = \"drop\"`) leaves padding in time out: the window is that of the model without it, and its outputs are others; check the accuracy")
        .help("or train the model with valid convolutions over time")
}
