//! The API of a model that takes one frame of a window over time a call.

use super::fed::Fed;
use super::{Generator, rust_type};
use crate::program::Time;
use std::fmt::Write;

impl Generator<'_> {
    /// The input and what goes on over time, where frames come one a call.
    pub(super) fn timed(&self) -> Option<Timed<'_>> {
        Some(Timed { generator: self, fed: self.fed()?, time: self.plan.placement.shape.time.as_ref()? })
    }
}

pub(super) struct Timed<'a> {
    generator: &'a Generator<'a>,
    fed: Fed<'a>,
    time: &'a Time,
}

impl Timed<'_> {
    /// When outputs are due, and the figures of a step.
    pub(super) fn constants(&self) -> String {
        format!(
            "    /// When outputs are due, and when the numbers of frames begin again.
    static CLOCK: Clock = {:?};

",
            self.time.clock
        )
    }

    /// Associated constants of `Model`.
    pub(super) fn figures(&self) -> String {
        let (clock, shape) = (&self.time.clock, &self.generator.plan.placement.shape);
        let (macs, hop) = shape.macs_per_hop(self.generator.program).unwrap_or((0, 1));
        format!(
            "        /// Frames of the window: those that come before the first output, and that every output depends on.
        pub const WINDOW: usize = {};
        /// Frames from one output to the next.
        pub const HOP: usize = {hop};
        /// Multiply-accumulates from one output to the next; `MACS` are those of a whole window.
        pub const HOP_MACS: u64 = {macs};
",
            clock.window
        )
    }

    /// `step`, `reset` and `run_bytes`.
    pub(super) fn methods(&self) -> String {
        let (fed, tick, blocks) = (&self.fed, self.time.tick, self.generator.plan.arena_len / 16);
        let (ty, n) = (fed.ty(), fed.values());
        let (result, due) = match &self.generator.outputs[..] {
            [output] => (
                format!("Option<&[{}; {}]>", rust_type(output.port.ty.elem), output.len),
                ["None", "Some(self.output())"],
            ),
            _ => ("bool".to_owned(), ["false", "true"]),
        };
        let (window, hop) = (self.time.clock.window, self.time.clock.hop);
        let when = match hop {
            1 => "after every frame".to_owned(),
            hop => format!("after every {hop} frames"),
        };
        let mut text = format!(
            "        /// Takes the next frame. Of frame `y` in a window it has {order}.
        /// Gives the output of the window of the last {window} frames, bit for bit what the model computes of that window as a whole:
        /// after {window} frames for the first time, then {when}.
        pub fn step(&mut self, frame: &[{ty}; {n}]) -> {result} {{
            let tick = array::<u32, {tick}, 1, {blocks}>(&self.arena)[0] as usize;
            array_mut::<u32, {tick}, 1, {blocks}>(&mut self.arena)[0] = CLOCK.next(tick) as u32;
            let mem: &mut [Block] = &mut self.arena;
            if let Some(to) = row_mut::<{ty}, {n}>(mem, INPUT_RING.row(tick)) {{
                *to = *frame;
            }}
{head}            if !CLOCK.is_due(tick) {{
                return {none};
            }}
{tail}            {some}
        }}

        /// Forgets all frames: the next one is the first of a new window.
        pub fn reset(&mut self) {{
            array_mut::<u32, {tick}, 1, {blocks}>(&mut self.arena)[0] = 0;
        }}

        /// Takes the {window} frames of a whole window, its bytes as the model's file has them, after a `reset`. The outputs are there
        /// behind it.
        pub fn run_bytes(&mut self, input: &[u8]) {{
            self.reset();
            for y in 0..{window} {{
                let mut to = [Default::default(); {n}];
{bytes}                self.step(&to);
            }}
        }}
",
            order = fed.order(),
            head = self.head(),
            tail = self.generator.calls_from(self.generator.plan.placement.shape.stream(0).map_or(0, |s| s.steps().end), 12),
            none = due[0],
            some = due[1],
            bytes = fed.row_of_bytes(16),
        );
        text += &self.predict();
        text
    }

    /// The calls of the stream, for one frame.
    fn head(&self) -> String {
        let (generator, mut text) = (self.generator, String::new());
        let Some(stream) = generator.plan.placement.shape.stream(0) else { return text };
        for step in stream.steps() {
            for history in self.time.moved_by(generator.program, step) {
                let buffer = &generator.program.buffers[history.buffer.0];
                let _ = write!(
                    text,
                    "            if !{}.at(tick).is_empty() {{
                move_rows(mem, {}, {}, {});
            }}
",
                    generator.rows_path(step),
                    generator.plan.placement.buffers[history.buffer.0],
                    buffer.size(),
                    history.by * buffer.elem.size()
                );
            }
            let _ = write!(text, "            {}", generator.call(step, |rows| format!("{rows}.at(tick)")));
        }
        text
    }

    /// `step` on real numbers, for models of one output.
    fn predict(&self) -> String {
        let Some((value, back, len)) = self.fed.real() else { return String::new() };
        // The last line is the value.
        let last = back.trim_end().rfind('\n').map_or(0, |at| at + 1);
        let back = format!("{}            Some({})\n", &back[..last], back[last..].trim());
        let n = self.fed.values();
        format!(
            "
        /// As `step`, on real numbers.
        pub fn predict(&mut self, frame: &[f32; {n}]) -> Option<[f32; {len}]> {{
            let mut to = [Default::default(); {n}];
            for (to, from) in to.iter_mut().zip(frame) {{
                *to = {value};
            }}
            self.step(&to)?;
{back}        }}
"
        )
    }
}
