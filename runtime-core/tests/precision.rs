//! Layers of int16 activations and of int4 weights against their definition in 128 bits, at random and at the extremes.

mod common;

use common::convolution::{Convolution, shape};
use common::{BLOCKS, INPUT, OUTPUT, Order, Random, SCRATCH, get, image, put};
use kiln_runtime_core::*;

/// Values at the ends of their type, or random.
fn values(random: &mut Random, n: usize, (low, high): (i64, i64), round: usize) -> Vec<i64> {
    let width = (high - low + 1) as u64;
    let draw = |r: &mut Random| match round % 8 {
        0 => low,
        1 => high,
        2 => [low, high][(r.next() & 1) as usize],
        _ => low + (r.next() % width) as i64,
    };
    (0..n).map(|_| draw(random)).collect()
}

/// int4 weights two a byte, each group of each channel from a whole byte on.
fn pack(w: &[i64], taps: usize, groups: &[u16]) -> Vec<u8> {
    let whole = [taps as u16];
    let groups = if groups.is_empty() { &whole[..] } else { groups };
    let mut packed = vec![];
    for mut row in w.chunks(taps) {
        for &len in groups {
            let (group, rest) = row.split_at(len as usize);
            packed.extend(group.chunks(2).map(|p| p[0] as u8 & 15 | (p.get(1).unwrap_or(&0) << 4) as u8));
            row = rest;
        }
    }
    packed
}

/// `clamp(zp + ((acc * 2^s * m + 2^31) >> 32))` in 128 bits.
fn output(acc: i64, multiplier: i32, shift: u8, zero_point: i64, (low, high): (i64, i64)) -> i64 {
    let q = (((acc as i128) << shift) * multiplier as i128 + (1 << 31)) >> 32;
    (q + zero_point as i128).clamp(low as i128, high as i128) as i64
}

const I8: (i64, i64) = (-128, 127);
const I16: (i64, i64) = (-32_768, 32_767);
const I4: (i64, i64) = (-8, 7);

#[test]
fn convolutions() {
    let mut random = Random(21);
    for round in 0..400 {
        let (input, (height, width), window) = shape(&mut random);
        let depthwise = round % 3 == 2;
        let groups = if depthwise { input.2 } else { 1 + round % 3 };
        let out = (height, width, 2 * input.2);
        let taps = window.height * window.width * input.2 / groups;
        let form = round % 4;
        let (int4, bounds) = (form < 2, if form == 0 { I8 } else { I16 });
        let x = values(&mut random, input.0 * input.1 * input.2, bounds, round);
        let w = values(&mut random, out.2 * taps, if int4 { I4 } else { I8 }, round / 8);
        let (w8, w4): (Vec<i8>, _) = (w.iter().map(|&w| w as i8).collect(), pack(&w, taps, &[]));
        let bias: Vec<i32> = (0..out.2).map(|_| random.next() as i16 as i32 * 100).collect();
        let bias_wide: Vec<i64> =
            bias.iter().map(|&b| b as i64 * if form == 3 { 1 << 14 } else { 1 }).collect();
        let multiplier: Vec<i32> = bias.iter().map(|_| (random.next() as i32 & i32::MAX) >> 5).collect();
        let shift: Vec<u8> = bias.iter().map(|_| (random.next() % 2) as u8).collect();
        let points = [random.next(), random.next()].map(|r| (r as i16).clamp(-100, 100));
        let (min, max) = (bounds.0 + 5, bounds.1 - 3);
        let mut mem = [Block([77; 16]); BLOCKS];
        macro_rules! run {
            ($t:ty, $filter:expr, $conv:ident $depthwise:ident) => {{
                let (from, to) =
                    (image::<$t>(INPUT, input, Order::Planar), image::<$t>(OUTPUT, out, Order::Padded));
                put(&mut mem, &from, 0..from.height, &x.iter().map(|&x| x as $t).collect::<Vec<_>>());
                let [input_zero_point, output_zero_point] = points.map(|z| z as $t);
                let (min, max) = (min as $t, max as $t);
                if depthwise {
                    $depthwise(
                        &mut mem,
                        &DepthwiseConv2d {
                            input: from,
                            output: to,
                            window,
                            depth_multiplier: 2,
                            input_zero_point,
                            output_zero_point,
                            min,
                            max,
                        },
                        0..height,
                        &$filter,
                    );
                } else {
                    $conv(
                        &mut mem,
                        &Conv2d {
                            input: from,
                            output: to,
                            window,
                            groups,
                            input_zero_point,
                            output_zero_point,
                            min,
                            max,
                            scratch: SCRATCH,
                        },
                        0..height,
                        &$filter,
                    );
                }
                get::<$t>(&mem, &to, 0..height).iter().map(|&y| y as i64).collect::<Vec<_>>()
            }};
        }
        let (multiplier, shift) = (&multiplier[..], &shift[..]);
        let (groups_of, factor): (&[u16], &[u8]) = (&[], &[]);
        let ours = match form {
            0 => {
                run!(i8, Filter4 { weights: &w4, bias: &bias, multiplier, shift, groups: groups_of, factor },
                conv2d_i8_w4 depthwise_conv2d_i8_w4)
            }
            1 => {
                run!(i16, Filter4 { weights: &w4, bias: &bias_wide, multiplier, shift, groups: groups_of, factor },
                conv2d_i16_w4 depthwise_conv2d_i16_w4)
            }
            2 => run!(i16, Filter { weights: &w8, bias: &bias, multiplier, shift, weight_zero_point: &[] },
                conv2d_i16 depthwise_conv2d_i16),
            _ => {
                run!(i16, Filter { weights: &w8, bias: &bias_wide, multiplier, shift, weight_zero_point: &[] },
                conv2d_i16_wide depthwise_conv2d_i16_wide)
            }
        };
        let padding = points[0] as i64;
        let sums = Convolution { input, output: out, window, groups, x: &x, w: &w, padding }.sums(|_| 0);
        let expected = sums.iter().enumerate().map(|(i, sum)| {
            let c = i % out.2;
            output(sum + bias_wide[c], multiplier[c], shift[c], points[1] as i64, (min, max))
        });
        assert_eq!(ours, expected.collect::<Vec<_>>(), "{round}: {window:?}");
    }
}

