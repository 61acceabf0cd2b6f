//! The int8 kernels, conversions and moves.

use super::*;

const BIAS: [i32; 8] = [100, -200, 3, 0, 1000, -1, 7, 40];
const MULTIPLIER: [i32; 8] = [1 << 24, 1 << 25, 1 << 23, 1 << 26, 1 << 24, 1 << 25, 1 << 24, 1 << 26];
const SHIFT: [u8; 8] = [0, 1, 0, 2, 3, 0, 1, 0];
const WEIGHT_ZERO_POINT: [i8; 8] = [0, 3, -7, 1, 0, -128, 127, 2];

const MIN: i8 = -100;
const MAX: i8 = 110;
const ZP_X: i8 = -5;
const ZP_Y: i8 = 7;

fn filter(weights: &[i8], channels: usize) -> Filter<'_> {
    Filter {
        weights,
        bias: &BIAS[..channels],
        multiplier: &MULTIPLIER[..channels],
        shift: &SHIFT[..channels],
        weight_zero_point: &WEIGHT_ZERO_POINT[..channels],
    }
}

pub fn kernels(visit: &mut impl Visit) {
    visit.case(Case::<i8, i8>::windowed("conv2d_i8", |mem, input, output, rows| {
        let p = Conv2dI8 {
            input,
            output,
            window: WINDOW,
            groups: 2,
            input_zero_point: ZP_X,
            output_zero_point: ZP_Y,
            min: MIN,
            max: MAX,
            scratch: SCRATCH,
        };
        let weights = table(1, 4 * 6 * 2);
        assert_eq!(p.check(&filter(&weights, 4), ARENA), Ok(()));
        conv2d_i8(mem, &p, rows, &filter(&weights, 4));
    }));
    visit.case(Case::<i8, i8> {
        output: (5, 7, 8),
        ..Case::windowed("depthwise_conv2d_i8", |mem, input, output, rows| {
            let p = DepthwiseConv2dI8 {
                input,
                output,
                window: WINDOW,
                depth_multiplier: 2,
                input_zero_point: ZP_X,
                output_zero_point: ZP_Y,
                min: MIN,
                max: MAX,
            };
            let weights = table(2, 8 * 6);
            assert_eq!(p.check(&filter(&weights, 8), ARENA), Ok(()));
            depthwise_conv2d_i8(mem, &p, rows, &filter(&weights, 8));
        })
    });
    visit.case(Case::<i8, i8> {
        output: (5, 1, 6),
        dense: true,
        ..Case::pointwise("fully_connected_i8", |mem, input, output, rows| {
            let p = FullyConnectedI8 { input, output, output_zero_point: ZP_Y, min: MIN, max: MAX };
            let weights = table(3, 6 * 28);
            assert_eq!(p.check(&filter(&weights, 6), ARENA), Ok(()));
            fully_connected_i8(mem, &p, rows, &filter(&weights, 6));
        })
    });
    visit.case(Case::<i8, i8> {
        input: (5, 1, 9),
        output: (5, 1, 6),
        ..Case::pointwise("matmul_i8", |mem, a, output, rows| {
            let p = MatMulI8 {
                a,
                b: image::<i8>(SECOND, (9, 1, 6), Order::Planar),
                output,
                a_zero_point: ZP_X,
                b_zero_point: 3,
                output_zero_point: ZP_Y,
                multiplier: 1 << 24,
                shift: 1,
                min: MIN,
                max: MAX,
            };
            assert_eq!(p.check(ARENA), Ok(()));
            matmul_i8(mem, &p, rows);
        })
    });
    visit.case(Case::<i8, i32>::windowed("conv2d_i8_i32", |mem, input, output, rows| {
        let p = Conv2dI8I32 {
            input,
            input_zero_point: image::<i8>(SECOND, (1, 1, 1), Order::Planar),
            weight_zero_point: image::<i8>(0, (1, 1, 4), Order::Planar),
            output,
            window: WINDOW,
            groups: 2,
            input_flip: 0x80,
            weight_flip: 0,
        };
        let (weights, weight_zero_point) = (table(8, 4 * 6 * 2), &WEIGHT_ZERO_POINT[..4]);
        let filter = IntegerFilter { weights: &weights, input_zero_point: &[], weight_zero_point };
        assert_eq!(p.check(&filter, ARENA), Ok(()));
        conv2d_i8_i32(mem, &p, rows, &filter);
    }));
    visit.case(Case::<i8, i32> {
        input: (5, 1, 9),
        output: (5, 1, 6),
        ..Case::pointwise("matmul_i8_i32", |mem, a, output, rows| {
            let p = MatMulI8I32 {
                a,
                b: image::<i8>(SECOND, (9, 1, 6), Order::Planar),
                a_zero_point: image::<i8>(0, (5, 1, 1), Order::Planar),
                b_zero_point: image::<i8>(SECOND + 100, (1, 1, 6), Order::Planar),
                output,
                a_flip: 0,
                b_flip: 0x80,
            };
            let points = table(9, 5);
            let filter = IntegerFilter { weights: &[], input_zero_point: &points, weight_zero_point: &[] };
            assert_eq!(p.check(&filter, ARENA), Ok(()));
            matmul_i8_i32(mem, &p, rows, &filter);
        })
    });
    visit.case(Case::<i8, i8> {
        overlay: true,
        ..Case::pointwise("add_i8", |mem, a, output, rows| {
            let p = AddI8 {
                a,
                b: image::<i8>(SECOND, (5, 7, 4), Order::Planar),
                output,
                a_multiplier: 700,
                b_multiplier: -900,
                constant: 512,
                shift: 10,
                min: MIN,
                max: MAX,
            };
            assert_eq!(p.check(&[], ARENA), Ok(()));
            add_i8(mem, &p, rows, &[]);
        })
    });
    visit.case(Case::<i8, i8> {
        overlay: true,
        ..Case::pointwise("mul_i8", |mem, a, output, rows| {
            let p = MulI8 {
                a,
                b: image::<i8>(0, (5, 7, 4), Order::Interleaved),
                output,
                a_zero_point: ZP_X,
                b_zero_point: 3,
                output_zero_point: ZP_Y,
                multiplier: 1 << 25,
                shift: 0,
                min: MIN,
                max: MAX,
            };
            let b = table(4, 5 * 7 * 4);
            assert_eq!(p.check(&b, ARENA), Ok(()));
            mul_i8(mem, &p, rows, &b);
        })
    });
    visit.case(Case::<i8, i8>::windowed("max_pool_i8", |mem, input, output, rows| {
        let p = MaxPoolI8 { input, output, window: WINDOW, min: MIN, max: MAX };
        assert_eq!(p.check(ARENA), Ok(()));
        max_pool_i8(mem, &p, rows);
    }));
    visit.case(Case::<i8, i8>::windowed("average_pool_i8", |mem, input, output, rows| {
        let p = AveragePoolI8 {
            input,
            output,
            window: WINDOW,
            count_include_pad: false,
            input_zero_point: ZP_X,
            output_zero_point: ZP_Y,
            multiplier: 1_234_567_890,
            shift: 30,
            min: MIN,
            max: MAX,
        };
        assert_eq!(p.check(ARENA), Ok(()));
        average_pool_i8(mem, &p, rows);
    }));
    visit.case(Case::<i8, i8> {
        overlay: true,
        ..Case::pointwise("rescale_i8", |mem, input, output, rows| {
            let (multiplier, constant, shift) = (700, 512, 10);
            let p = RescaleI8 { input, output, multiplier, constant, shift, min: MIN, max: MAX };
            assert_eq!(p.check(ARENA), Ok(()));
            rescale_i8(mem, &p, rows);
        })
    });
    visit.case(Case::<i8, i8> {
        overlay: true,
        ..Case::pointwise("clamp_i8", |mem, input, output, rows| {
            let p = ClampI8 { input, output, min: MIN, max: 50 };
            assert_eq!(p.check(ARENA), Ok(()));
            clamp_i8(mem, &p, rows);
        })
    });
    visit.case(Case::<i8, i8> {
        overlay: true,
        ..Case::pointwise("lookup_i8", |mem, input, output, rows| {
            let p = LookupI8 { input, output };
            let values = table(5, 256);
            assert_eq!(p.check(&values, ARENA), Ok(()));
            lookup_i8(mem, &p, rows, &values);
        })
    });
    visit.case(Case::<i8, i8>::pointwise("softmax_i8", |mem, input, output, rows| {
        let (output_zero_point, multiplier, shift) = (-128, 1 << 30, 22);
        let p = SoftmaxI8 { input, output, output_zero_point, multiplier, shift, min: -128, max: 127 };
        let exp: Vec<u32> = (0..200).map(|d| ((1 << 28) as f64 * (-0.05 * d as f64).exp()) as u32).collect();
        assert_eq!(p.check(&exp, ARENA), Ok(()));
        softmax_i8(mem, &p, rows, &exp);
    }));
    visit.case(Case::<u8, u8> {
        overlay: true,
        ..Case::pointwise("flip_sign", |mem, input, output, rows| {
            let p = FlipSign { input, output };
            assert_eq!(p.check(ARENA), Ok(()));
            flip_sign(mem, &p, rows);
        })
    });
}

