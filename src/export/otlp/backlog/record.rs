//! A request that waits, in memory and as a file.

use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::read::GzDecoder;

use crate::export::otlp::encode::gzip;
use crate::export::otlp::split::Part;

/// The beginning of a file: its kind and the version of its format.
const MAGIC: &str = "fedimeter-otlp 1";
const ANY_VERSION: &str = "fedimeter-otlp ";
/// The maximum length of a file's first line. It contains an endpoint URL, which has no
/// maximum of its own.
const MAX_HEAD: usize = 16 << 10;

/// A request, compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The body, compressed with gzip.
    pub body: Bytes,
    /// The size of the body before compression, in bytes.
    pub size: u64,
    /// The number of points.
    pub points: u64,
    /// When the request was made.
    pub at: SystemTime,
}

impl Record {
    /// Compresses a request that was made at `at`.
    ///
    /// # Errors
    ///
    /// No error is known: compressing into memory does not fail.
    pub fn new(part: &Part, at: SystemTime) -> io::Result<Record> {
        let mut body = gzip(&part.body)?;
        // The body may wait for long, so its spare capacity is released.
        body.shrink_to_fit();
        Ok(Record { body: body.into(), size: part.body.len() as u64, points: part.points, at })
    }

    /// Returns the request as it was before compression.
    ///
    /// # Errors
    ///
    /// When the body is damaged.
    pub fn part(&self) -> io::Result<Part> {
        let mut body = Vec::with_capacity(usize::try_from(self.size).unwrap_or_default().min(64 << 20));
        GzDecoder::new(&*self.body).take(self.size + 1).read_to_end(&mut body)?;
        if body.len() as u64 != self.size {
            return Err(damaged());
        }
        Ok(Part { body: body.into(), points: self.points })
    }
}

/// The content of a file's first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The receiver of the record: signal, protocol and endpoint, without secrets.
    pub receiver: String,
    /// The size of the body before compression, in bytes.
    pub size: u64,
    /// The number of points.
    pub points: u64,
    /// When the request was made.
    pub at: SystemTime,
    /// The size of the body in bytes.
    pub length: u64,
    /// The body's checksum.
    checksum: u32,
}

impl Head {
    pub fn of(record: &Record, receiver: &str) -> Head {
        Head {
            receiver: receiver.to_owned(),
            size: record.size,
            points: record.points,
            at: record.at,
            length: record.body.len() as u64,
            checksum: crc32fast::hash(&record.body),
        }
    }

    /// Formats the line, including its line feed.
    pub fn line(&self) -> String {
        let Head { receiver, size, points, at, length, checksum } = self;
        let nanos = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let line = format!("{MAGIC} {receiver} {nanos} {points} {size} {length} {checksum:08x}");
        format!("{line} {:08x}\n", crc32fast::hash(line.as_bytes()))
    }

    /// Reads the line from the beginning of a file, and returns it with its length.
    ///
    /// # Errors
    ///
    /// When the line is damaged or cannot be read. A line of another version gives
    /// `Unsupported`.
    pub fn read(file: impl Read) -> io::Result<(Head, u64)> {
        let mut start = Vec::new();
        let mut bytes = io::BufReader::new(file.take(MAX_HEAD as u64));
        io::BufRead::read_until(&mut bytes, b'\n', &mut start)?;
        let line = std::str::from_utf8(&start).ok().and_then(|text| text.strip_suffix('\n'));
        let line = line.and_then(checked).ok_or_else(damaged)?;
        if line.starts_with(ANY_VERSION) && !line.starts_with(MAGIC) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the record is of another release"));
        }
        let head = Head::parse(line).ok_or_else(damaged)?;
        Ok((head, start.len() as u64))
    }

    fn parse(line: &str) -> Option<Head> {
        let mut from_end = line.strip_prefix(MAGIC)?.strip_prefix(' ')?.rsplitn(6, ' ');
        let checksum = u32::from_str_radix(from_end.next()?, 16).ok()?;
        let mut number = || from_end.next()?.parse::<u64>().ok();
        let (length, size, points, nanos) = (number()?, number()?, number()?, number()?);
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanos))?;
        Some(Head { receiver: from_end.next()?.to_owned(), size, points, at, length, checksum })
    }

    /// Returns the record with this body.
    ///
    /// # Errors
    ///
    /// When the body does not match the line.
    pub fn record(&self, body: Vec<u8>) -> io::Result<Record> {
        if body.len() as u64 != self.length || crc32fast::hash(&body) != self.checksum {
            return Err(damaged());
        }
        Ok(Record { body: body.into(), size: self.size, points: self.points, at: self.at })
    }
}

/// Returns a line without the checksum at its end, if the checksum is right.
fn checked(line: &str) -> Option<&str> {
    let (line, checksum) = line.rsplit_once(' ')?;
    let checksum = u32::from_str_radix(checksum, 16).ok()?;
    (checksum == crc32fast::hash(line.as_bytes())).then_some(line)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the record is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVER: &str = "metrics http/protobuf http://c:4318/v1/metrics";

    fn record() -> Record {
        let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_764_000_000_123_456_789);
        Record::new(&Part { body: Bytes::from(vec![7; 5000]), points: 12 }, at).unwrap()
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = record();
        let part = record.part().unwrap();
        assert_eq!((part.body, part.points), (Bytes::from(vec![7; 5000]), 12));
        let head = Head::of(&record, RECEIVER);
        let line = head.line();
        let (read, length) = Head::read([line.as_bytes(), b"and the body\n"].concat().as_slice()).unwrap();
        assert_eq!((&read, length), (&head, line.len() as u64));
        assert_eq!(read.record(record.body.to_vec()).unwrap(), record);
    }

    #[test]
    fn no_damage_goes_unseen() {
        let record = record();
        let head = Head::of(&record, RECEIVER);
        let line = head.line().into_bytes();
        for at in 0..line.len() {
            let mut other = line.clone();
            other[at] ^= 1;
            assert!(Head::read(&*other).is_err(), "byte {at} of {}", String::from_utf8_lossy(&other));
            assert!(Head::read(&line[..at]).is_err(), "{at} bytes");
        }
        for at in 0..record.body.len() {
            let mut other = record.body.to_vec();
            other[at] ^= 1;
            assert!(head.record(other).is_err(), "byte {at}");
            assert!(head.record(record.body[..at].to_vec()).is_err(), "{at} bytes");
        }
        // If our checksum matches by chance, gzip's checksum still detects the damage.
        let short = Record { size: record.size - 1, ..record.clone() };
        let long = Record { size: record.size + 1, ..record };
        assert!(short.part().is_err() && long.part().is_err());
    }
}