#[test]
fn dense_layers_with_groups_of_any_length() {
    let mut random = Random(22);
    for round in 0..200 {
        let groups: Vec<u16> = (0..random.next() % 5).map(|_| 1 + (random.next() % 9) as u16).collect();
        let taps = if groups.is_empty() { 11 } else { groups.iter().sum::<u16>() as usize };
        let outputs = 1 + round % 4;
        let w = values(&mut random, outputs * taps, I4, round / 8);
        let packed = pack(&w, taps, &groups);
        let factor: Vec<u8> = (0..outputs * groups.len()).map(|_| random.next() as u8).collect();
        let bias: Vec<i32> = (0..outputs).map(|_| random.next() as i16 as i32 * 8).collect();
        let bias_wide: Vec<i64> = bias.iter().map(|&b| b as i64).collect();
        let multiplier = vec![1 << 22; outputs];
        let exact = |x: &[i64], c: usize| {
            let mut acc = bias[c] as i64;
            let mut at = 0;
            for (g, &len) in groups.iter().enumerate() {
                let sum: i64 = (at..at + len as usize).map(|k| x[k] * w[c * taps + k]).sum();
                acc += factor[c * groups.len() + g] as i64 * sum;
                at += len as usize;
            }
            let whole: i64 = (0..taps).map(|k| x[k] * w[c * taps + k]).sum();
            if groups.is_empty() { bias[c] as i64 + whole } else { acc }
        };
        macro_rules! run {
            ($t:ty, $bounds:expr, $bias:expr, $dense:ident) => {{
                let x = values(&mut random, taps, $bounds, round);
                let filter = Filter4 {
                    weights: &packed,
                    bias: &$bias,
                    multiplier: &multiplier,
                    shift: &[],
                    groups: &groups,
                    factor: &factor,
                };
                let input = image::<$t>(INPUT, (1, 1, taps), Order::Interleaved);
                let to = image::<$t>(OUTPUT, (1, 1, outputs), Order::Interleaved);
                let p = FullyConnected {
                    input,
                    output: to,
                    output_zero_point: -4,
                    min: <$t>::MIN,
                    max: <$t>::MAX,
                };
                assert_eq!(p.check_int4(&filter, 1 << 14), Ok(()));
                let mut mem = [Block::ZERO; BLOCKS];
                put(&mut mem, &input, 0..1, &x.iter().map(|&x| x as $t).collect::<Vec<_>>());
                $dense(&mut mem, &p, 0..1, &filter);
                let expected = (0..outputs).map(|c| output(exact(&x, c), 1 << 22, 0, -4, $bounds) as $t);
                assert_eq!(get::<$t>(&mem, &to, 0..1), expected.collect::<Vec<_>>(), "{round}: {groups:?}");
            }};
        }
        run!(i8, I8, bias, fully_connected_i8_w4);
        run!(i16, I16, bias_wide, fully_connected_i16_w4);
    }
}

