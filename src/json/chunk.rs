//! Sixteen bytes of a text at a time, wherever it ends.

/// How many bytes are looked at together.
pub(super) const CHUNK: usize = 16;

/// The bytes from `at` on; zeros after the end of the text.
#[inline(always)]
pub(super) fn load(text: &[u8], at: usize) -> u128 {
    match text.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(chunk) => u128::from_le_bytes(*chunk),
        None => load_end(text, at),
    }
}

/// Apart, so that it costs nothing where it is not needed.
#[cold]
#[inline(never)]
fn load_end(text: &[u8], at: usize) -> u128 {
    match text.last_chunk() {
        // Fewer than 16 of them are left.
        Some(tail) if at < text.len() => u128::from_le_bytes(*tail) >> ((at + CHUNK - text.len()) * 8),
        _ => short(text.get(at..).unwrap_or_default()),
    }
}

/// Fewer than 16 bytes, then zeros.
fn short(text: &[u8]) -> u128 {
    let last_from = |width: usize| (text.len() - width) * 8;
    if let (Some(head), Some(tail)) = (text.first_chunk(), text.last_chunk()) {
        u128::from(u64::from_le_bytes(*head)) | u128::from(u64::from_le_bytes(*tail)) << last_from(8)
    } else if let (Some(head), Some(tail)) = (text.first_chunk(), text.last_chunk()) {
        u128::from(u32::from_le_bytes(*head)) | u128::from(u32::from_le_bytes(*tail)) << last_from(4)
    } else {
        text.iter().rev().fold(0, |chunk, &byte| chunk << 8 | u128::from(byte))
    }
}

/// Whether all bytes are ASCII.
#[inline]
pub(super) fn is_ascii(text: &[u8]) -> bool {
    const BLOCK: usize = 4 * CHUNK;
    match text.last_chunk::<BLOCK>() {
        // The last block may have bytes of the one before it.
        Some(last) => text.chunks_exact(BLOCK).all(<[u8]>::is_ascii) && last.is_ascii(),
        None => text.is_ascii(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_byte_that_is_not_ascii_is_found_anywhere() {
        for length in 0..200 {
            let mut text = vec![b'a'; length];
            assert!(is_ascii(&text));
            for at in 0..length {
                text[at] = 0x80;
                assert!(!is_ascii(&text), "{at} of {length}");
                text[at] = 0x7f;
            }
        }
    }

    proptest! {
        #[test]
        fn what_lies_behind_the_end_is_zero(text in prop::collection::vec(any::<u8>(), 0..40), at in 0usize..42) {
            let mut bytes = [0; CHUNK];
            text.iter().skip(at).zip(&mut bytes).for_each(|(byte, to)| *to = *byte);
            prop_assert_eq!(load(&text, at), u128::from_le_bytes(bytes));
        }
    }
}
