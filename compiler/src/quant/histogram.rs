//! A histogram that grows with what it sees, and is the same whatever the order it saw it in.

/// Bins on either side of zero.
const HALF: usize = 4096;

/// Counts of values in bins of `2^exponent`, aligned at zero. When a value does not fit, neighbouring bins are joined: what
/// was in the bin of width `w` is in the bin of width `2 w`, exactly, so that two histograms of the same values are equal,
/// in whatever order and in however many parts they were counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// Binary logarithm of the width; `None` until a value other than zero was seen.
    exponent: Option<i32>,
    counts: Vec<u64>,
    /// Exact zeros, of which a rectified value has many; they are in no bin.
    zeros: u64,
}

impl Histogram {
    /// Counts values, all of them finite, of at most this magnitude.
    pub fn add(&mut self, values: &[f32], largest: f32) {
        if largest == 0.0 {
            self.zeros += values.len() as u64;
            return;
        }
        // 2^e * HALF > largest: the exponent of the float says it.
        let needed = (largest as f64).log2().floor() as i32 + 1 - HALF.trailing_zeros() as i32;
        let exponent = self.widen(needed);
        let factor = 2f64.powi(-exponent);
        for &value in values {
            if value == 0.0 {
                self.zeros += 1;
            } else {
                self.counts[bin((value as f64 * factor).floor() as i64)] += 1;
            }
        }
    }

    /// Joins bins until they are at least `2^needed` wide.
    fn widen(&mut self, needed: i32) -> i32 {
        if self.counts.is_empty() {
            self.counts = vec![0; 2 * HALF];
        }
        let exponent = self.exponent.unwrap_or(needed);
        if exponent < needed {
            let shift = (needed - exponent).min(62);
            let mut joined = vec![0; 2 * HALF];
            for (i, count) in self.counts.iter().enumerate().filter(|(_, c)| **c != 0) {
                joined[bin((i as i64 - HALF as i64) >> shift)] += count;
            }
            self.counts = joined;
        }
        *self.exponent.insert(exponent.max(needed))
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Histogram) {
        self.zeros += other.zeros;
        let Some(exponent) = other.exponent else { return };
        let own = self.widen(exponent);
        let shift = (own - exponent).min(62);
        for (i, count) in other.counts.iter().enumerate().filter(|(_, c)| **c != 0) {
            self.counts[bin((i as i64 - HALF as i64) >> shift)] += count;
        }
    }

    /// (centre, count) of each bin that is not empty, in ascending order; zeros are one of them.
    pub fn bins(&self) -> Vec<(f64, u64)> {
        let width = self.width();
        let centre = |i: usize| (i as f64 - HALF as f64 + 0.5) * width;
        let side = |range: std::ops::Range<usize>| {
            let full = range.filter(|i| self.counts.get(*i).is_some_and(|c| *c != 0));
            full.map(|i| (centre(i), self.counts[i])).collect::<Vec<_>>()
        };
        let mut bins = side(0..HALF);
        bins.extend((self.zeros > 0).then_some((0.0, self.zeros)));
        bins.extend(side(HALF..2 * HALF));
        bins
    }

    /// Width of a bin; 0 when only zeros were seen.
    pub fn width(&self) -> f64 {
        self.exponent.map_or(0.0, |e| 2f64.powi(e))
    }
}

fn bin(index: i64) -> usize {
    (index + HALF as i64).clamp(0, 2 * HALF as i64 - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_parts_do_not_matter() {
        let values: Vec<f32> = (0..2000).map(|i| ((i * 7919) % 1999) as f32 * 0.37 - 300.0).collect();
        let largest = |v: &[f32]| v.iter().fold(0f32, |m, x| m.max(x.abs()));
        let mut whole = Histogram::default();
        whole.add(&values, largest(&values));
        let (mut forwards, mut backwards) = (Histogram::default(), Histogram::default());
        for part in values.chunks(13) {
            forwards.add(part, largest(part));
        }
        for part in values.chunks(100).rev() {
            let mut own = Histogram::default();
            own.add(part, largest(part));
            backwards.merge(&own);
        }
        backwards.merge(&Histogram::default());
        assert_eq!(forwards, whole);
        assert_eq!(backwards, whole);
        assert_eq!(whole.bins().iter().map(|b| b.1).sum::<u64>(), 2000);
    }

    #[test]
    fn bins_are_where_the_values_are() {
        let mut h = Histogram::default();
        h.add(&[0.0, -0.0, 1.0, 1.0, -3.0, 4095.9], 4095.9);
        assert_eq!(h.bins(), [(-2.5, 1), (0.0, 2), (1.5, 2), (4095.5, 1)]);
        h.add(&[8191.0], 8191.0);
        assert_eq!(h.bins(), [(-3.0, 1), (0.0, 2), (1.0, 2), (4095.0, 1), (8191.0, 1)]);
        h.add(&[f32::MIN_POSITIVE], f32::MIN_POSITIVE);
        assert_eq!((h.width(), h.bins()[2].1), (2.0, 3));
        let mut only_zeros = Histogram::default();
        only_zeros.add(&[0.0; 3], 0.0);
        assert_eq!((only_zeros.bins(), only_zeros.width()), (vec![(0.0, 3)], 0.0));
    }
}
