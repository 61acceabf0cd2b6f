//! The plan as text and JSON.

use super::{Plan, PlannedStep};
use crate::json::Json;
use crate::program::{BufferId, Form};
use kiln_runtime_core::Clock;
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "plan {}: {} bytes, lower bound {} ({} without scratch), peak at step {} `{}`, scratch up to {}",
            self.name,
            self.arena_len,
            self.lower_bound_with_scratch,
            self.lower_bound,
            self.peak_step,
            self.steps.get(self.peak_step).map_or("", |s| s.layer.as_str()),
            self.scratch_max
        )?;
        for (i, (name, size)) in self.buffers.iter().enumerate() {
            let (at, life) = (self.placement.buffers[i], self.lives[i]);
            write!(f, "b{i} {name}: {at}..{} ", at + size)?;
            match life.first <= life.last {
                true => write!(f, "live {}..={}", life.first, life.last)?,
                false => write!(f, "unused")?,
            }
            if let Some(form) = self.ring(i) {
                write!(f, ", {} of {} rows", form.ring, form.height)?;
            }
            match self.over(i) {
                Some(from) => writeln!(f, " over b{from}")?,
                None => writeln!(f)?,
            }
        }
        for stream in &self.placement.shape.streams {
            let (first, last) = (stream.first, stream.steps().end - 1);
            write!(f, "stream of steps {first} to {last}, {} ticks", stream.ticks)?;
            match &stream.feed {
                Some(feed) => writeln!(f, ", fed with rows of b{}", feed.buffer.0)?,
                None => writeln!(f)?,
            }
        }
        if let Some(time) = &self.placement.shape.time {
            let Clock { window, hop, period } = time.clock;
            writeln!(
                f,
                "a tick is a frame: windows of {window}, an output every {hop}, numbers begin again after {period}"
            )?;
            for history in &time.windows {
                writeln!(f, "b{} holds the last {} rows", history.buffer.0, history.height)?;
            }
        }
        self.steps.iter().enumerate().try_for_each(|(i, step)| self.step(f, i, step))
    }
}

impl Plan {
    fn step(&self, f: &mut fmt::Formatter<'_>, index: usize, step: &PlannedStep) -> fmt::Result {
        let live = self.live_at(index).map(|b| format!("b{b}")).collect::<Vec<_>>().join(" ");
        write!(f, "step {index} {} ({}): {} bytes in {live}", step.layer, step.kernel, self.live[index])?;
        if step.scratch > 0 {
            let at = self.placement.scratch[index];
            write!(f, ", scratch {at}..{}", at + step.scratch)?;
        }
        writeln!(f)
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Json {
        let buffers = self.buffers.iter().enumerate().map(|(i, (name, size))| {
            let life = self.lives[i];
            let used = life.first <= life.last;
            Json::Object(vec![
                ("name", name.into()),
                ("offset", self.placement.buffers[i].into()),
                ("size", (*size).into()),
                ("first", if used { life.first.into() } else { Json::Null }),
                ("last", if used { life.last.into() } else { Json::Null }),
                ("over", self.over(i).map_or(Json::Null, Json::from)),
                ("ring", self.ring(i).map_or(Json::Null, |form| form.ring.into())),
            ])
        });
        let steps = self.steps.iter().enumerate().map(|(i, step)| {
            Json::Object(vec![
                ("layer", (&step.layer).into()),
                ("kernel", step.kernel.into()),
                ("live", self.live[i].into()),
                ("buffers", self.live_at(i).collect()),
                ("scratch_offset", self.placement.scratch[i].into()),
                ("scratch", step.scratch.into()),
            ])
        });
        let streams = self.placement.shape.streams.iter().map(|stream| {
            Json::Object(vec![
                ("first", stream.first.into()),
                ("last", (stream.steps().end - 1).into()),
                ("ticks", stream.ticks.into()),
                ("fed", stream.feed.as_ref().map_or(Json::Null, |feed| feed.buffer.0.into())),
            ])
        });
        let clock = self.placement.shape.time.as_ref().map(|time| time.clock);
        let clock = clock.map_or(Json::Null, |Clock { window, hop, period }| {
            Json::Object(vec![("window", window.into()), ("hop", hop.into()), ("period", period.into())])
        });
        Json::Object(vec![
            ("name", (&self.name).into()),
            ("arena", self.arena_len.into()),
            ("order_exact", self.order_exact.into()),
            ("lower_bound", self.lower_bound.into()),
            ("lower_bound_with_scratch", self.lower_bound_with_scratch.into()),
            ("peak_step", self.peak_step.into()),
            ("scratch_max", self.scratch_max.into()),
            ("buffers", buffers.collect()),
            ("steps", steps.collect()),
            ("streams", streams.collect()),
            ("clock", clock),
        ])
    }

    /// The form of a buffer that holds some of its rows.
    fn ring(&self, index: usize) -> Option<&Form> {
        self.placement.shape.form(BufferId(index)).filter(|form| form.ring < form.height)
    }

    /// The buffer over which buffer `index` lies.
    fn over(&self, index: usize) -> Option<usize> {
        self.overlays.iter().find(|o| o.to.0 == index).map(|o| o.from.0)
    }

    /// What lies in memory while step `index` runs, and its bytes: buffers by their names, and its scratch; the largest first.
    pub fn held(&self, index: usize) -> Vec<(String, usize)> {
        let mut held: Vec<(String, usize)> = self.live_at(index).map(|b| self.buffers[b].clone()).collect();
        held.push(("scratch".to_owned(), self.steps[index].scratch));
        held.retain(|(_, bytes)| *bytes > 0);
        held.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        held
    }

    /// Buffers that step `index` needs or must keep.
    fn live_at(&self, index: usize) -> impl Iterator<Item = usize> {
        self.lives.iter().enumerate().filter(move |(_, life)| life.covers(index + 1)).map(|(i, _)| i)
    }
}
