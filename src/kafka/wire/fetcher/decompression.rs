//! How the records of a batch are read that a producer has compressed: each codec in every form that Kafka's clients write.
//!
//! What is read comes from outside: memory is taken as bytes come out, or by what the compressed bytes can account for, and never for
//! more than the limit.

use std::io::{self, Read};

use lz4_flex::block::decompress_into_with_dict;

use crate::kafka::wire::compression::BatchCodec;

/// Magic of an LZ4 frame.
const LZ4_MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// A block's length with this bit is of one that is not compressed.
const LZ4_RAW: u32 = 0x8000_0000;
/// A block may refer to so many bytes before it, where blocks depend on one another.
const LZ4_WINDOW: usize = 64 << 10;
/// What a compressed byte becomes at most.
const LZ4_RATIO: usize = 255;
/// The beginning of the form that Java writes; librdkafka writes a single block without it.
const SNAPPY_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const SNAPPY_HEAD: usize = 16;
/// A copy of 64 bytes takes three.
const SNAPPY_RATIO: usize = 22;
/// Besides what a ratio accounts for.
const SMALL: usize = 1024;
/// What zstd says where the memory that it was given is too little.
const ZSTD_MORE: &str = "Destination buffer is too small";

/// Why records cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotDecompressed(pub(super) String);

impl From<io::Error> for NotDecompressed {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Decompresses batches one after the other.
pub(super) struct BatchDecompressor {
    /// Records of a batch are not more bytes.
    limit: usize,
    snappy: snap::raw::Decoder,
    /// Made when it is first needed.
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl BatchDecompressor {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, snappy: snap::raw::Decoder::new(), zstd: None }
    }

    /// Replaces what is in `into` by the records.
    pub(super) fn decompress(&mut self, codec: BatchCodec, records: &[u8], into: &mut Vec<u8>) -> Result<(), NotDecompressed> {
        into.clear();
        match codec {
            BatchCodec::None => into.extend_from_slice(records),
            BatchCodec::Gzip => self.read_gzip(records, into)?,
            BatchCodec::Snappy => self.read_snappy(records, into)?,
            BatchCodec::Lz4 => self.read_lz4(records, into)?,
            BatchCodec::Zstd => self.read_zstd(records, into)?,
        }
        Ok(())
    }

    fn too_much(&self) -> NotDecompressed {
        NotDecompressed(format!("a batch has more than {} bytes of records, which is receive.message.max.bytes", self.limit))
    }

    fn read_gzip(&self, records: &[u8], into: &mut Vec<u8>) -> Result<(), NotDecompressed> {
        flate2::bufread::MultiGzDecoder::new(records).take(self.limit as u64 + 1).read_to_end(into)?;
        if into.len() > self.limit { Err(self.too_much()) } else { Ok(()) }
    }

    fn read_snappy(&mut self, records: &[u8], into: &mut Vec<u8>) -> Result<(), NotDecompressed> {
        if !records.starts_with(&SNAPPY_MAGIC) {
            return self.read_snappy_block(records, into);
        }
        let mut rest = records.get(SNAPPY_HEAD..).ok_or_else(|| NotDecompressed("a snappy stream without its head".to_owned()))?;
        while let Some((size, blocks)) = rest.split_first_chunk::<4>() {
            let (block, after) = blocks.split_at_checked(u32::from_be_bytes(*size) as usize).ok_or_else(cut_off)?;
            self.read_snappy_block(block, into)?;
            rest = after;
        }
        if rest.is_empty() { Ok(()) } else { Err(cut_off()) }
    }

    fn read_snappy_block(&mut self, block: &[u8], into: &mut Vec<u8>) -> Result<(), NotDecompressed> {
        let of_snappy = |error: snap::Error| NotDecompressed(error.to_string());
        let (at, size) = (into.len(), snap::raw::decompress_len(block).map_err(of_snappy)?);
        if size > SMALL + block.len() * SNAPPY_RATIO {
            return Err(NotDecompressed("a snappy block is smaller than what it says to hold".to_owned()));
        }
        if at + size > self.limit {
            return Err(self.too_much());
        }
        into.resize(at + size, 0);
        let written = self.snappy.decompress(block, &mut into[at..]).map_err(of_snappy)?;
        into.truncate(at + written);
        Ok(())
    }

    /// A frame: magic, flags, largest block, optional fields, a check, and then blocks. Its checksums are not looked at, for the batch has
    /// one of its own.
    fn read_lz4(&self, records: &[u8], into: &mut Vec<u8>) -> Result<(), NotDecompressed> {
        let not = |what: &str| NotDecompressed(format!("an LZ4 frame {what}"));
        let (head, mut rest) = records.split_first_chunk::<6>().ok_or_else(|| not("without its head"))?;
        let (flags, largest) = (head[4], head[5]);
        if head[..4] != LZ4_MAGIC || flags >> 6 != 1 {
            return Err(not("of another form"));
        }
        let (has_sums, has_size, has_dictionary) = (flags & 0x10 != 0, flags & 0x08 != 0, flags & 0x01 != 0);
        let largest = match (largest >> 4) & 7 {
            code @ 4..=7 => 1_usize << (8 + 2 * code),
            _ => return Err(not("with blocks of no size")),
        };
        if has_dictionary {
            return Err(not("with a dictionary"));
        }
        // The frame's size, where it is told, and the check of the head.
        rest = rest.get(if has_size { 9 } else { 1 }..).ok_or_else(cut_off)?;
        loop {
            let (size, blocks) = rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
            let size = u32::from_le_bytes(*size);
            if size == 0 {
                return Ok(());
            }
            let (block, after) = blocks.split_at_checked((size & !LZ4_RAW) as usize).ok_or_else(cut_off)?;
            rest = if has_sums { after.get(4..).ok_or_else(cut_off)? } else { after };
            let at = into.len();
            if size & LZ4_RAW != 0 {
                into.extend_from_slice(block);
            } else {
                into.resize(at + largest.min(SMALL + block.len() * LZ4_RATIO), 0);
                let (before, here) = into.split_at_mut(at);
                let window = &before[at.saturating_sub(LZ4_WINDOW)..];
                let written = decompress_into_with_dict(block, here, window).map_err(|error| NotDecompressed(error.to_string()))?;
                into.truncate(at + written);
            }
            if into.len() > self.limit {
                return Err(self.too_much());
            }
        }
    }