/// The kernels for cores with the DSP extension; any words are weights.
pub fn dsp(visit: &mut impl Visit) {
    visit.case(Case::<i8, i8> {
        planar: true,
        ..Case::windowed("conv2d_i8_dsp", |mem, input, output, rows| {
            let p = Conv2dI8Dsp {
                input,
                output,
                window: WINDOW,
                dual: true,
                input_zero_point: ZP_X,
                output_zero_point: ZP_Y,
                min: MIN,
                max: MAX,
                scratch: SCRATCH,
            };
            let (weights, pairs) =
                (table(8, 2 * 12), [3, -70_000, 1 << 18, 1 << 27, 900, 5, 1 << 17, 1 << 28]);
            let filter = FilterDsp { weights: &weights, pairs: &pairs };
            assert_eq!(p.check(&filter, ARENA), Ok(()));
            conv2d_i8_dsp(mem, &p.layer(&filter), rows);
        })
    });
    visit.case(Case::<i8, i8> {
        dense: true,
        ..Case::windowed("interleaved_conv2d_i8_dsp", |mem, input, output, rows| {
            let p = InterleavedConv2dI8Dsp {
                input,
                output,
                window: WINDOW,
                dual: true,
                input_zero_point: ZP_X,
                output_zero_point: ZP_Y,
                min: MIN,
                max: MAX,
                scratch: SCRATCH,
            };
            let (weights, pairs) =
                (table(8, 2 * 12), [3, -70_000, 1 << 18, 1 << 27, 900, 5, 1 << 17, 1 << 28]);
            let filter = FilterDsp { weights: &weights, pairs: &pairs };
            assert_eq!(p.check(&filter, ARENA), Ok(()));
            interleaved_conv2d_i8_dsp(mem, &p.layer(&filter), rows);
        })
    });
    visit.case(Case::<i8, i8> {
        planar: true,
        ..Case::pointwise("pointwise_conv2d_i8_dsp", |mem, input, output, rows| {
            let p = PointwiseConv2dI8Dsp {
                input,
                output,
                dual: false,
                output_zero_point: ZP_Y,
                min: MIN,
                max: MAX,
                scratch: SCRATCH,
            };
            let (weights, pairs) =
                (table(9, 2 * 2), [3, -70_000, 1 << 24, 1 << 23, 900, 5, 1 << 25, 1 << 24]);
            let filter = FilterDsp { weights: &weights, pairs: &pairs };
            assert_eq!(p.check(&filter, ARENA), Ok(()));
            pointwise_conv2d_i8_dsp(mem, &p.layer(&filter), rows);
        })
    });
    visit.case(Case::<i8, i8> {
        output: (5, 7, 8),
        planar: true,
        ..Case::windowed("depthwise_conv2d_i8_dsp", |mem, input, output, rows| {
            let p = DepthwiseConv2dI8Dsp {
                input,
                output,
                window: Window { dilation_w: 1, ..WINDOW },
                depth_multiplier: 2,
                input_zero_point: ZP_X,
                output_zero_point: ZP_Y,
                min: MIN,
                max: MAX,
                strip: usize::MAX,
                scratch: SCRATCH,
            };
            let weights: Vec<u32> = table::<i8>(10, 8 * 6).iter().map(|&w| w as i16 as u16 as u32).collect();
            let channels: Vec<i32> = BIAS.into_iter().zip(MULTIPLIER).flat_map(|(b, m)| [b, m]).collect();
            let filter = DepthwiseFilterDsp { weights: &weights, channels: &channels };
            assert_eq!(p.check(&filter, ARENA), Ok(()));
            depthwise_conv2d_i8_dsp(mem, &p.layer(&filter), rows);
        })
    });
    visit.case(Case::<i8, i8> {
        output: (5, 1, 6),
        dense: true,
        ..Case::pointwise("fully_connected_i8_dsp", |mem, input, output, rows| {
            let p = FullyConnectedI8Dsp {
                input,
                output,
                dual: false,
                output_zero_point: ZP_Y,
                min: MIN,
                max: MAX,
                scratch: SCRATCH,
            };
            let weights = table(11, 2 * 32);
            let quads: Vec<i32> = [BIAS, MULTIPLIER].concat();
            let filter = DenseFilterDsp { weights: &weights, quads: &quads };
            assert_eq!(p.check(&filter, ARENA), Ok(()));
            fully_connected_i8_dsp(mem, &p.layer(&filter), rows);
        })
    });
}

