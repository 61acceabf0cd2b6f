//! int8 depthwise convolution, any kernel, stride, dilation and padding: sixteen channels of some pixels at a time.
//!
//! ```text
//! input rows (bytes)  --widen, once a row-->  ring of rows  --vectors-->  output
//!
//! for each block of 16 channels:
//!     for each 4 pixels, then for each pixel:
//!         2 x 8 sums a pixel = biases
//!         for each pair of taps (t, u):
//!             w = 2 x 16 bytes of weights, widened to 8 pairs
//!             for each pixel:
//!                 a = 16 values from tap t on, b = 16 values from tap u on
//!                 sums += (a0 b0) (a1 b1) ..  .  w                punpcklwd, punpckhwd, pmaddwd, paddd
//!         requantize, clamp, store 16 bytes
//! ```
//!
//! With AVX2, four pixels are 8 registers of sums, 2 of weights, 2 of values and 2 of pairs. Where several pixels fill a vector
//! (8 channels or less, stride 1), they are computed as one whose channels are repeated.

use super::DepthwiseFilterSimd;
use super::gemm::store;
use super::lanes::{Bounds, Lanes, Target, dispatch};
use super::ring::{Ring, Rows, Source, split};
use crate::dsp::outside::{self, Outside};
use crate::{Block, Image, Window, view_mut};
use core::ops::Range;

/// Parameters of [`depthwise_conv2d_i8_simd`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthwiseConv2dI8Simd {
    /// Input image, int8.
    pub input: Image,
    /// Output image, int8.
    pub output: Image,
    /// Kernel extents, strides, dilations and padding.
    pub window: Window,
    /// Output channels for each input channel.
    pub depth_multiplier: usize,
    /// Neighbouring pixels that a vector of sixteen channels holds. Several need a stride of 1, interleaved outputs, and tables of
    /// so many times the channels.
    pub fold: usize,
    /// Zero point of the input, the value of padding.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
    /// Byte offset of [`DepthwiseConv2dI8Simd::scratch_len`] bytes, a multiple of 16: the ring of rows, and where taps begin.
    pub scratch: usize,
}

impl DepthwiseConv2dI8Simd {
    const fn ring(&self) -> Ring {
        Ring::new(&self.window, (1, self.output.width), self.output.channels)
    }

    /// Pairs of taps.
    const fn pairs(&self) -> usize {
        (self.window.height * self.window.width).div_ceil(2)
    }

    /// Channels of the pixels that are computed as one.
    const fn lanes(&self) -> usize {
        self.output.channels * self.fold
    }

    /// How many pixels are one, so that they fill a vector: 1 where they cannot.
    pub const fn folds(&self) -> usize {
        let (channels, layout) = (self.output.channels, self.output.layout);
        let interleaved = layout.chan == 1 && layout.col == channels;
        let divides = channels > 0 && channels < 16 && 16usize.is_multiple_of(channels);
        if interleaved && divides && self.window.stride_w == 1 { 16 / channels } else { 1 }
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        self.ring().size() + (8 * self.pairs()).next_multiple_of(16)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &DepthwiseFilterSimd, arena: usize) -> Result<(), &'static str> {
        if self.depth_multiplier == 0 || self.input.channels * self.depth_multiplier != self.output.channels {
            return Err(
                "depthwise_conv2d_i8_simd: the output needs depth_multiplier times the input's channels",
            );
        }
        if self.fold != 1 && self.fold != self.folds() {
            return Err("depthwise_conv2d_i8_simd: pixels that cannot be computed as one");
        }
        if self.pairs() == 0 || self.output.width == 0 {
            return Err("depthwise_conv2d_i8_simd: nothing to compute");
        }
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("depthwise_conv2d_i8_simd: image outside of the arena");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("depthwise_conv2d_i8_simd: scratch outside of the arena");
        }
        if !filter.fits(self.lanes(), self.pairs()) {
            return Err("depthwise_conv2d_i8_simd: tables do not fit the output channels");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`depthwise_conv2d_i8`](crate::depthwise_conv2d_i8) with symmetric weights.
pub fn depthwise_conv2d_i8_simd(
    mem: &mut [Block],
    p: &DepthwiseConv2dI8Simd,
    rows: Range<usize>,
    filter: &DepthwiseFilterSimd,
) {
    dispatch!(layer(
        mem: &mut [Block],
        p: &DepthwiseConv2dI8Simd,
        rows: Range<usize>,
        filter: &DepthwiseFilterSimd,
    ));
}

