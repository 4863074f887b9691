//! The attributes of the table, with their meanings and values.

use crate::endpoint::Endpoint;
use crate::outcome::{ErrorType, Outcome};
use crate::snapshot::{ClientLimit, ExporterName, ProbeOutcome};

use super::Stability;

/// An attribute of points.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// The name in OpenTelemetry.
    pub name: &'static str,
    /// The possible values.
    pub values: Values,
    /// The meaning.
    pub brief: &'static str,
    /// The condition under which a point has the attribute, if not every point of a row
    /// does.
    pub when: &'static str,
    /// Where the attribute is defined.
    pub origin: Origin,
}

/// The values of an attribute.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// Text, with examples.
    Text(&'static [&'static str]),
    /// A number, with examples.
    Int(&'static [i64]),
    /// A member of a closed set.
    Members(fn() -> Vec<&'static str>),
}

/// Where an attribute is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In this table.
    Ours(Stability),
    /// In OpenTelemetry's semantic conventions.
    OpenTelemetry,
}

impl Attribute {
    /// Whether a point may have this value.
    #[must_use]
    pub fn allows(&self, value: &str) -> bool {
        match self.values {
            Values::Text(_) => true,
            Values::Int(_) => value.parse::<i64>().is_ok(),
            Values::Members(members) => members().contains(&value),
        }
    }
}

/// Returns the attribute of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Attribute> {
    ATTRIBUTES.iter().find(|attribute| attribute.name == name)
}

/// The attributes that points about a target have besides those of their row, and
/// whether all targets have them.
pub const IDENTITY: &[(&str, bool)] = &[("server.address", true), ("server.port", false)];

const fn ours(name: &'static str, brief: &'static str, values: Values) -> Attribute {
    Attribute { name, values, brief, when: "", origin: Origin::Ours(Stability::Development) }
}

const fn otel(name: &'static str, brief: &'static str, values: Values) -> Attribute {
    Attribute { origin: Origin::OpenTelemetry, ..ours(name, brief, values) }
}

impl Attribute {
    const fn when(self, when: &'static str) -> Attribute {
        Attribute { when, ..self }
    }
}

const GIVEN: &str = "If the server gives it.";

