//! Interleaved activations (NHWC) for the kernels that compute channels side by side: lowering allocates planes (NCHW).
//!
//! Element `c * plane + p` of a buffer, channel `c` of pixel `p`, moves to `p * channels + c`. A buffer is interleaved when every
//! image of it can be said in the new order, inputs and outputs of the model never. No value is copied and no sum changes; a
//! dense layer that reads all values of an image gets its weights in their new order.

use crate::kernels::{ConstData, Kernel};
use crate::program::{BufferId, Program};
use crate::tensor::ElemType;
use kiln_runtime_core::{Image, Layout};

/// Planes of a buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Planes {
    channels: usize,
    height: usize,
    width: usize,
}

/// The planes of every buffer that can be interleaved.
pub(super) fn movable(program: &Program) -> Vec<Option<Planes>> {
    (0..program.buffers.len()).map(|buffer| planes(program, BufferId(buffer))).collect()
}

/// Interleaves buffers, which are [`movable`].
pub(super) fn interleave(program: &mut Program, buffers: &[Option<Planes>]) {
    for (buffer, planes) in buffers.iter().enumerate() {
        if let Some(planes) = planes {
            rewrite(program, BufferId(buffer), *planes);
        }
    }
    for step in &mut program.steps {
        flatten(&mut step.kernel);
    }
}

/// The planes of a buffer that can be interleaved, and is worth it.
fn planes(program: &Program, buffer: BufferId) -> Option<Planes> {
    let Some(ElemType::I8) = program.buffers.get(buffer.0).map(|b| b.elem) else { return None };
    if program.inputs.iter().chain(&program.outputs).any(|port| port.buffer == buffer) {
        return None;
    }
    let len = program.buffers[buffer.0].len;
    let planes = program.steps.iter().find_map(|step| {
        let whole = |image: &Image| {
            let planes = Planes { channels: image.channels, height: image.height, width: image.width };
            let spatial = planes.height * planes.width > 1 && planes.channels > 1;
            (spatial && image.elements() == len && planes.of(image).is_some()).then_some(planes)
        };
        let written = step.writes.iter().zip(step.kernel.writes());
        written.filter(|(id, _)| **id == buffer).find_map(|(_, image)| whole(&image))
    })?;
    let says = |step: usize| {
        let kernel = &program.steps[step].kernel;
        let mut images = images(program, step).filter(|(id, _)| *id == buffer).map(|(_, image)| image);
        dense(kernel, len) || images.all(|image| planes.of(&image).is_some())
    };
    (0..program.steps.len()).all(says).then_some(planes)
}

/// The images of a step and their buffers.
fn images(program: &Program, step: usize) -> impl Iterator<Item = (BufferId, Image)> {
    let step = &program.steps[step];
    let reads = step.reads.iter().zip(step.kernel.reads()).filter_map(|(id, image)| Some(((*id)?, image)));
    reads.chain(step.writes.iter().copied().zip(step.kernel.writes()))
}

/// Whether it is a layer that reads `features` values, one after the other, and has weights to put in order.
fn dense(kernel: &Kernel, features: usize) -> bool {
    let Kernel::FullyConnectedI8(p) = kernel else { return false };
    let i = &p.input;
    let neighbours = i.width == 1 || i.layout.col == i.channels;
    i.offset == 0 && i.height == 1 && i.width * i.channels == features && i.layout.chan == 1 && neighbours
}

impl Planes {
    /// An image of planes as one of the interleaved buffer: strides that stay within their axis.
    fn of(&self, image: &Image) -> Option<Image> {
        let plane = self.height * self.width;
        let (y, x) = (image.offset % plane / self.width, image.offset % self.width);
        let channel = image.offset / plane;
        let axis = |extent: usize, stride: usize, unit: usize, first: usize, most: usize, new: usize| {
            if extent == 1 {
                return Some(new);
            }
            let step = stride / unit;
            let inside = stride.is_multiple_of(unit) && first + (extent - 1) * step < most;
            inside.then_some(step * new)
        };
        let (layout, n) = (image.layout, self.channels);
        let layout = Layout {
            row: axis(image.height, layout.row, self.width, y, self.height, self.width * n)?,
            col: axis(image.width, layout.col, 1, x, self.width, n)?,
            chan: axis(image.channels, layout.chan, plane, channel, n, 1)?,
        };
        let whole = image.ring == image.height && image.elements() > 0;
        whole.then_some(Image { offset: (y * self.width + x) * n + channel, layout, ..*image })
    }
}

