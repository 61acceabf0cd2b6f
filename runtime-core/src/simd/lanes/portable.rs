//! Plain Rust: what the vector instructions compute.

use super::{Bounds, Lanes};
use core::array::from_fn;

/// No vectors.
pub struct Portable;

/// Which lanes [`Lanes::zip`] pairs, in the order of its results.
const ORDER: [usize; 16] = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15];

impl Lanes for Portable {
    type Sums = [i32; 8];
    type Pairs = [[i16; 2]; 8];
    type Multipliers = [i32; 8];
    const MANY: bool = false;

    #[inline(always)]
    fn sums(values: &[i32; 8]) -> [i32; 8] {
        *values
    }

    #[inline(always)]
    fn multipliers(values: &[i32; 8]) -> [i32; 8] {
        *values
    }

    #[inline(always)]
    fn widen(bytes: &[i8; 16]) -> [[i16; 2]; 8] {
        let mut pairs = [[0; 2]; 8];
        for (to, pair) in pairs.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *to = pair.map(i16::from);
        }
        pairs
    }

    #[inline(always)]
    fn same(pair: &[i16; 2]) -> [[i16; 2]; 8] {
        [*pair; 8]
    }

    #[inline(always)]
    fn mac(mut acc: [i32; 8], a: [[i16; 2]; 8], b: [[i16; 2]; 8]) -> [i32; 8] {
        for ((acc, [a, c]), [b, d]) in acc.iter_mut().zip(a).zip(b) {
            let product = |x: i16, y: i16| (x as i32).wrapping_mul(y as i32);
            *acc = acc.wrapping_add(product(a, b)).wrapping_add(product(c, d));
        }
        acc
    }

    #[inline(always)]
    fn requantize(mut acc: [i32; 8], multiplier: [i32; 8]) -> [i32; 8] {
        for (acc, multiplier) in acc.iter_mut().zip(multiplier) {
            *acc = crate::requantize(*acc, multiplier, 0);
        }
        acc
    }

    #[inline(always)]
    fn bytes(a: [i32; 8], b: [i32; 8], zero_point: i8, (min, max): Bounds) -> [i8; 16] {
        let mut values = a.iter().chain(&b);
        from_fn(|_| {
            let value = values.next().map_or(0, |value| value.wrapping_add(zero_point as i32));
            value.clamp(min as i32, max.max(min) as i32) as i8
        })
    }

    #[inline(always)]
    fn zip(a: &[i16; 16], b: &[i16; 16]) -> [[[i16; 2]; 8]; 2] {
        let mut pairs = [[[0; 2]; 8]; 2];
        for (to, lane) in pairs.as_flattened_mut().iter_mut().zip(ORDER) {
            *to = [a, b].map(|values| values.get(lane).copied().unwrap_or(0));
        }
        pairs
    }

    #[inline(always)]
    fn join([a, b]: [[i32; 8]; 2], zero_point: i8, bounds: Bounds) -> [i8; 16] {
        let mut bytes = [0; 16];
        for (lane, value) in ORDER.into_iter().zip(Portable::bytes(a, b, zero_point, bounds)) {
            if let Some(to) = bytes.get_mut(lane) {
                *to = value;
            }
        }
        bytes
    }
}
