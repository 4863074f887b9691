use super::*;
use crate::export::telemetry::Sampling;

fn read(text: &str) -> Result<OtelEnv, Vec<OtelEnvError>> {
    let env = |name: &str| (name == "KEY").then(|| "hush".to_owned());
    OtelEnv::of_file(text, &env)
}

/// The example of the documentation, and its meaning.
#[test]
fn the_example_of_the_page_is_read() {
    let page = crate::config::otel::markdown();
    let example = page.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0;
    let env = read(example).unwrap();
    assert!(env.exporters.otlp && env.exporters.prometheus && !env.exporters.console);
    assert_eq!(env.otlp.endpoint.to_string(), "https://collector.example:443/v1/metrics");
    assert_eq!(env.otlp.headers.map()["authorization"], "Bearer hush");
    assert_eq!((env.push.interval.as_secs(), env.prometheus_port), (30, Some(9464)));
    assert_eq!(env.telemetry.sampling, Sampling::Ratio(0.1));
    assert!(env.telemetry.traces.is_on && env.telemetry.logs.is_on);
    assert_eq!(env.telemetry.logs.otlp.endpoint.to_string(), "http://localhost:4317");
    let resource = env.resource("x");
    assert!(resource.contains(&("deployment.environment.name".to_owned(), "production".to_owned())));
    assert!(!format!("{env:?}").contains("hush"));
}

/// A file is complete: what it does not name is off, whatever the environment says.
#[test]
fn what_a_file_does_not_name_is_off() {
    let env = read("file_format: \"1.0\"\n").unwrap();
    assert_eq!(env.exporters, crate::config::otel::Exporters::default());
    let all = "file_format: 1.1\nmeter_provider:\n  readers:\n    - periodic: {exporter: {console: }}\n\
               tracer_provider:\n  processors: [batch: {exporter: {otlp_grpc: }}]\n";
    let env = read(all).unwrap();
    assert!(env.exporters.console && env.telemetry.traces.is_on && !env.telemetry.logs.is_on);
    assert_eq!(env.telemetry.sampling, Sampling::All, "the schema's default");
}

const READER: &str = "meter_provider.readers[0].periodic.exporter";

#[test]
fn what_is_wrong_or_not_supported_is_an_error_with_its_path() {
    let exporter = |text: &str| {
        format!(
            "file_format: \"1.0\"\nmeter_provider:\n  readers:\n    - periodic:\n        exporter: {text}\n"
        )
    };
    let format = |text: &str| format!("file_format: \"1.0\"\n{text}\n");
    for (text, path, words) in [
        ("a: b: c".to_owned(), "", "is not YAML"),
        (format!("{}a: b", " ".repeat(300)), "", "nested too deeply"),
        ("disabled: true".to_owned(), "file_format", "is missing"),
        ("file_format: \"0.4\"".to_owned(), "file_format", "not a version"),
        ("file_format: \"1.banana\"".to_owned(), "file_format", "not a version"),
        ("file_format: \"1.\"".to_owned(), "file_format", "not a version"),
        (format("propagator: {composite: []}"), "propagator", "is not supported"),
        (format("meter_provider: {views: []}"), "meter_provider.views", "is not supported"),
        (format("tracer_provider: {limits: {}}"), "tracer_provider.limits", "is not supported"),
        (
            format("resource: {detection/development: {}}"),
            "resource.detection/development",
            "is not supported",
        ),
        (
            exporter("{otlp_http: {headers: [{name: \"a=1,b\", value: hush}]}}"),
            &format!("{READER}.otlp_http.headers[0].name"),
            "is not the name of a header",
        ),
        (
            exporter("{otlp_http: {headers: [{name: a, value: \"Bearer ${MISSING}\"}]}}"),
            &format!("{READER}.otlp_http.headers[0].value"),
            "refers to the variable MISSING, which is not set",
        ),
        (
            exporter("{otlp_http: {headers_list: \"a=${env:MISSING}\"}}"),
            &format!("{READER}.otlp_http.headers_list"),
            "refers to the variable MISSING, which is not set",
        ),
        (
            exporter("{otlp_grpc: {endpoint: \"https://c.example:4317\", tls: {insecure: true}}}"),
            &format!("{READER}.otlp_grpc.tls.insecure"),
            "contradicts the endpoint",
        ),
        (
            format("tracer_provider: {sampler: {trace_id_ratio_based: {ratio: 7}}}"),
            "tracer_provider.sampler.trace_id_ratio_based.ratio",
            "is not a number from 0 to 1",
        ),
        (
            format("tracer_provider: {sampler: {sometimes: {}}}"),
            "tracer_provider.sampler.sometimes",
            "is not supported",
        ),
        (exporter("{zipkin: {}}"), &format!("{READER}.zipkin"), "is not supported"),
        (exporter("{otlp_http: {endpoints: x}}"), &format!("{READER}.otlp_http.endpoints"), "did you mean"),
        (exporter("{otlp_http: {endpoint: hush}}"), &format!("{READER}.otlp_http.endpoint"), "is not a URL"),
        (
            exporter("{otlp_http: {timeout: 0}}"),
            &format!("{READER}.otlp_http.timeout"),
            "is not a whole number",
        ),
        (
            exporter("{otlp_http: {compression: zstd}}"),
            &format!("{READER}.otlp_http.compression"),
            "none, gzip",
        ),
        (exporter("{otlp_http: {}, console: {}}"), READER, "must have one key"),
        (
            exporter("{otlp_http: {endpoint: \"${KEY\"}}"),
            &format!("{READER}.otlp_http.endpoint"),
            "without its",
        ),
        (
            format("tracer_provider:\n  processors: [simple: {exporter: {otlp_http: }}]"),
            "tracer_provider.processors[0].simple",
            "is not supported",
        ),
        (
            format(
                "tracer_provider:\n  processors: [batch: {exporter: {otlp_http: }}]\n  sampler: {jaeger_remote/development: {}}",
            ),
            "tracer_provider.sampler.jaeger_remote/development",
            "is not supported",
        ),
    ] {
        let errors = read(&text).unwrap_err();
        let place = if path.is_empty() { "otel.yaml".to_owned() } else { format!("otel.yaml: {path}") };
        let found = errors.iter().any(|error| error.variable == place && error.message.contains(words));
        assert!(found, "{text}: {errors:?}");
        assert!(!format!("{errors:?}").contains("hush"), "{errors:?}");
    }
}

