//! What the processor can do that the language has no words for: sixteen bytes told at once, and memory fetched ahead.
//!
//! Besides `kafka`, `unsafe` stands here alone. Nothing in here reads or writes memory of the program.

#![allow(unsafe_code)]

/// The bytes that end plain text in JSON: quotes, backslashes and control characters. A bit for each, the first byte's the lowest; of
/// those marked the first one is such a byte.
#[inline(always)]
pub(crate) fn stops(chunk: u128) -> u32 {
    lanes::stops(chunk)
}

/// The digits, a bit for each, the first byte's the lowest.
#[inline(always)]
pub(crate) fn digits(chunk: u128) -> u32 {
    lanes::digits(chunk)
}

/// Has so many lines of the cache brought in from where `memory` begins, wherever it ends, and waits for none of them.
#[inline(always)]
pub(crate) fn fetch_ahead<const LINES: usize, T>(memory: &[T]) {
    for line in 0..LINES {
        lanes::prefetch(memory.as_ptr().cast::<u8>().wrapping_add(line * CACHE_LINE));
    }
}

const CACHE_LINE: usize = 64;

#[cfg(target_arch = "x86_64")]
mod lanes {
    use std::arch::x86_64::{
        __m128i, _MM_HINT_T0, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_prefetch, _mm_set_epi64x, _mm_set1_epi8,
        _mm_sub_epi8,
    };

    const _: () = assert!(cfg!(target_feature = "sse2"));

    #[inline(always)]
    pub(super) fn stops(chunk: u128) -> u32 {
        // SAFETY: the processor has SSE2, as is asserted above. The function takes values only.
        unsafe { sse2_stops(chunk) }
    }

    #[inline(always)]
    pub(super) fn digits(chunk: u128) -> u32 {
        // SAFETY: the processor has SSE2, as is asserted above. The function takes values only.
        unsafe { sse2_digits(chunk) }
    }

    #[inline(always)]
    pub(super) fn prefetch(address: *const u8) {
        // SAFETY: the processor has SSE, which is a part of SSE2. Whatever the address is, a prefetch reads nothing that the program
        // could see, and never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn vector(chunk: u128) -> __m128i {
        _mm_set_epi64x((chunk >> 64) as i64, chunk as i64)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn at_most(bytes: __m128i, most: i8) -> __m128i {
        _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(most)), bytes)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn sse2_stops(chunk: u128) -> u32 {
        let bytes = vector(chunk);
        let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), at_most(bytes, 0x1f))) as u32
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn sse2_digits(chunk: u128) -> u32 {
        _mm_movemask_epi8(at_most(_mm_sub_epi8(vector(chunk), _mm_set1_epi8(b'0' as i8)), 9)) as u32
    }
}

/// Eight bytes in a word, where there are no instructions for more.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod words {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;

    pub(super) fn stops(chunk: u128) -> u32 {
        both(chunk, |word| {
            let quotes = zero_bytes(word ^ (ONES * 0x22));
            let backslashes = zero_bytes(word ^ (ONES * 0x5c));
            let controls = word.wrapping_sub(ONES * 0x20) & !word;
            // Borrows make false marks only above a true one.
            quotes | backslashes | controls
        })
    }

    pub(super) fn digits(chunk: u128) -> u32 {
        both(chunk, |word| {
            let values = word ^ (ONES * 0x30);
            !((values & !HIGHS).wrapping_add(ONES * 0x76) | values)
        })
    }

    fn both(chunk: u128, marks: impl Fn(u64) -> u64) -> u32 {
        // The highest bits of a word's bytes side by side.
        let bits = |word: u64| ((marks(word) & HIGHS) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        (bits(chunk as u64) | bits((chunk >> 64) as u64) << 8) as u32
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn prefetch(_: *const u8) {}

    fn zero_bytes(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }
}

#[cfg(not(target_arch = "x86_64"))]
use words as lanes;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_byte_is_told_in_each_place() {
        for byte in 0..=u8::MAX {
            for at in 0..16 {
                let mut bytes = [b'x'; 16];
                bytes[at] = byte;
                let chunk = u128::from_le_bytes(bytes);
                let (is_stop, is_digit) = (byte < 0x20 || byte == b'"' || byte == b'\\', byte.is_ascii_digit());
                let first_stop = if is_stop { at as u32 } else { 32 };
                for stops in [stops(chunk), words::stops(chunk)] {
                    assert_eq!(stops.trailing_zeros(), first_stop, "{byte} at {at}");
                }
                for digits in [digits(chunk), words::digits(chunk)] {
                    assert_eq!(digits, u32::from(is_digit) << at, "{byte} at {at}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn words_say_what_lanes_say(chunk in any::<u128>()) {
            prop_assert_eq!(stops(chunk).trailing_zeros(), words::stops(chunk).trailing_zeros());
            prop_assert_eq!(digits(chunk), words::digits(chunk));
        }
    }

    #[test]
    fn lines_behind_the_end_of_memory_can_be_asked_for() {
        fetch_ahead::<8, u64>(&[]);
        fetch_ahead::<8, u8>(&[0]);
    }
}
