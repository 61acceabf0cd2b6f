//! Calibration data as a stream: one sample in memory for each thread, whatever their number.

use crate::diag::Diagnostic;
use crate::tensor::Tensor;

/// Samples that are worked off at a time before their results are taken, in order.
const CHUNK: usize = 64;

/// Loads the inputs of one sample, in the order of the model's inputs.
pub type Load<'a> = &'a (dyn Fn(usize) -> Result<Vec<Tensor>, Diagnostic> + Sync);

/// Calibration data.
#[derive(Clone, Copy)]
pub struct Samples<'a> {
    /// Number of samples.
    pub count: usize,
    /// Loads one of them.
    pub load: Load<'a>,
    /// Threads to use, at least 1. Results are the same for every number.
    pub threads: usize,
    /// Called after each sample.
    pub progress: &'a (dyn Fn() + Sync),
}

impl std::fmt::Debug for Samples<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Samples({}, {} threads)", self.count, self.threads)
    }
}

impl Samples<'_> {
    /// At most `n` of the samples, spread evenly over them.
    pub fn spread(&self, n: usize) -> Vec<usize> {
        let n = n.min(self.count);
        (0..n).map(|i| i * self.count / n).collect()
    }

    /// Works on the samples `which`. Every thread has a state that `new` makes; the states are returned, and since which
    /// samples each has seen depends on the number of threads, only what commutes exactly may go there. `step` returns what
    /// belongs to one sample; `each` receives that in the order of the samples.
    ///
    /// # Errors
    /// The first one in the order of the samples.
    pub fn fold<S: Send, T: Send>(
        &self,
        which: &[usize],
        new: impl Fn() -> S,
        step: impl Fn(&mut S, Vec<Tensor>) -> Result<T, Diagnostic> + Sync,
        mut each: impl FnMut(T),
    ) -> Result<Vec<S>, Diagnostic> {
        let threads = self.threads.clamp(1, CHUNK);
        let mut states: Vec<S> = (0..threads).map(|_| new()).collect();
        let one = |state: &mut S, index: usize| {
            let result = (self.load)(index).and_then(|inputs| step(state, inputs));
            (self.progress)();
            result.map_err(|d| d.fact("sample", index))
        };
        if threads == 1 {
            for &index in which {
                each(one(&mut states[0], index)?);
            }
            return Ok(states);
        }
        for chunk in which.chunks(CHUNK) {
            let size = chunk.len().div_ceil(threads);
            let results: Vec<Vec<Result<T, Diagnostic>>> = std::thread::scope(|scope| {
                let one = &one;
                let run = move |state: &mut S, part: &[usize]| part.iter().map(|i| one(state, *i)).collect();
                let parts = states.iter_mut().zip(chunk.chunks(size));
                let handles: Vec<_> =
                    parts.map(|(state, part)| scope.spawn(move || run(state, part))).collect();
                handles
                    .into_iter()
                    .map(|h| h.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
                    .collect()
            });
            for result in results.into_iter().flatten() {
                each(result?);
            }
        }
        Ok(states)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(index: usize) -> Result<Vec<Tensor>, Diagnostic> {
        match index {
            150 | 170 => Err(Diagnostic::new("E0603", format!("no sample {index}"))),
            _ => Ok(vec![Tensor::from_i64(&[], &[index as i64])]),
        }
    }

    fn samples(count: usize, threads: usize) -> Samples<'static> {
        Samples { count, load: &load, threads, progress: &|| {} }
    }

    #[test]
    fn results_come_in_order_and_each_sample_once() {
        for threads in [1, 2, 3, 7, 1000] {
            let samples = samples(140, threads);
            let which = samples.spread(1000);
            assert_eq!(which, (0..140).collect::<Vec<_>>());
            let mut seen = vec![];
            let step = |sum: &mut i64, t: Vec<Tensor>| {
                let value = t[0].to_i64s()[0];
                *sum += value;
                Ok(value as usize)
            };
            let sums = samples.fold(&which, || 0, step, |i| seen.push(i)).expect("all can be loaded");
            assert_eq!(seen, which, "{threads} threads");
            assert_eq!(sums.iter().sum::<i64>(), 139 * 140 / 2, "{threads} threads");
        }
        assert_eq!(samples(10, 1).spread(3), [0, 3, 6]);
        assert!(samples(0, 1).spread(3).is_empty());
    }

    #[test]
    fn the_first_error_in_order_is_told() {
        for threads in [1, 2, 5] {
            let samples = samples(200, threads);
            let which = samples.spread(200);
            let error =
                samples.fold(&which, || (), |(), _| Ok(()), |()| {}).expect_err("150 cannot be loaded");
            assert!(error.to_string().contains("no sample 150"), "{error}");
        }
    }
}
