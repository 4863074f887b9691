//! Names and values as both formats write them: quoted and escaped.

/// Writes `name="value"`.
pub(super) fn push_pair(out: &mut Vec<u8>, name: &str, value: &str) {
    push_name_in_metadata(out, name);
    out.extend_from_slice(b"=\"");
    push_escaped(out, value, true);
    out.push(b'"');
}

/// Writes a name where metadata and labels have it.
pub(super) fn push_name_in_metadata(out: &mut Vec<u8>, name: &str) {
    if is_plain(name) {
        return out.extend_from_slice(name.as_bytes());
    }
    out.push(b'"');
    push_escaped(out, name, true);
    out.push(b'"');
}

/// Whether a name needs no quotes.
pub(super) fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

/// Writes a label value or a help text with its special characters escaped. In help
/// texts only OpenMetrics escapes quotes.
pub(super) fn push_escaped(out: &mut Vec<u8>, text: &str, quotes: bool) {
    let special = |byte: u8| matches!(byte, b'\\' | b'\n' | b'"');
    // Without an early exit the compiler vectorises this loop, and special characters
    // are rare.
    if !text.bytes().fold(false, |found, byte| found | special(byte)) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(br"\\"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'"' if quotes => out.extend_from_slice(br#"\""#),
            _ => out.push(byte),
        }
    }
}
