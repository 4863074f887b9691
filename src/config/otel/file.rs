//! Declarative configuration (`OTEL_CONFIG_FILE`). The content of a file becomes the
//! equivalent variables, so that each setting has one reader, one set of bounds and one
//! meaning. Settings without a variable are not supported, and are an error with their
//! path.

mod exporter;
mod node;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use saphyr::{LoadableYamlNode, Yaml};

use super::origins::Origins;
use super::table::{VARIABLES as ALL, Variable};
use super::{OtelEnv, OtelEnvError, Warning};
use crate::config::yaml::too_deep;
use crate::export::otlp::Signal;
use node::Node;

/// The variables for the file's path: the stable name, and the earlier one.
const VARIABLES: [&str; 2] = ["OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE"];

/// The maximum size of a file in bytes.
const MAX_FILE: u64 = 1 << 20;

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables that a file replaces.
#[derive(Debug, Default)]
pub struct File {
    name: String,
    /// Each value with its path in the file.
    set: BTreeMap<&'static str, (String, String)>,
    /// The variables to which the file refers.
    used: BTreeSet<String>,
    errors: Vec<OtelEnvError>,
}

/// Returns the variable that names a file, if there is one.
pub fn variable(environment: Environment<'_>) -> Option<&'static str> {
    let names_file = |name: &&str| environment(name).is_some_and(|path| !path.trim().is_empty());
    VARIABLES.into_iter().find(names_file)
}

/// Reads the named file, if there is one.
pub fn named(environment: Environment<'_>) -> Option<File> {
    let variable = variable(environment)?;
    let path = environment(variable)?.trim().to_owned();
    let fail = |message: String| File {
        errors: vec![OtelEnvError { variable: variable.to_owned(), message }],
        ..File::default()
    };
    let cannot =
        |error: std::io::Error| format!("cannot read {path}: {error}; check the path and its permissions");
    let text = std::fs::metadata(&path).map_err(cannot).and_then(|metadata| {
        if !metadata.is_file() {
            return Err(format!("{path} is not a file; name a YAML file"));
        }
        let mut text = String::new();
        let file = std::fs::File::open(&path).map_err(cannot)?;
        file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(cannot)?;
        if text.len() as u64 > MAX_FILE {
            return Err(format!("{path} is larger than {MAX_FILE} bytes"));
        }
        Ok(text)
    });
    Some(text.map_or_else(fail, |text| File::parse(&path, &text, environment)))
}

impl File {
    /// Parses `text`. Its references to variables are read from `environment`.
    pub fn parse(name: &str, text: &str, environment: Environment<'_>) -> File {
        let mut file = File { name: name.to_owned(), ..File::default() };
        if let Some(message) = too_deep(text) {
            file.fail("", &message);
            return file;
        }
        let used = RefCell::new(BTreeSet::new());
        let noting = |name: &str| {
            used.borrow_mut().insert(name.to_owned());
            environment(name)
        };
        match Yaml::load_from_str(text) {
            Ok(documents) => match &documents[..] {
                [root] => {
                    let root = Node::root(root, &noting);
                    file.configuration(&root);
                    for (path, message) in root.errors.borrow().iter() {
                        file.fail(path, message);
                    }
                }
                _ => file.fail("", "is not one YAML document; write one"),
            },
            Err(e) => file.fail("", &format!("is not YAML: {}, at line {}", e.info(), e.marker().line())),
        }
        file.used = used.take();
        file
    }

    /// Returns a warning about variables that are set but have no effect.
    pub fn overridden(&self, environment: Environment<'_>) -> Option<Warning> {
        let names_file = variable(environment);
        let is_set = |name: &String| environment(name).is_some_and(|value| !value.trim().is_empty());
        let names = ALL.iter().flat_map(Variable::names).filter(is_set);
        let names: Vec<String> =
            names.filter(|name| Some(&**name) != names_file && !self.used.contains(name)).collect();
        let message = format!("without effect: {} replaces all variables", self.name);
        (!names.is_empty()).then(|| Warning { variable: names.join(", "), message })
    }

    /// Returns the place in the file that replaces a variable.
    pub fn place_of(&self, variable: &str) -> Option<String> {
        self.set.get(variable).map(|(_, path)| self.place(path))
    }

    /// Returns the value of a variable.
    pub fn get(&self, name: &str) -> Option<String> {
        self.set.get(name).map(|(value, _)| value.clone())
    }

    /// Returns the settings.
    ///
    /// # Errors
    ///
    /// All errors and unsupported settings, with their paths.
    pub fn read(mut self) -> Result<OtelEnv, Vec<OtelEnvError>> {
        let read = OtelEnv::of_variables(&|name| self.get(name));
        let paths = self.set.iter().map(|(variable, (_, path))| (*variable, path.clone()));
        let origins = Origins::of_file(&self.name, paths);
        let (env, wrong) = match read {
            Ok((env, warnings)) => {
                let wrong = warnings.into_iter().map(|w| (w.variable, w.message)).collect();
                (Some(env), wrong)
            }
            Err(errors) => (None, errors.into_iter().map(|e| (e.variable, e.message)).collect::<Vec<_>>()),
        };
        // An invalid variable is ignored, but an invalid file prevents the start.
        for (variable, message) in wrong {
            let path = self.set.get(&*variable).map_or(variable.as_str(), |(_, path)| path);
            let place = self.place(path);
            self.errors.push(OtelEnvError { variable: place, message: message.replace(": ignored", "") });
        }
        match env {
            Some(mut env) if self.errors.is_empty() => {
                for otlp in [&mut env.otlp, &mut env.telemetry.logs.otlp, &mut env.telemetry.traces.otlp] {
                    otlp.file = origins.file().cloned();
                }
                Ok(OtelEnv { origins, ..env })
            }
            _ => Err(self.errors),
        }
    }

    fn place(&self, path: &str) -> String {
        if path.is_empty() { self.name.clone() } else { format!("{}: {path}", self.name) }
    }

    fn fail(&mut self, path: &str, message: &str) {
        let variable = self.place(path);
        self.errors.push(OtelEnvError { variable, message: message.to_owned() });
    }

    /// Sets a variable to the value of a node, if it has one.
    fn set(&mut self, variable: &'static str, node: Option<&Node<'_>>) {
        if let Some(node) = node
            && let Some(text) = node.text()
        {
            self.put(variable, text, node);
        }
    }

    fn put(&mut self, variable: &'static str, value: String, node: &Node<'_>) {
        if self.set.get(variable).is_some_and(|(before, _)| *before != value) {
            node.fail("differs from another value of the same fedimeter setting; give both the same value");
        }
        self.set.insert(variable, (value, node.path.clone()));
    }

    fn configuration(&mut self, root: &Node<'_>) {
        let fields = root.fields(&[
            "file_format",
            "disabled",
            "log_level",
            "resource",
            "meter_provider",
            "logger_provider",
            "tracer_provider",
        ]);
        let format = fields.get("file_format");
        match format.and_then(Node::text) {
            // Minor versions extend the schema. Unknown extensions are reported as
            // errors below.
            Some(version) if is_known_format(&version) => {}
            Some(_) => root.fail_at("file_format", "is not a version that is supported; write \"1.0\""),
            None => root.fail_at("file_format", "is missing; write file_format: \"1.0\""),
        }
        self.set("OTEL_SDK_DISABLED", fields.get("disabled"));
        self.set("OTEL_LOG_LEVEL", fields.get("log_level"));
        if let Some(resource) = fields.get("resource") {
            self.resource(resource);
        }
        self.put("OTEL_METRICS_EXPORTER", "none".to_owned(), root);
        if let Some(provider) = fields.get("meter_provider") {
            self.meter_provider(provider);
        }
        for (signal, provider) in [(Signal::Logs, "logger_provider"), (Signal::Traces, "tracer_provider")] {
            if let Some(provider) = fields.get(provider) {
                self.provider(signal, provider);
            }
        }
    }

    fn resource(&mut self, node: &Node<'_>) {
        let fields = node.fields(&["attributes", "attributes_list"]);
        let mut list: Vec<String> = fields.get("attributes_list").and_then(Node::text).into_iter().collect();
        for attribute in fields.get("attributes").map(Node::items).unwrap_or_default() {
            let fields = attribute.fields(&["name", "value", "type"]);
            let text = |key: &str| fields.get(key).and_then(Node::text);
            if text("type").is_some_and(|kind| kind != "string") {
                attribute.fail_at("type", "is not supported; attributes of the resource are strings here");
            }
            match (text("name"), text("value")) {
                (Some(name), Some(value)) => list.push(format!("{}={}", encode(&name), encode(&value))),
                (None, _) => attribute.fail("has no name"),
                (Some(_), None) => {}
            }
        }
        if !list.is_empty() {
            self.put("OTEL_RESOURCE_ATTRIBUTES", list.join(","), node);
        }
    }

    fn meter_provider(&mut self, node: &Node<'_>) {
        let fields = node.fields(&["readers", "exemplar_filter"]);
        self.set("OTEL_METRICS_EXEMPLAR_FILTER", fields.get("exemplar_filter"));
        let mut exporters: Vec<&str> = Vec::new();
        for reader in fields.get("readers").map(Node::items).unwrap_or_default() {
            let exporter = match reader.only(&["periodic", "pull"]) {
                Some(("periodic", periodic)) => self.periodic(&periodic),
                Some((_, pull)) => self.pull(&pull),
                None => None,
            };
            match exporter {
                Some(exporter) if exporters.contains(&exporter) => {
                    reader.fail("is the second of its kind; fedimeter supports one of each");
                }
                exporter => exporters.extend(exporter),
            }
        }
        if !exporters.is_empty() {
            self.set.insert("OTEL_METRICS_EXPORTER", (exporters.join(","), node.path.clone()));
        }
    }

    fn periodic(&mut self, node: &Node<'_>) -> Option<&'static str> {
        let fields = node.fields(&["interval", "timeout", "exporter"]);
        self.set("OTEL_METRIC_EXPORT_INTERVAL", fields.get("interval"));
        self.set("OTEL_METRIC_EXPORT_TIMEOUT", fields.get("timeout"));
        match node.needs(&fields, "exporter")?.only(&["otlp_http", "otlp_grpc", "console"])? {
            ("console", console) => {
                console.fields(&[]);
                Some("console")
            }
            (kind, exporter) => {
                self.otlp(Signal::Metrics, kind, &exporter);
                Some("otlp")
            }
        }
    }

    fn pull(&mut self, node: &Node<'_>) -> Option<&'static str> {
        let fields = node.fields(&["exporter"]);
        let (_, exporter) = node.needs(&fields, "exporter")?.only(&["prometheus/development"])?;
        let fields = exporter.fields(&["host", "port"]);
        self.set("OTEL_EXPORTER_PROMETHEUS_HOST", fields.get("host"));
        self.set("OTEL_EXPORTER_PROMETHEUS_PORT", fields.get("port"));
        Some("prometheus")
    }

    /// Reads the provider of logs or traces: one batch processor with an OTLP exporter.
    fn provider(&mut self, signal: Signal, node: &Node<'_>) {
        let [exporter, delay, timeout, queue, batch] = match signal {
            Signal::Traces => [
                "OTEL_TRACES_EXPORTER",
                "OTEL_BSP_SCHEDULE_DELAY",
                "OTEL_BSP_EXPORT_TIMEOUT",
                "OTEL_BSP_MAX_QUEUE_SIZE",
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
            ],
            _ => [
                "OTEL_LOGS_EXPORTER",
                "OTEL_BLRP_SCHEDULE_DELAY",
                "OTEL_BLRP_EXPORT_TIMEOUT",
                "OTEL_BLRP_MAX_QUEUE_SIZE",
                "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
            ],
        };
        let known: &[&str] =
            if signal == Signal::Traces { &["processors", "sampler"] } else { &["processors"] };
        let fields = node.fields(known);
        if signal == Signal::Traces {
            // The schema's default. Without a file the default for a fleet is
            // different.
            self.put("OTEL_TRACES_SAMPLER", "always_on".to_owned(), node);
            if let Some(sampler) = fields.get("sampler") {
                self.sampler(sampler);
            }
        }
        let processors = fields.get("processors").map(Node::items).unwrap_or_default();
        if let [_, second, ..] = &processors[..] {
            second.fail("is the second processor; fedimeter supports one");
        }
        let Some(first) = processors.first() else { return };
        let Some((_, processor)) = first.only(&["batch"]) else { return };
        let of_batch = processor.fields(&[
            "schedule_delay",
            "export_timeout",
            "max_queue_size",
            "max_export_batch_size",
            "exporter",
        ]);
        self.set(delay, of_batch.get("schedule_delay"));
        self.set(timeout, of_batch.get("export_timeout"));
        self.set(queue, of_batch.get("max_queue_size"));
        self.set(batch, of_batch.get("max_export_batch_size"));
        if let Some(found) = processor.needs(&of_batch, "exporter")
            && let Some((kind, otlp)) = found.only(&["otlp_http", "otlp_grpc"])
        {
            self.put(exporter, "otlp".to_owned(), &otlp);
            self.otlp(signal, kind, &otlp);
        }
    }

    /// Reads the sampler. Every trace begins in the bridge, so only the root of a
    /// parent-based sampler counts.
    fn sampler(&mut self, node: &Node<'_>) {
        let kinds = ["always_on", "always_off", "trace_id_ratio_based", "parent_based"];
        let name = match node.only(&kinds) {
            Some(("parent_based", parent_based)) => {
                if let Some(root) = parent_based.fields(&["root"]).get("root") {
                    self.sampler(root);
                }
                return;
            }
            Some(("trace_id_ratio_based", ratio)) => {
                self.set("OTEL_TRACES_SAMPLER_ARG", ratio.fields(&["ratio"]).get("ratio"));
                "traceidratio"
            }
            Some((name, sampler)) => {
                sampler.fields(&[]);
                if name == "always_on" { "always_on" } else { "always_off" }
            }
            None => return,
        };
        self.set.insert("OTEL_TRACES_SAMPLER", (name.to_owned(), node.path.clone()));
    }
}

/// Whether the version is `1`, or `1.` followed by a number.
fn is_known_format(version: &str) -> bool {
    let minor = version.strip_prefix("1.");
    version == "1"
        || minor.is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|c| c.is_ascii_digit()))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
