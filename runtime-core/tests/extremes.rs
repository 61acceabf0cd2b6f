//! int8 sums at their extremes, and the rounding that follows them, against the definitions in 64 and 128 bits.

use kiln_runtime_core::*;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn i8s(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| self.next() as i8).collect()
    }
}

/// One row of `channels` values.
fn vector(offset: usize, channels: usize) -> Image {
    let layout = Layout { row: channels, col: channels, chan: 1 };
    Image { offset, height: 1, width: 1, channels, layout, ring: 1 }
}

fn put(mem: &mut [Block], image: &Image, values: &[i8]) {
    view_mut::<i8>(mem)[image.offset..image.end()].copy_from_slice(values);
}

fn get(mem: &[Block], image: &Image) -> Vec<i8> {
    view::<i8>(mem)[image.offset..image.end()].to_vec()
}

#[test]
fn a_dense_layer_is_a_convolution_of_one_pixel() {
    let mut random = Random(3);
    for extreme in [None, Some(-128), Some(127)] {
        let x = extreme.map_or_else(|| random.i8s(12), |v| vec![v; 12]);
        let w = extreme.map_or_else(|| random.i8s(36), |v| vec![v; 36]);
        let filter = Filter {
            weights: &w,
            bias: &[1, -100_000, 50_000],
            multiplier: &[1 << 22, 1 << 20, i32::MAX],
            shift: &[],
            weight_zero_point: &[],
        };
        let (input, output) = (vector(0, 12), vector(64, 3));
        let dense = FullyConnectedI8 { input, output, output_zero_point: 3, min: -128, max: 127 };
        let mut mem = [Block::ZERO; 8];
        put(&mut mem, &input, &x);
        fully_connected_i8(&mut mem, &dense, 0..1, &filter);
        let expected = get(&mem, &output);
        let window = Window {
            height: 1,
            width: 1,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left: 0,
        };
        let p = Conv2dI8 {
            input,
            output,
            window,
            groups: 1,
            input_zero_point: 0,
            output_zero_point: 3,
            min: -128,
            max: 127,
            scratch: 80,
        };
        conv2d_i8(&mut mem, &p, 0..1, &filter);
        assert_eq!(get(&mem, &output), expected);
        let exact = |c: usize| {
            let acc: i64 = x.iter().zip(&w[12 * c..]).map(|(&x, &w)| x as i64 * w as i64).sum::<i64>()
                + filter.bias[c] as i64;
            ((acc * filter.multiplier[c] as i64 + (1 << 31)) >> 32).saturating_add(3).clamp(-128, 127) as i8
        };
        assert_eq!(expected, [exact(0), exact(1), exact(2)]);
    }
}

#[test]
fn requantize_is_the_definition() {
    let mut random = Random(4);
    for _ in 0..100_000 {
        let (acc, m) = (random.next() as i32, random.next() as i32 & i32::MAX);
        let exact = (acc as i128 * m as i128 + (1 << 31)).div_euclid(1 << 32);
        assert_eq!(requantize(acc, m, 0) as i128, exact);
        let (n, d) = (random.next() as i32 as i64, 1 + (random.next() as i64 & 0xffff));
        let even = {
            let (q, r) = (n.div_euclid(d), n.rem_euclid(d));
            q + (2 * r > d || (2 * r == d && q % 2 != 0)) as i64
        };
        assert_eq!(div_round_half_even(n, d), even);
    }
}
