//! The kernels for cores of 32 bits without SIMD.
//!
//! One multiplication serves two pixels, whose products lie 16 bits apart. The sums of a block of taps fit those when the magnitudes of
//! its weights add up to at most 255, since inputs go from -128 to 127 and `128 * 255 < 2^15`. The longest blocks that a channel permits
//! are found here.

use super::pack::Layer;
use super::{Exchange, Forms, Tables, as_columns};
use crate::kernels::{ConstData, Kernel};
use kiln_runtime_core::{
    Conv2dI8, Conv2dI8Scalar, DepthwiseConv2dI8, DepthwiseConv2dI8Scalar, FilterScalar, FullyConnectedI8,
    FullyConnectedI8Scalar, Image, PointwiseConv2dI8Scalar, Window,
};

/// The forms of each kind of layer.
pub(super) const FORMS: Forms = Forms { conv, depthwise, dense };

fn conv(layer: &Layer, p: &Conv2dI8) -> Vec<Exchange> {
    let Conv2dI8 { output, input_zero_point, output_zero_point, min, max, .. } = *p;
    let scratch = 0;
    let (input, window) = as_columns(&p.input, &p.window).unwrap_or((p.input, p.window));
    let planar = input.layout.col == 1 || input.width == 1;
    if p.is_pointwise() && input == p.input && planar {
        let order: Vec<usize> = (0..input.channels).collect();
        let p = PointwiseConv2dI8Scalar { input, output, output_zero_point, min, max, scratch };
        return vec![(Kernel::PointwiseConv2dI8Scalar(p), Some(pack(layer, &order)))];
    }
    let order = order_of_rows(&input, &window);
    let p = Conv2dI8Scalar { input, output, window, input_zero_point, output_zero_point, min, max, scratch };
    vec![(Kernel::Conv2dI8Scalar(p), Some(pack(layer, &order)))]
}

/// Taps in the order of kernel rows, channels and kernel columns, by their index in the weights of a channel.
fn order_of_rows(input: &Image, window: &Window) -> Vec<usize> {
    let (n, width) = (input.channels, window.width);
    let row = |ky: usize| (0..n).flat_map(move |c| (0..width).map(move |kx| (ky * width + kx) * n + c));
    (0..window.height).flat_map(row).collect()
}

fn depthwise(layer: &Layer, p: &DepthwiseConv2dI8) -> Vec<Exchange> {
    let taps = p.window.height * p.window.width;
    let channels = layer.weights.chunks_exact(taps.max(1)).enumerate();
    let channels = channels.flat_map(|(c, weights)| values(layer, c, weights, block_of_rows(weights)));
    let tables = tables(layer.weights.to_vec(), channels.collect());
    let p = DepthwiseConv2dI8Scalar {
        input: p.input,
        output: p.output,
        window: p.window,
        depth_multiplier: p.depth_multiplier,
        input_zero_point: p.input_zero_point,
        output_zero_point: p.output_zero_point,
        min: p.min,
        max: p.max,
        strip: p.output.height,
        scratch: 0,
    };
    vec![(Kernel::DepthwiseConv2dI8Scalar(p), Some(tables))]
}

fn dense(layer: &Layer, p: &FullyConnectedI8) -> Vec<Exchange> {
    let features = p.input.width * p.input.channels;
    let rows = layer.weights.chunks_exact(features.max(1)).enumerate();
    let mut channels: Vec<i32> = rows.flat_map(|(c, row)| values(layer, c, row, 1)).collect();
    let mut weights = layer.weights.to_vec();
    // Four outputs at least.
    let missing = 4usize.saturating_sub(layer.bias.len());
    channels.resize(channels.len() + 4 * missing, 0);
    weights.resize(weights.len() + features * missing, 0);
    let tables = tables(weights, channels);
    let FullyConnectedI8 { input, output, output_zero_point, min, max, .. } = *p;
    let p = FullyConnectedI8Scalar { input, output, output_zero_point, min, max, scratch: 0 };
    vec![(Kernel::FullyConnectedI8Scalar(p), Some(tables))]
}

/// Weights of each channel in an order, filled up to an even number with a zero.
fn pack(layer: &Layer, order: &[usize]) -> Tables {
    let (mut weights, mut channels) = (vec![], vec![]);
    for (c, row) in layer.weights.chunks_exact(order.len().max(1)).enumerate() {
        let mut packed: Vec<i8> = order.iter().map(|&tap| row[tap]).collect();
        packed.resize(order.len().next_multiple_of(2), 0);
        channels.extend(values(layer, c, &packed, longest_block(&packed)));
        weights.extend(packed);
    }
    tables(weights, channels)
}

fn tables(weights: Vec<i8>, channels: Vec<i32>) -> Tables {
    [("weights", ConstData::I8(weights)), ("channels", ConstData::I32(channels))]
}

/// The values of a channel, with the bounds of its sums.
fn values(layer: &Layer, c: usize, weights: &[i8], block: i32) -> [i32; 4] {
    let (bias, multiplier) = (layer.bias[c], layer.multiplier[c]);
    let bound = |extreme: fn(i64, i64) -> i64| {
        let products = weights.iter().map(|&w| extreme(i64::from(w) * -128, i64::from(w) * 127));
        i64::from(bias) + products.sum::<i64>()
    };
    FilterScalar::channel((bias, block, multiplier), (bound(i64::min), bound(i64::max)))
}

/// Whether the sums of a block of taps fit 16 bits.
fn fits(block: &[i8]) -> bool {
    block.iter().map(|w| u32::from(w.unsigned_abs())).sum::<u32>() <= 255
}

/// The longest blocks of taps, one before the other from the last one on.
fn longest_block(weights: &[i8]) -> i32 {
    [4, 2].into_iter().find(|&n| weights.rchunks(n as usize).all(fits)).unwrap_or(1)
}

/// The longest blocks at the beginning of each row of a kernel of 3 by 3.
fn block_of_rows(weights: &[i8]) -> i32 {
    let rows = weights.as_chunks::<3>().0;
    [3, 2].into_iter().find(|&n| rows.iter().all(|row| fits(&row[..n as usize]))).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_a_block_fit_16_bits() {
        assert_eq!(longest_block(&[127, 127, 64, -64, 64, 63]), 4);
        assert_eq!(longest_block(&[64, -64, 64, 64]), 2);
        assert_eq!(longest_block(&[0, 0, 127, -128]), 4);
        assert_eq!(longest_block(&[0, 0, -128, -128]), 1);
        assert_eq!(block_of_rows(&[127, 127, 1, 85, 85, 85, -128, -127, 0]), 3);
        assert_eq!(block_of_rows(&[127, 127, 2, 0, 0, 0, 0, 0, 0]), 2);
        assert_eq!(block_of_rows(&[1, 1, 1, 128u8 as i8, -128, 0, 0, 0, 0]), 1);
    }

    #[test]
    fn taps_lie_in_the_order_of_rows_and_are_even() {
        let layer =
            Layer { weights: &[1, -2, 3, -4, 5, 6], bias: &[10, 20], multiplier: &[1 << 24, 1 << 23] };
        let tables = pack(&layer, &[0, 2, 1]);
        assert_eq!(tables[0].1, ConstData::I8(vec![1, 3, -2, 0, -4, 6, 5, 0]));
        assert_eq!(tables[1].1, ConstData::I32(vec![10, 4, 1 << 24, 1 << 12, 20, 4, 1 << 23, 1 << 11]));
    }
}
