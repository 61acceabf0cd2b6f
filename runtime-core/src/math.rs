//! Elementary functions in f32, of nothing but `+ - * /` and bit operations: the same bits on every target.

/// `e^x`, within 1 ulp or two: `x = k ln2 + r`, `|r| <= ln2 / 2`, a polynomial in `r` (Cephes `expf`), scaled by `2^k`.
pub fn exp(x: f32) -> f32 {
    if x > 88.722_83 {
        return f32::INFINITY;
    }
    if x < -103.972_08 {
        return 0.0;
    }
    if x.is_nan() {
        return x;
    }
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let k = crate::round_half_even(x * core::f32::consts::LOG2_E);
    let r = x - k * LN2_HIGH - k * LN2_LOW;
    let mut p = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + c;
    }
    let mantissa = p * (r * r) + r + 1.0;
    // Two halves, so that neither factor leaves the normal range where the product does not.
    let k = k as i32;
    let half = k / 2;
    mantissa * power_of_two(half) * power_of_two(k - half)
}

/// `2^k` for `-126 <= k <= 127`.
fn power_of_two(k: i32) -> f32 {
    f32::from_bits(((k + 127) as u32) << 23)
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid(x: f32) -> f32 {
    if x >= 0.0 {
        1.0 / (1.0 + exp(-x))
    } else {
        let e = exp(x);
        e / (1.0 + e)
    }
}

/// Hyperbolic tangent: an odd polynomial near 0 (Cephes `tanhf`), `1 - 2 / (e^2x + 1)` elsewhere.
pub fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    if magnitude < 0.625 {
        let z = x * x;
        let mut p = -5.704_988_7e-3;
        for c in [2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
            p = p * z + c;
        }
        return p * z * x + x;
    }
    let t = if magnitude > 9.5 { 1.0 } else { 1.0 - 2.0 / (exp(2.0 * magnitude) + 1.0) };
    if x < 0.0 { -t } else { t }
}

/// Error function: its power series in `x` below 1, and `1 - erfc(x)` above, where `erfc` is small and its error is too.
pub fn erf(x: f32) -> f32 {
    let magnitude = x.abs();
    if magnitude < 1.0 {
        // 2 / sqrt(pi) * (-1)^n / (n! (2n + 1)), from n = 10 down; the first term left out is below 2^-29.
        let z = x * x;
        let mut p = 1.480_719_3e-8;
        for c in [
            -1.636_584_4e-7,
            1.646_211_4e-6,
            -1.492_565e-5,
            1.205_533_26e-4,
            -8.548_327e-4,
            5.223_978e-3,
            -2.686_617_2e-2,
            1.128_379_2e-1,
            -3.761_263_8e-1,
            core::f32::consts::FRAC_2_SQRT_PI,
        ] {
            p = p * z + c;
        }
        return p * x;
    }
    let t = 1.0 - erfc_above_one(magnitude);
    if x < 0.0 { -t } else { t }
}

/// `1 - erf(x)` for `x >= 1` to 2e-7 of its value (Numerical Recipes, `erfcc`).
fn erfc_above_one(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.5 * x);
    let mut p = 0.170_872_77;
    for c in [
        -0.822_152_2,
        1.488_515_9,
        -1.135_204,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
    ] {
        p = p * t + c;
    }
    t * exp(-x * x - 1.265_512_2 + t * p)
}

/// `clamp(alpha * x + beta, 0, 1)`.
pub fn hard_sigmoid(x: f32, alpha: f32, beta: f32) -> f32 {
    crate::requantize::clamp_float(alpha * x + beta, 0.0, 1.0)
}

/// `x * clamp(x / 6 + 0.5, 0, 1)`.
pub fn hard_swish(x: f32) -> f32 {
    x * hard_sigmoid(x, 1.0 / 6.0, 0.5)
}

