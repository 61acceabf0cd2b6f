//! The output channels of a layer's weights: their units, zero points, and groups of neighbours with a scale of their own.

use super::super::Lowering;
use crate::diag::Diagnostic;
use crate::tensor::{ElemType, FACTOR_MAX, Tensor};

/// Most weights of one group, as the kernels of int4 weights have it.
const MOST_GROUPED: usize = 1 << 12;

/// What is said of each output channel of weights `[count][taps]`.
pub(super) struct Channels {
    /// Number of channels.
    pub count: usize,
    /// Weights of a channel.
    pub taps: usize,
    /// The scale of a channel's sums, in units of the activation's.
    pub unit: Vec<f64>,
    /// Zero point of a channel's weights.
    pub zero_point: Vec<i64>,
    /// Lengths of the groups of each channel; empty when every channel has one scale.
    pub groups: Vec<usize>,
    /// Factors of the groups in units of the channel, `[count][group]`.
    pub factors: Vec<u8>,
    /// The group of each weight of a channel.
    group_of: Vec<usize>,
}

impl Channels {
    /// Those of weights in the order of the kernels, quantized as input 1 says. `scales`, in the same order, where the
    /// weights have blocks: neighbours whose scale is the same in every channel make a group.
    ///
    /// # Errors
    /// `E0302` for weights without scales, `E0304` for blocks and zero points that have no kernel.
    pub fn of(b: &Lowering, weights: &Tensor, scales: Option<&[f32]>) -> Result<Channels, Diagnostic> {
        let wq = b.qparams(1)?;
        let count = weights.shape()[0];
        let taps = weights.elements() / count.max(1);
        let pick = |c: usize, len: usize| if len == 1 { 0 } else { c };
        let zero = |c: usize| wq.zero_point[pick(c, wq.zero_point.len())] as i64;
        let mut channels = Channels {
            count,
            taps,
            unit: (0..count).map(|c| wq.scale[pick(c, wq.scale.len())] as f64).collect(),
            zero_point: (0..count).map(zero).collect(),
            groups: vec![],
            factors: vec![],
            group_of: vec![0; taps],
        };
        if let Some(scales) = scales {
            channels.divide(scales);
        }
        let int4 = weights.elem() == ElemType::I4;
        let shifted = channels.zero_point.iter().any(|z| *z != 0);
        // The sum of the inputs, which zero points multiply, has 32 bits.
        let grouped = !channels.groups.is_empty();
        if (shifted && (int4 || taps >= 1 << 16)) || (grouped && !int4) {
            return Err(Diagnostic::new("E0304", "no kernel for the quantization of these weights")
                .fact("weights", weights.ty())
                .help("int4 weights are symmetric (uint4: zero point 8), int8 weights have one scale for each output channel"));
        }
        Ok(channels)
    }

    /// Finds the groups.
    fn divide(&mut self, scales: &[f32]) {
        let row = |c: usize| &scales[c * self.taps..(c + 1) * self.taps];
        let mut starts: Vec<usize> = (0..self.taps)
            .filter(|&k| k == 0 || (0..self.count).any(|c| row(c)[k] != row(c)[k - 1]))
            .collect();
        if starts.len() > 1 {
            let mut at = 0;
            while at < starts.len() {
                let end = starts.get(at + 1).copied().unwrap_or(self.taps);
                if end - starts[at] > MOST_GROUPED {
                    starts.insert(at + 1, starts[at] + MOST_GROUPED);
                }
                at += 1;
            }
        }
        for c in 0..self.count {
            let largest = row(c).iter().copied().fold(0f32, f32::max) as f64;
            self.unit[c] = if starts.len() > 1 { largest / FACTOR_MAX } else { largest };
        }
        if starts.len() < 2 {
            return;
        }
        for c in 0..self.count {
            let factor = |k: &usize| (row(c)[*k] as f64 / self.unit[c]).round() as u8;
            let factors: Vec<u8> = starts.iter().map(factor).collect();
            self.factors.extend(factors);
        }
        let ends = starts.iter().skip(1).copied().chain([self.taps]);
        self.groups = starts.iter().zip(ends).map(|(start, end)| end - start).collect();
        self.group_of = self.groups.iter().enumerate().flat_map(|(g, &n)| vec![g; n]).collect();
    }

    /// The factor of weight `k` of a channel.
    pub fn factor(&self, channel: usize, k: usize) -> i64 {
        match self.groups.len() {
            0 => 1,
            n => self.factors[channel * n + self.group_of[k]] as i64,
        }
    }

    /// int4 weights two a byte, the first in the low four bits, each group from a whole byte on.
    pub fn pack(&self, values: &[i8]) -> Vec<u8> {
        let whole = [self.taps];
        let groups = if self.groups.is_empty() { &whole[..] } else { &self.groups };
        let mut packed = vec![];
        let mut rest = values;
        for _ in 0..self.count {
            for &len in groups {
                let (group, later) = rest.split_at(len);
                let byte =
                    |pair: &[i8]| pair[0] as u8 & 15 | pair.get(1).map_or(0, |high| (*high as u8) << 4);
                packed.extend(group.chunks(2).map(byte));
                rest = later;
            }
        }
        packed
    }
}
