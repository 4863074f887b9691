//! The `OTEL_*` variables, a line `NAME=value` each. Times are not 0, the
//! resource is sorted and whole, and no header's value shows.
#![no_main]

use std::collections::HashMap;

use fedimeter::config::otel::OtelEnv;
use libfuzzer_sys::fuzz_target;

/// Whether a warning about a list of headers repeats a header's name at most.
fn is_discreet(message: &str, value: &str) -> bool {
    let words = message.trim_start_matches("entry ").trim_start_matches(|c: char| c.is_ascii_digit());
    let mut names =
        value.split(',').filter_map(|entry| Some(entry.split_once('=')?.0.trim().to_ascii_lowercase()));
    words == " is not name=value with the characters of a header: left out"
        || names.any(|name| {
            words == format!(": the protocol itself sets {name}: left out")
                || words
                    == format!(
                        ": gRPC wants base64 in a header that ends in -bin, and the value of {name} is none: \
                         left out"
                    )
        })
}

fuzz_target!(|text: &str| {
    let variables: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let environment = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    let (env, warnings) = match OtelEnv::read(&environment) {
        Ok(read) => read,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            return;
        }
    };
    for warning in warnings.iter().filter(|warning| warning.variable.ends_with("_HEADERS")) {
        let value = variables.get(warning.variable.as_str()).copied().unwrap_or_default();
        assert!(is_discreet(&warning.message, value), "{}: {}", warning.variable, warning.message);
    }
    assert!(!env.push.interval.is_zero() && !env.push.timeout.is_zero() && !env.otlp.timeout.is_zero());
    for value in env.otlp.headers.map().values() {
        assert!(value.is_sensitive());
    }
    if env.disabled {
        assert!(!(env.exporters.otlp || env.exporters.prometheus || env.exporters.console));
    }
    let resource = env.resource("here");
    assert!(resource.is_sorted_by(|a, b| a.0 < b.0), "{resource:?}");
    assert_eq!(resource, env.resource("here"), "the same from start to start");
    for key in ["service.name", "service.instance.id", "service.version"] {
        assert!(resource.iter().any(|(k, v)| k == key && (!v.is_empty() || variables.len() > 0)), "{key}");
    }
});
