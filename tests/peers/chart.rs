//! The Helm chart: its manifests for the examples are in `deploy/kubernetes`, agree with
//! the program, and follow the practices of careful administrators.
//!
//! Without Helm, the tests of rendering are ignored, and only the rendered manifests are
//! tested. `deploy/helm/check` builds Helm into `target/tools`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::program::run;
use crate::support::trial::{always, trial};
use crate::support::yaml;

/// A values file in `deploy/helm/examples`, and its manifests in `deploy/kubernetes`.
const EXAMPLES: [&str; 5] = ["small", "operator", "push", "probe", "closed"];
const CHART: &str = "deploy/helm/fedimeter";
/// Helm from `go install` assumes an old Kubernetes.
const KUBERNETES: &str = "--kube-version=1.37.0";

pub fn trials() -> Vec<Trial> {
    let helm = helm();
    let mut trials = vec![
        always("the_version_is_that_of_the_program", the_version_is_that_of_the_program),
        always("variables_and_flags_are_known", variables_and_flags_are_known),
        always("configurations_are_taken", configurations_are_taken),
        always("pods_have_no_rights", pods_have_no_rights),
        always("probes_and_services_lead_to_the_program", probes_and_services_lead_to_the_program),
        always("every_value_is_in_the_schema", every_value_is_in_the_schema),
        always("variables_of_a_service_disturb_nothing", variables_of_a_service_disturb_nothing),
    ];
    for (name, test) in [
        ("the_manifests_are_the_chart", the_manifests_are_the_chart as fn(&Path)),
        ("helm_lint_finds_nothing", helm_lint_finds_nothing),
        ("rules_and_dashboards_are_the_projects", rules_and_dashboards_are_the_projects),
        ("contradictions_are_refused", contradictions_are_refused),
        ("tokens_become_a_secret", tokens_become_a_secret),
        ("a_change_restarts_only_where_that_is_asked_for", a_change_restarts_only_where_asked),
    ] {
        trials.push(trial(name, helm.clone(), move |helm| test(&helm)));
    }
    trials
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Helm from the PATH, or from `deploy/helm/check`.
fn helm() -> Result<PathBuf, String> {
    let built = root().join("target/tools/bin/helm");
    let found = [PathBuf::from("helm"), built]
        .into_iter()
        .find(|helm| Command::new(helm).arg("version").output().is_ok_and(|output| output.status.success()));
    found.ok_or_else(|| "helm is not installed (deploy/helm/check builds it)".to_owned())
}

/// Renders the chart, or returns the error.
fn template(helm: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(helm);
    command.args(["template", "fedimeter", CHART, "--namespace", "fedimeter", KUBERNETES]).args(arguments);
    let output = command.current_dir(root()).output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn documents(text: &str) -> Vec<Value> {
    let parts = text.split("\n---\n").map(|part| part.trim_start_matches("---\n"));
    let filled = parts.filter(|part| part.lines().any(|line| !line.is_empty() && !line.starts_with('#')));
    filled.map(|part| yaml::parse(part).unwrap_or_else(|e| panic!("{e}\n{part}"))).collect()
}

/// The manifests in the repository, by example.
fn manifests() -> BTreeMap<&'static str, Vec<Value>> {
    let read = |name| documents(&read(format!("deploy/kubernetes/{name}.yaml")));
    EXAMPLES.into_iter().map(|name| (name, read(name))).collect()
}

fn kind<'d>(documents: &'d [Value], kind: &str) -> Vec<&'d Value> {
    documents.iter().filter(|document| document["kind"] == kind).collect()
}

/// The pods of all examples.
fn pods() -> Vec<(&'static str, Value)> {
    let workloads = manifests().into_iter().flat_map(|(name, documents)| {
        let pods = documents.into_iter().filter(|d| d["kind"] == "Deployment" || d["kind"] == "StatefulSet");
        pods.map(move |workload| (name, workload["spec"]["template"]["spec"].clone()))
    });
    let pods: Vec<(&str, Value)> = workloads.collect();
    assert_eq!(pods.len(), EXAMPLES.len());
    pods
}

