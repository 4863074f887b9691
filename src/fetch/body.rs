//! Reads a body: decompressed, in pieces, and at most up to a limit.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::document::DocumentError;
use crate::outcome::ErrorType;

use super::Failure;
use super::failure;

/// Reads a whole body.
pub async fn whole(response: Response<Incoming>, most: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let keep = |piece: &[u8]| {
        body.extend_from_slice(piece);
        Ok(())
    };
    in_pieces(response, most, keep).await?;
    Ok(body)
}

/// Passes the pieces of a body to `take`. Returns the number of decoded bytes.
pub async fn in_pieces(
    response: Response<Incoming>,
    most: usize,
    take: impl FnMut(&[u8]) -> Result<(), DocumentError>,
) -> Result<u64, Failure> {
    let status = response.status();
    let mut decoder = Decoder::new(response.headers(), Sink { size: 0, most, take, refused: None });
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| failure::of_body(&e).with_status(status))?;
        if let Some(piece) = frame.data_ref() {
            decoder.feed(piece).map_err(|failure| failure.with_status(status))?;
        }
    }
    decoder.end().map_err(|failure| failure.with_status(status))
}

/// Decodes the Content-Encoding that the client offers.
enum Decoder<F: FnMut(&[u8]) -> Result<(), DocumentError>> {
    Plain(Sink<F>),
    Gzip(Box<MultiGzDecoder<Sink<F>>>),
}

impl<F: FnMut(&[u8]) -> Result<(), DocumentError>> Decoder<F> {
    fn new(headers: &HeaderMap, sink: Sink<F>) -> Decoder<F> {
        let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).map(str::trim);
        let is_gzip = |name: &str| name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip");
        if encoding.is_some_and(is_gzip) {
            Decoder::Gzip(Box::new(MultiGzDecoder::new(sink)))
        } else {
            Decoder::Plain(sink)
        }
    }

    fn feed(&mut self, piece: &[u8]) -> Result<(), Failure> {
        let written = match self {
            Decoder::Plain(sink) => sink.write_all(piece),
            Decoder::Gzip(decoder) => decoder.write_all(piece),
        };
        written.map_err(|error| self.failure(&error))
    }

    fn end(mut self) -> Result<u64, Failure> {
        if let Decoder::Gzip(decoder) = &mut self
            && let Err(error) = decoder.try_finish()
        {
            return Err(self.failure(&error));
        }
        Ok(self.sink().size as u64)
    }

    fn sink(&mut self) -> &mut Sink<F> {
        match self {
            Decoder::Plain(sink) => sink,
            Decoder::Gzip(decoder) => decoder.get_mut(),
        }
    }

    /// Returns why a piece was rejected: the sink's reason, or invalid gzip.
    fn failure(&mut self, error: &io::Error) -> Failure {
        self.sink().refused.take().unwrap_or_else(|| {
            Failure::new(ErrorType::Decode, format!("the body is not valid gzip: {error}"))
        })
    }
}

/// Receives the decoded bytes.
struct Sink<F> {
    size: usize,
    most: usize,
    take: F,
    refused: Option<Failure>,
}

impl<F: FnMut(&[u8]) -> Result<(), DocumentError>> Write for Sink<F> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.size += piece.len();
        self.refused = if self.size > self.most {
            let why = format!("the body is larger than {} bytes", self.most);
            Some(Failure::new(ErrorType::TooLarge, why))
        } else {
            (self.take)(piece).err().map(|e| failure::undecodable(&e))
        };
        if self.refused.is_some() { Err(io::ErrorKind::Other.into()) } else { Ok(piece.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Reads a body in pieces of this size. Returns the text, or the type of the
    /// failure.
    fn read(encoding: &'static str, body: &[u8], size: usize, most: usize) -> String {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(encoding))]);
        let mut text = Vec::new();
        let take = |piece: &[u8]| {
            text.extend_from_slice(piece);
            Ok(())
        };
        let mut decoder = Decoder::new(&headers, Sink { size: 0, most, take, refused: None });
        let fed = body.chunks(size).try_for_each(|piece| decoder.feed(piece));
        match fed.and_then(|()| decoder.end()) {
            Ok(size) => {
                assert_eq!(size, text.len() as u64);
                String::from_utf8(text).unwrap()
            }
            Err(failure) => failure.error.name().to_owned(),
        }
    }

    #[test]
    fn bodies_are_decoded_up_to_their_cap() {
        let packed = gzip(b"[1,2,3]");
        let twice = [packed.clone(), packed.clone()].concat();
        let bomb = gzip(&vec![b' '; 8 << 20]);
        for size in [1, 3, 1 << 20] {
            for (encoding, body, most, expected) in [
                ("identity", &b"[1,2,3]"[..], 7, "[1,2,3]"),
                ("identity", b"[1,2,3]", 6, "too_large"),
                ("identity", b"", 0, ""),
                ("gzip", &packed, 7, "[1,2,3]"),
                ("GZIP", &packed, 7, "[1,2,3]"),
                ("x-gzip", &packed, 6, "too_large"),
                ("gzip", &twice, 14, "[1,2,3][1,2,3]"),
                ("gzip", b"[1,2,3]", 100, "decode"),
                ("gzip", &packed[..packed.len() - 1], 100, "decode"),
                ("gzip", b"", 100, "decode"),
                ("gzip", &bomb, 1 << 20, "too_large"),
            ] {
                assert_eq!(read(encoding, body, size, most), expected, "{encoding} {most} by {size}");
            }
        }
    }
}
