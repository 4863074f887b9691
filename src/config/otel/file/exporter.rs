//! The OTLP exporters of a declarative configuration.

use std::collections::BTreeMap;

use http::HeaderName;

use super::node::Node;
use super::{File, encode};
use crate::config::otel::otlp::variables;
use crate::export::otlp::Signal;

impl File {
    pub(super) fn otlp(&mut self, signal: Signal, kind: &str, node: &Node<'_>) {
        let is_http = kind == "otlp_http";
        let mut known = vec!["endpoint", "tls", "headers", "headers_list", "compression", "timeout"];
        if is_http {
            known.push("encoding");
        }
        if signal == Signal::Metrics {
            known.extend(["temporality_preference", "default_histogram_aggregation"]);
        }
        let fields = node.fields(&known);
        let variable = |name: &str| variables(signal, name)[0];
        for (name, key) in [("ENDPOINT", "endpoint"), ("COMPRESSION", "compression"), ("TIMEOUT", "timeout")]
        {
            self.set(variable(name), fields.get(key));
        }
        let encoding = fields.get("encoding").and_then(Node::text);
        let protocol = match encoding.as_deref() {
            _ if !is_http => "grpc",
            None | Some("protobuf") => "http/protobuf",
            Some("json") => "http/json",
            Some(_) => {
                node.fail_at("encoding", "is neither protobuf nor json");
                "http/protobuf"
            }
        };
        self.put(variable("PROTOCOL"), protocol.to_owned(), node);
        self.headers(variable("HEADERS"), node, &fields);
        if let Some(tls) = fields.get("tls") {
            let mut known = vec!["ca_file", "key_file", "cert_file"];
            if !is_http {
                known.push("insecure");
            }
            let fields = tls.fields(&known);
            self.set(variable("CERTIFICATE"), fields.get("ca_file"));
            self.set(variable("CLIENT_KEY"), fields.get("key_file"));
            self.set(variable("CLIENT_CERTIFICATE"), fields.get("cert_file"));
            let insecure = fields.get("insecure");
            self.set(variable("INSECURE"), insecure);
            let is_https =
                self.get(variable("ENDPOINT")).is_some_and(|url| url.trim().starts_with("https://"));
            if let Some(insecure) = insecure.filter(|_| is_https)
                && insecure.text().is_some_and(|text| text.eq_ignore_ascii_case("true"))
            {
                insecure.fail(
                    "contradicts the endpoint, which begins with https://; remove it, or write http://",
                );
            }
        }
        if let Some(temporality) = fields.get("temporality_preference")
            && let Some(text) = temporality.text()
        {
            let text = if text == "low_memory" { "lowmemory".to_owned() } else { text };
            self.put("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", text, temporality);
        }
        let histograms = fields.get("default_histogram_aggregation");
        self.set("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", histograms);
    }

    /// Reads the headers. A missing secret would be sent as an empty value, so it is an
    /// error.
    ///
    /// Of two entries with the same name the later one counts: `headers` after
    /// `headers_list`.
    fn headers(&mut self, variable: &'static str, node: &Node<'_>, fields: &BTreeMap<String, Node<'_>>) {
        let mut list: Vec<String> =
            fields.get("headers_list").and_then(Node::text_of_set_variables).into_iter().collect();
        for header in fields.get("headers").map(Node::items).unwrap_or_default() {
            let fields = header.fields(&["name", "value"]);
            let text = |key: &str| fields.get(key).and_then(Node::text);
            let value = fields.get("value").and_then(Node::text_of_set_variables);
            match (text("name"), value) {
                // An invalid name could be read as several headers or none.
                (Some(name), _) if HeaderName::from_bytes(name.trim().as_bytes()).is_err() => {
                    header.fail_at("name", "is not the name of a header; write letters, digits and dashes");
                }
                (Some(name), Some(value)) => list.push(format!("{name}={}", encode(&value))),
                (None, _) => header.fail("has no name"),
                (Some(_), None) => {}
            }
        }
        if !list.is_empty() {
            self.put(variable, list.join(","), fields.get("headers").unwrap_or(node));
        }
    }
}
