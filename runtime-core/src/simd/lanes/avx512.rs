//! x86-64 with AVX-512 VNNI: `vpdpbusd` multiplies four bytes without a sign by four with one and adds the products to a sum.
//!
//! Values are kept 128 larger, as bytes without a sign; what that adds to a sum is in the biases already.
//!
//! The layer around is compiled for AVX2. What is here is called, a tile at a time: LLVM inlines nothing that passes slices on into
//! functions with registers of 512 bits.

#![allow(unsafe_code)]

use super::x86::Avx2;
use super::{Bounds, Lanes, Params, Products};
use crate::simd::gemm::Pixels;
use core::arch::x86_64::*;
use core::ops::Range;

/// Matrix products on AVX-512 VNNI. Its functions are called where both were found, and
/// nowhere else: `dispatch!` sees to it.
pub struct Vnni;

impl super::Value for u8 {
    #[inline(always)]
    fn of(byte: i8) -> u8 {
        byte as u8 ^ 0x80
    }
}

/// Where the pairs of taps of sixteen channels lie in two words of two blocks, one behind the other, so that those of a channel
/// come together.
const QUADS: [i16; 32] = {
    let mut order = [0; 32];
    let mut c = 0;
    while c < 16 {
        let first = c / 8 * 16 + c % 8;
        order[2 * c] = first as i16;
        order[2 * c + 1] = first as i16 + 8;
        c += 1;
    }
    order
};

/// Four taps of sixteen channels: the words `k` and `k + 1` of two blocks, or `k` and zeros where that is the `last` one.
///
/// # Safety
/// Both blocks have those words, and the machine has AVX-512 BW.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn quads([w, v]: [&[[i8; 16]]; 2], k: usize, last: bool, order: __m512i) -> __m512i {
    // SAFETY: the caller's.
    unsafe {
        let (w, v) = (w.as_ptr().add(k).cast::<__m128i>(), v.as_ptr().add(k).cast::<__m128i>());
        let (low, high) = if last {
            (_mm256_zextsi128_si256(_mm_loadu_si128(w)), _mm256_zextsi128_si256(_mm_loadu_si128(v)))
        } else {
            (_mm256_loadu_si256(w.cast()), _mm256_loadu_si256(v.cast()))
        };
        _mm512_permutexvar_epi16(order, _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high))
    }
}

/// Four values from word `k` on.
///
/// # Safety
/// They are there.
#[inline(always)]
unsafe fn four(values: &[u8], k: usize) -> i32 {
    // SAFETY: the caller's.
    unsafe { values.as_ptr().add(2 * k).cast::<i32>().read_unaligned() }
}

/// Sixteen values, the second eight behind the first.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
fn join(low: &[i32; 8], high: &[i32; 8]) -> __m512i {
    // SAFETY: AVX-512 was found; 32 bytes each, any alignment.
    unsafe {
        let (low, high) = (_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast()));
        _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
    }
}

/// [`requantize`](crate::requantize) without a shift, zero point, clamp, bytes.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
fn outputs(acc: __m512i, multipliers: __m512i, zero_point: i8, (min, max): Bounds) -> [i8; 16] {
    let mut bytes = [0; 16];
    let (min, max) = (min as i32 - zero_point as i32, max as i32 - zero_point as i32);
    // SAFETY: AVX-512 was found; 16 bytes, any alignment. Between the bounds the zero point cannot overflow.
    unsafe {
        let half = _mm512_set1_epi64(1 << 31);
        let even = _mm512_add_epi64(_mm512_mul_epi32(acc, multipliers), half);
        let high = _mm512_add_epi64(
            _mm512_mul_epi32(_mm512_srli_epi64::<32>(acc), _mm512_srli_epi64::<32>(multipliers)),
            half,
        );
        let scaled = _mm512_mask_mov_epi32(_mm512_srli_epi64::<32>(even), 0xaaaa, high);
        let least = _mm512_min_epi32(scaled, _mm512_set1_epi32(max));
        let clamped = _mm512_max_epi32(least, _mm512_set1_epi32(min));
        let values = _mm512_cvtepi32_epi8(_mm512_add_epi32(clamped, _mm512_set1_epi32(zero_point as i32)));
        _mm_storeu_si128(bytes.as_mut_ptr().cast(), values);
    }
    bytes
}

impl Products<Avx2> for Vnni {
    type Value = u8;
    const GROUP: usize = 2;
    const WIDE: bool = true;

    #[inline(always)]
    fn biases([_, _, biases]: &Params) -> __m256i {
        Avx2::sums(biases)
    }

