//! The kernels of sums against their definition, written once more in the plainest way: 64-bit integers, and floats whose
//! sums are exact.

mod common;

use common::convolution::{Convolution, shape};
use common::{BLOCKS, INPUT, OUTPUT, Order, Random, SCRATCH, SECOND, get, image, put};
use kiln_runtime_core::*;

fn wide<T: Plain + Into<i64>>(values: &[T]) -> Vec<i64> {
    values.iter().map(|&v| v.into()).collect()
}

#[test]
fn int8_convolutions() {
    let mut random = Random(11);
    for round in 0..400 {
        let (input, (height, width), window) = shape(&mut random);
        // The groups are 1, 2, or all channels with a multiplier: a depthwise convolution.
        let depthwise = round % 3 == 2;
        let groups = if depthwise { input.2 } else { 1 + round % 3 };
        let output = (height, width, 2 * input.2);
        let taps = window.height * window.width * input.2 / groups;
        let (x, w) = (random.many::<i8>(input.0 * input.1 * input.2), random.many::<i8>(output.2 * taps));
        let zero_points = random.many::<i8>(output.2);
        let zero_points: &[i8] = if round % 2 == 0 { &zero_points } else { &[] };
        let bias: Vec<i32> = random.many::<i8>(output.2).iter().map(|&b| b as i32 * 100).collect();
        let multiplier: Vec<i32> = bias.iter().map(|_| (random.next() as i32 & i32::MAX) >> 6).collect();
        let shift: Vec<u8> = bias.iter().map(|_| (random.next() % 3) as u8).collect();
        let (input_zero_point, output_zero_point) = (random.next() as i8, random.next() as i8);
        let filter = Filter {
            weights: &w,
            bias: &bias,
            multiplier: &multiplier,
            shift: &shift,
            weight_zero_point: zero_points,
        };
        let (from, to) =
            (image::<i8>(INPUT, input, Order::Planar), image::<i8>(OUTPUT, output, Order::Padded));
        let mut mem = [Block([77; 16]); BLOCKS];
        put(&mut mem, &from, 0..from.height, &x);
        if depthwise {
            let p = DepthwiseConv2dI8 {
                input: from,
                output: to,
                window,
                depth_multiplier: 2,
                input_zero_point,
                output_zero_point,
                min: -120,
                max: 127,
            };
            depthwise_conv2d_i8(&mut mem, &p, 0..height, &filter);
        } else {
            let p = Conv2dI8 {
                input: from,
                output: to,
                window,
                groups,
                input_zero_point,
                output_zero_point,
                min: -120,
                max: 127,
                scratch: SCRATCH,
            };
            conv2d_i8(&mut mem, &p, 0..height, &filter);
        }
        let (x, w) = (wide(&x), wide(&w));
        let padding = input_zero_point as i64;
        let convolution = Convolution { input, output, window, groups, x: &x, w: &w, padding };
        let sums = convolution.sums(|c| zero_points.get(c).map_or(0, |&z| z as i64));
        let expected = sums.iter().enumerate().map(|(i, sum)| {
            let c = i % output.2;
            let scaled = (sum + bias[c] as i64) * (1 << shift[c]) * multiplier[c] as i64;
            (((scaled + (1 << 31)) >> 32) + output_zero_point as i64).clamp(-120, 127) as i8
        });
        assert_eq!(get::<i8>(&mem, &to, 0..height), expected.collect::<Vec<_>>(), "{round}: {window:?}");
    }
}

