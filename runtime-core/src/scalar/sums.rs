//! Sums of products of two pixels in one multiplication.
//!
//! ```text
//! X = x0 + x1 * 2^16            two pixels of a tap, in 32 bits
//! P = sum of X * w              over a block of 1, 2, 3 or 4 taps: L + H * 2^16, where L and H are the sums of the pixels
//!
//! after each block:  total += P                     modulo 2^32
//!                    high  += (P + 2^15) >> 16      which is H, as long as -2^15 <= L < 2^15
//! in the end:        sum of x1 * w = high,  sum of x0 * w = total - high * 2^16    modulo 2^32
//! ```
//!
//! Since `|x| <= 128`, the sums of a block fit 16 bits when the magnitudes of its weights add up to at most 255. So two taps always
//! may be a block where no weight is -128; the compiler chooses the longest blocks that a channel's weights permit.

/// Sums of two pixels.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    total: u32,
    high: i32,
}

impl Sums {
    /// Sums that begin with a bias.
    #[inline(always)]
    pub const fn new(bias: i32) -> Sums {
        Sums { total: both(bias), high: bias }
    }

    /// Adds a block.
    #[inline(always)]
    pub fn add(&mut self, block: u32) {
        self.total = self.total.wrapping_add(block);
        self.high = self.high.wrapping_add(block.wrapping_add(0x8000) as i32 >> 16);
    }

    /// The sums of both pixels.
    #[inline(always)]
    pub fn pixels(self) -> [i32; 2] {
        [self.total.wrapping_sub((self.high as u32) << 16) as i32, self.high]
    }
}

/// Two pixels in one word.
#[inline(always)]
pub(super) const fn pair(low: i8, high: i8) -> u32 {
    (low as u32).wrapping_add((high as u32) << 16)
}

/// The same value twice.
#[inline(always)]
pub(super) const fn both(value: i32) -> u32 {
    (value as u32).wrapping_add((value as u32) << 16)
}

/// Two taps of four pixels: words of pixels 0 and 1, and of 2 and 3, of one tap and of the next.
pub(super) type Column = [u32; 4];

/// The products of a column's taps, taps apart.
#[inline(always)]
pub(super) fn products(&[a, b, c, d]: &Column, &[v, w]: &[i8; 2]) -> [[u32; 2]; 2] {
    let (v, w) = (v as u32, w as u32);
    [[a.wrapping_mul(v), b.wrapping_mul(v)], [c.wrapping_mul(w), d.wrapping_mul(w)]]
}

/// The products of a column.
#[inline(always)]
pub(super) fn column(x: &Column, w: &[i8; 2]) -> [u32; 2] {
    let [[a, b], [c, d]] = products(x, w);
    [a.wrapping_add(c), b.wrapping_add(d)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_up_to_255_are_exact() {
        let values = [-128i8, -127, -1, 0, 1, 127];
        for weights in [[127i8, 127, 1, 0], [-127, -128, 0, 0], [-64, 64, 64, -63], [127, -127, 1, 0]] {
            for (low, high) in values.into_iter().flat_map(|low| values.map(|high| (low, high))) {
                // Each tap at an extreme of its own: where the sign of the weight is negative, the other pixel.
                let taps = weights.map(|w| if w < 0 { (high, low) } else { (low, high) });
                let mut sums = Sums::new(-5);
                let products = taps.iter().zip(weights).map(|(&(a, b), w)| pair(a, b).wrapping_mul(w as u32));
                sums.add(products.fold(0, u32::wrapping_add));
                let exact = |of: fn(&(i8, i8)) -> i8| {
                    taps.iter().zip(weights).map(|(x, w)| i32::from(of(x)) * i32::from(w)).sum::<i32>() - 5
                };
                assert_eq!(sums.pixels(), [exact(|x| x.0), exact(|x| x.1)], "{weights:?} {low} {high}");
            }
        }
    }
}
