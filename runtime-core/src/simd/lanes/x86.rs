//! x86-64: SSE2, which every such processor has, and AVX2.

#![allow(unsafe_code)]

use super::{Bounds, Lanes};
use core::arch::x86_64::*;

/// Two vectors of four lanes.
pub struct Sse2;

/// One vector of eight lanes. Its functions are called where AVX2 was found, and nowhere else: `dispatch!` sees to it.
pub struct Avx2;

/// Plus the zero point to bytes between bounds, the lanes of the arguments one after the other.
#[inline(always)]
fn narrow_sse2([p, q, r, s]: [__m128i; 4], zero_point: i8, (min, max): Bounds) -> [i8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: SSE2 is part of x86-64; 16 bytes, any alignment.
    unsafe {
        let zero_point = _mm_set1_epi16(zero_point as i16);
        let (min, max) = (_mm_set1_epi16(min as i16), _mm_set1_epi16(max as i16));
        let clamp = |v| _mm_max_epi16(_mm_min_epi16(_mm_adds_epi16(v, zero_point), max), min);
        let values = _mm_packs_epi16(clamp(_mm_packs_epi32(p, q)), clamp(_mm_packs_epi32(r, s)));
        _mm_storeu_si128(bytes.as_mut_ptr().cast(), values);
    }
    bytes
}

/// Products with rounding, of lanes 0 and 2: their high halves are the results.
#[inline(always)]
fn high_sse2(acc: __m128i, multiplier: __m128i) -> __m128i {
    // SAFETY: SSE2 is part of x86-64. The unsigned product is below 2^63: the sum does not wrap.
    unsafe { _mm_add_epi64(_mm_mul_epu32(acc, multiplier), _mm_set1_epi64x(1 << 31)) }
}

#[inline(always)]
fn requantize_sse2(acc: __m128i, multiplier: __m128i) -> __m128i {
    // SAFETY: SSE2 is part of x86-64.
    unsafe {
        let even = _mm_srli_epi64::<32>(high_sse2(acc, multiplier));
        let odd = high_sse2(_mm_srli_epi64::<32>(acc), _mm_srli_epi64::<32>(multiplier));
        let high = _mm_or_si128(even, _mm_and_si128(odd, _mm_set1_epi64x(-1 << 32)));
        // There is no signed product: `acc` was read as `acc + 2^32` where it is negative.
        _mm_sub_epi32(high, _mm_and_si128(_mm_srai_epi32::<31>(acc), multiplier))
    }
}

impl Lanes for Sse2 {
    type Sums = [__m128i; 2];
    type Pairs = [__m128i; 2];
    type Multipliers = [__m128i; 2];
    const MANY: bool = false;

    #[inline(always)]
    fn sums(values: &[i32; 8]) -> [__m128i; 2] {
        let at = values.as_ptr().cast::<__m128i>();
        // SAFETY: 32 bytes, any alignment.
        unsafe { [_mm_loadu_si128(at), _mm_loadu_si128(at.add(1))] }
    }

    #[inline(always)]
    fn multipliers(values: &[i32; 8]) -> [__m128i; 2] {
        Sse2::sums(values)
    }

    #[inline(always)]
    fn widen(bytes: &[i8; 16]) -> [__m128i; 2] {
        // SAFETY: 16 bytes, any alignment.
        unsafe {
            let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
            [
                _mm_srai_epi16::<8>(_mm_unpacklo_epi8(bytes, bytes)),
                _mm_srai_epi16::<8>(_mm_unpackhi_epi8(bytes, bytes)),
            ]
        }
    }

    #[inline(always)]
    fn same(pair: &[i16; 2]) -> [__m128i; 2] {
        // SAFETY: 4 bytes, read at any alignment.
        unsafe { [_mm_set1_epi32(pair.as_ptr().cast::<i32>().read_unaligned()); 2] }
    }

    #[inline(always)]
    fn mac([s, t]: [__m128i; 2], [a, c]: [__m128i; 2], [b, d]: [__m128i; 2]) -> [__m128i; 2] {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { [_mm_add_epi32(s, _mm_madd_epi16(a, b)), _mm_add_epi32(t, _mm_madd_epi16(c, d))] }
    }

    #[inline(always)]
    fn requantize([s, t]: [__m128i; 2], [m, n]: [__m128i; 2]) -> [__m128i; 2] {
        [requantize_sse2(s, m), requantize_sse2(t, n)]
    }

    #[inline(always)]
    fn bytes([p, q]: [__m128i; 2], [r, s]: [__m128i; 2], zero_point: i8, bounds: Bounds) -> [i8; 16] {
        narrow_sse2([p, q, r, s], zero_point, bounds)
    }

