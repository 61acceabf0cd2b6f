//! From statistics to a range: the observers.

use super::observe::Statistics;

/// Steps between the smallest and the largest int8 value.
const STEPS: f64 = 255.0;

/// Largest share of values that a percentile cuts off on either side.
const TAIL: f64 = 1e-4;

/// How the range of an activation is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Smallest and largest value of all samples: nothing is clipped.
    MinMax,
    /// Exponential moving average of each sample's smallest and largest value.
    MovingAverage,
    /// The 0.01th and 99.99th percentile.
    Percentile,
    /// Least Kullback-Leibler divergence between the values and the quantized ones (Migacz, "8-bit inference with TensorRT",
    /// GTC 2017).
    Entropy,
    /// Least mean squared error of the values.
    Mse,
}

impl Method {
    /// All of them, the plain one first.
    pub const ALL: [Method; 5] =
        [Method::MinMax, Method::MovingAverage, Method::Percentile, Method::Entropy, Method::Mse];

    /// The name that the command and the profile have for it.
    pub fn name(self) -> &'static str {
        match self {
            Method::MinMax => "minmax",
            Method::MovingAverage => "average",
            Method::Percentile => "percentile",
            Method::Entropy => "entropy",
            Method::Mse => "mse",
        }
    }

    /// Whether it needs a histogram.
    pub fn needs_histogram(self) -> bool {
        !matches!(self, Method::MinMax | Method::MovingAverage)
    }

    /// The range, which holds 0 and lies within the extent.
    pub fn range(self, s: &Statistics) -> (f32, f32) {
        let (low, high) = match self {
            Method::MinMax => (s.extent.0 as f64, s.extent.1 as f64),
            Method::MovingAverage => s.average,
            Method::Percentile => percentile(s),
            Method::Entropy => entropy(s),
            Method::Mse => least_squares(s),
        };
        let (least, most) = extent(s);
        (low.clamp(least, 0.0) as f32, high.clamp(0.0, most) as f32)
    }
}

/// Extent with 0 in it.
fn extent(s: &Statistics) -> (f64, f64) {
    (s.extent.0.min(0.0) as f64, s.extent.1.max(0.0) as f64)
}

fn percentile(s: &Statistics) -> (f64, f64) {
    let bins = s.histogram.bins();
    let total: u64 = bins.iter().map(|b| b.1).sum();
    let cut = |bins: &mut dyn Iterator<Item = &(f64, u64)>| {
        let mut seen = 0;
        for (centre, count) in bins {
            seen += count;
            if seen as f64 > TAIL * total as f64 {
                return *centre;
            }
        }
        0.0
    };
    let half = s.histogram.width() / 2.0;
    (cut(&mut bins.iter()) - half, cut(&mut bins.iter().rev()) + half)
}

/// Least squares over the ranges that a grid of cuts on both sides gives; the cuts are searched in turn, each with the best
/// of the other.
fn least_squares(s: &Statistics) -> (f64, f64) {
    let bins = s.histogram.bins();
    let (low, high) = extent(s);
    let mut best = (squared_error(&bins, (low, high)), (low, high));
    for _ in 0..3 {
        let before = best.1;
        for cut in 1..100 {
            let keep = 1.0 - cut as f64 / 100.0;
            let sides = [(best.1.0, high * keep), (low * keep, best.1.1)];
            for (side, range) in sides.into_iter().enumerate() {
                let extent = if side == 0 { high } else { low };
                if extent == 0.0 {
                    continue;
                }
                let error = squared_error(&bins, range);
                if error < best.0 {
                    best = (error, range);
                }
            }
        }
        if before == best.1 {
            break;
        }
    }
    best.1
}

/// Sum of the squared errors of int8 in a range.
fn squared_error(bins: &[(f64, u64)], (low, high): (f64, f64)) -> f64 {
    let scale = (high - low) / STEPS;
    if scale <= 0.0 {
        return bins.iter().map(|(x, n)| x * x * *n as f64).sum();
    }
    let zero = (-low / scale).round();
    let error = |(x, n): &(f64, u64)| {
        let q = ((x / scale).round() + zero).clamp(0.0, STEPS);
        (x - (q - zero) * scale).powi(2) * *n as f64
    };
    bins.iter().map(error).sum()
}

