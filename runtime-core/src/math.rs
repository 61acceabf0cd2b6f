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
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_1e-1] {
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
        for c in [2.063_908_9e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
            p = p * z + c;
        }
        return p * z * x + x;
    }
    let t = if magnitude > 9.5 { 1.0 } else { 1.0 - 2.0 / (exp(2.0 * magnitude) + 1.0) };
    if x < 0.0 { -t } else { t }
}

/// Error function (Abramowitz and Stegun 7.1.26 is too coarse; this is the series below 1, the continued form above):
/// within 3e-7.
pub fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.5 * a);
    // Numerical Recipes, erfcc: fractional error below 1.2e-7.
    let mut p = 0.170_872_77;
    for c in [
        -0.822_152_23,
        1.488_515_9,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
    ] {
        p = p * t + c;
    }
    let tail = t * exp(-a * a - 1.265_512_2 + t * p);
    if x < 0.0 { tail - 1.0 } else { 1.0 - tail }
}

/// `clamp(alpha * x + beta, 0, 1)`.
pub fn hard_sigmoid(x: f32, alpha: f32, beta: f32) -> f32 {
    (alpha * x + beta).max(0.0).min(1.0)
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

    fn grid() -> impl Iterator<Item = f32> {
        (-30_000..=30_000).map(|i| i as f32 * 0.003)
    }

    #[test]
    fn exp_is_accurate_to_two_ulp() {
        for x in grid().filter(|x| x.abs() < 87.0) {
            let exact = f64::exp(x as f64);
            assert!((exp(x) as f64 - exact).abs() <= exact * 2.4e-7, "{x}");
        }
        assert_eq!((exp(0.0), exp(1000.0), exp(-1000.0)), (1.0, f32::INFINITY, 0.0));
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn tanh_sigmoid_and_erf_are_accurate() {
        for x in grid() {
            let d = x as f64;
            assert!((tanh(x) as f64 - d.tanh()).abs() <= 2.4e-7 * d.tanh().abs(), "tanh {x}");
            let exact = 1.0 / (1.0 + f64::exp(-d));
            assert!((sigmoid(x) as f64 - exact).abs() <= 3.6e-7 * exact + 1e-37, "sigmoid {x}");
        }
        for (x, exact) in [(0.0f32, 0.0f32), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (-2.0, -0.995_322_3)] {
            assert!((erf(x) - exact).abs() < 3e-7, "erf {x}");
        }
    }
}
