//! The same for models that take frame after frame: frames come until numbers have begun again twice, and each row is known by the
//! number that it has among all that ever came.

use super::{Arena, outside, row, tag};
use crate::program::{BufferId, History, Program, Stream, Time};
use kiln_runtime_core::Rows;

/// Frames that are simulated at most.
const MOST: usize = 3000;

pub(super) fn verify(arena: &mut Arena<'_>, time: &Time) -> Result<(), String> {
    let placement = arena.placement;
    let [stream] = &placement.shape.streams[..] else { return Err("time has one stream".to_owned()) };
    let mut tick = 0;
    for _ in 0..(time.clock.window + 2 * time.clock.period).min(MOST) {
        frame(arena, time, stream, tick)?;
        let next = time.clock.next(tick);
        arena.before += tick + 1 - next;
        tick = next;
    }
    Ok(())
}

/// When the rows of a buffer of the stream come.
pub(super) fn rows<'a>(program: &Program, stream: &'a Stream, buffer: BufferId) -> Option<&'a Rows> {
    match &stream.feed {
        Some(feed) if feed.buffer == buffer => Some(&feed.rows),
        _ => stream.rows_of(stream.steps().find(|&i| program.steps[i].writes.contains(&buffer))?),
    }
}

fn frame(arena: &mut Arena<'_>, time: &Time, stream: &Stream, tick: usize) -> Result<(), String> {
    let (program, placement) = (arena.program, arena.placement);
    let named = |i: usize| move |e| format!("frame {tick}, step {i} `{}`: {e}", program.steps[i].layer);
    if let Some(feed) = &stream.feed {
        arena.feed(feed, tick)?;
    }
    for step in stream.steps() {
        let rows = stream.rows_at(step, tick);
        if !rows.is_empty() {
            time.moved_by(program, step).try_for_each(|history| moved(arena, history))?;
        }
        arena.call(step, rows).map_err(named(step))?;
    }
    if !time.clock.is_due(tick) {
        return Ok(());
    }
    let before = arena.owner.clone();
    for history in &time.windows {
        whole(arena, history, tick)?;
    }
    let sealed = arena.owner.clone();
    for step in stream.steps().end..program.steps.len() {
        arena.step(step).map_err(named(step))?;
    }
    for port in &program.outputs {
        let at = placement.buffers[port.buffer.0];
        let bytes = arena.owner.get(at..at + program.buffers[port.buffer.0].size());
        let bytes = bytes.ok_or_else(|| outside(&port.name))?;
        if bytes.iter().any(|&o| o != tag(port.buffer, None)) {
            return Err(format!("frame {tick}: output `{}` is overwritten", port.name));
        }
    }
    // What the steps behind the stream left alone is what it was.
    let owners = arena.owner.iter_mut().zip(before.iter().zip(&sealed));
    owners.filter(|(owner, (_, sealed))| owner == sealed).for_each(|(owner, (before, _))| *owner = *before);
    Ok(())
}

/// All rows of a window move down by one.
fn moved(arena: &mut Arena<'_>, history: &History) -> Result<(), String> {
    let buffer = &arena.program.buffers[history.buffer.0];
    let (at, by) = (arena.placement.buffers[history.buffer.0], history.by * buffer.elem.size());
    let bytes = arena.owner.get_mut(at..at + buffer.size()).ok_or_else(|| outside(&buffer.name))?;
    if by > bytes.len() {
        return Err(format!("`{}` has no rows", buffer.name));
    }
    bytes.copy_within(by.., 0);
    Ok(())
}

/// The whole window is there, each row in its place; from here on, the steps behind the stream read it as a whole.
fn whole(arena: &mut Arena<'_>, history: &History, tick: usize) -> Result<(), String> {
    let (program, placement, buffer) = (arena.program, arena.placement, history.buffer);
    let name = &program.buffers[buffer.0].name;
    let every = history.rows.every.max(1) as usize;
    let newest = history.rows.done(tick) + arena.before / every;
    let oldest = newest.checked_sub(history.height).ok_or_else(|| format!("`{name}` is not there"))?;
    let at = placement.buffers[buffer.0];
    for step in program.steps.iter().filter(|s| s.writes.contains(&buffer)) {
        let images = step.kernel.writes().into_iter().zip(step.kernel.write_elems()).zip(&step.writes);
        for ((image, elem), _) in images.filter(|(_, b)| **b == buffer) {
            for y in 0..image.height {
                row(&image, elem.size(), y, &mut |byte| {
                    let owner = arena.owner.get_mut(at + byte).ok_or_else(|| outside(name))?;
                    if *owner != tag(buffer, Some(oldest + y)) {
                        return Err(format!(
                            "row {y} of the window in `{name}` is lost at byte {}",
                            at + byte
                        ));
                    }
                    *owner = tag(buffer, None);
                    Ok(())
                })?;
            }
        }
    }
    Ok(())
}