/// Gives the images of the buffer their new layout.
fn rewrite(program: &mut Program, buffer: BufferId, planes: Planes) {
    for i in 0..program.steps.len() {
        let len = program.buffers[buffer.0].len;
        let step = &mut program.steps[i];
        if dense(&step.kernel, len) && step.reads.first() == Some(&Some(buffer)) {
            order_weights(program, i, planes);
            continue;
        }
        let (reads, writes) = (step.reads.clone(), step.writes.clone());
        let places = step.kernel.places();
        let read = places.reads.into_iter().zip(reads);
        let written = places.writes.into_iter().zip(writes.into_iter().map(Some));
        for (image, id) in read.chain(written) {
            if id == Some(buffer) {
                *image = planes.of(image).unwrap_or(*image);
            }
        }
    }
}

/// The weights of a dense layer in the order of an interleaved input.
fn order_weights(program: &mut Program, step: usize, planes: Planes) {
    let plane = planes.height * planes.width;
    let Some(&id) = program.steps[step].consts.first() else { return };
    let ConstData::I8(weights) = &program.consts[id.0].data else { return };
    let ordered = weights.chunks_exact(plane * planes.channels).flat_map(|row| {
        let pixels = (0..plane).flat_map(move |p| (0..planes.channels).map(move |c| (c, p)));
        pixels.map(move |(c, p)| row[c * plane + p])
    });
    let ordered = ConstData::I8(ordered.collect());
    program.steps[step].consts[0] = program.constant("weights", ordered);
}

/// The walk over interleaved images of the same layout, value by value: rows of a single channel.
fn flatten(kernel: &mut Kernel) {
    let elementwise = matches!(
        kernel,
        Kernel::AddI8(_) | Kernel::MulI8(_) | Kernel::LookupI8(_) | Kernel::ClampI8(_) | Kernel::RescaleI8(_)
    );
    let mut images: Vec<Image> = kernel.reads();
    images.extend(kernel.writes());
    let interleaved = |image: &Image| {
        let Layout { row, col, chan } = image.layout;
        chan == 1 && col == image.channels && row == image.width * col && image.channels > 1
    };
    if elementwise && images.iter().all(interleaved) {
        let places = kernel.places();
        for image in places.reads.into_iter().chain(places.writes) {
            let width = image.width * image.channels;
            *image = Image { width, channels: 1, layout: Layout { row: width, col: 1, chan: 1 }, ..*image };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_move_when_their_strides_stay_within_an_axis() {
        let planes = Planes { channels: 6, height: 4, width: 5 };
        let layout = Layout { row: 5, col: 1, chan: 20 };
        let image = Image { offset: 0, height: 4, width: 5, channels: 6, layout, ring: 4 };
        let moved = planes.of(&image).unwrap();
        assert_eq!(moved.layout, Layout { row: 30, col: 6, chan: 1 });
        // Every other channel from the second on, the lower right of the plane, every other column.
        let layout = Layout { row: 5, col: 2, chan: 40 };
        let part = Image { offset: 20 + 5 + 2, height: 3, width: 2, channels: 3, layout, ring: 3 };
        let moved = planes.of(&part).unwrap();
        assert_eq!(moved.layout, Layout { row: 30, col: 12, chan: 2 });
        for (y, x, c) in [(0, 0, 0), (2, 1, 2), (1, 1, 1)] {
            let at = part.at(y, x, c);
            assert_eq!(moved.at(y, x, c), at % 20 * 6 + at / 20);
        }
        assert_eq!(planes.of(&Image { width: 3, ..part }), None, "it runs on into the next row");
        assert_eq!(planes.of(&Image { height: 1, width: 120, channels: 1, ..image }), None, "all in one");
        assert_eq!(planes.of(&Image { ring: 2, ..image }), None);
    }
}