#[test]
fn long_sums_at_the_extremes() {
    // 2,000 products of 2^22, and 9,000 of 2^18: beyond 32 bits, and not a whole number of blocks.
    let (n, wide, packed) = (2_000, vec![-128i8; 2_000], vec![0x88u8; 4_500]);
    for x in [i16::MIN, i16::MAX] {
        let mut mem = vec![Block::ZERO; 2_048];
        view_mut::<i16>(&mut mem)[..9_000].fill(x);
        let vector = |offset, channels| Image {
            offset,
            height: 1,
            width: 1,
            channels,
            layout: Layout { row: channels, col: channels, chan: 1 },
            ring: 1,
        };
        let output = vector(10_000, 1);
        let p = |n| FullyConnected {
            input: vector(0, n),
            output,
            output_zero_point: 0,
            min: i16::MIN,
            max: i16::MAX,
        };
        let (bias, multiplier) = (&[5i64][..], &[1 << 15][..]);
        let filter = Filter { weights: &wide, bias, multiplier, shift: &[], weight_zero_point: &[] };
        fully_connected_i16_wide(&mut mem, &p(n), 0..1, &filter);
        let exact = |n: i64, w: i64| ((x as i64 * n * w + 5 + (1 << 16)) >> 17).clamp(-32_768, 32_767) as i16;
        assert_eq!(view::<i16>(&mem)[10_000], exact(2_000, -128));
        let filter = Filter4 { weights: &packed, bias, multiplier, shift: &[], groups: &[], factor: &[] };
        fully_connected_i16_w4(&mut mem, &p(9_000), 0..1, &filter);
        assert_eq!(view::<i16>(&mem)[10_000], exact(9_000, -8));
    }
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let filter = Filter4 {
        weights: &[0; 6],
        bias: &[0i32; 2],
        multiplier: &[0; 2],
        shift: &[],
        groups: &[3, 2],
        factor: &[1; 4],
    };
    assert!(filter.fits(2, 5));
    assert!(!filter.fits(2, 6) && !filter.fits(3, 5));
    assert!(!Filter4 { factor: &[1; 3], ..filter }.fits(2, 5));
    assert!(!Filter4 { groups: &[], ..filter }.fits(2, 5));
    assert!(Filter4 { groups: &[], factor: &[], ..filter }.fits(2, 5));
    assert!(!Filter4 { groups: &[5_000, 1], ..filter }.fits(2, 5_001));
}

#[test]
fn interpolation_meets_the_entries_and_lies_between() {
    let table: Vec<i16> = (0..513).map(|i| (i * i / 8 - 16_384) as i16).collect();
    let mut mem = [Block::ZERO; 2];
    let flat = |offset| Image {
        offset,
        height: 1,
        width: 6,
        channels: 1,
        layout: Layout { row: 6, col: 1, chan: 6 },
        ring: 1,
    };
    view_mut::<i16>(&mut mem)[..6].copy_from_slice(&[-32_768, -32_704, -32_640, 0, 64, 32_767]);
    lookup_i16(&mut mem, &LookupI16 { input: flat(0), output: flat(8) }, 0..1, &table);
    let (first, last) = (table[0], table[512]);
    let half = (table[256] as i32 + (((table[257] - table[256]) as i32 * 64 + 64) >> 7)) as i16;
    let end = (table[511] as i32 + (((last - table[511]) as i32 * 127 + 64) >> 7)) as i16;
    assert_eq!(view::<i16>(&mem)[8..14], [first, first, table[1], table[256], half, end]);
}
