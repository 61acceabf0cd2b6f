//! Real multipliers as integers, and the proof that accumulators fit. Definitions: `compiler/docs/numerics.md`.

use crate::diag::Diagnostic;
use crate::tensor::ElemType;

/// A real multiplier `multiplier * 2^(shift - 32)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedPoint {
    /// `M`, 0 to 2^31 - 1.
    pub multiplier: i32,
    /// `s`, the left shift of the accumulator.
    pub shift: u8,
}

impl FixedPoint {
    /// `M = round(real * 2^(32 - s))` with the smallest `s` for which `M` fits 31 bits.
    ///
    /// # Errors
    /// `E0305` when the multiplier is negative, not finite, or so large that no shift up to 31 will do.
    pub fn new(real: f64) -> Result<FixedPoint, Diagnostic> {
        if real.is_finite() && real >= 0.0 {
            for shift in 0..32u8 {
                let m = (real * 2f64.powi(32 - shift as i32)).round();
                if m < 2f64.powi(31) {
                    return Ok(FixedPoint { multiplier: m as i32, shift });
                }
            }
        }
        Err(Diagnostic::new("E0305", format!("a scale ratio of {real:e} cannot be requantized"))
            .help("check the scales of the inputs, weights and output: their ratio must lie below 2^31"))
    }

    /// `M` with 31 significant bits and a right shift: `real = multiplier * 2^-shift`, for the dividing kernels.
    ///
    /// # Errors
    /// `E0305` when the multiplier is not positive, or its shift would not lie in 0..=31.
    pub fn normalized(real: f64) -> Result<FixedPoint, Diagnostic> {
        for shift in (0..=40u8).rev() {
            let m = (real * 2f64.powi(shift as i32)).round();
            if m >= 1.0 && m < 2f64.powi(31) {
                return Ok(FixedPoint { multiplier: m as i32, shift });
            }
        }
        Err(Diagnostic::new("E0305", format!("a scale ratio of {real:e} cannot be requantized"))
            .help("check the scales of input and output: their ratio must be positive and below 2^31"))
    }
}

/// `clamp((a * ma + b * mb + constant) >> shift)`: the written form of Add, Sub and of rescaling (with `b` absent).
///
/// `ratios` are `scale_x / scale_y` with their sign, `zero_points` those of the inputs. `elem` is the widest type among
/// inputs and output. For int8, the largest shift up to 30 is taken for which `128 * (|ma| + |mb|) + |constant| < 2^31`; for
/// int16, where sums have 64 bits, the largest for which `|ma|` and `|mb|` are below 2^31.
///
/// # Errors
/// `E0305` when not even shift 0 will do.
pub fn two_multiplier(
    ratios: [f64; 2],
    zero_points: [i32; 2],
    output_zero_point: i32,
    elem: ElemType,
) -> Result<([i32; 2], i64, u8), Diagnostic> {
    for shift in (0..=30u8).rev() {
        let one = 2f64.powi(shift as i32);
        let m = ratios.map(|r| (r * one).round());
        let half = if shift == 0 { 0.0 } else { one / 2.0 };
        let constant = output_zero_point as f64 * one + half
            - m[0] * zero_points[0] as f64
            - m[1] * zero_points[1] as f64;
        let fits = match elem {
            ElemType::I8 => 128.0 * (m[0].abs() + m[1].abs()) + constant.abs() < 2f64.powi(31),
            _ => m[0].abs().max(m[1].abs()) < 2f64.powi(31),
        };
        if fits {
            return Ok((m.map(|m| m as i32), constant as i64, shift));
        }
    }
    Err(Diagnostic::new("E0305", format!("scale ratios {ratios:?} cannot be requantized"))
        .help("check the scales of the inputs and the output"))
}

/// Proves that an accumulator fits `bits` bits, 32 or 64, for every input, also after its requantization shift.
///
/// # Errors
/// `E0306` with the channel and the bounds.
pub fn check_accumulator(
    channel: usize,
    (low, high): (i64, i64),
    shift: u8,
    bits: u32,
) -> Result<(), Diagnostic> {
    let limit = 1i64 << (bits - 1 - (shift as u32).min(31)).min(62);
    if low >= -limit && high < limit {
        return Ok(());
    }
    let message = format!("the int{bits} accumulator of output channel {channel} could overflow");
    Err(Diagnostic::new("E0306", message)
        .fact("range", format!("{low} to {high}"))
        .fact("limit", format!("{} to {}", -limit, limit - 1))
        .help("use smaller weights or biases in that channel, split the layer, or keep it in float"))
}
