//! The length of a streamed array is the same in any pieces, and what the JSON
//! parser of the other endpoints finds. The first byte is the size of a piece.
#![no_main]

use fedimeter::document::length::ArrayLength;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn length<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<i64, ()> {
    let mut length = ArrayLength::default();
    for piece in pieces {
        length.feed(piece).map_err(drop)?;
    }
    length.end().map_err(drop)
}

fuzz_target!(|data: &[u8]| {
    let Some((size, body)) = data.split_first() else { return };
    let whole = length(std::iter::once(body));
    let pieces = length(body.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, pieces, "in pieces of {size}");
    match (whole, serde_json::from_slice::<Value>(body)) {
        (Ok(n), Ok(Value::Array(list))) => assert_eq!(n, list.len() as i64),
        (Ok(n), Ok(other)) => panic!("{n} items in {other}"),
        // Each of the two is stricter somewhere: one in depth, one in text.
        (Ok(n), Err(_)) => assert!(n >= 0),
        (Err(()), _) => {}
    }
});
