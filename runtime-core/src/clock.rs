//! The time of a model that takes frame after frame.

use super::{Block, bytes_mut};

/// Which number the next frame has, and when an output is due. Numbers begin again after so many frames that every ring of
/// rows is where it was, so that they stay small however long a model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Frames until the first output.
    pub window: usize,
    /// Frames from one output to the next.
    pub hop: usize,
    /// Frames after which all rings are where they were, a multiple of `hop`.
    pub period: usize,
}

impl Clock {
    /// The number behind `tick`.
    pub const fn next(&self, tick: usize) -> usize {
        if tick + 1 >= self.window + self.period { self.window } else { tick + 1 }
    }

    /// Whether an output is due after frame `tick`.
    pub const fn is_due(&self, tick: usize) -> bool {
        match (tick + 1).checked_sub(self.window) {
            Some(behind) => matches!(behind.checked_rem(self.hop), Some(0)),
            None => false,
        }
    }
}

/// Moves `len` bytes of the memory from byte `offset` on down by `by` bytes: the oldest row of a window leaves it, and the place
/// of the newest is free.
pub fn move_rows(mem: &mut [Block], offset: usize, len: usize, by: usize) {
    let bytes = bytes_mut(mem, offset, len);
    let mut at = by;
    while let Some(&byte) = bytes.get(at) {
        if let Some(to) = at.checked_sub(by).and_then(|to| bytes.get_mut(to)) {
            *to = byte;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_again_and_outputs_are_due_at_every_hop() {
        let clock = Clock { window: 5, hop: 2, period: 4 };
        let (mut tick, mut due) = (0, std::vec![]);
        for frame in 1..20 {
            if clock.is_due(tick) {
                due.push(frame);
            }
            tick = clock.next(tick);
            assert!(tick < 9);
        }
        assert_eq!(due, [5, 7, 9, 11, 13, 15, 17, 19]);
        assert!(!Clock { hop: 0, ..clock }.is_due(5));
    }

    #[test]
    fn rows_move_down() {
        let mut mem = [Block([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])];
        move_rows(&mut mem, 2, 6, 2);
        assert_eq!(mem[0].0, [0, 1, 4, 5, 6, 7, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        move_rows(&mut mem, 14, 6, 1);
        move_rows(&mut mem, 14, 2, 9);
        assert_eq!(mem[0].0[14..], [14, 15]);
    }
}
