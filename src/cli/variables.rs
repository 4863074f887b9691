//! Variables that look like ours and are not: a misspelt one is silence otherwise.

use std::ffi::OsString;

use clap::CommandFactory;

use crate::config::suggest::closest;
use crate::config::{bridge_settings, target_settings};

use super::Cli;

/// A warning for each variable with our prefix that says nothing to us. Those that
/// Kubernetes sets for a service called `fedimeter` are passed over.
#[must_use]
pub fn misspelt_variables(all: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<String> {
    let of_settings = bridge_settings().into_iter().chain(target_settings());
    let mut known: Vec<String> = of_settings.filter_map(|setting| setting.key.variable()).collect();
    // Those of commands.
    let command = Cli::command();
    let of_commands = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let arguments = command.get_arguments().chain(of_commands);
    known.extend(arguments.filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned())));
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let mut warnings: Vec<String> = all
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, value)| name.starts_with("FEDIMETER_") && !value.is_empty())
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
        })
        .collect();
    warnings.sort();
    warnings
}

/// `FEDIMETER_PORT=tcp://10.0.0.1:9464`, `FEDIMETER_SERVICE_HOST`, and so on.
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
        ] {
            assert_eq!(told(name, value), [""; 0], "{name}");
        }
    }
}