/// Every attribute, by name.
pub const ATTRIBUTES: &[Attribute] = &[
    otel("cpu.mode", "The mode of the CPU.", Values::Members(|| vec!["system", "user"])),
    otel("error.type", "What failed.", Values::Text(&["timeout", "http_5xx", "UNAVAILABLE", "rejected"]))
        .when("If and only if it failed."),
    ours(
        "fedimeter.endpoint.name",
        "What a server is asked for.",
        Values::Members(|| Endpoint::ALL.iter().map(|endpoint| endpoint.name()).collect()),
    ),
    ours(
        "fedimeter.exporter.name",
        "Who asked for a collection.",
        Values::Members(|| ExporterName::ALL.iter().map(|exporter| exporter.name()).collect()),
    ),
    ours(
        "fedimeter.limit.name",
        "A limit on clients of the bridge.",
        Values::Members(|| ClientLimit::ALL.iter().map(|limit| limit.name()).collect()),
    ),
    ours(
        "fedimeter.probe.outcome",
        "How a probe ended.",
        Values::Members(|| ProbeOutcome::ALL.iter().map(|outcome| outcome.name()).collect()),
    ),
    ours(
        "fedimeter.request.outcome",
        "What an answer, or its absence, counts as.",
        Values::Members(|| {
            let failed = Outcome::Failed(ErrorType::Other);
            [Outcome::Ok, Outcome::NotOffered, failed].map(Outcome::class).to_vec()
        }),
    ),
    ours(
        "fedimeter.source.name",
        "A list of targets, as the configuration names it: a pattern of paths, or a URL.",
        Values::Text(&["targets/*.yaml", "https://inventory.example.org/targets.json"]),
    ),
    ours("fediverse.domain", "The domain of the server's accounts.", Values::Text(&["mastodon.social"]))
        .when(GIVEN),
    ours("fediverse.software.name", "The software of the server.", Values::Text(&["mastodon", "pixelfed"]))
        .when(GIVEN),
    ours("fediverse.software.version", "Its version.", Values::Text(&["4.5.2", "4.2.10+glitch"])).when(GIVEN),
    otel("http.response.status_code", "The HTTP status of the last attempt.", Values::Int(&[200, 503]))
        .when("If HTTP was spoken and there was an answer."),
    ours(
        "mastodon.account.acct",
        "The account, as the configuration has it.",
        Values::Text(&["Gargron", "Gargron@mastodon.social"]),
    ),
    ours(
        "mastodon.block.severity",
        "What a block does.",
        Values::Members(|| {
            let of_domains = ["noop", "silence", "suspend"];
            let of_addresses = ["sign_up_requires_approval", "sign_up_block", "no_access"];
            [&of_domains[..], &of_addresses, &["_OTHER"]].concat()
        }),
    ),
    ours(
        "mastodon.language",
        "A language by its ISO 639 code, `_OTHER` where there is none.",
        Values::Text(&["en", "de", "_OTHER"]),
    ),
    ours(
        "mastodon.report.category",
        "What is reported.",
        Values::Members(|| vec!["spam", "legal", "violation", "other", "_OTHER"]),
    ),
    ours(
        "mastodon.software.component",
        "A component of the server's software.",
        Values::Text(&["mastodon", "ruby", "postgresql", "redis"]),
    ),
    ours("mastodon.software.version", "The component's version.", Values::Text(&["4.5.2", "17.6"])),
    ours(
        "mastodon.storage.kind",
        "What storage is used by.",
        Values::Members(|| vec!["postgresql", "redis", "media", "search", "_OTHER"]),
    ),
    ours("mastodon.tag.name", "The hashtag, as the configuration has it.", Values::Text(&["fediverse"])),
    ours("mastodon.trend.kind", "What trends.", Values::Members(|| vec!["tags", "statuses", "links"])),
    otel(
        "otel.component.name",
        "The exporter or reader among those of this process.",
        Values::Text(&["otlp_grpc_metric_exporter/0"]),
    ),
    otel(
        "otel.component.type",
        "What kind of exporter or reader it is.",
        Values::Members(|| {
            vec![
                "otlp_grpc_metric_exporter",
                "otlp_http_json_metric_exporter",
                "otlp_http_metric_exporter",
                "periodic_metric_reader",
                "prometheus_http_text_metric_exporter",
            ]
        }),
    ),
    ours(
        "revision",
        "The git revision that the binary was built from.",
        Values::Text(&["1aeb650d5e6f", "unknown"]),
    ),
    otel("rpc.status_code", "The gRPC code of the last attempt.", Values::Text(&["OK", "UNAVAILABLE"]))
        .when("If gRPC was spoken and there was an answer."),
    ours("rustc", "The compiler's version.", Values::Text(&["1.90.0"])),
    otel(
        "server.address",
        "The server that is asked, or the receiver of OTLP.",
        Values::Text(&["mastodon.social"]),
    ),
    otel("server.port", "Its port.", Values::Int(&[8443, 4317]))
        .when("If the target is not https on port 443."),
    ours("version", "The release.", Values::Text(&["0.1.0"])),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rows;

    #[test]
    fn every_attribute_is_there_once_and_in_use() {
        assert!(ATTRIBUTES.is_sorted_by(|a, b| a.name < b.name));
        for attribute in ATTRIBUTES {
            let in_use = rows().any(|row| row.attributes.contains(&attribute.name))
                || IDENTITY.iter().any(|(name, _)| *name == attribute.name);
            assert!(in_use, "{} is on no metric", attribute.name);
            assert!(attribute.brief.ends_with('.'), "{}", attribute.name);
        }
        for row in rows() {
            for name in row.optional {
                assert!(!find(name).unwrap().when.is_empty(), "{name} lacks a condition");
            }
        }
    }
}
