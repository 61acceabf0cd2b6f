//! Scale and zero point.

use super::{ElemType, strides};
use kiln_runtime_core::round_half_even;
use std::fmt;

/// Largest factor of a group of int4 weights; the unit of a channel is its largest scale divided by this.
pub const FACTOR_MAX: f64 = 255.0;

/// `real = scale * (q - zero_point)`, for the whole tensor, for each index of an axis, or for each block of an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct QParams {
    /// One scale; one for each index of `axis`; or, with a `block`, a row-major tensor of the value's shape in which the
    /// extent of `axis` is the number of its blocks.
    pub scale: Vec<f32>,
    /// As many zero points as scales.
    pub zero_point: Vec<i32>,
    /// The axis of per-channel and blocked parameters; `None` when there is one scale.
    pub axis: Option<usize>,
    /// Indices of `axis` that share a scale; 0 without blocks.
    pub block: usize,
}

impl QParams {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: f32, zero_point: i32) -> QParams {
        QParams { scale: vec![scale], zero_point: vec![zero_point], axis: None, block: 0 }
    }

    /// A scale and a zero point for each index of an axis.
    pub fn per_axis(scale: Vec<f32>, zero_point: Vec<i32>, axis: Option<usize>) -> QParams {
        QParams { scale, zero_point, axis, block: 0 }
    }

    /// Whether there is one scale for the whole tensor.
    pub fn is_per_tensor(&self) -> bool {
        self.scale.len() == 1
    }

    /// Number of scales.
    pub fn channels(&self) -> usize {
        self.scale.len()
    }

    /// Number of scales that a value of `shape` has by its axis and blocks; 1 without an axis.
    pub fn scales_of(&self, shape: &[usize]) -> usize {
        let Some(axis) = self.axis.filter(|a| *a < shape.len()) else { return 1 };
        match self.block {
            0 => shape[axis],
            block => {
                let others = shape.iter().enumerate().filter(|(a, _)| *a != axis).map(|(_, d)| d);
                others.product::<usize>() * shape[axis].div_ceil(block)
            }
        }
    }

    /// QuantizeLinear to int8 by the first scale: `clamp(round_half_even(x / scale) + zero_point)`, as the runtime's
    /// kernel computes it.
    pub fn quantize(&self, x: f32) -> i8 {
        self.quantize_to(x, ElemType::I8) as i8
    }

    /// [`QParams::quantize`] to the range of any integer type of at most 16 bits.
    pub fn quantize_to(&self, x: f32, elem: ElemType) -> i32 {
        let (low, high) = elem.bounds();
        // Far beyond the range of 16 bits, where the rounding trick is still exact.
        let steps = round_half_even((x / self.scale[0]).clamp(-131_072.0, 131_072.0));
        (steps as i32 + self.zero_point[0]).clamp(low, high)
    }

    /// For each element of a value of `shape` in row-major order, the index of its scale.
    pub fn indices(&self, shape: &[usize]) -> Vec<usize> {
        let elements: usize = shape.iter().product();
        let Some(axis) = self.axis.filter(|a| *a < shape.len() && !self.is_per_tensor()) else {
            return vec![0; elements];
        };
        let inner: usize = shape[axis + 1..].iter().product();
        if self.block == 0 {
            return (0..elements).map(|i| i / inner % shape[axis]).collect();
        }
        let blocks = shape[axis].div_ceil(self.block);
        let outer = shape[axis] * inner;
        (0..elements)
            .map(|i| (i / outer * blocks + i / inner % shape[axis] / self.block) * inner + i % inner)
            .collect()
    }

    /// The unit of the sums of each index of `axis` of a weight of `shape`, in units of the activation: its scale, or, where
    /// blocks give any index several scales, its largest one divided by [`FACTOR_MAX`].
    pub fn units(&self, shape: &[usize], axis: usize) -> Vec<f64> {
        if self.block == 0 {
            return self.scale.iter().map(|&s| s as f64).collect();
        }
        let mut ends = vec![(f32::INFINITY, 0f32); shape[axis]];
        let stride = strides(shape)[axis];
        for (i, place) in self.indices(shape).into_iter().enumerate() {
            let (least, most) = &mut ends[i / stride % shape[axis]];
            *least = least.min(self.scale[place]);
            *most = most.max(self.scale[place]);
        }
        let steps = if ends.iter().all(|(least, most)| least == most) { 1.0 } else { FACTOR_MAX };
        ends.iter().map(|(_, most)| *most as f64 / steps).collect()
    }
}

impl fmt::Display for QParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.axis {
            Some(axis) if self.block != 0 => {
                write!(f, "(scales of blocks of {} along axis {axis})", self.block)
            }
            Some(axis) if self.scale.len() != 1 => write!(f, "(scales of axis {axis})"),
            _ => write!(f, "({} * (q - {}))", self.scale[0], self.zero_point[0]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_share_a_scale() {
        let scale = vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
        // [2, 5, 1] in blocks of 2 along axis 1: three scales for each of two rows.
        let q = QParams { zero_point: vec![0; 6], scale, axis: Some(1), block: 2 };
        assert_eq!(q.indices(&[2, 5, 1]), [0, 0, 1, 1, 2, 3, 3, 4, 4, 5]);
        assert_eq!(q.units(&[2, 5, 1], 0), [4.0 / 255.0, 32.0 / 255.0]);
        // [4, 3] in blocks of 2 along axis 0.
        let q = QParams { axis: Some(0), ..q };
        assert_eq!(q.indices(&[4, 3]), [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]);
        assert_eq!(q.units(&[4, 3], 1), [8.0, 16.0, 32.0].map(|s| s / 255.0));
        // One block for each row: no row has several scales.
        let q = QParams { scale: vec![3.0, 5.0], zero_point: vec![0; 2], axis: Some(1), block: 8 };
        assert_eq!(q.units(&[2, 4], 0), [3.0, 5.0]);
        assert_eq!(QParams::per_tensor(0.5, 3).quantize_to(1e9, ElemType::I16), 32_767);
    }
}
