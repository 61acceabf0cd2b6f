//! Scale and zero point.

use kiln_runtime_core::round_half_even;
use std::fmt;

/// `real = scale * (q - zero_point)`, for the whole tensor or for each index of an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct QParams {
    /// One scale, or one for each index of `axis`.
    pub scale: Vec<f32>,
    /// As many zero points as scales.
    pub zero_point: Vec<i32>,
    /// The axis of per-channel parameters; `None` when there is one.
    pub axis: Option<usize>,
}

impl QParams {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: f32, zero_point: i32) -> QParams {
        QParams { scale: vec![scale], zero_point: vec![zero_point], axis: None }
    }

    /// Whether there is one scale for the whole tensor.
    pub fn is_per_tensor(&self) -> bool {
        self.scale.len() == 1
    }

    /// Number of scales.
    pub fn channels(&self) -> usize {
        self.scale.len()
    }

    /// QuantizeLinear to int8 by the first scale: `clamp(round_half_even(x / scale) + zero_point)`, as the runtime's
    /// kernel computes it.
    pub fn quantize(&self, x: f32) -> i8 {
        let scaled = (x / self.scale[0]).clamp(-1000.0, 1000.0);
        (round_half_even(scaled) as i32 + self.zero_point[0]).clamp(-128, 127) as i8
    }
}

impl fmt::Display for QParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.axis {
            Some(axis) if self.scale.len() != 1 => write!(f, "(scales of axis {axis})"),
            _ => write!(f, "({} * (q - {}))", self.scale[0], self.zero_point[0]),
        }
    }
}
