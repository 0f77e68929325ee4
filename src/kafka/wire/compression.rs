//! How the records of a batch are compressed: each codec as Kafka's own clients write it.

use std::io::{self, Write};

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

/// A codec of Kafka's record batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum BatchCodec {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl BatchCodec {
    /// Its number in a batch's attributes.
    pub(super) fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec of a batch with these attributes; none where it is not known.
    pub(super) fn of_attributes(attributes: i16) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd].into_iter().find(|codec| codec.id() == attributes & 7)
    }

    /// As `output.compression` and librdkafka name it.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "gzip" => Self::Gzip,
            "snappy" => Self::Snappy,
            "lz4" => Self::Lz4,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }
}

/// Magic, version 1 with independent blocks and no checksums, blocks of up to 64 KiB, and the check of these two bytes.
const LZ4_HEAD: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
/// A block's length with this bit is of one that is not compressed.
const LZ4_RAW: u32 = 0x8000_0000;
/// The largest block whose places fit into 16 bits, which the smaller of the two tables holds.
const LZ4_BLOCK: usize = u16::MAX as usize - 1;
/// What Java's snappy stream writes first: its magic, its version, and the oldest version that reads it.
const SNAPPY_HEAD: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
const SNAPPY_BLOCK: usize = 32 << 10;

/// Compresses batches one after the other, in memory that it keeps.
pub(super) struct BatchCompressor {
    codec: BatchCodec,
    /// None is the codec's own default.
    level: Option<i32>,
    /// Where the next batch is compressed to.
    spare: Vec<u8>,
    table: CompressTable,
}

impl BatchCompressor {
    pub(super) fn new(codec: BatchCodec, level: Option<i32>) -> Self {
        Self { codec, level, spare: Vec::new(), table: CompressTable::default() }
    }

    /// Compresses what follows the first `head` bytes, which are left to be written over. Returns the codec that it is written with:
    /// where compressing fails the batch goes as it is.
    pub(super) fn compress(&mut self, batch: Vec<u8>, head: usize) -> (Vec<u8>, BatchCodec) {
        if self.codec == BatchCodec::None {
            return (batch, BatchCodec::None);
        }
        let mut into = std::mem::take(&mut self.spare);
        into.clear();
        into.resize(head, 0);
        match self.write(&batch[head..], &mut into) {
            Ok(()) => {
                self.spare = batch;
                (into, self.codec)
            }
            Err(_) => (batch, BatchCodec::None),
        }
    }

    fn write(&mut self, records: &[u8], into: &mut Vec<u8>) -> io::Result<()> {
        match self.codec {
            BatchCodec::None => into.extend_from_slice(records),
            BatchCodec::Lz4 => self.write_lz4(records, into)?,
            BatchCodec::Snappy => write_snappy(records, into)?,
            BatchCodec::Gzip => {
                let level = self.level.map_or(flate2::Compression::default(), |level| flate2::Compression::new(level.clamp(0, 9) as u32));
                let mut encoder = flate2::write::GzEncoder::new(into, level);
                encoder.write_all(records)?;
                encoder.finish()?;
            }
            BatchCodec::Zstd => zstd::stream::copy_encode(records, into, self.level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL))?,
        }
        Ok(())
    }

    fn write_lz4(&mut self, records: &[u8], into: &mut Vec<u8>) -> io::Result<()> {
        into.extend_from_slice(&LZ4_HEAD);
        for block in records.chunks(LZ4_BLOCK) {
            let at = into.len();
            into.resize(at + 4 + get_maximum_output_size(block.len()), 0);
            let compressed = compress_into_with_table(block, &mut into[at + 4..], &mut self.table).map_err(io::Error::other)?;
            let (size, flag) = if compressed < block.len() { (compressed, 0) } else { (block.len(), LZ4_RAW) };
            if flag == LZ4_RAW {
                into[at + 4..at + 4 + size].copy_from_slice(block);
            }
            into[at..at + 4].copy_from_slice(&(size as u32 | flag).to_le_bytes());
            into.truncate(at + 4 + size);
        }
        into.extend_from_slice(&[0; 4]);
        Ok(())
    }
}

fn write_snappy(records: &[u8], into: &mut Vec<u8>) -> io::Result<()> {
    into.extend_from_slice(&SNAPPY_HEAD);
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(SNAPPY_BLOCK) {
        let at = into.len();
        into.resize(at + 4 + snap::raw::max_compress_len(block.len()), 0);
        let size = encoder.compress(block, &mut into[at + 4..]).map_err(io::Error::other)?;
        into[at..at + 4].copy_from_slice(&(size as u32).to_be_bytes());
        into.truncate(at + 4 + size);
    }
    Ok(())
}
