//! The kernels' contract, on random data: rows in pieces equal all rows at once; layouts and rings change nothing; NaN-free
//! inputs of every extreme keep int8 within the clamp.

use kiln_runtime_core::*;

const BLOCKS: usize = 512;

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

#[derive(Clone, Copy)]
enum Order {
    Planar,
    Interleaved,
    RowPlanar,
    Padded,
}

fn image(offset: usize, (height, width, channels): (usize, usize, usize), order: Order) -> Image {
    let layout = match order {
        Order::Planar => Layout { row: width, col: 1, chan: width * height },
        Order::Interleaved => Layout { row: width * channels, col: channels, chan: 1 },
        Order::RowPlanar => Layout { row: width * channels, col: 1, chan: width },
        Order::Padded => Layout { row: width + 3, col: 1, chan: (width + 3) * height + 5 },
    };
    Image { offset, height, width, channels, layout, ring: height }
}

/// Writes values in the order `[y][x][c]`.
fn put(mem: &mut [Block], image: &Image, values: &[i8]) {
    let mut values = values.iter();
    for y in 0..image.height {
        for x in 0..image.width {
            for c in 0..image.channels {
                view_mut::<i8>(mem)[image.at(y, x, c)] = *values.next().expect("as many values as elements");
            }
        }
    }
}

fn get(mem: &[Block], image: &Image) -> Vec<i8> {
    let mut values = vec![];
    for y in 0..image.height {
        for x in 0..image.width {
            for c in 0..image.channels {
                values.push(view::<i8>(mem)[image.at(y, x, c)]);
            }
        }
    }
    values
}

const WINDOW: Window = Window {
    height: 3,
    width: 2,
    stride_h: 2,
    stride_w: 1,
    dilation_h: 1,
    dilation_w: 2,
    pad_top: 1,
    pad_left: 1,
};
const INPUT: (usize, usize, usize) = (9, 7, 4);
const OUTPUT: (usize, usize, usize) = (5, 7, 4);

/// Runs one of the spatial kernels from one layout to another, in the given pieces of rows.
fn run(kernel: &str, from: Order, to: Order, pieces: &[usize]) -> Vec<i8> {
    let mut random = Random(1);
    let (input, output) = (image(0, INPUT, from), image(1024, OUTPUT, to));
    let mut mem = [Block([77; 16]); BLOCKS];
    put(&mut mem, &input, &random.i8s(INPUT.0 * INPUT.1 * INPUT.2));
    let (weights, dw_weights) = (random.i8s(4 * 6 * 2), random.i8s(4 * 6));
    let (bias, multiplier) = ([100, -200, 3, 0], [1 << 24, 1 << 25, 1 << 23, 1 << 26]);
    let filter = Filter {
        weights: &weights,
        bias: &bias,
        multiplier: &multiplier,
        shift: &[0, 1, 0, 2],
        weight_zero_point: &[0, 3, -7, 1],
    };
    let (window, min, max) = (WINDOW, -100, 110);
    let (input_zero_point, output_zero_point) = (-5, 7);
    let mut start = 0;
    for &rows in pieces {
        let rows = start..start + rows;
        start = rows.end;
        match kernel {
            "conv2d_i8" => {
                let (groups, scratch) = (2, 4096);
                let p = Conv2dI8 {
                    input,
                    output,
                    window,
                    groups,
                    input_zero_point,
                    output_zero_point,
                    min,
                    max,
                    scratch,
                };
                assert_eq!(p.check(&filter, 16 * BLOCKS), Ok(()));
                conv2d_i8(&mut mem, &p, rows, &filter);
            }
            "depthwise_conv2d_i8" => {
                let filter = Filter { weights: &dw_weights, ..filter };
                let depth_multiplier = 1;
                let p = DepthwiseConv2dI8 {
                    input,
                    output,
                    window,
                    depth_multiplier,
                    input_zero_point,
                    output_zero_point,
                    min,
                    max,
                };
                assert_eq!(p.check(&filter, 16 * BLOCKS), Ok(()));
                depthwise_conv2d_i8(&mut mem, &p, rows, &filter);
            }
            "max_pool_i8" => {
                let p = MaxPoolI8 { input, output, window, min, max };
                assert_eq!(p.check(16 * BLOCKS), Ok(()));
                max_pool_i8(&mut mem, &p, rows);
            }
            _ => {
                let (multiplier, shift, count_include_pad) = (1_234_567_890, 30, false);
                let p = AveragePoolI8 {
                    input,
                    output,
                    window,
                    count_include_pad,
                    input_zero_point,
                    output_zero_point,
                    multiplier,
                    shift,
                    min,
                    max,
                };
                assert_eq!(p.check(16 * BLOCKS), Ok(()));
                average_pool_i8(&mut mem, &p, rows);
            }
        }
    }
    get(&mem, &output)
}

const KERNELS: [&str; 4] = ["conv2d_i8", "depthwise_conv2d_i8", "max_pool_i8", "average_pool_i8"];

#[test]
fn rows_in_pieces_equal_all_rows_at_once() {
    for kernel in KERNELS {
        let whole = run(kernel, Order::Planar, Order::Planar, &[5]);
        assert!(whole.iter().any(|v| *v != whole[0]), "{kernel} computes something");
        assert_eq!(whole, run(kernel, Order::Planar, Order::Planar, &[1, 3, 1]), "{kernel}");
        assert_ne!(whole, run(kernel, Order::Planar, Order::Planar, &[1, 3]), "{kernel} leaves the last row");
    }
}

#[test]
fn layouts_change_nothing() {
    for kernel in KERNELS {
        let planar = run(kernel, Order::Planar, Order::Planar, &[5]);
        for (from, to) in [
            (Order::Interleaved, Order::Planar),
            (Order::Planar, Order::Interleaved),
            (Order::RowPlanar, Order::Padded),
            (Order::Padded, Order::RowPlanar),
        ] {
            assert_eq!(planar, run(kernel, from, to, &[5]), "{kernel}");
        }
    }
}

#[test]
fn a_ring_of_rows_is_enough() {
    let mut random = Random(2);
    let values = random.i8s(9 * 7);
    let full = image(0, (9, 7, 1), Order::Planar);
    let output = image(512, (5, 7, 1), Order::Planar);
    let p = MaxPoolI8 { input: full, output, window: WINDOW, min: -128, max: 127 };
    let mut mem = [Block::ZERO; BLOCKS];
    put(&mut mem, &full, &values);
    max_pool_i8(&mut mem, &p, 0..5);
    let expected = get(&mem, &output);

    // Three rows of memory; the producer runs just ahead of the window.
    let p = MaxPoolI8 { input: Image { ring: 3, ..full }, ..p };
    let mut mem = [Block::ZERO; BLOCKS];
    let mut produced = 0;
    for y in 0..5 {
        while produced < 9.min(2 * y + 2) {
            let at = p.input.row(produced);
            view_mut::<i8>(&mut mem)[at..at + 7].copy_from_slice(&values[7 * produced..7 * produced + 7]);
            produced += 1;
        }
        max_pool_i8(&mut mem, &p, y..y + 1);
    }
    assert_eq!(get(&mem, &output), expected);
    assert!(p.input.end() <= 21);
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
        let (input, output) =
            (image(0, (1, 1, 12), Order::Interleaved), image(64, (1, 1, 3), Order::Interleaved));
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
