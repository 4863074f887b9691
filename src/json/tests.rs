use proptest::prelude::*;
use serde_json::Value;

use super::*;

#[test]
fn numbers_are_whole_by_their_digits() {
    for (number, expected) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("12", Some(12)),
        ("-12", Some(-12)),
        ("12.0", Some(12)),
        ("12.000000000000000000000000000", Some(12)),
        ("1.2e1", Some(12)),
        ("1200e-2", Some(12)),
        ("0e999999999999999999999", Some(0)),
        ("0.0e-5", Some(0)),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9007199254740993", Some(9_007_199_254_740_993)),
        ("9223372036854775808", None),
        ("1e19", None),
        ("1e400", None),
        ("1e-400", None),
        ("1e-99999999999999999999", None),
        ("1e99999999999999999999", None),
        ("1000.00000000000000001", None),
        ("0.5", None),
        ("15e-1", None),
    ] {
        assert_eq!(Raw::parse(number.as_bytes()).unwrap().whole(), expected, "{number}");
    }
}

#[test]
fn texts_hold_what_no_program_can() {
    for (json, expected) in [
        (&br#""plain""#[..], "plain"),
        (br#""a\"b\\c\/d\n\t\u0041""#, "a\"b\\c/d\n\tA"),
        (br#""\ud83d\ude00""#, "\u{1f600}"),
        (br#""cut \ud83d""#, "cut \u{fffd}"),
        (br#""\udc00\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
        (br#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
        (b"\"caf\xe9\"", "caf\u{fffd}"),
        (b"\"caf\xe9 \\u00e9\"", "caf\u{fffd} \u{e9}"),
        (b"\"\"", ""),
    ] {
        assert_eq!(Raw::parse(json).unwrap().text().unwrap(), expected, "{}", String::from_utf8_lossy(json));
    }
}

#[test]
fn what_is_no_json_is_found_where_it_is() {
    for (text, line, column) in [
        ("", 1, 1),
        ("  ", 1, 3),
        ("{", 1, 2),
        ("{\"a\" 1}", 1, 6),
        ("{\"a\":1,}", 1, 8),
        ("{\"a\"\u{c}:1}", 1, 5),
        ("[1,]", 1, 4),
        ("[1 2]", 1, 4),
        ("[}", 1, 2),
        ("{\"a\":\n  nul}", 2, 6),
        ("tru e", 1, 4),
        ("01", 1, 2),
        ("1.", 1, 3),
        ("1. 0", 1, 3),
        ("-", 1, 2),
        ("1e", 1, 3),
        ("\"a\nb\"", 1, 3),
        ("\"\\x\"", 1, 3),
        ("\"\\u12g4\"", 1, 6),
        ("\"open", 1, 6),
        ("1 1", 1, 3),
        ("]", 1, 1),
        ("\u{feff}\u{feff}1", 1, 4),
        (" \u{feff}1", 1, 2),
    ] {
        let at = Raw::parse(text.as_bytes()).unwrap_err();
        assert_eq!((at.line, at.column), (line, column), "{text:?}");
    }
}

#[test]
fn what_a_text_begins_with_tells_what_it_is() {
    for (text, first) in [
        ("", None),
        (" \n", None),
        ("\u{feff} ", None),
        ("\u{feff} <html>", Some(b'<')),
        (" nul", Some(b'n')),
        (" \u{feff}1", Some(0xef)),
        ("\u{feff}\u{feff}1", Some(0xef)),
    ] {
        assert_eq!(Raw::parse(text.as_bytes()).unwrap_err().first, first, "{text:?}");
    }
}

#[test]
fn only_four_bytes_are_white_space() {
    // Rust counts a form feed as white space, and C a vertical tab.
    for (byte, is_json) in
        [(' ', true), ('\t', true), ('\n', true), ('\r', true), ('\u{c}', false), ('\u{b}', false)]
    {
        for places in
            ["_1", "1_", "[_]", "[1_,2]", "[1,_2]", "{_}", r#"{"a"_:1}"#, r#"{"a":_1}"#, r#"{"a":1_}"#]
        {
            let text = places.replace('_', &byte.to_string());
            assert_eq!(Raw::parse(text.as_bytes()).is_ok(), is_json, "{text:?}");
        }
        let spaced = format!("{byte}{{{byte}\"a\"{byte}:{byte}[{byte}1{byte},{byte}2{byte}]{byte}}}{byte}");
        if let Ok(raw) = Raw::parse(spaced.as_bytes()) {
            let items: Vec<_> = raw.get("a").unwrap().items().map(Raw::whole).collect();
            assert_eq!(items, [Some(1), Some(2)], "{spaced:?}");
        }
    }
}

#[test]
fn any_depth_is_read() {
    let deep = format!("{{\"a\":1,\"deep\":{}{},\"b\":2}}", "[".repeat(100_000), "]".repeat(100_000));
    let raw = Raw::parse(deep.as_bytes()).unwrap();
    assert_eq!((raw.get("a").unwrap().whole(), raw.get("b").unwrap().whole()), (Some(1), Some(2)));
    assert!(Raw::parse("[".repeat(1_000_000).as_bytes()).is_err());
}

#[test]
fn members_are_found_however_many_there_are() {
    let members: Vec<String> = (0..1000).map(|i| format!("\"k{i}\":{i}")).collect();
    let json = format!("{{{},\"k3\":-3}}", members.join(","));
    let members = Members::of(Raw::parse(json.as_bytes()).unwrap());
    for (key, value) in [("k0", Some(0)), ("k3", Some(-3)), ("k999", Some(999)), ("k1000", None)] {
        assert_eq!(members.get(key).and_then(Raw::whole), value, "{key}");
    }
    assert!(Members::of(Raw::parse(b"[\"a\",1]").unwrap()).get("a").is_none());
}

#[test]
fn a_long_text_is_read_by_its_characters() {
    let json = format!("\"{}\"", "\\u0041".repeat(20_000));
    let raw = Raw::parse(json.as_bytes()).unwrap();
    assert_eq!((raw.text(), raw.characters().count()), (None, 20_000));
}

#[test]
fn the_last_of_several_members_counts() {
    let raw = Raw::parse(br#" { "a" : 1 , "\u0061" : 2, "b":[ ], "c":{} } "#).unwrap();
    assert_eq!(raw.get("a").unwrap().whole(), Some(2));
    assert!(raw.get("b").unwrap().is_empty() && raw.get("c").unwrap().is_empty() && raw.get("d").is_none());
    assert_eq!(raw.members().count(), 4);
}

/// Builds the value that serde_json would read, from our reader.
fn tree(raw: Raw<'_>) -> Value {
    match raw.kind() {
        Kind::Null => Value::Null,
        Kind::Boolean => Value::Bool(raw.boolean().unwrap()),
        Kind::Number => serde_json::from_str(raw.number().unwrap()).unwrap(),
        Kind::Text => Value::String(raw.text().unwrap().into_owned()),
        Kind::Array => raw.items().map(tree).collect(),
        Kind::Object => {
            raw.members().map(|(key, value)| (key.text().unwrap().into_owned(), tree(value))).collect()
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9_f64..1e9).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn json_is_read_as_serde_reads_it(value in any_json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let raw = Raw::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(tree(raw), serde_json::from_str::<Value>(&text).unwrap());
    }

    #[test]
    fn text_is_json_where_serde_says_so(text in r#"[\[\]{},:"\\a0-9.eE+\- tn]{0,12}|(true|null|-?[0-9.e-]{1,6}|"[a\\n]*")"#) {
        // An ignored value may be a number beyond a float, or half of a surrogate pair.
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text);
        prop_assert_eq!(Raw::parse(text.as_bytes()).is_ok(), theirs.is_ok(), "{}", text);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_as_everywhere(bytes: Vec<u8>) {
        let inside: Vec<u8> = bytes.into_iter().filter(|b| *b >= b' ' && !b"\"\\".contains(b)).collect();
        let text = [b"\"", &inside[..], b"\""].concat();
        let raw = Raw::parse(&text).unwrap();
        prop_assert_eq!(raw.text().unwrap(), String::from_utf8_lossy(&inside));
        prop_assert_eq!(raw.characters().collect::<String>(), String::from_utf8_lossy(&inside));
    }

    #[test]
    fn pieces_of_any_size_are_checked_alike(text in r#"[\[\]{},:"\\a0-9.eE+\- \ntrue\xef\xbb\xbf]{0,24}"#, size in 1_usize..5) {
        let mut checker = Checker::default();
        let mut values = Vec::new();
        let mut pieces = text.as_bytes().chunks(size);
        let fed = pieces.try_for_each(|piece| checker.feed(piece, |depth, kind| values.push((depth, kind))));
        let mut whole = Checker::default();
        let mut values_of_whole = Vec::new();
        let whole_fed = whole.feed(text.as_bytes(), |depth, kind| values_of_whole.push((depth, kind)));
        prop_assert_eq!(fed.and_then(|()| checker.end()), whole_fed.and_then(|()| whole.end()));
        prop_assert_eq!(values, values_of_whole);
    }

    #[test]
    fn no_bytes_are_too_odd(bytes: Vec<u8>) {
        if let Ok(raw) = Raw::parse(&bytes) {
            raw.members().for_each(|(key, _)| drop(key.text()));
            prop_assert!(raw.items().filter_map(Raw::whole).count() <= bytes.len());
        }
    }
}
