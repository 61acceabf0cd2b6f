//! Strided views of buffers. Transpose, Slice, Split, Squeeze and most Reshapes are views: they cost nothing.

use super::BufferId;
use crate::tensor::{ElemType, strides};
use kiln_runtime_core::{Image, Layout};

/// A strided part of a buffer, with the shape of an ONNX value. Strides and offset count elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The buffer.
    pub buffer: BufferId,
    /// Element type.
    pub elem: ElemType,
    /// Extents, in ONNX axis order.
    pub shape: Vec<usize>,
    /// Stride of each axis; 0 repeats.
    pub strides: Vec<usize>,
    /// First element.
    pub offset: usize,
}

impl View {
    /// A contiguous view of a whole buffer.
    pub fn new(buffer: BufferId, elem: ElemType, shape: &[usize]) -> View {
        View { buffer, elem, shape: shape.to_vec(), strides: strides(shape), offset: 0 }
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the elements lie one after the other in row-major order.
    pub fn is_contiguous(&self) -> bool {
        let expected = strides(&self.shape);
        self.elements() <= 1
            || (0..self.shape.len()).all(|i| self.shape[i] == 1 || self.strides[i] == expected[i])
    }

    /// Axis `i` of the result is axis `perm[i]` of this view.
    pub fn transpose(&self, perm: &[usize]) -> View {
        View {
            shape: perm.iter().map(|&p| self.shape[p]).collect(),
            strides: perm.iter().map(|&p| self.strides[p]).collect(),
            ..self.clone()
        }
    }

    /// `len` elements of `axis` from `start` on, every `step`-th.
    pub fn slice(&self, axis: usize, start: usize, len: usize, step: usize) -> View {
        let mut view = self.clone();
        view.offset += start * self.strides[axis];
        view.shape[axis] = len;
        view.strides[axis] *= step;
        view
    }

    /// The same elements in another shape, when strides can say it; otherwise a copy is needed.
    pub fn reshape(&self, shape: &[usize]) -> Option<View> {
        if self.is_contiguous() {
            return Some(View { shape: shape.to_vec(), strides: strides(shape), ..self.clone() });
        }
        // Merge what is mergeable in the old shape, then cut the merged axes into the new ones.
        let merged = merge_axes(&self.shape, &[&self.strides]);
        let mut result = Vec::with_capacity(shape.len());
        let mut axes = merged.iter();
        let mut current: Option<(usize, usize)> = None; // (elements left, stride of the innermost part left)
        for &extent in shape {
            if extent == 1 {
                result.push(0);
                continue;
            }
            let (left, stride) = match current {
                Some((left, stride)) if left > 1 => (left, stride),
                _ => axes.next().map(|(extent, strides)| (*extent, strides[0]))?,
            };
            if left % extent != 0 {
                return None;
            }
            let rest = left / extent;
            result.push(stride * rest);
            current = Some((rest, stride));
        }
        Some(View { shape: shape.to_vec(), strides: result, ..self.clone() })
    }

    /// ONNX (numpy) broadcasting to `shape`: missing and unit axes repeat.
    pub fn broadcast(&self, shape: &[usize]) -> View {
        let missing = shape.len() - self.shape.len();
        let strides = (0..shape.len())
            .map(|i| match i.checked_sub(missing) {
                Some(j) if self.shape[j] != 1 || shape[i] == 1 => self.strides[j],
                _ => 0,
            })
            .collect();
        View { shape: shape.to_vec(), strides, ..self.clone() }
    }

    /// Item `n` of the batch (axis 0) as an image: `[N, C, H, W]`, or `[N, C, L]` with `L` as rows, since time is what
    /// streams.
    pub fn image(&self, n: usize) -> Image {
        let axis =
            |i: usize| (self.shape.get(i).copied().unwrap_or(1), self.strides.get(i).copied().unwrap_or(0));
        let ((_, batch), (channels, chan), (height, row), (width, col)) =
            (axis(0), axis(1), axis(2), axis(3));
        image(self.offset + n * batch, (height, row), (width, col), (channels, chan))
    }
}

/// An image from an offset and (extent, stride) of rows, columns and channels.
pub fn image(offset: usize, rows: (usize, usize), cols: (usize, usize), chans: (usize, usize)) -> Image {
    Image {
        offset,
        height: rows.0,
        width: cols.0,
        channels: chans.0,
        layout: Layout { row: rows.1, col: cols.1, chan: chans.1 },
        ring: rows.0.max(1),
    }
}

/// Merges neighbouring axes that every operand steps through as one, and drops unit axes. Returns (extent, stride of
/// each operand), outermost first.
pub fn merge_axes(shape: &[usize], operands: &[&Vec<usize>]) -> Vec<(usize, Vec<usize>)> {
    let mut merged: Vec<(usize, Vec<usize>)> = Vec::new();
    for (i, &extent) in shape.iter().enumerate() {
        if extent == 1 {
            continue;
        }
        let strides: Vec<usize> = operands.iter().map(|o| o[i]).collect();
        if let Some((outer_extent, outer)) = merged.last_mut()
            && outer.iter().zip(&strides).all(|(o, s)| *o == s * extent)
        {
            *outer_extent *= extent;
            *outer = strides;
            continue;
        }
        merged.push((extent, strides));
    }
    merged
}
