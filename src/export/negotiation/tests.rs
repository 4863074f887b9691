use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT_1: &str = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores";
const TEXT_1_UTF8: &str = "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
const TEXT_1_VALUES: &str = "text/plain; version=1.0.0; charset=utf-8; escaping=values";
const OM_0: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";
const OM_1: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
const OM_1_UTF8: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
const OM_1_DOTS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=dots";
const OM_1_VALUES: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values";

#[rustfmt::skip]
const ACCEPT_CASES: &[(&str, &[&str], &str)] = &[
    // Headers of real clients.
    ("none", &[], TEXT),
    ("Prometheus 3", &["application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"], OM_1_UTF8),
    ("Prometheus 3, native histograms", &["application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"], OM_1_UTF8),
    ("Prometheus 3, legacy names", &["application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=underscores;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"], OM_1),
    ("Prometheus 3, scrape_protocols: [PrometheusText1.0.0]", &["text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,*/*;q=0.2"], TEXT_1_UTF8),
    ("Prometheus 3, scrape_protocols: [PrometheusText0.0.4]", &["text/plain;version=0.0.4;q=0.3,*/*;q=0.2"], TEXT),
    ("Prometheus 2.42", &["application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"], OM_1),
    ("older Prometheus 2", &["application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"], OM_0),
    ("protobuf before text", &["application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"], TEXT),
    ("the negotiation document's example", &["application/openmetrics-text;version=1.0.0;escaping=allow-utf8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf8;q=0.3,text/plain;version=0.0.4;q=0.2,/;q=0.1"], OM_1_UTF8),
    ("curl", &["*/*"], TEXT),
    ("Firefox", &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], TEXT),
    ("Chrome", &["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"], TEXT),
    ("Java", &["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"], TEXT),
    ("a JSON client", &["application/json, text/plain, */*"], TEXT),

    // One range.
    ("text", &["text/plain"], TEXT),
    ("any text", &["text/*"], TEXT),
    ("text 1.0.0", &["text/plain;version=1.0.0"], TEXT_1),
    ("OpenMetrics, any version", &["application/openmetrics-text"], OM_1),
    ("OpenMetrics 1.0.0", &["application/openmetrics-text; version=1.0.0"], OM_1),
    ("OpenMetrics with charset", &["application/openmetrics-text; version=1.0.0; charset=utf-8"], OM_1),
    ("any application", &["application/*"], OM_1),
    ("case does not matter", &["Application/OpenMetrics-Text; Version=1.0.0; Escaping=Allow-UTF-8; Q=0.4"], OM_1_UTF8),
    ("quoted", &[r#"application/openmetrics-text; version="1.0.0"; escaping="allow-utf-8""#], OM_1_UTF8),
    ("weight before version", &["text/plain;q=0.1;version=0.0.4, text/plain;q=0.2;version=1.0.0"], TEXT_1),

    // Several ranges.
    ("the heavier wins", &["application/openmetrics-text;q=0.1, text/plain;q=0.2"], TEXT),
    ("wherever it stands", &["text/plain;q=0.2, application/openmetrics-text;q=0.3"], OM_1),
    ("among equals the first", &["application/openmetrics-text;version=1.0.0, text/plain;version=0.0.4"], OM_1),
    ("among equals the first, turned round", &["text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0"], TEXT),
    ("a named type before a wildcard", &["*/*, application/openmetrics-text;version=1.0.0"], OM_1),
    ("a main type before a wildcard", &["*/*, application/*"], OM_1),
    ("a version is no preference", &["text/plain, text/plain;version=1.0.0"], TEXT),
    ("the most specific weight counts", &["text/*;q=0.9, text/plain;q=0.1, application/openmetrics-text;q=0.5"], OM_1),
    ("of two alike the heavier", &["text/plain;version=1.0.0;escaping=underscores;q=0.1, text/plain;version=1.0.0;escaping=allow-utf-8;q=0.2"], TEXT_1_UTF8),
    ("thousandths count", &["text/plain;q=0.301, application/openmetrics-text;q=0.302"], OM_1),
    ("repeated header", &["text/plain;q=0.5", "application/openmetrics-text;version=1.0.0;q=0.7"], OM_1),

    // Exclusions.
    ("no text", &["text/plain;q=0, */*"], OM_1),
    ("no text 0.0.4", &["text/plain;version=0.0.4;q=0, text/*"], TEXT_1),
    ("only the draft", &["application/openmetrics-text;version=1.0.0;q=0, application/*"], OM_0),
    ("wildcard excluded", &["application/openmetrics-text;q=0.1, */*;q=0"], OM_1),
    ("weights written out", &["text/plain;q=0.000, application/openmetrics-text;q=0.001"], OM_1),
    ("tiny is not nothing", &["application/openmetrics-text;q=0.00001"], OM_1),

    // Nothing that we offer: the last resort, never a refusal.
    ("everything excluded", &["*/*;q=0"], TEXT),
    ("protobuf only", &["application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"], TEXT),
    ("another type", &["image/png"], TEXT),
    ("an unknown version", &["text/plain;version=2.0.0"], TEXT),
    ("OpenMetrics 2", &["application/openmetrics-text;version=2.0.0"], TEXT),
    ("OpenMetrics 2 before 1", &["application/openmetrics-text;version=2.0.0,application/openmetrics-text;version=1.0.0;q=0.9"], OM_1),

    // Escaping schemes.
    ("values", &["application/openmetrics-text;version=1.0.0;escaping=values"], OM_1_VALUES),
    ("values, text", &["text/plain;version=1.0.0;escaping=values"], TEXT_1_VALUES),
    ("dots", &["application/openmetrics-text;version=1.0.0;escaping=dots"], OM_1_DOTS),
    ("unknown scheme", &["application/openmetrics-text;version=1.0.0;escaping=rot13"], OM_1),
    ("no injection", &["text/plain;version=1.0.0;escaping=\"a; charset=evil\""], TEXT_1),
    ("0.0.4 knows no schemes", &["text/plain;version=0.0.4;escaping=allow-utf-8"], TEXT),
    ("the scheme of the range that won", &["text/plain;version=1.0.0;escaping=values;q=0.1, application/openmetrics-text;version=1.0.0;q=0.2"], OM_1),

    // Garbage.
    ("empty", &[""], TEXT),
    ("separators", &[",;,;;=,/,q=1"], TEXT),
    ("no slash", &["openmetrics"], TEXT),
    ("half a wildcard", &["*/openmetrics-text, application/openmetrics-text"], OM_1),
    ("weight above one", &["application/openmetrics-text;q=7, text/plain"], OM_1),
    ("weight that is no number", &["application/openmetrics-text;q=high, text/plain;version=1.0.0;q=0.1"], TEXT_1),
    ("negative weight", &["application/openmetrics-text;q=-1, text/plain;version=1.0.0;q=0.1"], TEXT_1),
    ("infinite weight", &["application/openmetrics-text;q=inf, text/plain;version=1.0.0;q=0.1"], TEXT_1),
    ("comma in quotes", &[r#"image/png;title="a, text/plain;version=1.0.0", application/openmetrics-text"#], OM_1),
    ("escaped quote in quotes", &[r#"image/png;title="a\", b", application/openmetrics-text"#], OM_1),
    ("quote never closed", &[r#"application/openmetrics-text, image/png;title="a, text/plain;version=1.0.0"#], OM_1),
    ("parameter without value", &["application/openmetrics-text;version;escaping=;q=0.5"], OM_1),
    ("spaces", &["  application/openmetrics-text ;\tversion = 1.0.0 ; q = 0.5 ,"], OM_1),
    ("not UTF-8", &["caf\u{e9}/\u{fc}, application/openmetrics-text"], OM_1),
];

#[test]
fn accept_chooses_format_and_escaping() {
    for (case, accept, content_type) in ACCEPT_CASES {
        let negotiated = negotiate(&headers(&ACCEPT, accept));
        assert_eq!(negotiated.content_type(), *content_type, "{case}: {accept:?}");
        assert!(!negotiated.gzip, "{case}: nobody asked for gzip");
    }
}

#[rustfmt::skip]
const ENCODING_CASES: &[(&str, &[&str], bool)] = &[
    ("none", &[], false),
    ("empty", &[""], false),
    ("Prometheus", &["gzip"], true),
    ("Prometheus, compression off", &["identity"], false),
    ("a browser", &["gzip, deflate, br, zstd"], true),
    ("case", &["GZip"], true),
    ("old name", &["x-gzip"], true),
    ("weight", &["gzip;q=0.1"], true),
    ("excluded", &["gzip;q=0"], false),
    ("excluded, written out", &["gzip;q=0.000"], false),
    ("excluded before a wildcard", &["gzip;q=0, *"], false),
    ("wildcard", &["*"], true),
    ("wildcard excluded", &["*;q=0"], false),
    ("only gzip", &["gzip, *;q=0"], true),
    ("no plain text", &["identity;q=0, *"], true),
    ("others", &["br, deflate"], false),
    ("plain text preferred", &["identity, gzip;q=0.5"], false),
    ("gzip preferred", &["gzip, identity;q=0.5"], true),
    ("as good as plain text", &["identity, gzip"], true),
    ("repeated header", &["br", "gzip"], true),
    ("weight that is no number", &["gzip;q=yes"], false),
    ("garbage", &[";;,=,gzip ; q = 1 ,"], true),
    ("part of a name", &["gzipped, notgzip"], false),
];

#[test]
fn accept_encoding_chooses_compression() {
    for (case, accept_encoding, gzip) in ENCODING_CASES {
        let negotiated = negotiate(&headers(&ACCEPT_ENCODING, accept_encoding));
        assert_eq!(negotiated.gzip, *gzip, "{case}: {accept_encoding:?}");
        assert_eq!(negotiated.content_type(), TEXT, "{case}");
    }
}

#[test]
fn any_header_gets_an_answer() {
    use proptest::prelude::*;
    // Built from meaningful pieces, so that many generated headers have a meaning.
    let pieces =
        "([,;=\"/*\\\\ .q0-9]|text|plain|version|application|openmetrics-text|gzip|1\\.0\\.0|\\PC){0,40}";
    proptest!(|(value in pieces)| {
        let headers = headers(&ACCEPT, &[&value]);
        let _ = negotiate(&headers);
        accepts_gzip(&value);
    });
}

/// Bytes beyond ASCII are sent as Latin-1, as a careless client would.
fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        let bytes: Vec<u8> = value.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            headers.append(name.clone(), value);
        }
    }
    headers
}
