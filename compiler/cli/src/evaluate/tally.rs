//! Sums over the samples, of one model.

use super::task::{Labels, Task};
use std::collections::BTreeMap;

/// One output, judged.
#[derive(Debug, Default, Clone)]
pub(super) struct Judged {
    /// Index of the largest value.
    pub(super) answer: usize,
    /// Whether the right class is among the five largest.
    pub(super) top_five: bool,
    /// The single output, or the error of a reconstruction.
    pub(super) score: f64,
    /// Sums over the values of the output.
    pub(super) absolute: f64,
    pub(super) square: f64,
}

/// All samples.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) hits: usize,
    pub(super) top_five: usize,
    /// How often a class was answered with another: (class, answer).
    pub(super) confusion: BTreeMap<(usize, usize), usize>,
    /// Scores in order of the samples, where there is one a sample.
    pub(super) scores: Vec<f64>,
    pub(super) absolute: f64,
    pub(super) square: f64,
}

impl Tally {
    pub(super) fn add(&mut self, labels: &Labels, i: usize, judged: &Judged) {
        self.absolute += judged.absolute;
        self.square += judged.square;
        if labels.width == 1 || labels.task == Some(Task::Reconstruction) {
            self.scores.push(judged.score);
        } else if let Some(classes) = &labels.classes {
            self.answer(classes[i], judged.answer);
            self.top_five += judged.top_five as usize;
        }
    }

    fn answer(&mut self, class: usize, answer: usize) {
        self.hits += (class == answer) as usize;
        *self.confusion.entry((class, answer)).or_default() += 1;
    }

    /// Answers of a single output, once all are known: above one half where it is a probability, else above 0.
    pub(super) fn decide(&mut self, classes: &[usize], threshold: f64) {
        for (i, class) in classes.iter().enumerate() {
            let answer = (self.scores[i] > threshold) as usize;
            self.answer(*class, answer);
        }
    }
}

/// Where a single output turns from no to yes: 0.5 when every score lies between 0 and 1, else 0.
pub(super) fn threshold(scores: &[f64]) -> f64 {
    if scores.iter().all(|s| (0.0..=1.0).contains(s)) { 0.5 } else { 0.0 }
}
