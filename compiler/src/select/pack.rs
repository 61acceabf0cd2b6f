//! Weights packed for two output channels at a time, and the proof that permits the dense form.
//!
//! A 16-bit half `h = 256 * v + w` holds the weights of two channels. `sxtb16` finds `w` in its low byte, and the sums obey
//! `T = sum(x * h) + 256 * b1 + b0 = 256 * S1 + S0`, modulo 2^32. So `S1 = (T - S0) >> 8` exactly when
//!
//! 1. every `h` fits 16 bits, which fails only for `v = -128` with `w < 0`, and
//! 2. `-2^23 <= S1 < 2^23` for every input, since the shift needs `256 * S1` in 32 bits.
//!
//! That `S0` and `S1` fit 32 bits is proven when a layer is lowered; wrapped sums on the way are harmless. Everything else is
//! packed plainly, which costs one instruction more for 16 multiply-accumulates.

use crate::kernels::ConstData;

/// An int8 layer with symmetric weights and multipliers below 0.5.
pub(super) struct Layer<'a> {
    /// Weights, `[channels][taps]`.
    pub weights: &'a [i8],
    /// One for each channel.
    pub bias: &'a [i32],
    /// One for each channel.
    pub multiplier: &'a [i32],
}

/// What a word of weights holds: up to two taps, by their index in the weights of a channel.
pub(super) type Taps = [Option<usize>; 2];