/// `x`, or `alpha * x` below 0.
pub fn leaky_relu(x: f32, alpha: f32) -> f32 {
    if x < 0.0 { alpha * x } else { x }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    /// Distance from the exact value, in units of the last place of an f32 there.
    fn ulps(value: f32, exact: f64) -> f64 {
        let nearest = exact as f32;
        let above = f32::from_bits(nearest.abs().to_bits() + 1);
        (value as f64 - exact).abs() / (above as f64 - nearest.abs() as f64)
    }

    fn worst(points: impl Iterator<Item = f32>, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
        points.fold(0.0, |worst, x| ulps(f(x), exact(x as f64)).max(worst))
    }

    /// Steps of 0.0007 between bounds, which meet no power of two.
    fn grid(from: f32, to: f32) -> impl Iterator<Item = f32> {
        let steps = ((to - from) / 0.0007) as i32;
        (0..=steps).map(move |i| from + i as f32 * 0.0007)
    }

    /// Values of both signs from 2^-30 to 1, several in each octave.
    fn small() -> impl Iterator<Item = f32> {
        (0..30 * 64).map(|i| f32::from_bits((97 << 23) + i * (1 << 17))).flat_map(|x| [x, -x])
    }

    /// `erf` in f64: its power series, which converges everywhere.
    fn exact_erf(x: f64) -> f64 {
        let (mut sum, mut term) = (0.0, x);
        for n in 0..150 {
            sum += term / (2 * n + 1) as f64;
            term *= -x * x / (n + 1) as f64;
        }
        sum * core::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn exp_is_accurate_to_two_ulp() {
        assert!(worst(grid(-103.0, 88.7), exp, f64::exp) < 2.0);
        assert!(worst(small(), exp, f64::exp) < 2.0);
        assert_eq!((exp(0.0), exp(-0.0), exp(1000.0), exp(-1000.0)), (1.0, 1.0, f32::INFINITY, 0.0));
        assert_eq!((exp(f32::INFINITY), exp(f32::NEG_INFINITY)), (f32::INFINITY, 0.0));
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn tanh_is_accurate() {
        assert!(worst(grid(-12.0, 12.0), tanh, f64::tanh) < 3.0);
        assert!(worst(small(), tanh, f64::tanh) < 3.0);
        assert_eq!((tanh(0.0), tanh(f32::MAX), tanh(f32::NEG_INFINITY)), (0.0, 1.0, -1.0));
        assert!(tanh(f32::NAN).is_nan());
    }

    #[test]
    fn sigmoid_is_accurate() {
        let exact = |x: f64| 1.0 / (1.0 + f64::exp(-x));
        assert!(worst(grid(-87.0, 87.0), sigmoid, exact) < 4.0);
        assert_eq!((sigmoid(0.0), sigmoid(f32::MAX), sigmoid(f32::MIN)), (0.5, 1.0, 0.0));
        assert!(sigmoid(f32::NAN).is_nan());
    }

    #[test]
    fn erf_is_accurate() {
        // The series cancels in f64 beyond 3; there, erf is 1 to f32's precision from 3.92 on.
        assert!(worst(grid(-3.0, 3.0), erf, exact_erf) < 3.0);
        assert!(worst(small(), erf, exact_erf) < 3.0);
        assert_eq!((erf(0.0), erf(4.0), erf(f32::NEG_INFINITY)), (0.0, 1.0, -1.0));
        assert!(erf(f32::NAN).is_nan());
    }

    #[test]
    fn piecewise_functions_meet_their_corners() {
        assert_eq!([-4.0, -2.5, 0.0, 2.5, 4.0].map(|x| hard_sigmoid(x, 0.2, 0.5)), [0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!([-4.0, 0.0, 4.0].map(hard_swish), [0.0, 0.0, 4.0]);
        assert_eq!([-2.0, 0.0, 2.0].map(|x| leaky_relu(x, 0.25)), [-0.5, 0.0, 2.0]);
    }
}