/// A default, an escape and an endpoint over plain HTTP are valid.
#[test]
fn what_is_meant_so_is_no_error() {
    let text = "file_format: 1\nmeter_provider:\n  readers:\n    - periodic:\n        exporter:\n          otlp_grpc:\n            \
                endpoint: http://c.example:4317\n            tls: {insecure: true}\n            headers:\n              \
                - {name: a, value: \"${MISSING:-}\"}\n              - {name: b, value: \"$${MISSING}\"}\n              \
                - {name: c, value: \"${KEY}\"}\n";
    let env = read(text).unwrap();
    assert_eq!(env.otlp.headers.map()["b"], "${MISSING}");
    assert_eq!(env.otlp.headers.map()["c"], "hush");
    assert_eq!(env.otlp.file.as_deref(), Some("otel.yaml"));
}

/// With a file, only the variables to which it refers have an effect.
#[test]
fn variables_beside_a_file_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otel.yaml");
    std::fs::write(
        &path,
        "file_format: \"1.0\"\nresource:\n  attributes_list: ${OTEL_RESOURCE_ATTRIBUTES}\n",
    )
    .unwrap();
    let path = path.display().to_string();
    let env = |name: &str| match name {
        "OTEL_CONFIG_FILE" => Some(path.clone()),
        "OTEL_RESOURCE_ATTRIBUTES" => Some("team=x".to_owned()),
        "OTEL_METRICS_EXPORTER" | "OTEL_BSP_SCHEDULE_DELAY" => Some("1".to_owned()),
        _ => None,
    };
    let (read, warnings) = OtelEnv::read(&env).unwrap();
    assert_eq!(read.resource("x")[1], ("service.name".to_owned(), "fedimeter".to_owned()));
    let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let expected = format!(
        "OTEL_METRICS_EXPORTER, OTEL_BSP_SCHEDULE_DELAY: without effect: {path} replaces all variables"
    );
    assert_eq!(told, [expected]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    for variable in VARIABLES {
        let env = |name: &str| (name == variable).then(|| "/no/such/file.yaml".to_owned());
        let errors = named(&env).unwrap().read().unwrap_err();
        assert!(errors[0].to_string().starts_with(&format!("{variable}: cannot read /no/such/file.yaml")));
    }
    assert!(named(&|_| Some(" ".to_owned())).is_none(), "set to nothing it is not set");
}

/// The text of an unrelated file, or a header that was written as a key.
#[test]
fn keys_that_are_none_of_the_schema_are_not_repeated() {
    for line in ["root:*:19000:hush:", "\"\\e[31mhush\": 1", "\"authorization=Bearer hush\": 1", "Hush: 1"] {
        let errors = read(&format!("file_format: \"1.0\"\n{line}\n")).unwrap_err();
        let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(!text.is_empty() && text.iter().all(|t| !t.to_lowercase().contains("hush")), "{text:?}");
        assert!(text.iter().all(|t| !t.contains(char::is_control)), "{text:?}");
    }
}
