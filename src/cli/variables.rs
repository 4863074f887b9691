//! Warns about misspelt variables, which would otherwise be ignored silently.

use std::ffi::OsString;

use clap::CommandFactory;

use crate::config::otel::{VARIABLES, Variable};
use crate::config::suggest::{closest, misspelt};
use crate::config::{bridge_settings, target_settings};

use super::Cli;

/// Returns a warning for each variable with our prefix that is unknown, and for each
/// that resembles one of OpenTelemetry's. Variables that Kubernetes sets for a service
/// called `fedimeter` are ignored.
#[must_use]
pub fn misspelt_variables(all: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<String> {
    let of_settings = bridge_settings().into_iter().chain(target_settings());
    let mut known: Vec<String> = of_settings.filter_map(|setting| setting.key.variable()).collect();
    // The variables of commands.
    let command = Cli::command();
    let of_commands = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let arguments = command.get_arguments().chain(of_commands);
    known.extend(arguments.filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned())));
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let set = all.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let set: Vec<(String, OsString)> = set.filter(|(_, value)| !value.is_empty()).collect();
    let of_otel: Vec<String> = VARIABLES.iter().flat_map(Variable::names).collect();
    let of_otel: Vec<&str> = of_otel.iter().map(String::as_str).collect();
    // Other programs and libraries have more variables than we know.
    let nearly = set.iter().filter(|(name, _)| name.starts_with("OTEL_") && !of_otel.contains(&&**name));
    let nearly = nearly.filter_map(|(name, _)| {
        let meant = misspelt(name, &of_otel)?;
        Some(format!("{name} is not a variable of OpenTelemetry, and is ignored; did you mean {meant}?"))
    });
    let mut warnings: Vec<String> = nearly.collect();
    let ours = set
        .into_iter()
        .filter(|(name, _)| name.starts_with("FEDIMETER_"))
        .filter(|(name, value)| {
            !known.contains(&&**name) && !is_of_kubernetes(name, &value.to_string_lossy())
        })
        .map(|(name, _)| match closest(&name, &known) {
            Some(meant) => {
                format!("{name} is not a variable of fedimeter, and is ignored; did you mean {meant}?")
            }
            None => {
                format!("{name} is not a variable of fedimeter, and is ignored; docs/config.md lists them")
            }
        });
    warnings.extend(ours);
    warnings.sort();
    warnings
}

/// Whether Kubernetes sets the variable: `FEDIMETER_PORT=tcp://10.0.0.1:9464`,
/// `FEDIMETER_SERVICE_HOST`, and so on.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    let rest = name.strip_prefix("FEDIMETER_").unwrap_or_default();
    let is_port = rest == "PORT" || rest.starts_with("PORT_");
    rest.starts_with("SERVICE_") || (is_port && (value.contains("://") || rest != "PORT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_told_with_the_nearest_name() {
        let told = |name: &str, value: &str| misspelt_variables([(name.into(), value.into())]);
        for (name, value, expected) in [
            ("FEDIMETER_TARGET", "a.example", "did you mean FEDIMETER_TARGETS?"),
            ("FEDIMETER_LISTNE", ":9464", "did you mean FEDIMETER_LISTEN?"),
            ("FEDIMETER_COLOUR_OF_PAGES", "red", "docs/config.md lists them"),
            ("FEDIMETER_PORT", "9464", "is not a variable"),
            ("OTEL_METRICS_EXPORTR", "otlp", "did you mean OTEL_METRICS_EXPORTER?"),
            ("OTEL_EXPORTER_OTLP_ENDPOINTS", "x", "did you mean OTEL_EXPORTER_OTLP_ENDPOINT?"),
        ] {
            let told = told(name, value);
            assert!(told.len() == 1 && told[0].contains(expected) && told[0].starts_with(name), "{told:?}");
        }
        for (name, value) in [
            ("FEDIMETER_TARGETS", "a.example"),
            ("FEDIMETER_CONFIG", "x.yaml"),
            ("FEDIMETER_TARGET", ""),
            ("FEDIMETER_PORT", "tcp://10.0.0.1:9464"),
            ("FEDIMETER_PORT_9464_TCP_ADDR", "10.0.0.1"),
            ("FEDIMETER_SERVICE_HOST", "10.0.0.1"),
            ("PATH", "/bin"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x"),
            ("OTEL_PROPAGATORS", "baggage"),
            ("OTEL_PYTHON_LOG_LEVEL", "info"),
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1"),
        ] {
            assert_eq!(told(name, value), [""; 0], "{name}");
        }
    }

    /// `cargo run` and `cargo test` set variables of the build script, which nobody
    /// wrote.
    #[test]
    fn cargo_sets_no_variable_of_ours() {
        let ours: Vec<OsString> = std::env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| name.to_string_lossy().starts_with("FEDIMETER_"))
            .collect();
        assert_eq!(ours, [""; 0]);
    }
}