#[test]
fn convolutions_with_zero_points_of_run_time() {
    let mut random = Random(13);
    for round in 0..300 {
        let (input, (height, width), window) = shape(&mut random);
        let groups = [1, 2, input.2][round % 3];
        let output = (height, width, 2 * input.2);
        let taps = window.height * window.width * input.2 / groups;
        let (x, w) = (random.many::<i8>(input.0 * input.1 * input.2), random.many::<i8>(output.2 * taps));
        let points = random.many::<i8>(output.2);
        let point = random.many::<i8>(1);
        let flips = [(0, 0), (0x80, 0), (0, 0x80), (0x80, 0x80)][round % 4];
        let from = image::<i8>(INPUT, input, Order::Planar);
        let to = image::<i32>(OUTPUT, output, Order::Padded);
        let mut mem = [Block([77; 16]); BLOCKS];
        put(&mut mem, &from, 0..from.height, &x);
        let (one, many) = (image::<i8>(SECOND, (1, 1, 1), Order::Planar), (1, 1, output.2));
        put(&mut mem, &one, 0..1, &point);
        // The zero points lie in memory, or in tables, which count from their start.
        let tables = round % 2 == 0;
        let at = |byte: usize| if tables { 0 } else { byte };
        let p = Conv2dI8I32 {
            input: from,
            input_zero_point: image::<i8>(at(SECOND), (1, 1, 1), Order::Planar),
            weight_zero_point: image::<i8>(at(SECOND + 16), many, Order::Planar),
            output: to,
            window,
            groups,
            input_flip: flips.0,
            weight_flip: flips.1,
        };
        put(&mut mem, &image::<i8>(SECOND + 16, many, Order::Planar), 0..1, &points);
        let empty: &[i8] = &[];
        let (input_zero_point, weight_zero_point) =
            if tables { (&point[..], &points[..]) } else { (empty, empty) };
        let filter = IntegerFilter { weights: &w, input_zero_point, weight_zero_point };
        assert_eq!(p.check(&filter, 16 * BLOCKS), Ok(()));
        conv2d_i8_i32(&mut mem, &p, 0..height, &filter);
        let read = |v: i8, flip: u8| if flip == 0 { v as i64 } else { v as u8 as i64 };
        let zero = read(point[0], flips.0);
        let differences: Vec<i64> = x.iter().map(|v| read(*v, flips.0) - zero).collect();
        let w: Vec<i64> = w.iter().map(|v| read(*v, flips.1)).collect();
        let convolution = Convolution { input, output, window, groups, x: &differences, w: &w, padding: 0 };
        let expected: Vec<i32> =
            convolution.sums(|c| read(points[c], flips.1)).iter().map(|v| *v as i32).collect();
        assert_eq!(get::<i32>(&mem, &to, 0..height), expected, "{round}: {window:?}");
    }
}

#[test]
fn f32_convolutions() {
    let mut random = Random(12);
    for round in 0..300 {
        let (input, (height, width), window) = shape(&mut random);
        let depthwise = round % 3 == 2;
        let groups = if depthwise { input.2 } else { 1 + round % 3 };
        // Three channels a group, so that the last four are not whole.
        let output = (height, width, if depthwise { 2 * input.2 } else { 3 * groups });
        let taps = window.height * window.width * input.2 / groups;
        let (x, w) = (random.many::<i8>(input.0 * input.1 * input.2), random.many::<i8>(output.2 * taps));
        let floats = |values: &[i8]| values.iter().map(|&v| v as f32).collect::<Vec<_>>();
        let (weights, bias) = (floats(&w), floats(&random.many::<i8>(output.2)));
        let filter = FilterF32 { weights: &weights, bias: &bias };
        let (from, to) =
            (image::<f32>(INPUT, input, Order::Interleaved), image::<f32>(OUTPUT, output, Order::Planar));
        let mut mem = [Block([77; 16]); BLOCKS];
        put(&mut mem, &from, 0..from.height, &floats(&x));
        let (min, max) = (-100_000.0, 50_000.0);
        if depthwise {
            let p = DepthwiseConv2dF32 { input: from, output: to, window, depth_multiplier: 2, min, max };
            depthwise_conv2d_f32(&mut mem, &p, 0..height, &filter);
        } else {
            let p = Conv2dF32 { input: from, output: to, window, groups, min, max, scratch: SCRATCH };
            conv2d_f32(&mut mem, &p, 0..height, &filter);
        }
        let (x, w) = (wide(&x), wide(&w));
        let convolution = Convolution { input, output, window, groups, x: &x, w: &w, padding: 0 };
        let expected = convolution.sums(|_| 0).into_iter().enumerate();
        let expected = expected.map(|(i, sum)| (sum as f32 + bias[i % output.2]).clamp(min, max));
        assert_eq!(get::<f32>(&mem, &to, 0..height), expected.collect::<Vec<_>>(), "{round}: {window:?}");
    }
}

