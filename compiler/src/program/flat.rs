//! The extents of elementwise calls on whole buffers.
//!
//! Such a call may walk its elements in any shape that both sides share. Lowering takes the axes of the file, which for a
//! conversion in front of a transposed image are not those of the layer behind it; with the rows of that layer, both may run row
//! by row in one stream.

use super::{BufferId, Program};
use kiln_runtime_core::{Image, Layout};

/// Gives elementwise calls between whole buffers the rows in which other steps see those buffers.
pub fn share_shapes(program: &mut Program) {
    for index in 0..program.steps.len() {
        let step = &program.steps[index];
        let ([Some(from)], [to]) = (&step.reads[..], &step.writes[..]) else { continue };
        let (reads, writes) = (step.kernel.reads(), step.kernel.writes());
        let fill = |images: &[Image], buffer| images.iter().all(|i| fills(program, i, buffer));
        // Elements keep their places only where both sides walk theirs in the same order.
        let same = matches!((&reads[..], &writes[..]), ([a], [b]) if a == b);
        if !step.kernel.is_map() || !same || !fill(&reads, *from) || !fill(&writes, *to) {
            continue;
        }
        let Some(image) = seen(program, index, *to).or_else(|| seen(program, index, *from)) else { continue };
        let places = program.steps[index].kernel.places();
        places.reads.into_iter().chain(places.writes).for_each(|place| *place = rows(image));
    }
}

/// How a step that works by rows sees the whole of a buffer.
fn seen(program: &Program, but: usize, buffer: BufferId) -> Option<Image> {
    let others = program.steps.iter().enumerate().filter(|(i, s)| *i != but && s.kernel.window().is_some());
    let mut images = others.flat_map(|(_, s)| {
        let reads = s.reads.iter().copied().zip(s.kernel.reads());
        reads.chain(s.writes.iter().map(|b| Some(*b)).zip(s.kernel.writes()))
    });
    images.find(|(b, image)| *b == Some(buffer) && fills(program, image, buffer)).map(|(_, image)| image)
}

/// Whether the image has every element of the buffer, once.
fn fills(program: &Program, image: &Image, buffer: BufferId) -> bool {
    let layout = image.layout;
    let mut axes =
        [(layout.row, image.height), (layout.col, image.width), (layout.chan, image.channels)].to_vec();
    axes.retain(|(_, extent)| *extent != 1);
    axes.sort_unstable();
    let mut len = 1;
    for (stride, extent) in axes {
        if stride != len {
            return false;
        }
        len *= extent;
    }
    image.offset == 0 && len == program.buffers[buffer.0].len
}

/// The image, or, where the elements of a row follow each other, the same rows as one run of columns each.
fn rows(image: Image) -> Image {
    let row = image.width * image.channels;
    if image.layout.row != row || image.height == 1 {
        return image;
    }
    Image { width: row, channels: 1, layout: Layout { row, col: 1, chan: 1 }, ..image }
}
