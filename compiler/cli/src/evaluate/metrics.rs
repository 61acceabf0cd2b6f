//! Figures from answers.

/// The first of the largest values.
pub fn argmax(values: &[f64]) -> usize {
    (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}

/// Whether fewer than `k` values come before `values[index]`: larger ones, and equal ones with a smaller index.
pub fn among_top(values: &[f64], index: usize, k: usize) -> bool {
    let value = values[index];
    let before = |(i, v): (usize, &f64)| *v > value || (*v == value && i < index);
    values.iter().enumerate().filter(|x| before(*x)).count() < k
}

/// Signal-to-noise ratio in dB: `10 log10(sum of squares of the float outputs / sum of squared differences)`; infinite when
/// there is no difference.
pub fn snr_db(signal: f64, noise: f64) -> f64 {
    if noise == 0.0 { f64::INFINITY } else { 10.0 * (signal / noise).log10() }
}

/// Area under the ROC curve: the probability that a positive sample scores higher than a negative one, ties counting half
/// (Mann and Whitney 1947; Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic
/// (ROC) curve", 1982). `None` without samples of both kinds.
pub fn auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let mut order: Vec<(f64, bool)> = scores.iter().copied().zip(positive.iter().copied()).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = order.iter().filter(|(_, p)| *p).count();
    let negatives = order.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let (mut below, mut wins) = (0usize, 0.0);
    for ties in order.chunk_by(|a, b| a.0 == b.0) {
        let hits = ties.iter().filter(|(_, p)| *p).count();
        let misses = ties.len() - hits;
        wins += hits as f64 * (below as f64 + misses as f64 / 2.0);
        below += misses;
    }
    Some(wins / (positives as f64 * negatives as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argmax_and_rank_take_the_first_of_equals() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]), 1);
        let values = [0.5, 0.9, 0.5, 0.1];
        let ranks: Vec<usize> =
            (0..4).map(|i| (1..5).find(|k| among_top(&values, i, *k)).unwrap_or(9)).collect();
        assert_eq!(ranks, [2, 1, 3, 4]);
    }

    #[test]
    fn auc_counts_pairs() {
        // Every pair of a positive and a negative sample, by hand: 0.8 beats both, 0.4 beats one and ties one.
        let figure = auc(&[0.1, 0.4, 0.4, 0.8], &[false, false, true, true]);
        assert_eq!(figure, Some((1.0 + 0.5 + 2.0) / 4.0));
        assert_eq!(auc(&[1.0, 2.0], &[true, false]), Some(0.0));
        assert_eq!(auc(&[1.0, 1.0], &[true, false]), Some(0.5));
        assert_eq!(auc(&[1.0, 2.0], &[true, true]), None);
    }

    #[test]
    fn snr_is_a_ratio_of_powers() {
        assert_eq!(snr_db(100.0, 1.0), 20.0);
        assert_eq!(snr_db(1.0, 0.0), f64::INFINITY);
    }
}
