//! The three text formats, compared byte by byte.

use std::sync::{Arc, Mutex};

use crate::support::families::{counter, family, gauge, histogram};
use fedimeter::export::exposition::{Format, encode, unit_word};
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::proto::{Metric, MetricFamily, MetricType};

/// The expected text and OpenMetrics formats of a case.
#[track_caller]
fn check(families: &[MetricFamily], text: &str, openmetrics: &str) {
    check_with_units(families, &|_| None, text, openmetrics);
}

#[track_caller]
fn check_with_units(
    families: &[MetricFamily],
    unit_of: &dyn Fn(&str) -> Option<&'static str>,
    text: &str,
    openmetrics: &str,
) {
    let encoded = |format| {
        let body = encode(families.to_vec(), format, unit_of);
        String::from_utf8(body).expect("an exposition is UTF-8")
    };
    assert_eq!(encoded(Format::Text004), text);
    assert_eq!(encoded(Format::Text100), text);
    assert_eq!(encoded(Format::OpenMetrics001), openmetrics);
    assert_eq!(encoded(Format::OpenMetrics100), openmetrics);
}

#[test]
fn nothing() {
    check(&[], "", "# EOF\n");
    check(&[gauge("empty", "A family without series.", &[])], "", "# EOF\n");
}

#[test]
fn gauges() {
    let users = gauge(
        "mastodon_instance_users",
        "Accounts.",
        &[(&[("server_address", "a.example")], 42.0), (&[("server_address", "b.example")], 0.0)],
    );
    let text = "\
# HELP mastodon_instance_users Accounts.
# TYPE mastodon_instance_users gauge
mastodon_instance_users{server_address=\"a.example\"} 42
mastodon_instance_users{server_address=\"b.example\"} 0
";
    check(&[users], text, &format!("{text}# EOF\n"));
}

#[test]
fn without_labels_and_help() {
    let text = "# TYPE fedimeter_targets gauge\nfedimeter_targets 3\n";
    check(&[gauge("fedimeter_targets", "", &[(&[], 3.0)])], text, &format!("{text}# EOF\n"));
}

#[test]
fn counters_lose_total_in_the_family_name_of_openmetrics() {
    let time = counter("process_cpu_time_seconds_total", "Time.", &[(&[("cpu_mode", "user")], 1.5)]);
    check_with_units(
        &[time],
        &|name| (name == "process_cpu_time_seconds_total").then_some("seconds"),
        "\
# HELP process_cpu_time_seconds_total Time.
# TYPE process_cpu_time_seconds_total counter
process_cpu_time_seconds_total{cpu_mode=\"user\"} 1.5
",
        "\
# HELP process_cpu_time_seconds Time.
# TYPE process_cpu_time_seconds counter
# UNIT process_cpu_time_seconds seconds
process_cpu_time_seconds_total{cpu_mode=\"user\"} 1.5
# EOF
",
    );
}

#[test]
fn a_counter_without_total_is_unknown_to_openmetrics() {
    check(
        &[counter("odd", "", &[(&[], 1.0)])],
        "# TYPE odd counter\nodd 1\n",
        "# TYPE odd unknown\nodd 1\n# EOF\n",
    );
}

#[test]
fn histograms() {
    let buckets = [(0.0, 0), (0.005, 1), (1.0, 2), (1e6, 0), (2.5e6, 0), (1e-5, 0)];
    check_with_units(
        &[histogram("d_seconds", "Time.", &[("le_", "x")], &buckets, 4, 12.25)],
        &|_| Some("seconds"),
        "\
# HELP d_seconds Time.
# TYPE d_seconds histogram
d_seconds_bucket{le_=\"x\",le=\"0\"} 0
d_seconds_bucket{le_=\"x\",le=\"0.005\"} 1
d_seconds_bucket{le_=\"x\",le=\"1\"} 3
d_seconds_bucket{le_=\"x\",le=\"1e+06\"} 3
d_seconds_bucket{le_=\"x\",le=\"2.5e+06\"} 3
d_seconds_bucket{le_=\"x\",le=\"1e-05\"} 3
d_seconds_bucket{le_=\"x\",le=\"+Inf\"} 7
d_seconds_sum{le_=\"x\"} 12.25
d_seconds_count{le_=\"x\"} 7
",
        "\
# HELP d_seconds Time.
# TYPE d_seconds histogram
# UNIT d_seconds seconds
d_seconds_bucket{le_=\"x\",le=\"0.0\"} 0
d_seconds_bucket{le_=\"x\",le=\"0.005\"} 1
d_seconds_bucket{le_=\"x\",le=\"1.0\"} 3
d_seconds_bucket{le_=\"x\",le=\"1e+06\"} 3
d_seconds_bucket{le_=\"x\",le=\"2.5e+06\"} 3
d_seconds_bucket{le_=\"x\",le=\"1e-05\"} 3
d_seconds_bucket{le_=\"x\",le=\"+Inf\"} 7
d_seconds_sum{le_=\"x\"} 12.25
d_seconds_count{le_=\"x\"} 7
# EOF
",
    );
}

#[test]
fn histograms_with_negative_bounds_have_no_sum_in_openmetrics() {
    check(
        &[histogram("skew", "", &[], &[(-1.0, 1)], 0, -2.0)],
        "\
# TYPE skew histogram
skew_bucket{le=\"-1\"} 1
skew_bucket{le=\"+Inf\"} 1
skew_sum -2
skew_count 1
",
        "\
# TYPE skew histogram
skew_bucket{le=\"-1.0\"} 1
skew_bucket{le=\"+Inf\"} 1
# EOF
",
    );
}

#[test]
fn target_info_is_an_info_in_openmetrics_and_other_infos_stay_gauges() {
    check_with_units(
        &[
            gauge("fedimeter_build_info", "Build.", &[(&[("version", "0.1.0")], 1.0)]),
            gauge("target_info", "Target metadata", &[(&[("service_name", "fedimeter")], 1.0)]),
        ],
        &|_| Some("info"),
        "\
# HELP fedimeter_build_info Build.
# TYPE fedimeter_build_info gauge
fedimeter_build_info{version=\"0.1.0\"} 1
# HELP target_info Target metadata
# TYPE target_info gauge
target_info{service_name=\"fedimeter\"} 1
",
        "\
# HELP fedimeter_build_info Build.
# TYPE fedimeter_build_info gauge
# UNIT fedimeter_build_info info
fedimeter_build_info{version=\"0.1.0\"} 1
# HELP target Target metadata
# TYPE target info
target_info{service_name=\"fedimeter\"} 1
# EOF
",
    );
}

#[test]
fn a_unit_is_named_only_where_the_name_ends_with_it() {
    let families = ["age_seconds", "ageseconds", "seconds", "size"];
    let families = families.map(|name| gauge(name, "", &[(&[], 1.0)]));
    let openmetrics = encode(families.to_vec(), Format::OpenMetrics100, &|_| Some("seconds"));
    let openmetrics = String::from_utf8(openmetrics).expect("UTF-8");
    let units: Vec<_> = openmetrics.lines().filter(|line| line.starts_with("# UNIT")).collect();
    assert_eq!(units, ["# UNIT age_seconds seconds"]);
}

#[test]
fn help_is_escaped() {
    let hostile = gauge("m", "back\\slash, new\nline, \"quotes\", é 🐘, nul\0", &[(&[], 1.0)]);
    check(
        &[hostile],
        "# HELP m back\\\\slash, new\\nline, \"quotes\", é 🐘, nul\0\n# TYPE m gauge\nm 1\n",
        "# HELP m back\\\\slash, new\\nline, \\\"quotes\\\", é 🐘, nul\0\n# TYPE m gauge\nm 1\n# EOF\n",
    );
}

#[test]
fn label_values_are_escaped() {
    let hostile = "back\\slash, new\nline, \"quotes\", {a=\"b\"}, # x, é 🐘, nul\0, \r\t";
    let text = "# TYPE m gauge\n\
         m{a=\"back\\\\slash, new\\nline, \\\"quotes\\\", {a=\\\"b\\\"}, # x, é 🐘, nul\0, \r\t\",b=\"\"} 1\n";
    check(&[gauge("m", "", &[(&[("a", hostile), ("b", "")], 1.0)])], text, &format!("{text}# EOF\n"));
}

#[test]
fn label_names_are_made_legal() {
    let text = "# TYPE m gauge\nm{_1st=\"x\",a_b=\"y\",_=\"z\"} 1\n";
    let labels: &[_] = &[("1st", "x"), ("a:b", "y"), ("", "z")];
    check(&[gauge("m", "", &[(labels, 1.0)])], text, &format!("{text}# EOF\n"));
}

#[test]
fn numbers_are_short_and_exact() {
    let cases = [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-17.0, "-17"),
        (29_662_653.0, "29662653"),
        (9_007_199_254_740_992.0, "9007199254740992"),
        (9_223_372_036_854_775_807.0, "9223372036854776000"),
        (1e20, "100000000000000000000"),
        (1e21, "1e21"),
        (1.5e300, "1.5e300"),
        (1_795_384_681.123, "1795384681.123"),
        (0.1, "0.1"),
        (0.000_001, "0.000001"),
        (2.5e-7, "2.5e-7"),
        (5e-324, "5e-324"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
    ];
    for (value, expected) in cases {
        let text = format!("# TYPE m gauge\nm {expected}\n");
        check(&[gauge("m", "", &[(&[], value)])], &text, &format!("{text}# EOF\n"));
    }
}

#[test]
fn families_of_several_registries_become_one() {
    let families = [
        gauge("users", "", &[(&[("s", "c")], 3.0)]),
        gauge("posts", "Posts.", &[(&[("s", "a")], 10.0)]),
        gauge("users", "Accounts.", &[(&[("s", "a")], 1.0), (&[("s", "c")], 99.0)]),
        counter("posts", "Of another type.", &[(&[("s", "b")], 7.0)]),
        gauge("users", "Other words.", &[(&[("s", "b")], 2.0), (&[], 0.0), (&[("r", "b")], 4.0)]),
    ];
    let text = "\
# HELP posts Posts.
# TYPE posts gauge
posts{s=\"a\"} 10
# HELP users Accounts.
# TYPE users gauge
users 0
users{s=\"a\"} 1
users{r=\"b\"} 4
users{s=\"b\"} 2
users{s=\"c\"} 3
";
    check(&families, text, &format!("{text}# EOF\n"));
}

#[test]
fn sample_names_of_two_families_never_clash() {
    let families = [
        histogram("d", "", &[], &[], 1, 1.0),
        gauge("d_count", "", &[(&[], 5.0)]),
        gauge("jobs", "", &[(&[], 5.0)]),
        counter("jobs_total", "", &[(&[], 6.0)]),
    ];
    let histogram = "# TYPE d histogram\nd_bucket{le=\"+Inf\"} 1\nd_sum 1\nd_count 1\n";
    check(
        &families,
        &format!("{histogram}# TYPE jobs gauge\njobs 5\n# TYPE jobs_total counter\njobs_total 6\n"),
        // OpenMetrics calls both `jobs`.
        &format!("{histogram}# TYPE jobs gauge\njobs 5\n# EOF\n"),
    );
}

#[test]
fn summaries_and_untyped_families_are_left_out() {
    let kinds = [("s", MetricType::SUMMARY), ("u", MetricType::UNTYPED)];
    let families = kinds.map(|(name, kind)| family(name, "", kind, vec![Metric::default()]));
    check(&families, "", "# EOF\n");
}

/// From instruments through the exporter crate, as in the bridge.
#[test]
fn what_the_exporter_gathers() {
    let provider = |registry: &prometheus::Registry| {
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build();
        let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "t")).build();
        SdkMeterProvider::builder().with_resource(resource).with_reader(exporter.expect("exporter")).build()
    };
    let registry = prometheus::Registry::new();
    let provider = provider(&registry);
    let meter = provider.meter("fedimeter");
    let attributes = [KeyValue::new("server.address", "a.example")];
    meter
        .i64_gauge("a.timestamp")
        .with_unit("s")
        .with_description("An instant.")
        .build()
        .record(5, &attributes);
    meter.u64_counter("b.failures").with_unit("{failure}").build().add(2, &attributes);
    let histogram = meter.f64_histogram("c.duration").with_unit("s").with_boundaries(vec![0.5, 1.0]);
    histogram.build().record(0.75, &attributes);

    let labels = "server_address=\"a.example\",otel_scope_name=\"fedimeter\"";
    check_with_units(
        &registry.gather(),
        &|name| unit_word(if name.ends_with("_seconds") { "s" } else { "{failure}" }),
        &format!(
            "\
# HELP a_timestamp_seconds An instant.
# TYPE a_timestamp_seconds gauge
a_timestamp_seconds{{{labels}}} 5
# TYPE b_failures_total counter
b_failures_total{{{labels}}} 2
# TYPE c_duration_seconds histogram
c_duration_seconds_bucket{{{labels},le=\"0.5\"}} 0
c_duration_seconds_bucket{{{labels},le=\"1\"}} 1
c_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 1
c_duration_seconds_sum{{{labels}}} 0.75
c_duration_seconds_count{{{labels}}} 1
# HELP target_info Target metadata
# TYPE target_info gauge
target_info{{service_name=\"t\"}} 1
"
        ),
        &format!(
            "\
# HELP a_timestamp_seconds An instant.
# TYPE a_timestamp_seconds gauge
# UNIT a_timestamp_seconds seconds
a_timestamp_seconds{{{labels}}} 5
# TYPE b_failures counter
b_failures_total{{{labels}}} 2
# TYPE c_duration_seconds histogram
# UNIT c_duration_seconds seconds
c_duration_seconds_bucket{{{labels},le=\"0.5\"}} 0
c_duration_seconds_bucket{{{labels},le=\"1.0\"}} 1
c_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 1
c_duration_seconds_sum{{{labels}}} 0.75
c_duration_seconds_count{{{labels}}} 1
# HELP target Target metadata
# TYPE target info
target_info{{service_name=\"t\"}} 1
# EOF
"
        ),
    );
}

#[test]
fn what_is_left_out_is_said_once() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || Log(writer.clone()));
    tracing::subscriber::with_default(subscriber.finish(), || {
        for _ in 0..3 {
            let conflict =
                vec![gauge("said_once", "", &[(&[], 1.0)]), counter("said_once", "", &[(&[], 1.0)])];
            let _ = encode(conflict, Format::Text004, &|_| None);
        }
    });
    let log = String::from_utf8(log.lock().expect("no panic").clone()).expect("UTF-8");
    assert_eq!(log.matches("WARN").count(), 1, "{log}");
    assert!(log.contains("family=\"said_once\""), "{log}");
}

struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
