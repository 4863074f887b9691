//! The effective configuration as YAML, as `fedimeter check` prints it.

use super::Config;
use super::bridge::BRIDGE;
use super::error::Place;
use super::load::Loaded;
use super::probe::PROBE;
use super::setting::{Origins, Setting};
use super::syntax::Shown;
use super::target::TARGET;

/// Returns the configuration as an equivalent file with all defaults.
///
/// A token is shown as its source, or as `<secret>` if the program supplied it. A file
/// with `<secret>` does not load.
#[must_use]
pub fn effective_yaml(config: &Config) -> String {
    yaml(config, None)
}

impl Loaded {
    /// The same, with the origin of each value as a comment.
    #[must_use]
    pub fn effective_yaml(&self) -> String {
        yaml(&self.config, Some(self))
    }
}

/// Returns the bridge's settings that differ, of those that need a restart. A setting
/// that a reload applies in part is followed by what needs the restart.
#[must_use]
pub fn needs_restart(before: &Config, after: &Config) -> Vec<String> {
    let differs = |row: &&Setting<_, Config>| row.field.show(before) != row.field.show(after);
    let rows = BRIDGE.iter().filter(|row| !row.key.on_reload);
    let name = |row: &Setting<_, Config>| match row.key.restart_for {
        Some(part) => format!("{} ({part})", row.key.name),
        None => row.key.name.to_owned(),
    };
    let mut names: Vec<String> = rows.filter(differs).map(name).collect();
    names.extend(before.probe.needs_restart(&after.probe).then(|| "probe".to_owned()));
    names
}

fn yaml(config: &Config, loaded: Option<&Loaded>) -> String {
    let mut lines = lines_of(BRIDGE, config, loaded.map(|loaded| &loaded.bridge));
    lines.push("probe:".to_owned());
    let of_probe = lines_of(PROBE, &config.probe, loaded.map(|loaded| &loaded.probe));
    lines.extend(of_probe.iter().map(|line| format!("  {line}")));
    let stand_here = config.targets.iter().any(|target| target.source.is_none());
    lines.push(if stand_here { "targets:" } else { "targets: []" }.to_owned());
    for (i, target) in config.targets.iter().enumerate() {
        // The list is already named above.
        let is_listed = target.source.is_some();
        let mut of_target = lines_of(TARGET, target, loaded.and_then(|loaded| loaded.targets.get(i)));
        if target.token.is_some() && target.token_origin.is_none() {
            of_target.push("token: <secret>".to_owned());
        }
        for (i, line) in of_target.into_iter().enumerate() {
            let mark = if is_listed { "#" } else { "" };
            lines.push(format!("{mark}{}{line}", if i == 0 { "  - " } else { "    " }));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn lines_of<D, R>(rows: &[Setting<D, R>], result: &R, origins: Option<&Origins>) -> Vec<String> {
    let mut lines = Vec::new();
    for row in rows {
        let Some(shown) = row.field.show(result) else { continue };
        let name = row.key.name;
        let origin = origins.map(|origins| comment(origins.of(name))).unwrap_or_default();
        match shown {
            Shown::One(value) => lines.push(format!("{name}: {value}{origin}")),
            Shown::Many(items) => lines.push(format!("{name}: [{}]{origin}", items.join(", "))),
            Shown::Map(entries) => {
                lines.push(format!("{name}:{origin}"));
                lines.extend(entries.iter().map(|(name, value)| format!("  {name}: {value}")));
            }
        }
    }
    lines
}

/// Describes the origin of a value: a line of a file, a flag or a variable.
fn comment(origins: &[Place]) -> String {
    let origin = |place: &Place| match &place.file {
        Some((file, line)) => format!("{file}:{line}"),
        None => place.path.clone(),
    };
    let origins: Vec<String> = origins.iter().map(origin).collect();
    if origins.is_empty() { "  # default".to_owned() } else { format!("  # {}", origins.join(", ")) }
}
