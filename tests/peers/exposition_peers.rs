//! The formats, read by independent programs: the two parsers of `prometheus_client` from
//! PyPI, and `promtool`.
//!
//! If a program is missing, its tests are ignored, and the reason is printed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::support::generated::{Expected, Model, catalogue, models};
use crate::support::trial::{program, trial};
use crate::support::venv::venv;
use fedimeter::export::exposition::{Format, encode};
use libtest_mimic::{Failed, Trial};
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde::{Deserialize, Serialize};

/// Each case is parsed twice, which makes a few thousand samples.
const CASES: u32 = 400;

pub fn trials() -> Vec<Trial> {
    let python = venv("prometheus", &["prometheus_client==0.26.0"]);
    let promtool = program("promtool");
    vec![
        trial("prometheus_client_reads_what_we_wrote", python.clone(), |python| {
            read_back(&python, CASES, &models())
        }),
        trial("prometheus_client_reads_the_catalogue", python.clone(), |python| {
            read_back(&python, 1, &Just(catalogue()).boxed())
        }),
        trial("prometheus_client_reads_any_resource", python, |python| any_resource(&python)),
        trial("promtool_finds_nothing_wrong", promtool.clone(), |()| promtool_finds_nothing_wrong()),
        trial("promtool_parses_what_we_wrote", promtool, |()| promtool_parses_what_we_wrote()),
    ]
}

/// Both parsers return every model unchanged.
fn read_back(python: &Path, cases: u32, models: &BoxedStrategy<Model>) -> Result<(), Failed> {
    let peer = RefCell::new(Parsers::start(python)?);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(models, |model| {
        for format in [Format::Text004, Format::OpenMetrics100] {
            let body = encode(model.gather(), format, &|name| model.unit_of(name));
            let body = String::from_utf8(body).expect("an exposition is UTF-8");
            let parsed = peer.borrow_mut().parse(&body, format.is_openmetrics());
            let parsed = parsed.map_err(|error| TestCaseError::fail(format!("{error}\n{body}")))?;
            let expected = model.expected(format.is_openmetrics());
            prop_assert_eq!(normal(parsed), normal(expected), "{}", body);
        }
        Ok(())
    });
    outcome.map_err(|error| Failed::from(error.to_string()))
}

/// For any names of resource attributes in the environment, both parsers accept the page of
/// the SDK's exporter, and find every value.
fn any_resource(python: &Path) -> Result<(), Failed> {
    let peer = RefCell::new(Parsers::start(python)?);
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    // Few letters, so that names often collide.
    let names = || "[a1_:.\u{65e5} ]{0,4}|__[a-z]{1,4}__|[a-z.:_0-9]{1,12}";
    let attributes = proptest::collection::btree_map(names(), "[a-z]{1,3}", 0..6);
    let outcome = runner.run(&attributes, |attributes| {
        let registry = prometheus::Registry::new();
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build();
        let pairs = attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let resource = Resource::builder_empty().with_attributes(pairs).build();
        let provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(exporter.map_err(|e| TestCaseError::fail(e.to_string()))?)
            .build();
        provider.meter("m").u64_gauge("g").build().record(1, &[]);
        for format in [Format::Text004, Format::OpenMetrics100] {
            let body = String::from_utf8(encode(registry.gather(), format, &|_| None)).expect("UTF-8");
            let parsed = peer.borrow_mut().parse(&body, format.is_openmetrics());
            let parsed = parsed.map_err(|error| TestCaseError::fail(format!("{error}\n{body}")))?;
            let info =
                parsed.iter().flat_map(|family| &family.samples).find(|(name, ..)| name == "target_info");
            let found = info.map(|(_, labels, _)| labels.values().flat_map(|v| v.split(';')).collect());
            let mut found: Vec<&str> = found.unwrap_or_default();
            found.sort_unstable();
            let mut given: Vec<&str> = attributes.values().map(String::as_str).collect();
            given.sort_unstable();
            prop_assert_eq!(found, given, "{}", body);
        }
        Ok(())
    });
    outcome.map_err(|error| Failed::from(error.to_string()))
}

/// `prometheus_client`, for one case at a time.
struct Parsers {
    child: Child,
    cases: ChildStdin,
    answers: BufReader<ChildStdout>,
}