    #[inline(always)]
    unsafe fn add<const N: usize, const P: usize>(
        sums: &mut [[__m256i; P]; N],
        weights: [&[[i8; 16]]; N],
        pixels: [&[u8]; P],
        words: Range<usize>,
    ) {
        // SAFETY: AVX-512 was found; the lengths are the caller's.
        unsafe { eights(sums, weights, pixels, words) }
    }

    /// ```text
    /// zmm of M times 16 sums for each pixel = biases
    /// for each two words:
    ///     M zmm of weights = 2 words of 2 blocks, those of a channel together      vinserti64x4, vpermw
    ///     for each pixel:
    ///         x = four values, 16 times                                            vpbroadcastd
    ///         M sums += x . weights                                                vpdpbusd
    /// ```
    ///
    /// 64 channels of four pixels are 16 registers of sums and 4 of weights: 1,024 multiply-accumulates in 16 `vpdpbusd` and 16 other
    /// instructions.
    #[inline(always)]
    fn sixteens<const M: usize, const P: usize>(
        weights: [[&[[i8; 16]]; 2]; M],
        params: &[[Params; 2]; M],
        x: Pixels<u8, P>,
        zero_point: i8,
        bounds: Bounds,
    ) -> [[[i8; 16]; P]; M] {
        // SAFETY: AVX-512 was found.
        unsafe { tile(weights, params, x, zero_point, bounds) }
    }
}

/// See [`Products::add`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn eights<const N: usize, const P: usize>(
    sums: &mut [[__m256i; P]; N],
    weights: [&[[i8; 16]]; N],
    pixels: [&[u8]; P],
    words: Range<usize>,
) {
    // SAFETY: no word is read behind the last one, and values up to a multiple of two words.
    unsafe {
        let order = _mm512_loadu_si512(QUADS.as_ptr().cast());
        for k in (0..words.len()).step_by(2) {
            for (sums, w) in sums.iter_mut().zip(weights) {
                let quads = quads([w, w], words.start + k, k + 1 == words.len(), order);
                for (sum, x) in sums.iter_mut().zip(pixels) {
                    let x = _mm256_set1_epi32(four(x, k));
                    *sum = _mm256_dpbusd_epi32(*sum, x, _mm512_castsi512_si256(quads));
                }
            }
        }
    }
}

/// See [`Products::sixteens`].
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
fn tile<const M: usize, const P: usize>(
    weights: [[&[[i8; 16]]; 2]; M],
    params: &[[Params; 2]; M],
    x: Pixels<u8, P>,
    zero_point: i8,
    bounds: Bounds,
) -> [[[i8; 16]; P]; M] {
    let mut sums = [[_mm512_setzero_si512(); P]; M];
    for (sums, [[.., low], [.., high]]) in sums.iter_mut().zip(params) {
        *sums = [join(low, high); P];
    }
    let mut from = 0;
    let known = weights.iter().flatten().all(|weights| weights.len() == x.len());
    for &run in if known { x.runs } else { &[] } {
        if let Some(pixels) = x.run(run, 2) {
            // SAFETY: the lengths were compared, of all weights and of the pixels of this run.
            unsafe { products(&mut sums, weights, pixels, from..from + x.words) };
        }
        from += x.words;
    }
    let mut bytes = [[[0; 16]; P]; M];
    for ((bytes, sums), [[_, low, _], [_, high, _]]) in bytes.iter_mut().zip(sums).zip(params) {
        let multipliers = join(low, high);
        for (bytes, sum) in bytes.iter_mut().zip(sums) {
            *bytes = outputs(sum, multipliers, zero_point, bounds);
        }
    }
    bytes
}

/// Adds the products of one run, whose weights are `words`.
///
/// # Safety
/// The machine has AVX-512; weights hold these words, pixels as many, filled up to a multiple of two.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn products<const M: usize, const P: usize>(
    sums: &mut [[__m512i; P]; M],
    weights: [[&[[i8; 16]]; 2]; M],
    pixels: [&[u8]; P],
    words: Range<usize>,
) {
    // SAFETY: the caller's.
    unsafe {
        let order = _mm512_loadu_si512(QUADS.as_ptr().cast());
        for k in (0..words.len()).step_by(2) {
            let mut vectors = [order; M];
            for (vector, weights) in vectors.iter_mut().zip(weights) {
                *vector = quads(weights, words.start + k, k + 1 == words.len(), order);
            }
            let mut values = [order; P];
            for (value, x) in values.iter_mut().zip(pixels) {
                *value = _mm512_set1_epi32(four(x, k));
            }
            for (sums, vector) in sums.iter_mut().zip(vectors) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = _mm512_dpbusd_epi32(*sum, value, vector);
                }
            }
        }
    }
}
