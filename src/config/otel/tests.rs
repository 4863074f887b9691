use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::*;
use std::time::Duration;

type Env<'a> = &'a [(&'a str, &'a str)];

fn read(env: Env<'_>) -> Result<(OtelEnv, Vec<Warning>), Vec<OtelEnvError>> {
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    OtelEnv::read(&|name| env.get(name).map(|value| (*value).to_owned()))
}

/// What each variable comes to, in words that a row can hold.
fn shown(variable: &str, env: &OtelEnv) -> String {
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref().map_or("none".to_owned(), |path| path.display().to_string())
    };
    let otlp = &env.otlp;
    match variable.trim_start_matches("OTEL_EXPORTER_OTLP_").trim_start_matches("METRICS_") {
        "OTEL_SDK_DISABLED" => format!("{}", env.disabled),
        "OTEL_METRICS_EXPORTER" => {
            let Exporters { otlp, prometheus, console } = env.exporters;
            [(otlp, "otlp"), (prometheus, "prometheus"), (console, "console")]
                .into_iter()
                .filter_map(|(on, name)| on.then_some(name))
                .collect::<Vec<_>>()
                .join(" ")
        }
        "OTEL_SERVICE_NAME" => {
            env.resource("x").into_iter().find(|(key, _)| key == "service.name").unwrap().1
        }
        "OTEL_RESOURCE_ATTRIBUTES" => format!("{:?}", env.attributes),
        "OTEL_LOG_LEVEL" => env.log_level.map_or("none".to_owned(), |level| level.to_string()),
        "ENDPOINT" | "PROTOCOL" | "INSECURE" => format!("{} {}", otlp.protocol, otlp.endpoint),
        "HEADERS" => {
            let all = otlp.headers.map().iter();
            all.map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())).collect::<Vec<_>>().join("; ")
        }
        "COMPRESSION" => format!("{:?}", otlp.compression),
        "TIMEOUT" => format!("{:?}", otlp.timeout),
        "CERTIFICATE" => path(&otlp.certificate),
        "CLIENT_CERTIFICATE" => path(&otlp.client_certificate),
        "CLIENT_KEY" => path(&otlp.client_key),
        "TEMPORALITY_PREFERENCE" => format!("{:?}", otlp.temporality),
        "DEFAULT_HISTOGRAM_AGGREGATION" => format!("{:?}", env.histograms),
        "OTEL_METRIC_EXPORT_INTERVAL" => format!("{:?}", env.push.interval),
        "OTEL_METRIC_EXPORT_TIMEOUT" => format!("{:?}", env.push.timeout),
        "OTEL_METRICS_EXEMPLAR_FILTER" => format!("{:?}", env.exemplars),
        "OTEL_EXPORTER_PROMETHEUS_HOST" => {
            env.prometheus_host.map_or("none".to_owned(), |host| host.to_string())
        }
        "OTEL_EXPORTER_PROMETHEUS_PORT" => {
            env.prometheus_port.map_or("none".to_owned(), |port| port.to_string())
        }
        other => panic!("no such variable: {other}"),
    }
}

const DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_METRICS_EXPORTER";
const NAME: &str = "OTEL_SERVICE_NAME";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const LEVEL: &str = "OTEL_LOG_LEVEL";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const COMPRESSION: &str = "OTEL_EXPORTER_OTLP_COMPRESSION";
const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
const INSECURE: &str = "OTEL_EXPORTER_OTLP_INSECURE";
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const CLIENT_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const CLIENT_KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";
const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
const HISTOGRAMS: &str = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const EXPORT_TIMEOUT: &str = "OTEL_METRIC_EXPORT_TIMEOUT";
const EXEMPLARS: &str = "OTEL_METRICS_EXEMPLAR_FILTER";
const HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
const PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";

const HTTP: &str = "http/protobuf http://localhost:4318/v1/metrics";