/// Packed tables of a layer: words `[pairs of channels][words]`, then biases and multipliers, four for each pair.
pub(super) struct Packed {
    /// Whether the dense form was permitted.
    pub dual: bool,
    /// Names and values.
    pub tables: [(&'static str, ConstData); 2],
}

/// Below this many words a pair, the repair of the sums costs more than the dense form saves.
const FEWEST_DUAL_WORDS: usize = 9;

impl Layer<'_> {
    /// Weights of a channel; the one behind the last is all zeros.
    fn channel(&self, c: usize) -> Vec<i32> {
        let taps = self.weights.len() / self.bias.len().max(1);
        let weights = self.weights.get(c * taps..(c + 1) * taps);
        weights.map_or(vec![0; taps], |weights| weights.iter().map(|&w| w as i32).collect())
    }

    fn bias(&self, c: usize) -> i32 {
        self.bias.get(c).copied().unwrap_or(0)
    }

    fn multiplier(&self, c: usize) -> i32 {
        self.multiplier.get(c).copied().unwrap_or(0)
    }

    /// Whether the proof above holds for the pair of channels `c` and `c + 1`.
    fn permits_dual(&self, c: usize) -> bool {
        let (even, odd) = (self.channel(c), self.channel(c + 1));
        let bias = self.bias(c + 1) as i64;
        let sum = |extreme: fn(i64) -> i64| bias + odd.iter().map(|&v| extreme(v as i64)).sum::<i64>();
        let (low, high) = (sum(|v| (v * 127).min(v * -128)), sum(|v| (v * 127).max(v * -128)));
        let halves_fit = even.iter().zip(&odd).all(|(&w, &v)| i16::try_from(256 * v + w).is_ok());
        halves_fit && low >= -(1 << 23) && high < 1 << 23
    }

    /// Where the sums of a pair of channels begin.
    fn biases(&self, dual: bool, c: usize) -> [i32; 2] {
        let (even, odd) = (self.bias(c), self.bias(c + 1));
        [even, if dual { odd.wrapping_mul(256).wrapping_add(even) } else { odd }]
    }

    /// Packs the words of the given taps for blocks of eight channels, for the kernels with vectors.
    pub fn blocks(&self, words: &[Taps]) -> [(&'static str, ConstData); 2] {
        let (mut weights, mut params) = (vec![], vec![]);
        for first in (0..self.bias.len()).step_by(8) {
            let channels: Vec<Vec<i32>> = (first..first + 8).map(|c| self.channel(c)).collect();
            for taps in words {
                let pair = |w: &Vec<i32>| taps.map(|t| t.map_or(0, |t| w[t] as i8));
                weights.extend(channels.iter().flat_map(pair));
            }
            params.extend((first..first + 8).map(|c| self.bias(c)));
            params.extend((first..first + 8).map(|c| self.multiplier(c)));
            // Exact modulo 2^32, like the sums.
            let shifted = |(c, w): (usize, &Vec<i32>)| self.bias(c).wrapping_sub(128 * w.iter().sum::<i32>());
            params.extend((first..).zip(&channels).map(shifted));
        }
        [("weights", ConstData::I8(weights)), ("blocks", ConstData::I32(params))]
    }

    /// Packs depthwise weights for blocks of sixteen channels, for the kernels with vectors; the channels of `fold` pixels one
    /// behind the other.
    pub fn sixteens(&self, fold: usize) -> [(&'static str, ConstData); 2] {
        const ORDER: [usize; 16] = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15];
        let (mut weights, mut params) = (vec![], vec![]);
        let channels = self.bias.len();
        for first in (0..channels * fold).step_by(16) {
            // Channels behind the last one are zeros.
            let lane = |i: usize| if first + i < channels * fold { (first + i) % channels } else { channels };
            let lanes = ORDER.map(|i| self.channel(lane(i)));
            for pair in (0..lanes[0].len()).step_by(2) {
                let taps = |w: &Vec<i32>| [w[pair] as i8, w.get(pair + 1).map_or(0, |&w| w as i8)];
                weights.extend(lanes.iter().flat_map(taps));
            }
            params.extend(ORDER.map(|i| self.bias(lane(i))));
            params.extend(ORDER.map(|i| self.multiplier(lane(i))));
        }
        [("weights", ConstData::I8(weights)), ("blocks", ConstData::I32(params))]
    }

    /// Bias and multiplier of each channel.
    fn channels(&self) -> ConstData {
        ConstData::I32(self.bias.iter().zip(self.multiplier).flat_map(|(&b, &m)| [b, m]).collect())
    }

    /// Packs the words of the given taps for pairs of channels.
    pub fn pack(&self, words: &[Taps]) -> Packed {
        let pairs = || (0..self.bias.len()).step_by(2);
        let dual = words.len() >= FEWEST_DUAL_WORDS && pairs().all(|c| self.permits_dual(c));
        let (mut weights, mut params) = (vec![], vec![]);
        for c in pairs() {
            let (even, odd) = (self.channel(c), self.channel(c + 1));
            let half = |t: Option<usize>| {
                let (w, v) = t.map_or((0, 0), |t| (even[t], odd[t]));
                combine(dual, w, v)
            };
            weights.extend(words.iter().map(|&[t, u]| half(t) | half(u) << 16));
            params.extend(self.biases(dual, c));
            params.extend([self.multiplier(c), self.multiplier(c + 1)]);
        }
        Packed { dual, tables: [("weights", ConstData::U32(weights)), ("pairs", ConstData::I32(params))] }
    }
}

/// Dense weights for four outputs at a time: sixteen inputs are four groups of four, each in two words a pair of outputs,
/// `[pair 0: 0 2] [pair 1: 0 2] [pair 0: 1 3] [pair 1: 1 3]`. Inputs and outputs are filled up with zeros.
pub(super) fn dense(layer: &Layer, features: usize) -> Packed {
    let outputs = layer.bias.len();
    let dual = (0..outputs).step_by(2).all(|c| layer.permits_dual(c));
    let (mut weights, mut params) = (vec![], vec![]);
    for quad in (0..outputs).step_by(4) {
        let rows: [Vec<i32>; 4] = std::array::from_fn(|i| layer.channel(quad + i));
        let half = |pair: usize, t: usize| {
            let at = |row: &Vec<i32>| row.get(t).copied().unwrap_or(0);
            combine(dual, at(&rows[2 * pair]), at(&rows[2 * pair + 1]))
        };
        for group in (0..features.next_multiple_of(16)).step_by(4) {
            for (pair, t) in [(0, group), (1, group), (0, group + 1), (1, group + 1)] {
                weights.push(half(pair, t) | half(pair, t + 2) << 16);
            }
        }
        params.extend([quad, quad + 2].into_iter().flat_map(|c| layer.biases(dual, c)));
        params.extend((quad..quad + 4).map(|c| layer.multiplier(c)));
    }
    Packed { dual, tables: [("weights", ConstData::U32(weights)), ("quads", ConstData::I32(params))] }
}

/// The weights of an even and an odd channel in 16 bits.
fn combine(dual: bool, even: i32, odd: i32) -> u32 {
    let half = if dual { 256 * odd + even } else { (odd & 0xff) << 8 | (even & 0xff) };
    half as u32 & 0xffff
}

/// Depthwise weights, `[channels][height][width]`: four columns in two words of halves, `[w0 w2] [w1 w3]`; and bias and
/// multiplier of each channel.
pub(super) fn depthwise(layer: &Layer, (height, width): (usize, usize)) -> [(&'static str, ConstData); 2] {
    let mut weights = vec![];
    for row in layer.weights.chunks_exact(width).take(layer.bias.len() * height) {
        for quad in row.chunks(4) {
            let half = |i: usize| quad.get(i).map_or(0, |&w| w as u32 & 0xffff);
            weights.extend([half(0) | half(2) << 16, half(1) | half(3) << 16]);
        }
    }
    [("weights", ConstData::U32(weights)), ("channels", layer.channels())]
}

/// Weights of two output channels at a time, 16 taps of each in turn; the last of an odd number is there twice. And their biases
/// and multipliers, these for two pixels.
pub(super) fn vectors(layer: &Layer) -> [(&'static str, ConstData); 2] {
    let last = layer.bias.len().saturating_sub(1);
    let pairs = || (0..=last).step_by(2).map(|c| [c, (c + 1).min(last)]);
    let weights = pairs().flat_map(|pair| in_sixteens(&pair.map(|c| layer.channel(c)))).collect();
    let params = pairs().flat_map(|[c, d]| {
        let (m, n) = (layer.multiplier(c), layer.multiplier(d));
        [layer.bias(c), layer.bias(d), m, m, n, n]
    });
    [("weights", ConstData::I8(weights)), ("pairs", ConstData::I32(params.collect()))]
}

/// Weights of four outputs at a time, 16 features of each in turn, and their biases and multipliers. Missing outputs are zeros.
pub(super) fn dense_vectors(layer: &Layer) -> [(&'static str, ConstData); 2] {
    let quads = || (0..layer.bias.len()).step_by(4).map(|c| [c, c + 1, c + 2, c + 3]);
    let weights = quads().flat_map(|quad| in_sixteens(&quad.map(|c| layer.channel(c)))).collect();
    let params = quads().flat_map(|quad| {
        let biases = quad.map(|c| layer.bias(c));
        biases.into_iter().chain(quad.map(|c| layer.multiplier(c)))
    });
    [("weights", ConstData::I8(weights)), ("quads", ConstData::I32(params.collect()))]
}

/// Sixteen values of each row in turn, filled up with zeros.
fn in_sixteens(rows: &[Vec<i32>]) -> Vec<i8> {
    let length = rows.first().map_or(0, Vec::len);
    let at = |row: &Vec<i32>, i: usize| row.get(i).map_or(0, |&w| w as i8);
    let sixteen = |from: usize| rows.iter().flat_map(move |row| (from..from + 16).map(move |i| at(row, i)));
    (0..length).step_by(16).flat_map(sixteen).collect()
}

/// Runs of neighbouring taps in words of two; the last tap of an odd run has no partner.
pub(super) fn words_of_runs(runs: usize, length: usize) -> Vec<Taps> {
    let tap = |run: usize, i: usize| (i < length).then_some(run * length + i);
    (0..runs).flat_map(|run| (0..length).step_by(2).map(move |i| [tap(run, i), tap(run, i + 1)])).collect()
}

/// Runs of neighbouring taps in words of two, as bytes are widened four at a time: first 0 and 2, then 1 and 3. The last four of
/// a run may be fewer.
pub(super) fn words_of_byte_runs(runs: usize, length: usize) -> Vec<Taps> {
    let tap = |run: usize, i: usize| (i < length).then_some(run * length + i);
    let fours = |run: usize| (0..length).step_by(4).map(move |i| (run, i));
    let words =
        |(run, i): (usize, usize)| [[tap(run, i), tap(run, i + 2)], [tap(run, i + 1), tap(run, i + 3)]];
    (0..runs).flat_map(fours).flat_map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dual(weights: &[i8], bias: [i32; 2]) -> bool {
        let words: Vec<Taps> = words_of_runs(1, weights.len() / 2);
        Layer { weights, bias: &bias, multiplier: &[1, 1] }.pack(&words).dual
    }

    #[test]
    fn dual_packing_needs_its_proof() {
        let mut weights = [1i8; 40];
        assert!(dual(&weights, [i32::MAX, 0]), "the even channel is free");
        let most = (1 << 23) - 1 - 20 * 127;
        assert!(dual(&weights, [0, most]) && !dual(&weights, [0, most + 1]));
        let least = -(1 << 23) + 20 * 128;
        assert!(dual(&weights, [0, least]) && !dual(&weights, [0, least - 1]));
        weights[25] = -128;
        assert!(dual(&weights, [0, 0]));
        weights[5] = -1;
        assert!(!dual(&weights, [0, 0]), "256 * -128 - 1 does not fit 16 bits");
        assert!(!dual(&[1; 32], [0, 0]), "short sums are packed plainly");
    }

    #[test]
    fn vectors_hold_sixteen_taps_of_one_channel() {
        let weights: Vec<i8> = (0..51).collect();
        let layer = Layer { weights: &weights, bias: &[1, 2, 3], multiplier: &[4, 5, 6] };
        let [(_, ConstData::I8(packed)), (_, ConstData::I32(pairs))] = vectors(&layer) else { panic!() };
        assert_eq!(packed.len(), 2 * 2 * 2 * 16);
        assert_eq!((packed[0], packed[16], packed[32], packed[33], packed[48]), (0, 17, 16, 0, 33));
        assert_eq!((packed[64], packed[80]), (34, 34), "the odd channel twice");
        assert_eq!(pairs, [1, 2, 4, 4, 5, 5, 3, 3, 6, 6, 6, 6]);
        let [(_, ConstData::I8(packed)), (_, ConstData::I32(quads))] = dense_vectors(&layer) else {
            panic!()
        };
        assert_eq!((packed.len(), packed[32], packed[48], packed[64]), (128, 34, 0, 16));
        assert_eq!(quads, [1, 2, 3, 0, 4, 5, 6, 0]);
    }

    #[test]
    fn runs_of_bytes_are_filled_up_to_words() {
        let words = words_of_byte_runs(2, 5);
        let first = [[Some(0), Some(2)], [Some(1), Some(3)], [Some(4), None], [None, None]];
        let second = [[Some(5), Some(7)], [Some(6), Some(8)], [Some(9), None], [None, None]];
        assert_eq!(words, [first, second].concat());
    }

    #[test]
    fn words_hold_two_taps_of_two_channels() {
        let layer = Layer { weights: &[1, -2, 3, -4, 5, 6], bias: &[10, 20], multiplier: &[7, 8] };
        let packed = layer.pack(&[[Some(0), Some(1)], [Some(2), None]]);
        assert_eq!(packed.tables[0].1, ConstData::U32(vec![0x05fe_fc01, 0x0000_0603]));
        assert_eq!(packed.tables[1].1, ConstData::I32(vec![10, 20, 7, 8]));
        let words: Vec<Taps> = [[Some(0), Some(1)], [Some(2), None]].into_iter().cycle().take(10).collect();
        let packed = layer.pack(&words);
        assert!(packed.dual);
        let ConstData::U32(weights) = &packed.tables[0].1 else { panic!() };
        assert_eq!(weights[..2], [((1280 - 2) << 16) | ((-1024i32 + 1) as u32 & 0xffff), 1536 + 3]);
        assert_eq!(packed.tables[1].1, ConstData::I32(vec![10, 5130, 7, 8]));
        let odd = Layer { weights: &[1, 2], bias: &[3], multiplier: &[4] }.pack(&[[Some(0), Some(1)]]);
        assert_eq!(odd.tables[0].1, ConstData::U32(vec![0x0002_0001]));
        assert_eq!(odd.tables[1].1, ConstData::I32(vec![3, 0, 4, 0]));
    }
}
