//! Diagonal overlap: an output over the rows of an input that dies while it is written.
//!
//! Where whole rows follow each other, of input and output, rows that were read for the last time are room for rows of the
//! output. The output begins `shift` bytes before the input, so far that at no time what is written reaches what is still read:
//! the largest of `end of the rows written - begin of the rows to be read` over all calls. Inside of one call of a stream nothing
//! is known of the order, and a step that runs as a whole is a stream whose calls are as many rows as its kernel takes at once.

use super::in_place;
use super::live::{Life, Overlay};
use super::stream::first_read;
use crate::program::{BufferId, Program, Shape};
use kiln_runtime_core::Image;
use std::ops::Range;

/// What ports are aligned to, and with them all that lies over them.
const ALIGN: isize = 16;

/// The overlap of a step, or of the steps of a stream, that saves most.
pub(super) fn best(program: &Program, shape: &Shape, lives: &[Life], steps: Range<usize>) -> Option<Overlay> {
    let (first, last) = (steps.start + 1, steps.end);
    let mut found: Option<(usize, Overlay)> = None;
    for writer in steps.clone() {
        let [to] = program.steps[writer].writes[..] else { continue };
        let inner = lives[to.0].last <= last;
        if lives[to.0].first != first || inner {
            continue;
        }
        for &from in steps.clone().flat_map(|s| program.steps[s].reads.iter().flatten()) {
            let dies = lives[from.0].last == last && lives[from.0].first < first;
            let Some(shift) = dies.then(|| shift(program, shape, &steps, (from, to))).flatten() else {
                continue;
            };
            let (from_size, to_size) = (shape.size(program, from), shape.size(program, to));
            let saved = to_size.saturating_sub(shift).min(from_size);
            if saved > found.map_or(0, |f| f.0) {
                found = Some((saved, Overlay { step: writer, from, to, shift }));
            }
        }
    }
    found.map(|f| f.1)
}

/// Bytes by which `to` must begin before `from`; none where rows do not follow each other.
pub(super) fn shift(
    program: &Program,
    shape: &Shape,
    steps: &Range<usize>,
    (from, to): (BufferId, BufferId),
) -> Option<usize> {
    let users = |f: &dyn Fn(usize) -> bool| -> Vec<usize> { steps.clone().filter(|&s| f(s)).collect() };
    let [writer] = users(&|s| program.steps[s].writes.contains(&to))[..] else { return None };
    let stream = shape.stream(steps.start);
    // Rows of an input that lies in the place of the output come before those of the output.
    let earliest = in_place::earliest_writer(program, shape, to).unwrap_or(writer);
    let kernel = shape.kernel(program, writer);
    let (output, size) = (kernel.writes().first().copied()?, kernel.write_elems().first()?.size());
    let mut readers = vec![];
    for reader in users(&|s| program.steps[s].reads.contains(&Some(from))) {
        let kernel = shape.kernel(program, reader);
        kernel.window()?;
        let images = kernel.reads().into_iter().zip(kernel.read_elems()).zip(&program.steps[reader].reads);
        let images: Vec<(Image, usize)> = images
            .filter(|(_, buffer)| **buffer == Some(from))
            .map(|((i, elem), _)| (i, elem.size()))
            .collect();
        readers.push((reader, kernel, images));
    }
    let mut most = 0;
    for tick in 0..stream.map_or(output.height, |s| s.ticks) {
        // What is written at the end of the tick, and the first output row of each reader whose input rows are still needed.
        let written = stream.map_or(Some(tick + 1), |s| Some(s.rows_of(writer)?.done(tick)))?;
        let Some(last) = written.checked_sub(1) else { continue };
        let (_, end) = span(&output, size, last)?;
        for (reader, kernel, images) in &readers {
            let next = match stream {
                None => (tick + 1).saturating_sub(kernel.rows_at_once()),
                Some(s) if *reader < earliest => s.rows_of(*reader)?.done(tick),
                Some(s) => s.rows_at(*reader, tick).start,
            };
            let Some(row) = first_read(kernel, next) else { continue };
            for (image, size) in images.iter().filter(|(image, _)| row < image.height) {
                let (begin, _) = span(image, *size, row)?;
                most = most.max(end - begin);
            }
        }
    }
    usize::try_from((most + ALIGN - 1) / ALIGN * ALIGN).ok()
}

/// First and last byte, that one not included, of a row; none where rows interleave or share bytes.
fn span(image: &Image, size: usize, row: usize) -> Option<(isize, isize)> {
    let layout = image.layout;
    let len = image.width.checked_sub(1)? * layout.col + image.channels.checked_sub(1)? * layout.chan + 1;
    let apart = image.height == 1 || len <= layout.row;
    let whole = image.ring >= image.height;
    let begin = image.row(row) * size;
    (apart && whole).then_some((begin as isize, (begin + len * size) as isize))
}