#[test]
fn products_of_matrices() {
    let mut random = Random(13);
    for _ in 0..100 {
        let [m, k, n] = [0; 3].map(|_| 1 + (random.next() % 7) as usize);
        let (a, b) = (random.many::<i8>(m * k), random.many::<i8>(k * n));
        let (a_zero_point, b_zero_point, output_zero_point) = (-7, 12, 3);
        let p = MatMulI8 {
            a: image::<i8>(INPUT, (m, 1, k), Order::Padded),
            b: image::<i8>(SECOND, (k, 1, n), Order::Interleaved),
            output: image::<i8>(OUTPUT, (m, 1, n), Order::Planar),
            a_zero_point,
            b_zero_point,
            output_zero_point,
            multiplier: 1 << 24,
            shift: 1,
            min: -128,
            max: 127,
        };
        let mut mem = [Block::ZERO; BLOCKS];
        put(&mut mem, &p.a, 0..m, &a);
        put(&mut mem, &p.b, 0..k, &b);
        matmul_i8(&mut mem, &p, 0..m);
        let sum = |i: usize, za: i64, zb: i64| -> i64 {
            (0..k).map(|l| (a[i / n * k + l] as i64 - za) * (b[l * n + i % n] as i64 - zb)).sum()
        };
        let expected = (0..m * n).map(|i| (((sum(i, -7, 12) + 64) >> 7) + 3).clamp(-128, 127) as i8);
        assert_eq!(get::<i8>(&mem, &p.output, 0..m), expected.collect::<Vec<_>>());

        let p = MatMulF32 {
            a: image::<f32>(INPUT, (m, 1, k), Order::Planar),
            b: image::<f32>(SECOND, (k, 1, n), Order::Padded),
            output: image::<f32>(OUTPUT, (m, 1, n), Order::Interleaved),
            min: -20_000.0,
            max: f32::MAX,
        };
        let floats = |values: &[i8]| values.iter().map(|&v| v as f32).collect::<Vec<_>>();
        put(&mut mem, &p.a, 0..m, &floats(&a));
        put(&mut mem, &p.b, 0..k, &floats(&b));
        matmul_f32(&mut mem, &p, 0..m);
        let expected = (0..m * n).map(|i| (sum(i, 0, 0) as f32).max(-20_000.0));
        assert_eq!(get::<f32>(&mem, &p.output, 0..m), expected.collect::<Vec<_>>());
    }
}

#[test]
fn dense_layers() {
    let mut random = Random(14);
    // 5 and 9 outputs: the four that run side by side do not come out even.
    for outputs in [1, 4, 5, 9] {
        let (x, w) = (random.many::<i8>(3 * 10), random.many::<i8>(10 * outputs));
        let bias: Vec<i32> = random.many::<i8>(outputs).iter().map(|&b| b as i32).collect();
        let zero_points = random.many::<i8>(outputs);
        let multiplier = vec![1 << 24; outputs];
        let filter = Filter {
            weights: &w,
            bias: &bias,
            multiplier: &multiplier,
            shift: &[],
            weight_zero_point: &zero_points,
        };
        let input = image::<i8>(INPUT, (3, 2, 5), Order::Interleaved);
        let output = image::<i8>(OUTPUT, (3, 1, outputs), Order::Planar);
        let p = FullyConnectedI8 { input, output, output_zero_point: -4, min: -128, max: 127 };
        let mut mem = [Block::ZERO; BLOCKS];
        put(&mut mem, &input, 0..3, &x);
        fully_connected_i8(&mut mem, &p, 0..3, &filter);
        let dot = |i: usize, z: i64| -> i64 {
            let (row, n) = (i / outputs, i % outputs);
            (0..10).map(|k| x[row * 10 + k] as i64 * (w[n * 10 + k] as i64 - z)).sum::<i64>() + bias[n] as i64
        };
        let expected = (0..3 * outputs)
            .map(|i| (((dot(i, zero_points[i % outputs] as i64) + 128) >> 8) - 4).clamp(-128, 127) as i8);
        assert_eq!(get::<i8>(&mem, &output, 0..3), expected.collect::<Vec<_>>());

        let floats = |values: &[i8]| values.iter().map(|&v| v as f32).collect::<Vec<_>>();
        let (weights, bias_f32) = (floats(&w), bias.iter().map(|&b| b as f32).collect::<Vec<_>>());
        let input = image::<f32>(INPUT, (3, 2, 5), Order::Interleaved);
        let output = image::<f32>(OUTPUT, (3, 1, outputs), Order::Planar);
        let p = FullyConnectedF32 { input, output, min: -20_000.0, max: 20_000.0 };
        put(&mut mem, &input, 0..3, &floats(&x));
        fully_connected_f32(&mut mem, &p, 0..3, &FilterF32 { weights: &weights, bias: &bias_f32 });
        let expected = (0..3 * outputs).map(|i| (dot(i, 0) as f32).clamp(-20_000.0, 20_000.0));
        assert_eq!(get::<f32>(&mem, &output, 0..3), expected.collect::<Vec<_>>());
    }
}
