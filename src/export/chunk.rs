//! Kept pieces of a page: small ones as text, large ones deflated, so that they can be
//! joined to one gzip stream without compressing them again.

use std::sync::Arc;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};

/// A piece of text.
#[derive(Debug, Clone)]
pub struct Chunk {
    length: usize,
    bytes: Bytes,
    /// The checksum of the text, if the bytes are deflated.
    checksum: Option<Arc<Crc>>,
}

impl Chunk {
    /// Keeps the text uncompressed.
    #[must_use]
    pub fn plain(text: Vec<u8>) -> Chunk {
        Chunk { length: text.len(), bytes: text.into(), checksum: None }
    }

    /// The size of the text in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// The text, if it is kept uncompressed.
    #[must_use]
    pub fn text(&self) -> Option<&Bytes> {
        self.checksum.is_none().then_some(&self.bytes)
    }
}

/// Deflates texts one after another. Its tables are large, so it is used for many
/// texts.
pub struct Deflater(Compress);

impl Default for Deflater {
    /// Fast rather than small: label sets repeat so much that the fastest level saves
    /// nine tenths.
    fn default() -> Deflater {
        Deflater(Compress::new(Compression::fast(), false))
    }
}

impl Deflater {
    /// Deflates the text. The result ends on a byte boundary and refers to nothing
    /// before it, so pieces can be joined in any order.
    #[must_use]
    pub fn pack(&mut self, chunk: &Chunk) -> Chunk {
        let Some(text) = chunk.text() else { return chunk.clone() };
        let mut crc = Crc::new();
        crc.update(text);
        let mut out = Vec::with_capacity(text.len() / 6 + 64);
        self.push(text, &mut out);
        out.shrink_to_fit();
        Chunk { length: text.len(), bytes: out.into(), checksum: Some(crc.into()) }
    }

    fn push(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let begin = self.0.total_in();
        loop {
            let done = usize::try_from(self.0.total_in() - begin).unwrap_or(usize::MAX);
            let rest = text.get(done..).unwrap_or_default();
            if out.capacity() - out.len() < 64 {
                out.reserve(rest.len() / 6 + 1024);
            }
            // Compressing into memory cannot fail, because the flushed output has left
            // room.
            let flushed = self.0.compress_vec(rest, out, FlushCompress::Full);
            if flushed.is_err()
                || (out.len() < out.capacity() && self.0.total_in() - begin >= text.len() as u64)
            {
                return;
            }
        }
    }
}

/// Joins the pieces to one gzip stream (RFC 1952).
#[must_use]
pub fn gzip(chunks: &[Chunk]) -> Bytes {
    // Deflate, no flags, no time, unknown system.
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    /// An empty last block.
    const END: [u8; 2] = [3, 0];
    let packed: usize = chunks.iter().filter(|chunk| chunk.checksum.is_some()).map(|c| c.bytes.len()).sum();
    let mut out = Vec::with_capacity(packed + 4096);
    out.extend_from_slice(&HEADER);
    let (mut deflater, mut whole) = (Deflater::default(), Crc::new());
    for chunk in chunks {
        if let Some(crc) = &chunk.checksum {
            out.extend_from_slice(&chunk.bytes);
            whole.combine(crc);
        } else {
            deflater.push(&chunk.bytes, &mut out);
            whole.update(&chunk.bytes);
        }
    }
    out.extend_from_slice(&END);
    out.extend_from_slice(&whole.sum().to_le_bytes());
    // Modulo 2^32, as the format requires.
    out.extend_from_slice(&whole.amount().to_le_bytes());
    out.shrink_to_fit();
    out.into()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn joined_pieces_are_the_text(
            texts in prop::collection::vec(("[ab\\PC]{0,40}", 0_usize..3000, any::<bool>()), 0..12),
        ) {
            let mut deflater = Deflater::default();
            let (mut whole, mut chunks) = (Vec::new(), Vec::new());
            for (text, times, is_packed) in texts {
                let text = text.repeat(times).into_bytes();
                whole.extend_from_slice(&text);
                let chunk = Chunk::plain(text);
                chunks.push(if is_packed { deflater.pack(&chunk) } else { chunk });
            }
            let joined = gzip(&chunks);
            let mut read = Vec::new();
            // The stream is one member up to its last byte.
            let mut decoder = GzDecoder::new(&joined[..]);
            decoder.read_to_end(&mut read).unwrap();
            prop_assert!(read == whole);
            prop_assert!(decoder.into_inner().is_empty());
            prop_assert_eq!(chunks.iter().map(Chunk::length).sum::<usize>(), whole.len());
        }
    }
}