fn the_version_is_that_of_the_program() {
    let chart = yaml::file(format!("{CHART}/Chart.yaml"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["home"], env!("CARGO_PKG_HOMEPAGE"));
    assert_eq!(chart["description"], env!("CARGO_PKG_DESCRIPTION"));
}

fn variables_and_flags_are_known() {
    for (name, pod) in pods() {
        let container = &pod["containers"][0];
        let variables = container["env"].as_array().unwrap().iter().map(|variable| {
            let value = variable["value"].as_str().unwrap_or("x");
            (variable["name"].as_str().unwrap().into(), value.into())
        });
        assert_eq!(fedimeter::cli::misspelt_variables(variables), [""; 0], "{name}");
        let flags = container["args"].as_array().into_iter().flatten();
        let mut arguments = vec!["fedimeter".into()];
        // Kubernetes inserts the pod's name.
        arguments.extend(flags.map(|a| a.as_str().unwrap().replace("$(POD_NAME)", "fedimeter-2").into()));
        fedimeter::cli::parse(arguments).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

fn configurations_are_taken() {
    let knows_probes = run(&["schema"], &[]).out.contains("\"probe\"");
    for (name, documents) in manifests().into_iter().filter(|(name, _)| knows_probes || *name != "probe") {
        let config = kind(&documents, "ConfigMap")[0]["data"]["fedimeter.yaml"].as_str().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("social.token"), "hush").unwrap();
        let tokens = folder.path().display().to_string();
        let file = folder.path().join("fedimeter.yaml");
        fs::write(&file, config.replace("/etc/fedimeter/tokens", &tokens)).unwrap();
        let ran = run(&["check", "--config", file.to_str().unwrap()], &[]);
        assert_eq!(ran.status, Some(0), "{name}: {ran:?}");
    }
}

/// The requirements of the *restricted* Pod Security Standard, and more.
fn pods_have_no_rights() {
    for (name, pod) in pods() {
        let (all, one) = (&pod["securityContext"], &pod["containers"][0]["securityContext"]);
        assert_eq!((&all["runAsNonRoot"], &all["runAsUser"]), (&true.into(), &65532.into()), "{name}");
        assert_eq!(all["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert_eq!(one["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(one["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(one["capabilities"]["drop"][0], "ALL", "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        assert_eq!(pod["enableServiceLinks"], false, "{name}");
        assert!(pod["containers"][0]["resources"]["limits"]["memory"].is_string(), "{name}");
        for volume in pod["volumes"].as_array().unwrap() {
            assert!(volume.get("hostPath").is_none(), "{name}: {volume}");
        }
        // A ConfigMap that is mounted by subPath is never updated.
        for mount in pod["containers"][0]["volumeMounts"].as_array().unwrap() {
            assert!(mount.get("subPath").is_none(), "{name}: {mount}");
        }
    }
    assert!(read("Dockerfile").contains("\nUSER 65532:65532\n"));
}

fn probes_and_services_lead_to_the_program() {
    for (name, pod) in pods() {
        let container = &pod["containers"][0];
        for probe in ["livenessProbe", "readinessProbe"] {
            let path = container[probe]["httpGet"]["path"].as_str().unwrap();
            assert!(["/-/healthy", "/-/ready"].contains(&path), "{name}: {path}");
        }
        let listen = container["env"].as_array().unwrap().iter().find(|v| v["name"] == "FEDIMETER_LISTEN");
        let port = container["ports"][0]["containerPort"].to_string();
        assert_eq!(listen.unwrap()["value"], format!(":{port}"), "{name}");
    }
    for (name, documents) in manifests() {
        for service in kind(&documents, "Service") {
            assert_eq!(service["spec"]["ports"][0]["targetPort"], "http", "{name}");
        }
    }
}

/// The variables that Kubernetes sets in every pod of a namespace with a Service
/// `fedimeter`.
fn variables_of_a_service_disturb_nothing() {
    let of_kubernetes = [
        ("FEDIMETER_PORT", "tcp://10.0.0.1:9464"),
        ("FEDIMETER_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
        ("FEDIMETER_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ("FEDIMETER_PORT_9464_TCP_PORT", "9464"),
        ("FEDIMETER_PORT_9464_TCP_PROTO", "tcp"),
        ("FEDIMETER_SERVICE_HOST", "10.0.0.1"),
        ("FEDIMETER_SERVICE_PORT", "9464"),
        ("FEDIMETER_SERVICE_PORT_HTTP", "9464"),
    ];
    let arguments = ["check", "--strict", "mastodon.example"];
    let (with, without) = (run(&arguments, &of_kubernetes), run(&arguments, &[]));
    assert_eq!((with.status, &*with.err), (Some(0), ""), "{with:?}");
    assert_eq!(with.out, without.out);
}

/// A key of values.yaml that the schema lacks would be rejected.
fn every_value_is_in_the_schema() {
    let values = yaml::file(format!("{CHART}/values.yaml"));
    let schema: Value = serde_json::from_str(&read(format!("{CHART}/values.schema.json"))).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&values).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert_eq!(errors, [""; 0]);
    let (known, have) = (schema["properties"].as_object().unwrap(), values.as_object().unwrap());
    let without: Vec<&String> =
        known.keys().filter(|key| *key != "global" && !have.contains_key(*key)).collect();
    assert!(without.is_empty(), "values.yaml does not tell of {without:?}");
    for (wrong, values) in
        [("mode", "scrape"), ("listen", "everywhere"), ("shards", "many"), ("modus", "pull")]
    {
        let values = serde_json::json!({ wrong: values });
        assert!(!validator.is_valid(&values), "{values}");
    }
}

/// The output of `helm template`, without Helm's own lines.
fn plain(rendered: &str, example: &str) -> String {
    let mut text = format!(
        "# Generated from deploy/helm/examples/{example}.yaml: UPDATE_GOLDEN=1 cargo test --test peers chart::\n\
         #\n#   kubectl create namespace fedimeter\n#   kubectl apply -f {example}.yaml\n"
    );
    for part in rendered.split("---\n").filter(|part| !part.trim().is_empty()) {
        if part.contains("helm.sh/hook") {
            continue;
        }
        text.push_str("---\n");
        let is_helms = |line: &&str| {
            let line = line.trim_start();
            ["# Source:", "helm.sh/chart:", "app.kubernetes.io/managed-by:"]
                .iter()
                .any(|p| line.starts_with(p))
        };
        for line in part.lines().filter(|line| !line.trim().is_empty() && !is_helms(line)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

fn the_manifests_are_the_chart(helm: &Path) {
    for example in EXAMPLES {
        let values = format!("deploy/helm/examples/{example}.yaml");
        let rendered = template(helm, &["--values", &values]).unwrap_or_else(|e| panic!("{example}: {e}"));
        let rendered = plain(&rendered, example);
        let path = root().join(format!("deploy/kubernetes/{example}.yaml"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &rendered).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == rendered,
            "{} is not what the chart renders: UPDATE_GOLDEN=1 cargo test --test peers chart::",
            path.display()
        );
    }
}

fn helm_lint_finds_nothing(helm: &Path) {
    for example in EXAMPLES {
        let values = format!("deploy/helm/examples/{example}.yaml");
        let mut command = Command::new(helm);
        command.args(["lint", "--strict", CHART, KUBERNETES, "--values", &values]).current_dir(root());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("0 chart(s) failed"), "{example}: {said}");
    }
}

fn rules_and_dashboards_are_the_projects(helm: &Path) {
    let arguments = [
        "--set=prometheusRule.enabled=true,dashboards.enabled=true",
        "--set=prometheusRule.withoutAlerts={FedimeterTargetDown}",
    ];
    let documents = documents(&template(helm, &arguments).unwrap());
    let groups = &kind(&documents, "PrometheusRule")[0]["spec"]["groups"];
    let mut expected = Vec::new();
    for file in ["dashboards/rules.yaml", "dashboards/alerts.yaml"] {
        for group in yaml::file(file)["groups"].as_array().unwrap() {
            let mut group = group.clone();
            group["rules"].as_array_mut().unwrap().retain(|rule| rule["alert"] != "FedimeterTargetDown");
            expected.push(group);
        }
    }
    assert_eq!(groups.as_array().unwrap(), &expected);
    let dashboards: Vec<&Value> = kind(&documents, "ConfigMap")
        .into_iter()
        .filter(|map| map["metadata"]["labels"]["grafana_dashboard"] == "1")
        .collect();
    assert_eq!(dashboards.len(), 3);
    for map in dashboards {
        let (file, text) = map["data"].as_object().unwrap().iter().next().unwrap();
        let ours = read(format!("dashboards/{}", file.strip_prefix("fedimeter-").unwrap()));
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(parse(text.as_str().unwrap()), parse(&ours), "{file}");
        assert!(text.as_str().unwrap().len() < 1_000_000, "{file} is too large for a ConfigMap");
    }
}

fn contradictions_are_refused(helm: &Path) {
    for (set, why) in [
        ("mode=push", "otlp.endpoint"),
        ("otlp.endpoint=http://c:4317", "mode=push"),
        ("mode=push,otlp.endpoint=http://c:4317,serviceMonitor.enabled=true", "twice"),
        ("serviceMonitor.enabled=true,podMonitor.enabled=true", "twice"),
        ("probe.enabled=true,probe.targets={a.example}", "mode=probe"),
        ("mode=probe,probe.enabled=true", "probe.targets"),
        ("shards=2", "mode=push"),
        ("mode=pushed", "mode"),
        ("serviceMonitor.period=60s", "period"),
        ("config.listen=:80", "listen"),
    ] {
        let error = template(helm, &["--set", set]).expect_err(set);
        assert!(error.contains(why), "{set}: {error}");
    }
}

fn tokens_become_a_secret(helm: &Path) {
    let set = "--set=tokens.files.social\\.token=hush";
    let documents = documents(&template(helm, &[set]).unwrap());
    let secret = kind(&documents, "Secret")[0];
    assert_eq!(secret["data"]["social.token"], "aHVzaA==");
    let pod = &kind(&documents, "Deployment")[0]["spec"]["template"]["spec"];
    let volume = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "tokens").unwrap();
    assert_eq!(volume["secret"]["secretName"], secret["metadata"]["name"]);
    // 0400: only the pod's user and its fsGroup.
    assert_eq!(volume["secret"]["defaultMode"], 0o400);
}

fn a_change_restarts_only_where_asked(helm: &Path) {
    let pod = |reload: &str, target: &str| {
        let set = format!("--set=reload={reload},config.targets={{{target}}}");
        let documents = documents(&template(helm, &[&set]).unwrap());
        kind(&documents, "Deployment")[0]["spec"]["template"].clone()
    };
    assert_eq!(pod("watch", "a.example"), pod("watch", "b.example"));
    assert_ne!(pod("restart", "a.example"), pod("restart", "b.example"));
}