pub fn moves(visit: &mut impl Visit) {
    visit.case(Case::<f32, i8>::pointwise("quantize_f32_i8", |mem, input, output, rows| {
        let p = QuantizeF32I8 { input, output, scale: 0.06, zero_point: 7 };
        assert_eq!(p.check(ARENA), Ok(()));
        quantize_f32_i8(mem, &p, rows);
    }));
    visit.case(Case::<i8, f32>::pointwise("dequantize_i8_f32", |mem, input, output, rows| {
        let p = DequantizeI8F32 { input, output, scale: 0.06, zero_point: 7 };
        assert_eq!(p.check(ARENA), Ok(()));
        dequantize_i8_f32(mem, &p, rows);
    }));
    visit.case(Case::<f32, u8>::pointwise("quantize_dynamic_f32_u8", |mem, input, output, rows| {
        // Any numbers will do for a scale and a zero point.
        let range = image::<f32>(SECOND, (1, 1, 2), Order::Planar);
        let p = QuantizeDynamicF32U8 { input, range, output };
        assert_eq!(p.check(ARENA), Ok(()));
        quantize_dynamic_f32_u8(mem, &p, rows);
    }));
    visit.case(Case::<i32, f32> {
        overlay: true,
        ..Case::pointwise("cast_i32_f32", |mem, input, output, rows| {
            assert_eq!(CastI32F32 { input, output }.check(ARENA), Ok(()));
            cast_i32_f32(mem, &CastI32F32 { input, output }, rows);
        })
    });
    visit.case(Case::<i8, i8>::pointwise("copy_8", |mem, input, output, rows| {
        assert_eq!(Copy { input, output }.check(ARENA), Ok(()));
        copy_8(mem, &Copy { input, output }, rows);
    }));
    visit.case(Case::<i32, i32>::pointwise("copy_32", |mem, input, output, rows| {
        copy_32(mem, &Copy { input, output }, rows);
    }));
    visit.case(Case::<i64, i64>::pointwise("copy_64", |mem, input, output, rows| {
        copy_64(mem, &Copy { input, output }, rows);
    }));
    visit.case(Case::<i8, i8>::pointwise("fill_8", |mem, _, output, rows| {
        let p = Fill8 { output, value: -3 };
        assert_eq!(p.check(ARENA), Ok(()));
        fill_8(mem, &p, rows);
    }));
    visit.case(Case::<f32, f32>::pointwise("fill_32", |mem, _, output, rows| {
        let p = Fill32 { output, value: 0.1 };
        assert_eq!(p.check(ARENA), Ok(()));
        fill_32(mem, &p, rows);
    }));
    visit.case(Case::<i8, i8>::pointwise("load_8", |mem, _, output, rows| {
        let values = table(6, 5 * 7 * 4);
        assert_eq!(Load8 { output }.check(&values, ARENA), Ok(()));
        load_8(mem, &Load8 { output }, rows, &values);
    }));
    visit.case(Case::<i32, i32>::pointwise("load_32", |mem, _, output, rows| {
        let values = table(7, 5 * 7 * 4);
        assert_eq!(Load32 { output }.check(&values, ARENA), Ok(()));
        load_32(mem, &Load32 { output }, rows, &values);
    }));
}
