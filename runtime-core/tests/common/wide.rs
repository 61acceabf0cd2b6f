//! The kernels of int16 activations and int4 weights.

use super::*;

const BIAS: [i32; 8] = [100_000, -200_000, 3, 0, 1_000_000, -1, 7, 40_000];
const WIDE_BIAS: [i64; 8] = [100_000, -200_000, 3, 1 << 33, 1_000_000, -1, 7, -(1 << 34)];
const MULTIPLIER: [i32; 8] = [1 << 24, 1 << 25, 1 << 23, 1 << 26, 1 << 24, 1 << 25, 1 << 24, 1 << 26];
const SHIFT: [u8; 8] = [0, 1, 0, 2, 3, 0, 1, 0];

const MIN: i16 = -30_000;
const MAX: i16 = 31_000;
const ZP_X: i16 = -700;
const ZP_Y: i16 = 1_234;

fn filter<'a, A>(weights: &'a [i8], bias: &'a [A], channels: usize) -> Filter<'a, A> {
    Filter {
        weights,
        bias: &bias[..channels],
        multiplier: &MULTIPLIER[..channels],
        shift: &SHIFT[..channels],
        weight_zero_point: &[],
    }
}

fn filter4<'a, A>(weights: &'a [u8], bias: &'a [A], channels: usize) -> Filter4<'a, A> {
    Filter4 {
        weights,
        bias: &bias[..channels],
        multiplier: &MULTIPLIER[..channels],
        shift: &SHIFT[..channels],
        groups: &[],
        factor: &[],
    }
}

fn conv<T>(
    input: Image,
    output: Image,
    [input_zero_point, output_zero_point, min, max]: [T; 4],
) -> Conv2d<T> {
    let (window, groups, scratch) = (WINDOW, 2, SCRATCH);
    Conv2d { input, output, window, groups, input_zero_point, output_zero_point, min, max, scratch }
}

fn depthwise<T>(
    input: Image,
    output: Image,
    [input_zero_point, output_zero_point, min, max]: [T; 4],
) -> DepthwiseConv2d<T> {
    let (window, depth_multiplier) = (WINDOW, 2);
    DepthwiseConv2d { input, output, window, depth_multiplier, input_zero_point, output_zero_point, min, max }
}

fn dense<T>(input: Image, output: Image, [_, output_zero_point, min, max]: [T; 4]) -> FullyConnected<T> {
    FullyConnected { input, output, output_zero_point, min, max }
}

const NARROW: [i8; 4] = [-5, 7, -100, 110];
const WIDE: [i16; 4] = [ZP_X, ZP_Y, MIN, MAX];

/// Layers with constant weights: conv of 4 outputs and 12 taps, depthwise of 8 and 6, dense of 6 and 28.
pub fn layers(visit: &mut impl Visit) {
    macro_rules! layers {
        ($($t:ty, $zeros:ident, $filter:ident, $weights:ty, $bias:ident, $check:ident, $per_byte:literal:
           $conv:ident $depthwise:ident $dense:ident;)*) => { $(
            visit.case(Case::<$t, $t>::windowed(stringify!($conv), |mem, input, output, rows| {
                let (p, w) = (conv(input, output, $zeros), table::<$weights>(1, 4 * 12 / $per_byte));
                assert_eq!(p.$check(&$filter(&w, &$bias, 4), ARENA), Ok(()));
                $conv(mem, &p, rows, &$filter(&w, &$bias, 4));
            }));
            visit.case(Case::<$t, $t> {
                output: (5, 7, 8),
                ..Case::windowed(stringify!($depthwise), |mem, input, output, rows| {
                    let (p, w) = (depthwise(input, output, $zeros), table::<$weights>(2, 8 * 6 / $per_byte));
                    assert_eq!(p.$check(&$filter(&w, &$bias, 8), ARENA), Ok(()));
                    $depthwise(mem, &p, rows, &$filter(&w, &$bias, 8));
                })
            });
            visit.case(Case::<$t, $t> {
                output: (5, 1, 6),
                dense: true,
                ..Case::pointwise(stringify!($dense), |mem, input, output, rows| {
                    let (p, w) = (dense(input, output, $zeros), table::<$weights>(3, 6 * 28 / $per_byte));
                    assert_eq!(p.$check(&$filter(&w, &$bias, 6), ARENA), Ok(()));
                    $dense(mem, &p, rows, &$filter(&w, &$bias, 6));
                })
            });
        )* };
    }
    layers! {
        i8, NARROW, filter4, u8, BIAS, check_int4, 2: conv2d_i8_w4 depthwise_conv2d_i8_w4 fully_connected_i8_w4;
        i16, WIDE, filter, i8, BIAS, check, 1: conv2d_i16 depthwise_conv2d_i16 fully_connected_i16;
        i16, WIDE, filter, i8, WIDE_BIAS, check, 1:
            conv2d_i16_wide depthwise_conv2d_i16_wide fully_connected_i16_wide;
        i16, WIDE, filter4, u8, WIDE_BIAS, check_int4, 2:
            conv2d_i16_w4 depthwise_conv2d_i16_w4 fully_connected_i16_w4;
    }
}

