//! Convolution by its definition, in 64-bit integers.

use super::{Extent, Random};
use kiln_runtime_core::*;

/// One convolution: extents, the window, groups, and values in the order `[y][x][c]`, `[c][ky][kx][channel]`.
pub struct Convolution<'a> {
    pub input: Extent,
    pub output: Extent,
    pub window: Window,
    pub groups: usize,
    pub x: &'a [i64],
    pub w: &'a [i64],
    pub padding: i64,
}

impl Convolution<'_> {
    /// `sum(x * (w - zero_point[c]))` at every output.
    pub fn sums(&self, zero_point: impl Fn(usize) -> i64) -> Vec<i64> {
        let (height, width, channels) = self.output;
        let depth = self.input.2 / self.groups;
        let taps = self.window.height * self.window.width * depth;
        let mut sums = vec![];
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            for c in 0..channels {
                let first = c / (channels / self.groups) * depth;
                let sum = (0..taps).map(|tap| {
                    let (ky, kx, k) =
                        (tap / depth / self.window.width, tap / depth % self.window.width, tap % depth);
                    self.value(y, x, ky, kx, first + k) * (self.w[c * taps + tap] - zero_point(c))
                });
                sums.push(sum.sum());
            }
        }
        sums
    }

    fn value(&self, y: usize, x: usize, ky: usize, kx: usize, c: usize) -> i64 {
        let (window, (height, width, channels)) = (&self.window, self.input);
        let row = (y * window.stride_h + ky * window.dilation_h) as i64 - window.pad_top as i64;
        let col = (x * window.stride_w + kx * window.dilation_w) as i64 - window.pad_left as i64;
        let inside = (0..height as i64).contains(&row) && (0..width as i64).contains(&col);
        if inside { self.x[(row as usize * width + col as usize) * channels + c] } else { self.padding }
    }
}

/// A window and extents, drawn at random, of which some outputs lie wholly in the padding.
pub fn shape(random: &mut Random) -> (Extent, (usize, usize), Window) {
    let mut up_to = |n: u64| 1 + (random.next() % n) as usize;
    let input = (up_to(6), up_to(6), 2 * up_to(2));
    let output = (up_to(6), up_to(6));
    let window = Window {
        height: up_to(3),
        width: up_to(3),
        stride_h: up_to(2),
        stride_w: up_to(3),
        dilation_h: up_to(2),
        dilation_w: up_to(3),
        pad_top: up_to(3) - 1,
        pad_left: up_to(3) - 1,
    };
    (input, output, window)
}
