//! When a layer of a streamed group computes which of its rows.

use core::ops::Range;

/// The rows of one layer over the ticks of a streamed group: after tick `t` the first `(lead + t * step) / every` rows are
/// done, rounded down, at least none and at most all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// Rows ahead at tick 0, times `every`; negative where the rows of the first ticks do not suffice.
    pub lead: isize,
    /// Rows a tick, times `every`.
    pub step: isize,
    /// Ticks from one row to the next where a layer behind a stride is slower than the others.
    pub every: isize,
    /// Rows in all.
    pub height: usize,
}

impl Rows {
    /// Rows that are done after tick `tick`.
    pub const fn done(&self, tick: usize) -> usize {
        let ahead = self.lead + self.step * tick as isize;
        if ahead <= 0 || self.every <= 0 {
            return 0;
        }
        // Both are positive: unsigned division needs no test of its operands.
        let done = match (ahead as usize).checked_div(self.every as usize) {
            Some(done) => done,
            None => 0,
        };
        if done < self.height { done } else { self.height }
    }

    /// The rows of tick `tick`, often none.
    #[inline(never)]
    pub const fn at(&self, tick: usize) -> Range<usize> {
        let first = match tick.checked_sub(1) {
            Some(before) => self.done(before),
            None => 0,
        };
        first..self.done(tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_one_after_the_other_until_all_are_done() {
        for (lead, step, every, height) in
            [(1, 1, 1, 5), (-3, 2, 1, 7), (-1, 1, 2, 4), (9, 1, 4, 3), (0, 3, 2, 0)]
        {
            let rows = Rows { lead, step, every, height };
            let mut next = 0;
            for tick in 0..30 {
                let now = rows.at(tick);
                assert_eq!((now.start, now.end), (next, rows.done(tick)));
                next = now.end;
            }
            assert_eq!(next, height);
        }
        let slow = Rows { lead: -1, step: 1, every: 2, height: 4 };
        assert_eq!([0, 1, 2, 3, 4, 5].map(|t| slow.done(t)), [0, 0, 0, 1, 1, 2]);
        assert_eq!(Rows { every: 0, ..slow }.at(3), 0..0);
    }
}