/// int16 elements.
pub fn elements(visit: &mut impl Visit) {
    visit.case(Case::<i16, i16> {
        input: (5, 1, 9),
        output: (5, 1, 6),
        ..Case::pointwise("matmul_i16", |mem, a, output, rows| {
            let b = image::<i16>(SECOND, (9, 1, 6), Order::Planar);
            let (a_zero_point, b_zero_point, output_zero_point) = (ZP_X, 3, ZP_Y);
            let (multiplier, shift, min, max) = (1 << 16, 1, MIN, MAX);
            let p = MatMul {
                a,
                b,
                output,
                a_zero_point,
                b_zero_point,
                output_zero_point,
                multiplier,
                shift,
                min,
                max,
            };
            assert_eq!(p.check(ARENA), Ok(()));
            matmul_i16(mem, &p, rows);
        })
    });
    visit.case(Case::<i16, i16> {
        overlay: true,
        ..Case::pointwise("add_i16", |mem, a, output, rows| {
            let b = image::<i16>(SECOND, (5, 7, 4), Order::Planar);
            let (a_multiplier, b_multiplier, constant, shift) = (700_000_000, -900_000_000, 1 << 29, 30);
            let p = Add { a, b, output, a_multiplier, b_multiplier, constant, shift, min: MIN, max: MAX };
            assert_eq!(p.check(&[], ARENA), Ok(()));
            add_i16(mem, &p, rows, &[]);
        })
    });
    visit.case(Case::<i16, i16> {
        overlay: true,
        ..Case::pointwise("mul_i16", |mem, a, output, rows| {
            let b = image::<i16>(0, (5, 7, 4), Order::Interleaved);
            let (a_zero_point, b_zero_point, output_zero_point) = (ZP_X, 3, ZP_Y);
            let (multiplier, shift, min, max) = (1 << 17, 0, MIN, MAX);
            let p = Mul {
                a,
                b,
                output,
                a_zero_point,
                b_zero_point,
                output_zero_point,
                multiplier,
                shift,
                min,
                max,
            };
            let b = table(4, 5 * 7 * 4);
            assert_eq!(p.check(&b, ARENA), Ok(()));
            mul_i16(mem, &p, rows, &b);
        })
    });
    visit.case(Case::<i16, i16>::windowed("max_pool_i16", |mem, input, output, rows| {
        let p = MaxPoolI16 { input, output, window: WINDOW, min: MIN, max: MAX };
        assert_eq!(p.check(ARENA), Ok(()));
        max_pool_i16(mem, &p, rows);
    }));
    visit.case(Case::<i16, i16>::windowed("average_pool_i16", |mem, input, output, rows| {
        let (window, count_include_pad, multiplier, shift) = (WINDOW, false, 1_234_567_890, 30);
        let (input_zero_point, output_zero_point, min, max) = (ZP_X, ZP_Y, MIN, MAX);
        let p = AveragePool {
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
        assert_eq!(p.check(ARENA), Ok(()));
        average_pool_i16(mem, &p, rows);
    }));
    macro_rules! rescale {
        ($($from:ty => $to:ty, $function:ident $params:ident $overlay:literal;)*) => { $(
            visit.case(Case::<$from, $to> {
                overlay: $overlay,
                ..Case::pointwise(stringify!($function), |mem, input, output, rows| {
                    let (multiplier, constant, shift) = (700, 512, 10);
                    let p = $params { input, output, multiplier, constant, shift, min: -100, max: 110 };
                    assert_eq!(p.check(ARENA), Ok(()));
                    $function(mem, &p, rows);
                })
            });
        )* };
    }
    rescale! {
        i16 => i16, rescale_i16 RescaleI16 true;
        i8 => i16, rescale_i8_i16 RescaleI8I16 false;
        i16 => i8, rescale_i16_i8 RescaleI16I8 false;
    }
    visit.case(Case::<i16, i16> {
        overlay: true,
        ..Case::pointwise("clamp_i16", |mem, input, output, rows| {
            clamp_i16(mem, &ClampI16 { input, output, min: MIN, max: 50 }, rows);
        })
    });
    visit.case(Case::<i16, i16> {
        overlay: true,
        ..Case::pointwise("lookup_i16", |mem, input, output, rows| {
            let values = table(5, 513);
            assert_eq!(LookupI16 { input, output }.check(&values, ARENA), Ok(()));
            assert!(LookupI16 { input, output }.check(&values[1..], ARENA).is_err());
            lookup_i16(mem, &LookupI16 { input, output }, rows, &values);
        })
    });
    visit.case(Case::<u16, u16> {
        overlay: true,
        ..Case::pointwise("flip_sign_16", |mem, input, output, rows| {
            flip_sign_16(mem, &FlipSign16 { input, output }, rows);
        })
    });
    visit.case(Case::<f32, i16>::pointwise("quantize_f32_i16", |mem, input, output, rows| {
        quantize_f32_i16(mem, &QuantizeF32I16 { input, output, scale: 0.0003, zero_point: 7 }, rows);
    }));
    visit.case(Case::<i16, f32>::pointwise("dequantize_i16_f32", |mem, input, output, rows| {
        dequantize_i16_f32(mem, &DequantizeI16F32 { input, output, scale: 0.0003, zero_point: 7 }, rows);
    }));
    visit.case(Case::<i16, i16>::pointwise("copy_16", |mem, input, output, rows| {
        copy_16(mem, &Copy { input, output }, rows);
    }));
    visit.case(Case::<i16, i16>::pointwise("fill_16", |mem, _, output, rows| {
        fill_16(mem, &Fill16 { output, value: -30_000 }, rows);
    }));
    visit.case(Case::<i16, i16>::pointwise("load_16", |mem, _, output, rows| {
        let values = table(6, 5 * 7 * 4);
        assert_eq!(Load16 { output }.check(&values, ARENA), Ok(()));
        load_16(mem, &Load16 { output }, rows, &values);
    }));
}