/// Variable, value, what it comes to, how many warnings.
#[rustfmt::skip]
const CASES: &[(&str, &str, &str, usize)] = &[
    (DISABLED, "", "false", 0),
    (DISABLED, "TRUE", "true", 0),
    (DISABLED, "False", "false", 0),
    (DISABLED, "1", "false", 1),
    (EXPORTER, "", "prometheus", 0),
    (EXPORTER, "otlp", "otlp", 0),
    (EXPORTER, "OTLP, Prometheus,", "otlp prometheus", 0),
    (EXPORTER, "console", "console", 0),
    (EXPORTER, "None", "", 0),
    (EXPORTER, "none,otlp", "otlp", 1),
    (EXPORTER, "zipkin", "prometheus", 1),
    (EXPORTER, "zipkin,otlp", "otlp", 1),
    (NAME, "", "fedimeter", 0),
    (NAME, "  my bridge ", "my bridge", 0),
    (ATTRIBUTES, "", "[]", 0),
    (ATTRIBUTES, "a=b, k%2C=v%3D%C3%A4 ,", r#"[("a", "b"), ("k,", "v=ä")]"#, 0),
    (ATTRIBUTES, "a=b,a=c", r#"[("a", "c")]"#, 0),
    (ATTRIBUTES, "a=b,c", "[]", 1),
    (ATTRIBUTES, "a=b,c=%zz", "[]", 1),
    (ATTRIBUTES, "a=b,c=%", "[]", 1),
    (ATTRIBUTES, "a=b,c=%FF", "[]", 1),
    (ATTRIBUTES, "=b", "[]", 1),
    (LEVEL, "", "none", 0),
    (LEVEL, "DEBUG", "debug", 0),
    (LEVEL, "none", "off", 0),
    (LEVEL, "loud", "none", 1),
    (ENDPOINT, "", HTTP, 0),
    (ENDPOINT, "http://c:4317", "grpc http://c:4317", 0),
    (ENDPOINT, "c:4317", "grpc https://c:4317", 0),
    (ENDPOINT, "http://c:4318", "http/protobuf http://c:4318/v1/metrics", 0),
    (ENDPOINT, "http://c:4318/", "http/protobuf http://c:4318/v1/metrics", 0),
    (ENDPOINT, "https://c/otlp", "http/protobuf https://c:443/otlp/v1/metrics", 0),
    (ENDPOINT, "https://c/otlp/?k=hush", "http/protobuf https://c:443/otlp/v1/metrics?***", 0),
    (ENDPOINT, "HTTPS://u:hush@C", "http/protobuf https://***@c:443/v1/metrics", 0),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:4318", "http/protobuf http://c:4318", 0),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c/a/b/", "http/protobuf http://c:80/a/b/", 0),
    (PROTOCOL, "", HTTP, 0),
    (PROTOCOL, "HTTP/Protobuf", HTTP, 0),
    (PROTOCOL, "http/json", "http/json http://localhost:4318/v1/metrics", 0),
    (PROTOCOL, "gRPC", "grpc http://localhost:4317", 0),
    (PROTOCOL, "http", HTTP, 1),
    (HEADERS, "", "", 0),
    (HEADERS, "Authorization=Basic%20YTpi==, X-Key = 1%2", "authorization: Basic YTpi==; x-key: 1%2", 0),
    (HEADERS, "a=1,hush,b=2,", "a: 1; b: 2", 1),
    (HEADERS, "a b=hush,c=%0Ahush", "", 2),
    (HEADERS, "content-type=text/hush,Transfer-Encoding=hush,a=1,grpc-timeout=hush", "a: 1", 3),
    (COMPRESSION, "", "None", 0),
    (COMPRESSION, "GZIP", "Gzip", 0),
    (COMPRESSION, "none", "None", 0),
    (COMPRESSION, "zstd", "None", 1),
    (TIMEOUT, "", "10s", 0),
    (TIMEOUT, "2500", "2.5s", 0),
    (TIMEOUT, "0", "10s", 1),
    (TIMEOUT, "-1", "10s", 1),
    (TIMEOUT, "5s", "10s", 1),
    (TIMEOUT, "99999999999999999999", "10s", 1),
    (INSECURE, "", HTTP, 0),
    (INSECURE, "True", HTTP, 0),
    (INSECURE, "yes", HTTP, 1),
    (CERTIFICATE, "", "none", 0),
    (CERTIFICATE, "/Ca.pem", "/Ca.pem", 0),
    (CLIENT_CERTIFICATE, "", "none", 0),
    (CLIENT_CERTIFICATE, "/c.pem", "/c.pem", 0),
    (CLIENT_KEY, "", "none", 0),
    (CLIENT_KEY, "/k.pem", "/k.pem", 0),
    (TEMPORALITY, "", "Cumulative", 0),
    (TEMPORALITY, "Delta", "Delta", 0),
    (TEMPORALITY, "lowmemory", "LowMemory", 0),
    (TEMPORALITY, "low_memory", "Cumulative", 1),
    (HISTOGRAMS, "", "Explicit", 0),
    (HISTOGRAMS, "BASE2_exponential_bucket_histogram", "Exponential", 0),
    (HISTOGRAMS, "exponential", "Explicit", 1),
    (INTERVAL, "", "60s", 0),
    (INTERVAL, "15000", "15s", 0),
    (INTERVAL, "0", "60s", 1),
    (INTERVAL, "1m", "60s", 1),
    (EXPORT_TIMEOUT, "", "30s", 0),
    (EXPORT_TIMEOUT, " 5000 ", "5s", 0),
    (EXPORT_TIMEOUT, "1e3", "30s", 1),
    (EXEMPLARS, "", "TraceBased", 0),
    (EXEMPLARS, "Always_On", "AlwaysOn", 0),
    (EXEMPLARS, "always_off", "AlwaysOff", 0),
    (EXEMPLARS, "on", "TraceBased", 1),
    (HOST, "", "none", 0),
    (HOST, "0.0.0.0", "0.0.0.0", 0),
    (HOST, "[::1]", "::1", 0),
    (HOST, "LocalHost", "127.0.0.1", 0),
    (HOST, "web.example", "none", 1),
    (PORT, "", "none", 0),
    (PORT, "9410", "9410", 0),
    (PORT, "65536", "none", 1),
    (PORT, "http", "none", 1),
];

#[test]
fn every_variable_in_every_case() {
    for (variable, value, expected, warned) in CASES {
        let (env, warnings) =
            read(&[(variable, value)]).unwrap_or_else(|e| panic!("{variable}={value}: {e:?}"));
        assert_eq!(shown(variable, &env), *expected, "{variable}={value}");
        assert_eq!(warnings.len(), *warned, "{variable}={value}: {warnings:?}");
        let all = format!("{env:?} {warnings:?}");
        assert!(!all.contains("hush"), "{variable}={value} shows a secret: {all}");
        for warning in warnings {
            assert_eq!(warning.variable, *variable);
        }
    }
}

#[test]
fn every_variable_in_the_table_has_cases_and_is_read() {
    let asked = RefCell::new(BTreeSet::new());
    let _ = OtelEnv::read(&|name| {
        asked.borrow_mut().insert(name.to_owned());
        None
    });
    let known: BTreeSet<String> = VARIABLES.iter().flat_map(Variable::names).collect();
    assert_eq!(asked.into_inner(), known);
    for variable in VARIABLES.iter().filter(|v| v.name != "OTEL_CONFIG_FILE") {
        let names = variable.names();
        let cases: Vec<_> = CASES.iter().filter(|case| names.iter().any(|name| name == case.0)).collect();
        let some = |is: &dyn Fn(&str, usize) -> bool| cases.iter().any(|case| is(case.1, case.3));
        let name = variable.name;
        assert!(some(&|value, _| value.is_empty()), "{name}: set to nothing");
        // What takes any text, and what is looked at only when it is used, cannot
        // be wrong here; an endpoint that is wrong is an error, with a test of its own.
        if !matches!(variable.kind, "string" | "path" | "URL") {
            assert!(some(&|_, warnings| warnings > 0), "{name}: wrong");
        }
        assert!(some(&|value, warnings| !value.is_empty() && warnings == 0), "{name}: right");
        // Names of choices are `so` in the table.
        if variable.kind == "boolean" || variable.kind.contains('`') && !variable.kind.contains('=') {
            let mixed = |value: &str, warnings| warnings == 0 && value != value.to_ascii_lowercase();
            assert!(some(&mixed), "{name}: in capitals");
        }
    }
}

/// For each pair: the one for metrics goes first, unless it is empty or wrong.
#[test]
fn variables_for_metrics_go_first() {
    for (name, metrics, general, with_both, with_general) in [
        (
            "ENDPOINT",
            "http://m:4318/x",
            "http://g:4318",
            "http/protobuf http://m:4318/x",
            "http/protobuf http://g:4318/v1/metrics",
        ),
        ("PROTOCOL", "http/json", "http/protobuf", "http/json http://localhost:4318/v1/metrics", HTTP),
        ("HEADERS", "m=1", "g=1", "m: 1", "g: 1"),
        ("COMPRESSION", "none", "gzip", "None", "Gzip"),
        ("TIMEOUT", "1", "2", "1ms", "2ms"),
        ("CERTIFICATE", "/m", "/g", "/m", "/g"),
        ("CLIENT_CERTIFICATE", "/m", "/g", "/m", "/g"),
        ("CLIENT_KEY", "/m", "/g", "/m", "/g"),
    ] {
        let (m, g) = (format!("OTEL_EXPORTER_OTLP_METRICS_{name}"), format!("OTEL_EXPORTER_OTLP_{name}"));
        let value = |env: Env<'_>| shown(&g, &read(env).unwrap().0);
        assert_eq!(value(&[(&m, metrics), (&g, general)]), with_both, "{name}");
        assert_eq!(value(&[(&m, ""), (&g, general)]), with_general, "{name}, the other empty");
    }
    let (env, warnings) = read(&[("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "soon"), (TIMEOUT, "7")]).unwrap();
    assert_eq!((env.otlp.timeout, warnings.len()), (Duration::from_millis(7), 1), "a wrong one is ignored");
    let (env, _) =
        read(&[("OTEL_EXPORTER_OTLP_METRICS_INSECURE", "true"), (INSECURE, "false"), (ENDPOINT, "c:4317")])
            .unwrap();
    assert_eq!(env.otlp.endpoint.to_string(), "http://c:4317");
}

#[test]
fn who_gets_the_metrics() {
    for (env, expected, warned) in [
        (&[][..], "prometheus", 0),
        (&[(ENDPOINT, "http://c:4318")], "otlp prometheus", 0),
        (&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:4318")], "otlp prometheus", 0),
        (&[(ENDPOINT, "http://c:4318"), (EXPORTER, "none")], "", 0),
        (&[(ENDPOINT, "http://c:4318"), (EXPORTER, "prometheus")], "prometheus", 1),
        (&[(ENDPOINT, "http://c:4318"), (EXPORTER, "otlp")], "otlp", 0),
        (&[(ENDPOINT, "http://c:4318"), (DISABLED, "true")], "", 0),
        (&[(EXPORTER, "otlp,prometheus"), (DISABLED, "true")], "", 0),
        (&[(PROTOCOL, "grpc")], "prometheus", 0),
    ] {
        let (read, warnings) = read(env).unwrap();
        assert_eq!(shown(EXPORTER, &read), expected, "{env:?}");
        assert_eq!(warnings.len(), warned, "{env:?}: {warnings:?}");
    }
}

#[test]
fn what_cannot_be_started_with_is_an_error() {
    let errors = read(&[("OTEL_CONFIG_FILE", "/etc/otel.yaml"), (ENDPOINT, "c:4318")]).unwrap_err();
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 2, "both at once: {text:?}");
    assert!(text[0].contains("OTEL_CONFIG_FILE: declarative configuration is not supported yet"));
    assert!(text[0].contains("--config FILE"));
    assert!(text[1].contains("OTEL_EXPORTER_OTLP_ENDPOINT: \"c:4318\" is not a URL"), "{}", text[1]);
    // Set to nothing it is not set, and where nothing is pushed an endpoint does no harm.
    assert!(read(&[("OTEL_CONFIG_FILE", "")]).is_ok());
    let (_, warnings) = read(&[(ENDPOINT, "c:4318"), (EXPORTER, "none")]).unwrap();
    assert_eq!(warnings.len(), 1);
    let errors = read(&[(ENDPOINT, "http://u:hush@c:4317")]).unwrap_err();
    assert!(errors[0].message.contains("as a header") && !errors[0].message.contains("hush"));
}

/// What a warning says of a header is its name.
#[test]
fn headers_that_cannot_leave_are_named() {
    let (env, warnings) =
        read(&[(ENDPOINT, "http://c:4318"), (HEADERS, "Content-Type=hush,x-bin=a b")]).unwrap();
    assert_eq!(env.otlp.headers.map()["x-bin"], "a b", "only gRPC makes something of the name");
    let text: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(text, [format!("{HEADERS}: entry 1: the protocol itself sets content-type: left out")]);
    let values = "data-bin=a%20hush,x-bin=YWJj,y-bin=YWI=";
    let (env, warnings) = read(&[(PROTOCOL, "grpc"), (HEADERS, values)]).unwrap();
    assert_eq!(shown(HEADERS, &env), "x-bin: YWJj; y-bin: YWI=");
    let text = format!("{warnings:?}");
    assert!(warnings.len() == 1 && text.contains("data-bin") && !text.contains("hush"), "{text}");
}

#[test]
fn certificates_without_tls_are_told() {
    let files = [(CERTIFICATE, "/Ca.pem"), ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "/k.pem")];
    for (endpoint, warned) in [("http://c:4317", 2), ("https://c:4317", 0), ("c:4317", 0)] {
        let (_, warnings) = read(&[&files[..], &[(ENDPOINT, endpoint)]].concat()).unwrap();
        assert_eq!(warnings.len(), warned, "{endpoint}: {warnings:?}");
        assert!(warnings.iter().all(|warning| warning.message.contains("not encrypted")));
    }
}

#[test]
fn the_resource_is_the_users_where_it_may_be() {
    let get = |env: Env<'_>, key: &str| {
        let all = read(env).unwrap().0.resource("host-a");
        let mut found = all.into_iter().filter(|(k, _)| k == key).map(|(_, value)| value);
        let value = found.next();
        assert_eq!(found.next(), None, "{key} twice");
        value
    };
    let id = get(&[], "service.instance.id").unwrap();
    assert_eq!(Some(&id), get(&[], "service.instance.id").as_ref(), "the same from start to start");
    assert_ne!(id, read(&[]).unwrap().0.resource("host-b")[0].1);
    assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 5);
    let env = [(
        ATTRIBUTES,
        "service.name=a,service.instance.id=b,service.version=c,telemetry.sdk.name=d,deployment.environment.name=e",
    )];
    assert_eq!(get(&env, "service.name").as_deref(), Some("a"));
    assert_eq!(get(&env, "service.instance.id").as_deref(), Some("b"));
    assert_eq!(get(&env, "service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(get(&env, "telemetry.sdk.name"), None);
    assert_eq!(get(&env, "deployment.environment.name").as_deref(), Some("e"));
    assert_eq!(get(&[env[0], (NAME, "z")], "service.name").as_deref(), Some("z"));
}

#[test]
fn the_page_is_what_the_table_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/environment.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, markdown()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == markdown(), "docs/environment.md is out of date: UPDATE_GOLDEN=1 cargo test otel");
}
