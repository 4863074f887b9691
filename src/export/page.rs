//! A finished page of metrics, kept while clients download it.

use std::borrow::Cow;
use std::io::Read as _;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::read::GzDecoder;

use super::chunk::{Chunk, gzip};

/// The size up to which a page is kept uncompressed, in bytes. A larger page is kept
/// compressed, at a tenth of its size, because slow clients can keep several pages in
/// memory.
pub const MAX_PLAIN: usize = 256 << 10;
/// The size up to which a page is written and compressed where it is requested, in
/// bytes: handing it to another thread and back costs more.
const MAX_BRIEF: usize = 64 << 10;

/// A page of metrics, shared by all clients that asked at the same time.
pub struct Page {
    length: usize,
    plain: Option<Bytes>,
    gzip: OnceLock<Bytes>,
}

impl Page {
    /// Creates a page from these parts, in order.
    #[must_use]
    pub fn new(parts: &[Chunk]) -> Page {
        let length = parts.iter().map(Chunk::length).sum();
        let texts: Option<Vec<&[u8]>> = parts.iter().map(|part| part.text().map(|text| &**text)).collect();
        match texts.filter(|_| length <= MAX_PLAIN) {
            Some(texts) => Page { length, plain: Some(texts.concat().into()), gzip: OnceLock::new() },
            None => Page { length, plain: None, gzip: OnceLock::from(gzip(parts)) },
        }
    }

    /// The length of the text in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no page is empty")]
    pub fn len(&self) -> usize {
        self.length
    }

    /// The text, if the page is kept uncompressed.
    #[must_use]
    pub fn plain(&self) -> Option<Bytes> {
        self.plain.clone()
    }

    /// The text, compressed for `Content-Encoding: gzip`. A page that is kept
    /// uncompressed is compressed at the first call.
    #[must_use]
    pub fn gzip(&self) -> Bytes {
        let compress = || gzip(&[Chunk::plain(self.plain.as_deref().unwrap_or_default().to_vec())]);
        self.gzip.get_or_init(compress).clone()
    }

    /// Whether the page is small enough to be kept for the next client.
    #[must_use]
    pub fn is_small(&self) -> bool {
        const MAX_KEPT: usize = 4 << 20;
        self.plain.is_some() || self.gzip.get().is_some_and(|gzip| gzip.len() <= MAX_KEPT)
    }

    /// Whether writing or compressing such a page is so short that an async thread may
    /// do it.
    #[must_use]
    pub fn is_brief(&self) -> bool {
        self.length <= MAX_BRIEF
    }

    /// Whether the compressed text already exists.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.gzip.get().is_some()
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> Cow<'_, [u8]> {
        if let Some(plain) = &self.plain {
            return Cow::Borrowed(plain);
        }
        let mut text = Vec::with_capacity(self.length);
        // Text that was compressed here can be decompressed.
        let _ = GzDecoder::new(&*self.gzip()).read_to_end(&mut text);
        Cow::Owned(text)
    }
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_the_same_however_it_is_kept() {
        for lines in [1, 1000, 20_000] {
            let line = b"fedimeter_target_up{server_address=\"a.example\"} 1\n".to_vec();
            let page = Page::new(&vec![Chunk::plain(line.clone()); lines]);
            let text = line.repeat(lines);
            assert_eq!(page.len(), text.len());
            assert_eq!(page.plain().is_some(), text.len() <= MAX_PLAIN);
            assert_eq!(page.is_compressed(), text.len() > MAX_PLAIN);
            assert!(page.text() == text, "{lines}");
            let mut decoded = Vec::new();
            GzDecoder::new(&*page.gzip()).read_to_end(&mut decoded).unwrap();
            assert!(decoded == text, "{lines}");
            assert!(page.is_compressed());
        }
    }
}
