//! The file that `OTEL_CONFIG_FILE` names. What is refused has a reason, and header
//! values are marked as secret.
#![no_main]

use fedimeter::fuzzing::load_otel_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let environment = |name: &str| (name.len() % 2 == 0).then(|| format!("of-{name}"));
    match load_otel_file(text, &environment) {
        Ok(env) => {
            assert!(!env.push.interval.is_zero() && !env.push.timeout.is_zero());
            let signals = [&env.otlp, &env.telemetry.logs.otlp, &env.telemetry.traces.otlp];
            assert!(signals.iter().all(|otlp| otlp.headers.map().values().all(|value| value.is_sensitive())));
        }
        Err(errors) => assert!(!errors.is_empty(), "refused without a reason"),
    }
});
