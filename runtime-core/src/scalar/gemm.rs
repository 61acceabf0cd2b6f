//! The micro-kernel of convolutions: four pixels times all channels.
//!
//! Portable here, two channels at a time where there are registers for that; Cortex-M0+ and M23 run the assembly of `gemm_thumb`.
//!
//! Blocks are counted from the last column back: those of four taps are two columns, before which one may be left.

use super::filter_scalar::{FIELDS, FilterScalar};
use super::sums::Column;

/// Four pixels times all channels.
pub(super) struct Gemm<'a> {
    /// Weights and parameters.
    pub filter: &'a FilterScalar<'a>,
    /// Zero point of the output.
    pub zero_point: i32,
}

impl Gemm<'_> {
    /// `out[c * plane + p]` for every channel `c` and the pixels `p` of 0 to 3. Nothing is written when the lengths do not fit.
    #[inline(always)]
    pub fn run(&self, x: &[Column], out: &mut [i8], plane: usize) {
        let channels = self.filter.channels.len() / FIELDS;
        if channels > 0
            && !x.is_empty()
            && self.filter.weights.len() == 2 * x.len() * channels
            && (channels - 1) * plane + 4 <= out.len()
        {
            run(self, x, out, plane);
        }
    }
}

#[cfg(kiln_short_products)]
use super::gemm_thumb::run;
#[cfg(not(kiln_short_products))]
use portable::run;

#[cfg(not(kiln_short_products))]
mod portable {
    use super::Gemm;
    use crate::hints::rolled;
    use crate::scalar::filter_scalar::FIELDS;
    use crate::scalar::short::quantize;
    use crate::scalar::sums::{Column, Sums, column, products};

    /// Whether two channels at a time find registers.
    const PAIRS: bool = !cfg!(target_arch = "arm");

    #[inline(never)]
    pub fn run(gemm: &Gemm, x: &[Column], out: &mut [i8], plane: usize) {
        let mut channels = gemm.filter.channels.as_chunks::<FIELDS>().0;
        let mut weights = gemm.filter.weights.as_chunks::<2>().0;
        let mut at = 0;
        while let [a, rest @ ..] = channels {
            let Some((v, behind)) = weights.split_at_checked(x.len()) else { return };
            let next = rest.split_first().zip(behind.split_at_checked(x.len()));
            if let Some(((b, rest), (w, behind))) = next.filter(|_| PAIRS) {
                let sums = pair(x, [v, w], [a[0], b[0]], a[1].min(b[1]));
                store(gemm, a, sums[0], out.get_mut(at..));
                store(gemm, b, sums[1], out.get_mut(at + plane..));
                at += 2 * plane;
                (channels, weights) = (rest, behind);
            } else {
                store(gemm, a, single(x, v, a[0], a[1]), out.get_mut(at..));
                at += plane;
                (channels, weights) = (rest, behind);
            }
        }
    }

    /// Requantizes and stores four pixels.
    #[inline(always)]
    fn store(gemm: &Gemm, &[_, _, multiplier, m]: &[i32; FIELDS], [a, b]: [Sums; 2], out: Option<&mut [i8]>) {
        let Some(to) = out.and_then(|out| out.first_chunk_mut::<4>()) else { return };
        let ([p, q], [r, s]) = (a.pixels(), b.pixels());
        *to = [p, q, r, s].map(|acc| quantize(acc, multiplier, m, gemm.zero_point));
    }

    #[inline(always)]
    fn add([a, b]: &mut [Sums; 2], [p, q]: [u32; 2]) {
        a.add(p);
        b.add(q);
    }

    /// A block of four taps.
    #[inline(always)]
    fn four([x, y]: &[Column; 2], [v, w]: &[[i8; 2]; 2]) -> [u32; 2] {
        let ([a, b], [c, d]) = (column(x, v), column(y, w));
        [a.wrapping_add(c), b.wrapping_add(d)]
    }

    /// The sums of four pixels of one channel, in blocks of so many taps. Unrolled loops would not find registers.
    #[inline(always)]
    fn single(x: &[Column], weights: &[[i8; 2]], bias: i32, block: i32) -> [Sums; 2] {
        if block < 2 {
            return ones(x, weights, bias);
        }
        let mut sums = [Sums::new(bias); 2];
        if block == 4 {
            let ((first, x), (first_w, weights)) = (x.as_rchunks::<2>(), weights.as_rchunks::<2>());
            first.iter().zip(first_w).for_each(|(x, w)| add(&mut sums, column(x, w)));
            for (x, w) in x.iter().zip(weights) {
                add(&mut sums, four(x, w));
                rolled();
            }
        } else {
            for (x, w) in x.iter().zip(weights) {
                add(&mut sums, column(x, w));
                rolled();
            }
        }
        sums
    }

    /// As [`single`], for two channels.
    #[inline(always)]
    fn pair(x: &[Column], [v, w]: [&[[i8; 2]]; 2], biases: [i32; 2], block: i32) -> [[Sums; 2]; 2] {
        if block < 2 {
            return [ones(x, v, biases[0]), ones(x, w, biases[1])];
        }
        let [mut a, mut b] = biases.map(|bias| [Sums::new(bias); 2]);
        if block == 4 {
            let ((first, x), (first_v, v), (first_w, w)) =
                (x.as_rchunks::<2>(), v.as_rchunks::<2>(), w.as_rchunks::<2>());
            for ((x, v), w) in first.iter().zip(first_v).zip(first_w) {
                add(&mut a, column(x, v));
                add(&mut b, column(x, w));
            }
            for ((x, v), w) in x.iter().zip(v).zip(w) {
                add(&mut a, four(x, v));
                add(&mut b, four(x, w));
            }
        } else {
            for ((x, v), w) in x.iter().zip(v).zip(w) {
                add(&mut a, column(x, v));
                add(&mut b, column(x, w));
            }
        }
        [a, b]
    }

    /// As [`single`], tap by tap. By value, so that the other sums find registers.
    #[inline(never)]
    fn ones(x: &[Column], weights: &[[i8; 2]], bias: i32) -> [Sums; 2] {
        let mut sums = [Sums::new(bias); 2];
        for (x, w) in x.iter().zip(weights) {
            products(x, w).into_iter().for_each(|tap| add(&mut sums, tap));
        }
        sums
    }
}
