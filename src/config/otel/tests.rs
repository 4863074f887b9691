use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::export::telemetry::{BatchSettings, Sampling};
use std::time::Duration;

mod cases;

use cases::*;

type Env<'a> = &'a [(&'a str, &'a str)];

fn read(env: Env<'_>) -> Result<(OtelEnv, Vec<Warning>), Vec<OtelEnvError>> {
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    OtelEnv::read(&|name| env.get(name).map(|value| (*value).to_owned()))
}

/// Describes the effect of a variable in the words of the table's rows.
fn shown(variable: &str, env: &OtelEnv) -> String {
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref().map_or("none".to_owned(), |path| path.display().to_string())
    };
    let otlp = &env.otlp;
    let batch =
        |of: &BatchSettings| format!("{:?} {:?} {}/{}", of.delay, of.timeout, of.max_batch, of.max_queue);
    match variable.trim_start_matches("OTEL_EXPORTER_OTLP_").trim_start_matches("METRICS_") {
        "OTEL_LOGS_EXPORTER" => env.telemetry.logs.is_on.to_string(),
        "OTEL_TRACES_EXPORTER" => env.telemetry.traces.is_on.to_string(),
        "OTEL_TRACES_SAMPLER" | "OTEL_TRACES_SAMPLER_ARG" => format!("{:?}", env.telemetry.sampling),
        name if name.starts_with("OTEL_BLRP_") => batch(&env.telemetry.logs.batch),
        name if name.starts_with("OTEL_BSP_") => batch(&env.telemetry.traces.batch),
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
    for variable in VARIABLES.iter().filter(|v| !v.name.ends_with("CONFIG_FILE")) {
        let names = variable.names();
        let cases: Vec<_> = CASES.iter().filter(|case| names.iter().any(|name| name == case.0)).collect();
        let some = |is: &dyn Fn(&str, usize) -> bool| cases.iter().any(|case| is(case.1, case.3));
        let name = variable.name;
        assert!(some(&|value, _| value.is_empty()), "{name}: set to nothing");
        // Free text, and values that are only checked when they are used, cannot be
        // wrong here. A wrong endpoint is an error with a test of its own.
        if !matches!(variable.kind, "string" | "path" | "URL") {
            assert!(some(&|_, warnings| warnings > 0), "{name}: wrong");
        }
        // Alone it has no effect, which is a warning. The next test sets it with its
        // sampler.
        if name != "OTEL_TRACES_SAMPLER_ARG" {
            assert!(some(&|value, warnings| !value.is_empty() && warnings == 0), "{name}: right");
        }
        // In the table, names of choices are in backticks.
        if variable.kind == "boolean" || variable.kind.contains('`') && !variable.kind.contains('=') {
            let mixed = |value: &str, warnings| warnings == 0 && value != value.to_ascii_lowercase();
            assert!(some(&mixed), "{name}: in capitals");
        }
    }
}

/// A signal's own variables take precedence over the general ones, and it has its own
/// path.
#[test]
fn logs_and_traces_have_variables_of_their_own() {
    let env = [
        (ENDPOINT, "http://c:4318/otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://l:4317"),
        (HEADERS, "x=general"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x=traces"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "7"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ];
    let (read, _) = read(&env).unwrap();
    let TelemetrySettings { logs, traces, sampling } = &read.telemetry;
    let shown = |otlp: &OtlpSettings| {
        let x = otlp.headers.map()["x"].to_str().unwrap();
        format!("{} {} {} {x} {:?}", otlp.signal, otlp.protocol, otlp.endpoint, otlp.timeout)
    };
    assert_eq!(shown(&read.otlp), "metrics http/protobuf http://c:4318/otlp/v1/metrics general 10s");
    assert_eq!(shown(&logs.otlp), "logs grpc http://l:4317 general 7ms");
    assert_eq!(shown(&traces.otlp), "traces http/protobuf http://c:4318/otlp/v1/traces traces 10s");
    assert_eq!(*sampling, Sampling::Ratio(0.25));
    assert!(!logs.is_on && !traces.is_on, "an endpoint alone exports metrics only");
}

/// An invalid general variable is reported once, and an endpoint is an error where it
/// is used.
#[test]
fn what_is_wrong_for_all_signals_is_said_once() {
    let on = [("OTEL_LOGS_EXPORTER", "otlp"), ("OTEL_TRACES_EXPORTER", "otlp")];
    let wrong = [(TIMEOUT, "soon"), (CERTIFICATE, "/ca.pem"), (ENDPOINT, "http://c:4318")];
    let (_, warnings) = read(&[&on[..], &wrong].concat()).unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let errors = read(&[&on[..], &[(ENDPOINT, "c:4318")]].concat()).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let logs = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "c:4318");
    assert_eq!(read(&[logs, on[0]]).unwrap_err().len(), 1);
    assert_eq!(read(&[logs, on[1]]).unwrap().1.len(), 1, "nothing is sent there");
    let disabled = read(&[on[0], on[1], (DISABLED, "true")]).unwrap().0.telemetry;
    assert!(!disabled.logs.is_on && !disabled.traces.is_on);
}

/// For each pair the variable for metrics takes precedence, unless it is empty or
/// invalid.
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
        (
            &[(ENDPOINT, "http://c:4318"), (EXPORTER, "prometheus"), ("OTEL_LOGS_EXPORTER", "otlp")],
            "prometheus",
            0,
        ),
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
    let errors = read(&[(ENDPOINT, "c:4318")]).unwrap_err();
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(text[0].contains("OTEL_EXPORTER_OTLP_ENDPOINT: \"c:4318\" is not a URL"), "{}", text[0]);
    // An empty variable counts as missing, and an invalid endpoint does no harm if
    // nothing is pushed.
    assert!(read(&[("OTEL_CONFIG_FILE", "")]).is_ok());
    let (_, warnings) = read(&[(ENDPOINT, "c:4318"), (EXPORTER, "none")]).unwrap();
    assert_eq!(warnings.len(), 1);
    let errors = read(&[(ENDPOINT, "http://u:hush@c:4317")]).unwrap_err();
    assert!(errors[0].message.contains("as a header") && !errors[0].message.contains("hush"));
    // A secret in the wrong variable.
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        for endpoint in ["glc_hush", "api-key=hush", "Bearer hush"] {
            let errors =
                read(&[(ENDPOINT, endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]).unwrap_err();
            let error = errors[0].to_string();
            assert!(error.contains("is not a URL") && !error.contains("hush"), "{error}");
        }
    }
    for endpoint in ["c.example", "c.example:443", "[::1]:4317", "localhost:4317"] {
        assert!(read(&[(ENDPOINT, endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).is_ok(), "{endpoint}");
    }
}

/// A warning about a header contains only its name.
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

/// Otherwise half of the value would be sent, with a quote in it.
#[test]
fn a_list_in_quotes_is_ignored_and_told() {
    for value in [r#""a=hush,b=d""#, "'a=hush'"] {
        let lists = [(ENDPOINT, "http://c:4318"), (HEADERS, value), ("OTEL_RESOURCE_ATTRIBUTES", value)];
        let (env, warnings) = read(&lists).unwrap();
        assert!(env.otlp.headers.map().is_empty(), "{value}");
        let text: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), 2, "{text:?}");
        assert!(text.iter().all(|t| t.contains("in quotes") && !t.contains("hush")), "{text:?}");
    }
    let (env, _) = read(&[(ENDPOINT, "http://c:4318"), (HEADERS, r#"a="b""#)]).unwrap();
    assert_eq!(env.otlp.headers.map()["a"], r#""b""#, "quotes inside are the receiver's business");
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