/// Cuts both sides at one magnitude, for which the divergence is least. Zeros do not count: they are exact in every range, and
/// so many behind a Relu that they would decide alone.
fn entropy(s: &Statistics) -> (f64, f64) {
    let bins: Vec<(f64, u64)> = s.histogram.bins().into_iter().filter(|b| b.0 != 0.0).collect();
    let (low, high) = extent(s);
    let largest = high.max(-low);
    let mut best = (f64::INFINITY, (low, high));
    for keep in (32..=128).rev() {
        let cut = largest * keep as f64 / 128.0;
        let range = (low.max(-cut), high.min(cut));
        let divergence = divergence(&bins, range, s.histogram.width());
        if divergence < best.0 {
            best = (divergence, range);
        }
    }
    best.1
}

/// `sum p log(p / q)`, where `p` are the values with those outside of the range moved to its ends, and `q` spreads the values
/// inside evenly over the bins of their quantization step that are not empty.
fn divergence(bins: &[(f64, u64)], (low, high): (f64, f64), width: f64) -> f64 {
    let scale = (high - low) / STEPS;
    if scale <= 0.0 {
        return f64::INFINITY;
    }
    let inside: Vec<&(f64, u64)> =
        bins.iter().filter(|(x, _)| *x >= low - width && *x <= high + width).collect();
    let (Some(first), Some(last)) = (inside.first(), inside.last()) else { return f64::INFINITY };
    let outside = |f: &dyn Fn(f64) -> bool| bins.iter().filter(|b| f(b.0)).map(|b| b.1).sum::<u64>();
    let (below, above) = (outside(&|x| x < first.0), outside(&|x| x > last.0));
    let step = |x: f64| ((x - low) / scale).round();
    let mut p: Vec<f64> = inside.iter().map(|b| b.1 as f64).collect();
    let mut q = Vec::with_capacity(p.len());
    for group in inside.chunk_by(|a, b| step(a.0) == step(b.0)) {
        let mean = group.iter().map(|b| b.1 as f64).sum::<f64>() / group.len() as f64;
        q.resize(q.len() + group.len(), mean);
    }
    p[0] += below as f64;
    *p.last_mut().unwrap_or(&mut 0.0) += above as f64;
    let (sum_p, sum_q) = (p.iter().sum::<f64>(), q.iter().sum::<f64>());
    p.iter().zip(&q).map(|(p, q)| p / sum_p * ((p / sum_p) / (q / sum_q)).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::Histogram;

    fn statistics(values: &[f32]) -> Statistics {
        let extent = crate::quant::extent(values);
        let mut histogram = Histogram::default();
        histogram.add(values, extent.0.abs().max(extent.1.abs()));
        Statistics { extent, average: (extent.0 as f64 / 2.0, extent.1 as f64 / 2.0), histogram }
    }

    /// A bell from -4 to 4 in which small magnitudes are common.
    fn bell() -> Vec<f32> {
        (0..20_000).map(|i| ((i % 200) as f32 / 100.0 - 1.0).powi(5) * 4.0).collect()
    }

    #[test]
    fn without_outliers_all_keep_most_of_the_range() {
        let s = statistics(&bell());
        for method in Method::ALL {
            let (low, high) = method.range(&s);
            assert!((-4.0..-1.5).contains(&low) && (1.5..=4.0).contains(&high), "{method:?}: {low} {high}");
        }
        assert_eq!(Method::MinMax.range(&s), s.extent);
    }

    #[test]
    fn one_outlier_is_cut_off_by_those_that_cut() {
        let mut values = bell();
        values.push(64.0);
        let s = statistics(&values);
        assert_eq!(Method::MinMax.range(&s).1, 64.0);
        for method in [Method::Percentile, Method::Entropy] {
            let (low, high) = method.range(&s);
            assert!(low <= -1.5 && (2.0..40.0).contains(&high), "{method:?}: {low} {high}");
        }
    }

    #[test]
    fn the_range_holds_zero_and_stays_within_the_extent() {
        for values in [vec![2.0, 3.0, 9.0], vec![-5.0, -1.0], vec![0.0; 4], vec![1e-30, 1e30], vec![]] {
            let s = if values.is_empty() { Statistics::default() } else { statistics(&values) };
            for method in Method::ALL {
                let (low, high) = method.range(&s);
                assert!(low <= 0.0 && high >= 0.0, "{method:?} of {values:?}: {low} {high}");
                assert!(
                    low >= s.extent.0.min(0.0) && high <= s.extent.1.max(0.0),
                    "{method:?} of {values:?}"
                );
            }
        }
    }

    #[test]
    fn least_squares_are_least() {
        let s = statistics(&bell());
        let bins = s.histogram.bins();
        let found = squared_error(&bins, least_squares(&s));
        for keep in 1..=20 {
            let range = (-4.0 * keep as f64 / 20.0, 4.0 * keep as f64 / 20.0);
            assert!(found <= squared_error(&bins, range) * 1.02, "{range:?}");
        }
    }
}