    #[inline(always)]
    fn zip(a: &[i16; 16], b: &[i16; 16]) -> [[__m128i; 2]; 2] {
        let (a, b) = (a.as_ptr().cast::<__m128i>(), b.as_ptr().cast::<__m128i>());
        // SAFETY: 32 bytes each, any alignment.
        unsafe {
            let (a, c) = (_mm_loadu_si128(a), _mm_loadu_si128(a.add(1)));
            let (b, d) = (_mm_loadu_si128(b), _mm_loadu_si128(b.add(1)));
            [
                [_mm_unpacklo_epi16(a, b), _mm_unpacklo_epi16(c, d)],
                [_mm_unpackhi_epi16(a, b), _mm_unpackhi_epi16(c, d)],
            ]
        }
    }

    #[inline(always)]
    fn join([[p, r], [q, s]]: [[__m128i; 2]; 2], zero_point: i8, bounds: Bounds) -> [i8; 16] {
        narrow_sse2([p, q, r, s], zero_point, bounds)
    }
}

/// Plus the zero point to bytes between bounds: in each half of the result first those of `a`, then those of `b`, twice.
#[inline(always)]
fn narrow_avx2(a: __m256i, b: __m256i, zero_point: i8, (min, max): Bounds) -> __m256i {
    // SAFETY: AVX2 was found.
    unsafe {
        let halves = _mm256_adds_epi16(_mm256_packs_epi32(a, b), _mm256_set1_epi16(zero_point as i16));
        let bytes = _mm256_packs_epi16(halves, halves);
        _mm256_max_epi8(_mm256_min_epi8(bytes, _mm256_set1_epi8(max)), _mm256_set1_epi8(min))
    }
}

/// The low half.
#[inline(always)]
fn low_avx2(values: __m256i) -> [i8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: AVX2 was found; 16 bytes, any alignment.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), _mm256_castsi256_si128(values)) };
    bytes
}

impl Lanes for Avx2 {
    type Sums = __m256i;
    type Pairs = __m256i;
    /// Those of lanes 0, 2, 4 and 6, and those of their neighbours in their place.
    type Multipliers = [__m256i; 2];
    const MANY: bool = true;

    #[inline(always)]
    fn sums(values: &[i32; 8]) -> __m256i {
        // SAFETY: 32 bytes, any alignment.
        unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
    }

    #[inline(always)]
    fn multipliers(values: &[i32; 8]) -> [__m256i; 2] {
        let even = Self::sums(values);
        // SAFETY: AVX2 was found.
        [even, unsafe { _mm256_srli_epi64::<32>(even) }]
    }

    #[inline(always)]
    fn widen(bytes: &[i8; 16]) -> __m256i {
        // SAFETY: 16 bytes, any alignment.
        unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(bytes.as_ptr().cast())) }
    }

    #[inline(always)]
    fn same(pair: &[i16; 2]) -> __m256i {
        // SAFETY: AVX2 was found; 4 bytes, read at any alignment.
        unsafe { _mm256_set1_epi32(pair.as_ptr().cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    fn mac(acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: AVX2 was found.
        unsafe { _mm256_add_epi32(acc, _mm256_madd_epi16(a, b)) }
    }

    #[inline(always)]
    fn requantize(acc: __m256i, [even, odd]: [__m256i; 2]) -> __m256i {
        // SAFETY: AVX2 was found.
        unsafe {
            let half = _mm256_set1_epi64x(1 << 31);
            // The high halves are the results.
            let even = _mm256_add_epi64(_mm256_mul_epi32(acc, even), half);
            let odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64::<32>(acc), odd), half);
            _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd)
        }
    }

    #[inline(always)]
    fn bytes(a: __m256i, b: __m256i, zero_point: i8, bounds: Bounds) -> [i8; 16] {
        let bytes = narrow_avx2(a, b, zero_point, bounds);
        // SAFETY: AVX2 was found.
        low_avx2(unsafe { _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5)) })
    }

    #[inline(always)]
    fn zip(a: &[i16; 16], b: &[i16; 16]) -> [__m256i; 2] {
        // SAFETY: 32 bytes each, any alignment.
        unsafe {
            let (a, b) = (_mm256_loadu_si256(a.as_ptr().cast()), _mm256_loadu_si256(b.as_ptr().cast()));
            [_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)]
        }
    }

    #[inline(always)]
    fn join([a, b]: [__m256i; 2], zero_point: i8, bounds: Bounds) -> [i8; 16] {
        let bytes = narrow_avx2(a, b, zero_point, bounds);
        // SAFETY: AVX2 was found.
        low_avx2(unsafe { _mm256_permute4x64_epi64::<0b1000>(bytes) })
    }
}
