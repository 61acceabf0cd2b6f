//! From bytes to what the micro-kernel reads: words of two taps, four pixels side by side.

use super::words::{even, halves, high_halves, low_halves, odd, opaque, rolled, word};

/// Four pixels of two planes as four words, the first plane low.
#[inline(always)]
fn pair(a: u32, b: u32) -> [u32; 4] {
    let (a02, a13, b02, b13) = (even(a), odd(a), even(b), odd(b));
    [low_halves(a02, b02), low_halves(a13, b13), high_halves(a02, b02), high_halves(a13, b13)]
}

/// Four neighbouring pixels of planes, `plane` bytes apart, as columns of two planes a word; `source` ends with those of the last
/// plane. The word of an odd last plane holds it twice: its weight is zero. Nothing is written when the lengths do not fit.
#[inline(always)]
pub(super) fn planes_to_columns(source: &[i8], plane: usize, columns: &mut [[u32; 4]]) {
    let (Some(end), Some(pairs)) = (source.len().checked_sub(4), columns.len().checked_sub(1)) else {
        return;
    };
    if 2 * pairs * plane > end {
        return;
    }
    let mut at = 0;
    for to in columns {
        // SAFETY: `at` steps through the even planes, of which the last one begins at `end` or before it, as was compared above.
        #[allow(unsafe_code)]
        let load = |at: usize| unsafe { source.as_ptr().add(at).cast::<u32>().read_unaligned().to_le() };
        *to = pair(load(at), load((at + plane).min(end)));
        at += 2 * plane;
        rolled();
    }
}

/// A row of two planes as words, `step` words apart, the first plane low.
#[inline(never)]
pub(super) fn planes_to_row(a: &[i8], b: &[i8], to: &mut [u32], step: usize) {
    let n = a.len();
    if n == 0 || b.len() != n || (n - 1) * step >= to.len() {
        return;
    }
    let (a_words, a_rest) = a.as_chunks::<4>();
    let (b_words, b_rest) = b.as_chunks::<4>();
    let mut at = to.as_mut_ptr();
    let mut put = |value: u32| {
        // SAFETY: called once for each of the `n` pixels, so that `at` stays below `(n - 1) * step` while it is written.
        #[allow(unsafe_code)]
        unsafe {
            at.write(value);
        }
        at = at.wrapping_add(step);
    };
    for (&a, &b) in a_words.iter().zip(b_words) {
        let [p, q, r, s] = pair(word(a), word(b));
        put(p);
        put(q);
        put(r);
        put(s);
    }
    for (&a, &b) in a_rest.iter().zip(b_rest) {
        put(halves(a, b));
    }
}

/// Neighbouring bytes in pairs: the words `[b0 b1] [b2 b3] ..`.
#[inline(never)]
pub(super) fn bytes_to_pairs(bytes: &[i8], to: &mut [u32]) {
    for (to, &[low, high]) in to.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *to = halves(low, high);
        rolled();
    }
}

/// Copies `rows` rows of `columns` bytes, each so many bytes behind the one before it as its side says. Word by word, the
/// last ones over those before them: LLVM would make a `memcpy` of a safe loop, and that takes 200 instructions for 24 bytes
/// on bare metal. Nothing is written when the lengths do not fit.
#[inline(never)]
#[allow(unsafe_code)]
pub(super) fn copy_rows(
    from: &[i8],
    to: &mut [i8],
    (from_step, to_step): (usize, usize),
    (rows, columns): (usize, usize),
) {
    let Some(last) = rows.checked_sub(1) else { return };
    if last * from_step + columns > from.len() || last * to_step + columns > to.len() {
        return;
    }
    let (mut from, mut to) = (from.as_ptr(), to.as_mut_ptr());
    for _ in 0..rows {
        // SAFETY: the last row ends inside of both slices, as was compared above; so does every row before it. What is copied
        // of a row begins and ends inside of its `columns` bytes.
        unsafe {
            match columns.checked_sub(4) {
                Some(last) => {
                    let mut x = 0;
                    while x < last {
                        word(from.add(x), to.add(x));
                        x += 4;
                        rolled();
                    }
                    word(from.add(last), to.add(last));
                }
                None => {
                    for x in 0..opaque(columns) {
                        to.add(x).write(from.add(x).read());
                        rolled();
                    }
                }
            }
        }
        (from, to) = (from.wrapping_add(from_step), to.wrapping_add(to_step));
        rolled();
    }

    /// Copies four bytes.
    #[inline(always)]
    unsafe fn word(from: *const i8, to: *mut i8) {
        // SAFETY: the caller's.
        unsafe { to.cast::<u32>().write_unaligned(from.cast::<u32>().read_unaligned()) }
    }
}

/// Bytes as halves, four bytes as the words `[b0 b2] [b1 b3]`; missing bytes are zeros. Words behind them stay.
pub(super) fn bytes_to_halves(bytes: &[i8], to: &mut [u32]) {
    let (words, rest) = bytes.as_chunks::<4>();
    let to = to.as_chunks_mut::<2>().0;
    for (to, &bytes) in to.iter_mut().zip(words) {
        *to = [even(word(bytes)), odd(word(bytes))];
    }
    if let (Some(to), [first, after @ ..]) = (to.get_mut(words.len()), rest) {
        let (second, third) = match after {
            [second, third, ..] => (*second, *third),
            [second] => (*second, 0),
            [] => (0, 0),
        };
        *to = [halves(*first, third), halves(second, 0)];
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::both_halves;
    use super::*;

    #[test]
    fn planes_become_columns() {
        let source: [i8; 12] = [1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12];
        let mut columns = [[0; 4]; 2];
        planes_to_columns(&source, 4, &mut columns);
        let first = [halves(1, 5), halves(-2, -6), halves(3, 7), halves(-4, -8)];
        assert_eq!(columns, [first, [both_halves(9), both_halves(-10), both_halves(11), both_halves(-12)]]);
        let mut untouched = [[7; 4]; 2];
        planes_to_columns(&source[1..], 4, &mut untouched);
        assert_eq!(untouched, [[7; 4]; 2]);
    }

    #[test]
    fn rows_become_words() {
        let (a, b): ([i8; 6], [i8; 6]) = ([1, 2, 3, 4, 5, -6], [-1, -2, -3, -4, -5, 6]);
        let mut to = [0; 11];
        planes_to_row(&a, &b, &mut to, 2);
        for x in 0..6 {
            assert_eq!(to[2 * x], halves(a[x], b[x]));
        }
        assert!(to.iter().skip(1).step_by(2).all(|&w| w == 0));
        for n in 0..=4 {
            let bytes = [9, -8, 7, -6, 5, -4, 3, -2];
            let mut words = [0; 4];
            bytes_to_pairs(&bytes, &mut words[..n]);
            for i in 0..4 {
                let pair = if i < n { halves(bytes[2 * i], bytes[2 * i + 1]) } else { 0 };
                assert_eq!(words[i], pair, "{n}");
            }
        }
    }
}