#[inline(always)]
fn layer<T: Target>(
    mem: &mut [Block],
    p: &DepthwiseConv2dI8Simd,
    rows: Range<usize>,
    filter: &DepthwiseFilterSimd,
) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let (ring, taps) = split(scratch, p.ring().size());
    let Some(taps) = view_mut::<u32>(taps).as_chunks_mut::<2>().0.get_mut(..p.pairs()) else { return };
    let source = Source {
        input: &p.input,
        window: &p.window,
        zero_point: p.input_zero_point,
        repeat: p.depth_multiplier,
    };
    let mut ring = Rows::<i16>::new(source, p.ring(), rows.start, ring);
    for y in rows {
        ring.advance(&outside, y);
        set_taps(&ring, ring.place(y), p, taps);
        let row = Row::new(ring.values, taps);
        let weights = filter.weights.as_chunks::<16>().0.as_chunks::<2>().0.chunks_exact(taps.len().max(1));
        let blocks = filter.blocks.as_chunks::<8>().0.as_chunks::<4>().0;
        for ((weights, params), i) in weights.zip(blocks).zip(0..) {
            let block = Channels { weights, params, zero_point: p.output_zero_point, bounds: (p.min, p.max) };
            block_of_row::<T::Lanes>(p, &row, &block, &mut outside, (y, 16 * i));
        }
    }
}

/// Where each pair of taps begins in the ring.
#[inline(always)]
fn set_taps(ring: &Rows<i16>, place: usize, p: &DepthwiseConv2dI8Simd, taps: &mut [[u32; 2]]) {
    let (mut ky, mut kx) = (0, 0);
    let mut next = |last: u32| {
        if ky >= p.window.height {
            return last;
        }
        let tap = ring.begin(place, ky) + kx * p.window.dilation_w * p.output.channels;
        (ky, kx) = if kx + 1 < p.window.width { (ky, kx + 1) } else { (ky + 1, 0) };
        tap as u32
    };
    for pair in taps {
        let first = next(0);
        *pair = [first, next(first)];
    }
}

/// Computes the channels from `first` on of row `y`.
#[inline(always)]
fn block_of_row<V: Lanes>(
    p: &DepthwiseConv2dI8Simd,
    row: &Row,
    block: &Channels,
    outside: &mut Outside,
    (y, first): (usize, usize),
) {
    let step = p.window.stride_w * p.output.channels * p.fold;
    let vectors = p.output.width.div_ceil(p.fold.max(1));
    let layout = p.output.layout;
    let mut put = |vector: usize, values: [i8; 16]| {
        let x = vector * p.fold;
        let count = match p.fold {
            1 => p.output.channels.saturating_sub(first),
            fold => p.output.channels * fold.min(p.output.width.saturating_sub(x)),
        };
        store(values, count.min(16), outside, p.output.at(y, x, first), layout.chan);
    };
    let mut vector = 0;
    while vector + 4 <= vectors {
        for (values, i) in row.vectors::<V, 4>(block, vector * step + first, step).into_iter().zip(0..) {
            put(vector + i, values);
        }
        vector += 4;
    }
    while vector < vectors {
        let [values] = row.vectors::<V, 1>(block, vector * step + first, step);
        put(vector, values);
        vector += 1;
    }
}

/// Sixteen channels.
struct Channels<'a> {
    weights: &'a [[[i8; 16]; 2]],
    /// Two vectors of biases, two of multipliers.
    params: &'a [[i32; 8]; 4],
    zero_point: i8,
    bounds: Bounds,
}

/// What a row of outputs reads.
struct Row<'a> {
    values: &'a [i16],
    taps: &'a [[u32; 2]],
    /// The largest of `taps`.
    last: usize,
}

impl<'a> Row<'a> {
    #[inline(always)]
    fn new(values: &'a [i16], taps: &'a [[u32; 2]]) -> Row<'a> {
        let last = taps.iter().map(|[t, u]| if t > u { *t } else { *u }).max().unwrap_or(0);
        Row { values, taps, last: last as usize }
    }

    /// `P` vectors of outputs, whose windows begin at `at`, `at + step` and so on.
    #[inline(always)]
    fn vectors<V: Lanes, const P: usize>(&self, block: &Channels, at: usize, step: usize) -> [[i8; 16]; P] {
        let [b, c, m, n] = *block.params;
        // No closures: they would not be compiled with the instructions of this function where it is called twice.
        let ([b, c], [m, n]) = (V::arrange([b, c]), V::arrange([m, n]));
        let mut sums = [[V::sums(&b), V::sums(&c)]; P];
        if at + (P - 1) * step + self.last + 16 <= self.values.len() {
            for (&[t, u], [v, w]) in self.taps.iter().zip(block.weights) {
                let weights = V::arrange_pairs([V::widen(v), V::widen(w)]);
                for ([s, r], i) in sums.iter_mut().zip(0..) {
                    let load = |tap: u32| {
                        // SAFETY: no tap is larger than `last`, and from there on there are 16 values for every pixel.
                        #[allow(unsafe_code)]
                        unsafe {
                            &*self.values.as_ptr().add(at + i * step + tap as usize).cast::<[i16; 16]>()
                        }
                    };
                    let ([low, high], [v, w]) = (V::zip(load(t), load(u)), weights);
                    (*s, *r) = (V::mac(*s, low, v), V::mac(*r, high, w));
                }
            }
        }
        let multipliers = [V::multipliers(&m), V::multipliers(&n)];
        let mut outputs = [[0; 16]; P];
        for (output, [s, r]) in outputs.iter_mut().zip(sums) {
            let [m, n] = multipliers;
            *output = V::join([V::requantize(s, m), V::requantize(r, n)], block.zero_point, block.bounds);
        }
        outputs
    }
}