    /// Most producers do not say how much there is, so what it is read into grows until it is enough.
    fn read_zstd(&mut self, records: &[u8], into: &mut Vec<u8>) -> Result<(), NotDecompressed> {
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            none => none.insert(zstd::bulk::Decompressor::new()?),
        };
        into.reserve((4 * records.len()).clamp(SMALL, self.limit.max(SMALL)));
        loop {
            match zstd.decompress_to_buffer(records, into) {
                Ok(_) if into.len() > self.limit => return Err(self.too_much()),
                Ok(_) => return Ok(()),
                Err(error) if error.to_string() != ZSTD_MORE => return Err(error.into()),
                Err(_) if into.capacity() >= self.limit => return Err(self.too_much()),
                Err(_) => {
                    into.clear();
                    into.reserve((2 * into.capacity()).min(self.limit.max(SMALL)));
                }
            }
        }
    }
}

fn cut_off() -> NotDecompressed {
    NotDecompressed("compressed records are cut off".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::wire::compression::BatchCompressor;

    const ALL: [BatchCodec; 5] = [BatchCodec::None, BatchCodec::Gzip, BatchCodec::Snappy, BatchCodec::Lz4, BatchCodec::Zstd];

    fn compressed(codec: BatchCodec, records: &[u8]) -> Vec<u8> {
        BatchCompressor::new(codec, None).compress(records.to_vec(), 0).0
    }

    fn decompressed(limit: usize, codec: BatchCodec, records: &[u8]) -> Result<Vec<u8>, NotDecompressed> {
        let mut into = vec![9; 100];
        BatchDecompressor::new(limit).decompress(codec, records, &mut into).map(|()| into)
    }

    #[test]
    fn what_was_compressed_comes_back_up_to_the_limit() {
        let text = br#"{"asset":"EX-1","speed":12.5}"#.repeat(9000);
        let noise: Vec<u8> = (0..300_000_u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        for codec in ALL {
            for records in [&text[..], &noise, b"short", b""] {
                assert!(decompressed(1 << 20, codec, &compressed(codec, records)).unwrap() == records, "{codec:?}");
            }
            if codec != BatchCodec::None {
                let refused = decompressed(10_000, codec, &compressed(codec, &text)).unwrap_err();
                assert!(refused.0.contains("more than 10000 bytes"), "{codec:?}: {refused}");
            }
        }
    }

    #[test]
    fn snappy_is_read_without_a_frame_too() {
        let records = b"abcabcabcabc".repeat(100);
        let block = snap::raw::Encoder::new().compress_vec(&records).unwrap();
        assert_eq!(decompressed(1 << 20, BatchCodec::Snappy, &block).unwrap(), records);
    }

    /// Blocks that refer to the one before, as some clients write them, with checksums and the size.
    #[test]
    fn lz4_is_read_in_all_its_forms() {
        let records: Vec<u8> = b"abcdefghijklmnop".repeat(20);
        let (first, second) = records.split_at(160);
        let mut frame = vec![0x04, 0x22, 0x4d, 0x18, 0x5c, 0x40];
        frame.extend_from_slice(&(records.len() as u64).to_le_bytes());
        frame.push(0);
        let blocks = [lz4_flex::block::compress(first), lz4_flex::block::compress_with_dict(second, first)];
        for block in blocks {
            frame.extend_from_slice(&(block.len() as u32).to_le_bytes());
            frame.extend_from_slice(&block);
            frame.extend_from_slice(b"sum.");
        }
        frame.extend_from_slice(&[0; 8]);
        assert_eq!(decompressed(1 << 20, BatchCodec::Lz4, &frame).unwrap(), records);
    }

    #[test]
    fn what_is_no_compressed_text_is_refused_and_never_more_than_it_can_be() {
        for codec in ALL.into_iter().skip(1) {
            let good = compressed(codec, &b"abcdefgh".repeat(1000));
            for end in 0..good.len() {
                // A snappy stream may end after any block, and nothing is no frame of zstd: that records are missing is the batch's to say.
                let is_whole = [(BatchCodec::Snappy, SNAPPY_HEAD), (BatchCodec::Zstd, 0)].contains(&(codec, end));
                assert!(is_whole || decompressed(1 << 20, codec, &good[..end]).is_err(), "{codec:?} {end}");
            }
            for at in 0..good.len() {
                let mut damaged = good.clone();
                damaged[at] ^= 0xff;
                if let Ok(found) = decompressed(1 << 16, codec, &damaged) {
                    assert!(found.len() <= 1 << 16, "{codec:?} {at}");
                }
            }
        }
        // A block that says to hold four gigabytes.
        assert!(decompressed(1 << 20, BatchCodec::Snappy, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0]).is_err());
    }
}
