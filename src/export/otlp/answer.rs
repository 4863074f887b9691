//! Reads what a receiver answers over HTTP.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use serde::Deserialize;

/// The answer of a receiver that accepted a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Acceptance {
    /// The number of rejected points.
    pub rejected: u64,
    /// The reason for the rejection, or a warning.
    pub words: String,
}

impl Acceptance {
    /// A success whose body cannot be decoded. By the specification the status alone
    /// means that the points were accepted; the number of rejected points is unknown.
    pub fn unreadable() -> Acceptance {
        let words = "its answer cannot be decoded, so rejected points would go unnoticed";
        Acceptance { rejected: 0, words: words.to_owned() }
    }
}

impl From<ExportMetricsServiceResponse> for Acceptance {
    fn from(message: ExportMetricsServiceResponse) -> Acceptance {
        let partial = message.partial_success.unwrap_or_default();
        Acceptance {
            rejected: u64::try_from(partial.rejected_data_points).unwrap_or_default(),
            words: partial.error_message,
        }
    }
}

/// The body of an HTTP answer, and its `Content-Type`.
pub(super) struct Answer<'a> {
    pub kind: &'a str,
    pub body: &'a [u8],
}

impl Answer<'_> {
    fn is(&self, kind: &str) -> bool {
        let essence = self.kind.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(kind)
    }

    /// Reads the answer to a request that succeeded. Returns `None` if the answer does
    /// not come from an OTLP receiver.
    ///
    /// Many receivers answer with an empty body and no type, some forget the type of a
    /// correct body, and gateways answer `OK`. A web page comes from another kind of
    /// server.
    pub fn taken(&self) -> Option<Acceptance> {
        if self.is_web_page() {
            None
        } else if self.body.is_empty() {
            Some(Acceptance::default())
        } else if self.is("application/json") {
            Some(self.json().unwrap_or_else(Acceptance::unreadable))
        } else if self.is("application/x-protobuf") {
            Some(self.protobuf().unwrap_or_else(Acceptance::unreadable))
        } else {
            Some(self.json().or_else(|| self.protobuf()).unwrap_or_else(Acceptance::unreadable))
        }
    }

    /// For plain text and unknown types, only the body can tell.
    fn is_web_page(&self) -> bool {
        let kind = self.kind.trim_start().to_ascii_lowercase();
        let is_markup = || self.body.trim_ascii_start().starts_with(b"<");
        (kind.starts_with("text/") && !self.is("text/plain")) || is_markup()
    }

    /// The responses of the three signals differ only in the names of their fields.
    fn protobuf(&self) -> Option<Acceptance> {
        ExportMetricsServiceResponse::decode(self.body).ok().map(Acceptance::from)
    }

    /// OTLP writes 64-bit numbers as strings, and receivers must accept numbers, too.
    /// `opentelemetry-proto` reads only numbers in this message.
    fn json(&self) -> Option<Acceptance> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Response {
            partial_success: Option<PartialSuccess>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct PartialSuccess {
            #[serde(alias = "rejectedLogRecords", alias = "rejectedSpans")]
            rejected_data_points: Option<Int64>,
            error_message: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Int64 {
            Number(i64),
            Text(String),
        }
        // serde would read a list as a struct with one element for each field.
        let object: serde_json::Map<_, _> = serde_json::from_slice(self.body).ok()?;
        let response = Response::deserialize(serde_json::Value::Object(object)).ok()?;
        let partial = response.partial_success.unwrap_or_default();
        let rejected = match partial.rejected_data_points {
            None => 0,
            Some(Int64::Number(number)) => number,
            Some(Int64::Text(digits)) => digits.parse().ok()?,
        };
        Some(Acceptance {
            rejected: u64::try_from(rejected).unwrap_or_default(),
            words: partial.error_message.unwrap_or_default(),
        })
    }

    /// Returns the error message: that of a `google.rpc.Status`, or plain text.
    pub fn words(&self) -> String {
        #[derive(Deserialize)]
        struct JsonStatus {
            message: String,
        }
        if self.is("application/json") {
            if let Ok(status) = serde_json::from_slice::<JsonStatus>(self.body) {
                return status.message;
            }
        } else if self.is("application/x-protobuf") {
            return tonic_types::Status::decode(self.body).map(|status| status.message).unwrap_or_default();
        } else if !self.is("text/plain") && !self.kind.is_empty() {
            return String::new();
        }
        String::from_utf8_lossy(self.body).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rejected: u64, words: &str) -> Acceptance {
        Acceptance { rejected, words: words.to_owned() }
    }

    #[test]
    fn a_success_is_read_as_leniently_as_the_protocol_asks() {
        let protobuf = ExportMetricsServiceResponse {
            partial_success: Some(
                opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess {
                    rejected_data_points: 3,
                    error_message: "old".to_owned(),
                },
            ),
        }
        .encode_to_vec();
        let (json, binary) = ("application/json", "application/x-protobuf");
        let cases: &[(&str, &[u8], Option<Acceptance>)] = &[
            (
                json,
                br#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"old"}}"#,
                Some(taken(3, "old")),
            ),
            (
                json,
                br#"{"partialSuccess":{"rejectedDataPoints":3,"errorMessage":"old"}}"#,
                Some(taken(3, "old")),
            ),
            (
                json,
                br#"{"partialSuccess":{"rejectedDataPoints":"3","soon":[{}]},"new":1}"#,
                Some(taken(3, "")),
            ),
            (json, br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":""}}"#, Some(taken(3, ""))),
            (json, br#"{"partialSuccess":{"rejectedLogRecords":3}}"#, Some(taken(3, ""))),
            (json, br#"{"partialSuccess":{"errorMessage":"careful"}}"#, Some(taken(0, "careful"))),
            (json, br#"{"partialSuccess":{"rejectedDataPoints":"-1"}}"#, Some(taken(0, ""))),
            (json, br#"{"partialSuccess":null}"#, Some(taken(0, ""))),
            (json, b"{}", Some(taken(0, ""))),
            (json, b"", Some(taken(0, ""))),
            ("application/json; charset=utf-8", b"{}", Some(taken(0, ""))),
            (json, br#"{"partialSuccess":{"rejectedDataPoints":"x"}}"#, Some(Acceptance::unreadable())),
            (json, br#"{"partialSucc"#, Some(Acceptance::unreadable())),
            (json, br#""OK""#, Some(Acceptance::unreadable())),
            (json, b"[null]", Some(Acceptance::unreadable())),
            (binary, &protobuf, Some(taken(3, "old"))),
            (binary, b"", Some(taken(0, ""))),
            (binary, b"\xff\xff", Some(Acceptance::unreadable())),
            // Without a type, or with a type that the server guessed.
            ("", b"", Some(taken(0, ""))),
            ("", &protobuf, Some(taken(3, "old"))),
            ("application/octet-stream", &protobuf, Some(taken(3, "old"))),
            ("text/plain; charset=utf-8", b"{}", Some(taken(0, ""))),
            ("text/plain", b"", Some(taken(0, ""))),
            ("text/plain", b"OK", Some(Acceptance::unreadable())),
            ("", b"hello world", Some(Acceptance::unreadable())),
            ("text/plain", b" <!DOCTYPE html>", None),
            ("", b"<html>", None),
            ("text/css", b"p {}", None),
            ("text/html", b"<p>", None),
            ("text/html; charset=utf-8", b"", None),
        ];
        for (kind, body, expected) in cases {
            let answer = Answer { kind, body };
            assert_eq!(answer.taken(), *expected, "{kind}: {}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn words_come_from_status_messages_and_plain_text_only() {
        let protobuf = tonic_types::Status { message: "no".to_owned(), ..Default::default() }.encode_to_vec();
        for (kind, body, expected) in [
            ("application/x-protobuf", &protobuf[..], "no"),
            ("application/json; charset=utf-8", br#"{"code":3,"message":"nay"}"#, "nay"),
            ("application/json", br#"{"detail":"x"}"#, r#"{"detail":"x"}"#),
            ("text/plain", b"go away", "go away"),
            ("", b"404 page not found", "404 page not found"),
            ("text/html", b"<html>", ""),
        ] {
            assert_eq!(Answer { kind, body }.words(), expected, "{kind}");
        }
    }
}