#[derive(Serialize)]
struct Case<'a> {
    openmetrics: bool,
    body: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Families(Vec<ParsedFamily>),
    Error(String),
}

#[derive(Deserialize)]
struct ParsedFamily {
    name: String,
    kind: String,
    unit: String,
    help: String,
    samples: Vec<ParsedSample>,
}

#[derive(Deserialize)]
struct ParsedSample {
    name: String,
    labels: BTreeMap<String, String>,
    value: String,
    timestamp: bool,
}

impl Parsers {
    fn start(python: &Path) -> Result<Self, Failed> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/exposition_check.py");
        let mut child =
            Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let cases = child.stdin.take().ok_or("no standard input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Self { child, cases, answers })
    }

    fn parse(&mut self, body: &str, openmetrics: bool) -> Result<Vec<Expected>, String> {
        let case = serde_json::to_string(&Case { openmetrics, body }).map_err(|error| error.to_string())?;
        writeln!(self.cases, "{case}").map_err(|error| error.to_string())?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(|error| error.to_string())?;
        match serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))? {
            Answer::Families(families) => families.into_iter().map(Expected::try_from).collect(),
            Answer::Error(error) => Err(error),
        }
    }
}

impl Drop for Parsers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl TryFrom<ParsedFamily> for Expected {
    type Error = String;

    fn try_from(family: ParsedFamily) -> Result<Self, String> {
        let sample = |sample: ParsedSample| {
            if sample.timestamp {
                return Err(format!("{} has a timestamp", sample.name));
            }
            let value = sample.value.parse().map_err(|error| format!("{}: {error}", sample.value))?;
            Ok((sample.name, sample.labels, value))
        };
        Ok(Self {
            name: family.name,
            kind: family.kind,
            unit: family.unit,
            help: family.help,
            samples: family.samples.into_iter().map(sample).collect::<Result<_, _>>()?,
        })
    }
}

/// The same in a fixed order, with a fixed spelling of `le`, and with comparable values:
/// NaN equals NaN, and 0 has no sign.
fn normal(mut families: Vec<Expected>) -> Vec<(Expected, Vec<u64>)> {
    families.sort_by(|a, b| a.name.cmp(&b.name));
    let families = families.into_iter().map(|mut family| {
        for (_, labels, _) in &mut family.samples {
            if let Some(bound) = labels.get_mut("le") {
                *bound = bound.parse::<f64>().map_or_else(|error| error.to_string(), |le| le.to_string());
            }
        }
        family.samples.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        let bits = |value: &mut f64| match std::mem::take(value) {
            nan if nan.is_nan() => f64::NAN.to_bits(),
            value => (value + 0.0).to_bits(),
        };
        let values = family.samples.iter_mut().map(|(_, _, value)| bits(value)).collect();
        (family, values)
    });
    families.collect()
}

/// Neither an error nor advice.
fn promtool_finds_nothing_wrong() -> Result<(), Failed> {
    let (status, complaints) = promtool(&catalogue())?;
    if status != Some(0) || !complaints.is_empty() {
        return Err(format!("status {status:?}: {complaints}").into());
    }
    Ok(())
}

/// Random names cause advice (status 3), but promtool must understand all of them.
fn promtool_parses_what_we_wrote() -> Result<(), Failed> {
    // One process for each case.
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&models(), |model| {
        let (status, complaints) = promtool(&model).map_err(TestCaseError::fail)?;
        prop_assert!(matches!(status, Some(0 | 3)), "status {:?}: {}", status, complaints);
        Ok(())
    });
    outcome.map_err(|error| Failed::from(error.to_string()))
}

fn promtool(model: &Model) -> Result<(Option<i32>, String), String> {
    let body = encode(model.gather(), Format::Text004, &|name| model.unit_of(name));
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("promtool: {error}"))?;
    // The input is closed at the end of the statement.
    let written = child.stdin.take().ok_or("no standard input")?.write_all(&body);
    let output = child.wait_with_output().map_err(|error| format!("promtool: {error}"))?;
    written.map_err(|error| format!("promtool: {error}"))?;
    let complaints = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&complaints).into_owned()))
}
