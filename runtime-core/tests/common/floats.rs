//! The f32 kernels.

use super::*;

const BIAS: [f32; 8] = [0.25, -1.0, 0.0, 3.5, -0.5, 2.0, 1.0, -4.0];
const MIN: f32 = -60.0;
const MAX: f32 = 90.0;

fn filter(weights: &[f32], channels: usize) -> FilterF32<'_> {
    FilterF32 { weights, bias: &BIAS[..channels] }
}

pub fn kernels(visit: &mut impl Visit) {
    visit.case(Case::<f32, f32> {
        // Six output channels in two groups: the four that run side by side cross the groups and the end.
        output: (5, 7, 6),
        ..Case::windowed("conv2d_f32", |mem, input, output, rows| {
            let (window, min, max) = (WINDOW, MIN, MAX);
            let p = Conv2dF32 { input, output, window, groups: 2, min, max, scratch: SCRATCH };
            let weights = table(1, 6 * 6 * 2);
            assert_eq!(p.check(&filter(&weights, 6), ARENA), Ok(()));
            conv2d_f32(mem, &p, rows, &filter(&weights, 6));
        })
    });
    visit.case(Case::<f32, f32> {
        output: (5, 7, 8),
        ..Case::windowed("depthwise_conv2d_f32", |mem, input, output, rows| {
            let (window, min, max) = (WINDOW, MIN, MAX);
            let p = DepthwiseConv2dF32 { input, output, window, depth_multiplier: 2, min, max };
            let weights = table(2, 8 * 6);
            assert_eq!(p.check(&filter(&weights, 8), ARENA), Ok(()));
            depthwise_conv2d_f32(mem, &p, rows, &filter(&weights, 8));
        })
    });
    visit.case(Case::<f32, f32> {
        output: (5, 1, 6),
        dense: true,
        ..Case::pointwise("fully_connected_f32", |mem, input, output, rows| {
            let p = FullyConnectedF32 { input, output, min: MIN, max: MAX };
            let weights = table(3, 6 * 28);
            assert_eq!(p.check(&filter(&weights, 6), ARENA), Ok(()));
            fully_connected_f32(mem, &p, rows, &filter(&weights, 6));
        })
    });
    visit.case(Case::<f32, f32> {
        input: (5, 1, 9),
        output: (5, 1, 6),
        ..Case::pointwise("matmul_f32", |mem, a, output, rows| {
            let b = image::<f32>(SECOND, (9, 1, 6), Order::Planar);
            let p = MatMulF32 { a, b, output, min: MIN, max: MAX };
            assert_eq!(p.check(ARENA), Ok(()));
            matmul_f32(mem, &p, rows);
        })
    });
    visit.case(Case::<f32, f32>::windowed("max_pool_f32", |mem, input, output, rows| {
        let p = MaxPoolF32 { input, output, window: WINDOW, min: MIN, max: MAX };
        assert_eq!(p.check(ARENA), Ok(()));
        max_pool_f32(mem, &p, rows);
    }));
    visit.case(Case::<f32, f32>::windowed("average_pool_f32", |mem, input, output, rows| {
        let (window, min, max) = (WINDOW, MIN, MAX);
        let p = AveragePoolF32 { input, output, window, count_include_pad: true, min, max };
        assert_eq!(p.check(ARENA), Ok(()));
        average_pool_f32(mem, &p, rows);
    }));
    visit.case(Case::<f32, f32> {
        overlay: true,
        ..Case::pointwise("softmax_f32", |mem, input, output, rows| {
            assert_eq!(SoftmaxF32 { input, output }.check(ARENA), Ok(()));
            softmax_f32(mem, &SoftmaxF32 { input, output }, rows);
        })
    });
    macro_rules! binary {
        ($($function:ident)*) => { $(
            visit.case(Case::<f32, f32> {
                overlay: true,
                ..Case::pointwise(stringify!($function), |mem, a, output, rows| {
                    let b = image::<f32>(SECOND, (5, 7, 4), Order::RowPlanar);
                    let p = BinaryF32 { a, b, output, min: MIN, max: MAX };
                    assert_eq!(p.check(&[], ARENA), Ok(()));
                    $function(mem, &p, rows, &[]);
                })
            });
        )* };
    }
    binary!(add_f32 sub_f32 mul_f32 div_f32 prelu_f32);
}

pub fn unary(visit: &mut impl Visit) {
    macro_rules! unary {
        ($($function:ident $params:ident { $($field:ident: $value:expr),* };)*) => { $(
            visit.case(Case::<f32, f32> {
                overlay: true,
                ..Case::pointwise(stringify!($function), |mem, input, output, rows| {
                    let p = $params { input, output, $($field: $value),* };
                    assert_eq!(p.check(ARENA), Ok(()));
                    $function(mem, &p, rows);
                })
            });
        )* };
    }
    unary! {
        clamp_f32 ClampF32 { min: -1.5, max: 6.0 };
        sigmoid_f32 SigmoidF32 {};
        tanh_f32 TanhF32 {};
        hard_sigmoid_f32 HardSigmoidF32 { alpha: 0.2, beta: 0.5 };
        hard_swish_f32 HardSwishF32 {};
        leaky_relu_f32 LeakyReluF32 { alpha: 0.1 };
    }
}
