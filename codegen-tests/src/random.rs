//! numpy's `RandomState(seed).standard_normal`, so that random inputs are those of the peers' figures.

/// The Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998) as numpy seeds it, with the polar method of Marsaglia.
#[derive(Debug)]
pub struct RandomState {
    words: [u32; 624],
    at: usize,
    spare: Option<f64>,
}

impl RandomState {
    /// `numpy.random.RandomState(seed)`.
    pub fn new(seed: u32) -> RandomState {
        let mut words = [seed; 624];
        for i in 1..624 {
            let before = words[i - 1];
            words[i] = 1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        RandomState { words, at: 624, spare: None }
    }

    fn next(&mut self) -> u32 {
        if self.at == 624 {
            for i in 0..624 {
                let y = (self.words[i] & 0x8000_0000) | (self.words[(i + 1) % 624] & 0x7fff_ffff);
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.words[i] = self.words[(i + 397) % 624] ^ (y >> 1) ^ odd;
            }
            self.at = 0;
        }
        let mut y = self.words[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn uniform(&mut self) -> f64 {
        let (a, b) = (self.next() >> 5, self.next() >> 6);
        (a as f64 * 67_108_864.0 + b as f64) / 9_007_199_254_740_992.0
    }

    /// One number of `standard_normal`.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let r = x * x + y * y;
            if r < 1.0 && r != 0.0 {
                let f = (-2.0 * r.ln() / r).sqrt();
                self.spare = Some(f * x);
                return f * y;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RandomState;

    #[test]
    fn numbers_are_those_of_numpy() {
        let mut random = RandomState::new(0);
        for expected in [1.764_052_345_967_664, 0.400_157_208_367_223_3, 0.978_737_984_105_739_2] {
            assert!((random.normal() - expected).abs() < 1e-15);
        }
    }
}
