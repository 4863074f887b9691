//! Panels and alerts over a range, compared with the truth: a server fails for two minutes,
//! an API fails while NodeInfo stays, users grow, and one of two bridges moves to another
//! job and address.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fedimeter::simulator::{Fault, Settings as Simulated, Simulator};
use serde_json::Value;

use crate::bench::{RUNTIME, eventually, free_address};
use crate::programs::root;
use crate::prometheus::Prometheus;
use crate::support::dashboard::{Dashboard, filled, list, text};
use crate::support::program::Serving;

/// The servers, named by their events.
const FAILS: usize = 0;
const LOSES_ITS_API: usize = 1;
const GROWS: usize = 2;
/// Only the moving bridge polls this server.
const STAYS: usize = 3;
const USERS: [i64; 4] = [1_000, 2_000, 3_000, 4_000];
const NEWCOMERS: i64 = 50;

/// Panels query in steps of a minute.
const MINUTE: u64 = 60;
/// Changes happen this number of seconds after a whole minute. Scrapes every five seconds
/// find them long before the next minute.
const AFTER: u64 = 5;
/// The minutes of the range. Availability is also queried in whole minutes.
const LAST: u64 = 5;

pub fn is_told(prometheus: &Path) {
    let scene = Scene::played(prometheus);
    let host = |i: usize| scene.simulator.host(i).split(':').next().unwrap().to_owned();
    let (fails, loses, grows, stays) = (host(FAILS), host(LOSES_ITS_API), host(GROWS), host(STAYS));

    // Down at the second and third minute. The fourth is not checked, because a bridge
    // requests a failed server again after a minute.
    let up = [Some(1.0), Some(1.0), Some(0.0), Some(0.0), None, Some(1.0)];
    scene.says(&Panel { chosen: &fails, ..Panel::new("instance", "State") }, &up);
    let without = |value: f64| up.map(|up| up.map(|up| if up == 0.0 { 1.0 } else { value }));
    scene.says(&Panel::new("fleet", "Down"), &without(0.0));
    scene.says(&Panel::new("fleet", "Servers"), &[Some(4.0); 6]);
    let availability = scene.now(&Panel { chosen: &fails, ..Panel::new("instance", "Availability") });
    assert!([2.0 / 5.0, 3.0 / 5.0, 4.0 / 6.0, 3.0 / 6.0].iter().any(|a| (a - availability).abs() < 1e-9));

    // For one bridge or two, at any address.
    scene.says(&Panel { chosen: &stays, ..Panel::new("instance", "State") }, &[Some(1.0); 6]);
    let availability = scene.now(&Panel { chosen: &stays, ..Panel::new("instance", "Availability") });
    assert!((1.0 - availability).abs() < 1e-9, "{availability}");
    scene.says(&Panel { chosen: &stays, ..Panel::new("instance", "Users") }, &[Some(USERS[STAYS] as f64); 6]);

    // NodeInfo replaces the failing API.
    let users = [Some(USERS[LOSES_ITS_API] as f64); 6];
    scene.says(&Panel { chosen: &loses, ..Panel::new("instance", "Users") }, &users);

    // The sum includes the server that is down.
    let all = USERS.iter().sum::<i64>() as f64;
    let more = all + NEWCOMERS as f64;
    let sums = [all, all, more, more, more, more].map(Some);
    scene.says(&Panel::new("fleet", "Users, all servers"), &sums);

    // Since the first data, if that is less than an hour.
    let new = scene.now(&Panel { chosen: &grows, ..Panel::new("instance", "New users, last hour") });
    assert_eq!(new as i64, NEWCOMERS);

    scene.lists_what_needs_attention(&fails, &loses, &stays);
    scene.alerts_once(&fails, &stays);
}

/// The first query of a panel: the dashboard, the title, and the chosen server if it shows
/// one.
struct Panel<'a> {
    dashboard: &'a str,
    title: &'a str,
    chosen: &'a str,
}

impl Panel<'_> {
    fn new<'a>(dashboard: &'a str, title: &'a str) -> Panel<'a> {
        Panel { dashboard, title, chosen: ".*" }
    }

    fn expression(&self) -> String {
        let all = Dashboard::all();
        let dashboard = all.iter().find(|one| one.name == self.dashboard).unwrap();
        let panel = dashboard.panels().find(|panel| panel["title"] == self.title).unwrap();
        let mut values = BTreeMap::from([("__range", format!("{LAST}m"))]);
        for variable in dashboard.variables() {
            values.insert(text(&variable["name"]), text(&variable["allValue"]).to_owned());
        }
        values.insert("server_address", self.chosen.to_owned());
        values.insert("server_port", ".*".to_owned());
        filled(text(&list(&panel["targets"]).next().unwrap()["expr"]), &values).unwrap()
    }
}

/// The recorded scenario, from a whole minute on.
struct Scene {
    simulator: Simulator,
    prometheus: Prometheus,
    begin: u64,
    _bridges: [Serving; 2],
    _files: tempfile::TempDir,
}

impl Scene {
    fn played(prometheus: &Path) -> Scene {
        let simulated = Simulated {
            instances: USERS.len(),
            versions: vec!["4.6.4".to_owned()],
            cache_headers: false,
            ..Simulated::default()
        };
        let simulator = RUNTIME.block_on(Simulator::start(simulated, ([127, 0, 0, 1], 0).into())).unwrap();
        for (i, users) in USERS.into_iter().enumerate() {
            has_users(&simulator, i, users);
        }
        simulator.set_fault(STAYS, "/api/v1/instance/activity", Some(Fault::Status(503)));
        let files = tempfile::tempdir().unwrap();
        let (before, after, other) = (free_address(), free_address(), free_address());
        let all: Vec<usize> = (0..USERS.len()).collect();
        let before_the_move = bridge(&simulator, files.path(), &before, &all);
        let goes_on = bridge(&simulator, files.path(), &other, &all[..STAYS]);
        let addresses = [("old", &before), ("new", &after), ("other", &other)];
        let prometheus = Prometheus::start(prometheus, &configuration(files.path(), &addresses), &[]);
        let targets = "count(fedimeter_target_up) == 7 and count(mastodon_instance_users) == 7";
        eventually("every server by every bridge", || {
            if prometheus.query(targets).is_empty() { Err(prometheus.log()) } else { Ok(()) }
        });

        let begin = (now() / MINUTE + 1) * MINUTE;
        until(begin + MINUTE + AFTER);
        simulator.set_fault(FAILS, "*", Some(Fault::Status(503)));
        for path in ["/api/v1/instance", "/api/v2/instance"] {
            simulator.set_fault(LOSES_ITS_API, path, Some(Fault::Status(503)));
        }
        has_users(&simulator, GROWS, USERS[GROWS] + NEWCOMERS);
        until(begin + 2 * MINUTE + AFTER);
        assert_eq!(before_the_move.end("TERM").0, Some(0));
        let elsewhere = bridge(&simulator, files.path(), &after, &all);
        until(begin + 3 * MINUTE + AFTER);
        simulator.set_fault(FAILS, "*", None);
        until(begin + LAST * MINUTE + AFTER);
        Scene { simulator, prometheus, begin, _bridges: [elsewhere, goes_on], _files: files }
    }

    /// Asserts one line over the range, with these values at the whole minutes.
    fn says(&self, panel: &Panel<'_>, expected: &[Option<f64>]) {
        let (start, end) = (self.begin.to_string(), (self.begin + LAST * MINUTE).to_string());
        let expression = panel.expression();
        let query =
            [("query", expression.as_str()), ("start", &start), ("end", &end), ("step", &MINUTE.to_string())];
        let data = self.prometheus.ask("query_range", &query).unwrap();
        let lines: Vec<&Value> = list(&data["result"]).collect();
        assert_eq!(lines.len(), 1, "{}: {data}", panel.title);
        let found: BTreeMap<u64, f64> = list(&lines[0]["values"])
            .map(|point| (point[0].as_f64().unwrap() as u64, number(&point[1])))
            .collect();
        for (minute, expected) in (0..).zip(expected) {
            let found = found.get(&(self.begin + minute * MINUTE));
            let holds = expected.is_none() || found == expected.as_ref();
            assert!(holds, "{}, minute {minute}: {found:?} for {expected:?}\n{data}", panel.title);
        }
    }

    /// Asserts one number at the end of the range.
    fn now(&self, panel: &Panel<'_>) -> f64 {
        let found = self.at_the_end(&panel.expression());
        assert_eq!(found.len(), 1, "{}: {found:?}", panel.title);
        number(&found[0]["value"][1])
    }

    fn at_the_end(&self, expression: &str) -> Vec<Value> {
        self.at(LAST, expression)
    }

    fn at(&self, minute: u64, expression: &str) -> Vec<Value> {
        let time = (self.begin + minute * MINUTE).to_string();
        let data = self.prometheus.ask("query", &[("query", expression), ("time", &time)]).unwrap();
        list(&data["result"]).cloned().collect()
    }

    /// At the third minute, the table has the server that is down once, without its
    /// endpoints, and failing endpoints of others.
    fn lists_what_needs_attention(&self, fails: &str, loses: &str, stays: &str) {
        let found = self.at(3, &Panel::new("fleet", "Needs attention").expression());
        let problems: BTreeSet<(&str, &str, &str)> = found
            .iter()
            .map(|line| &line["metric"])
            .map(|of| {
                (text(&of["server_address"]), text(&of["problem"]), text(&of["fedimeter_endpoint_name"]))
            })
            .filter(|(_, problem, _)| !problem.starts_with('6'))
            .collect();
        let expected = BTreeSet::from([
            (fails, "1 down", ""),
            (loses, "2 endpoint fails", "instance_v1"),
            (loses, "2 endpoint fails", "instance_v2"),
            (stays, "2 endpoint fails", "activity"),
        ]);
        assert_eq!(problems, expected);
    }

    /// One alert, not one for each bridge, and a moving bridge does not end it.
    fn alerts_once(&self, fails: &str, stays: &str) {
        let held = |minute, alert: &str, server: &str, time: &str| {
            let selector = format!("alertname=\"{alert}\",alertstate=\"firing\",server_address=\"{server}\"");
            ["min", "max"].map(|of| {
                let query = format!("{of}_over_time((count(ALERTS{{{selector}}}) or vector(0))[{time}:5s])");
                number(&self.at(minute, &query)[0]["value"][1]) as i64
            })
        };
        assert_eq!(held(3, "FedimeterTargetDown", fails, "30s"), [1, 1]);
        assert_eq!(held(LAST, "FedimeterTargetDown", fails, "5s"), [0, 0]);
        // From before the move until after it.
        assert_eq!(held(4, "FedimeterEndpointFailing", stays, "150s"), [1, 1]);
        assert_eq!(held(LAST, "FedimeterTargetDown", stays, "5m"), [0, 0]);
    }
}

fn has_users(simulator: &Simulator, i: usize, users: i64) {
    let mut truth = simulator.truth(i);
    truth.users = users;
    simulator.set_truth(i, Some(truth));
}

/// A bridge at an address, with some of the servers.
fn bridge(simulator: &Simulator, files: &Path, address: &str, servers: &[usize]) -> Serving {
    let mut yaml =
        "defaults: {intervals: {instance_v2: 5s, instance_v1: 5s, nodeinfo: 5s}}\ntargets:\n".to_owned();
    for i in servers {
        writeln!(yaml, "  - {}", simulator.url(*i)).unwrap();
    }
    let file = files.join(format!("{}.yaml", address.replace(':', "-")));
    fs::write(&file, yaml).unwrap();
    let bridge = Serving::start(&["--config", &file.display().to_string(), "--listen", address], &[]);
    bridge.url();
    bridge
}

/// Scrapes each address as a separate job, and alerts earlier.
fn configuration(files: &Path, addresses: &[(&str, &String)]) -> String {
    let rules = files.join("rules");
    fs::create_dir(&rules).unwrap();
    for file in ["alerts.yaml", "rules.yaml"] {
        let mut text = fs::read_to_string(root().join("dashboards").join(file)).unwrap();
        for (patient, hasty) in [
            ("keep_firing_for: 5m", "keep_firing_for: 30s"),
            ("for: 5m", "for: 10s"),
            ("for: 15m", "for: 10s"),
            ("interval: 2m", "interval: 5s"),
        ] {
            text = text.replace(patient, hasty);
        }
        fs::write(rules.join(file), text).unwrap();
    }
    let mut configuration = format!(
        "global: {{scrape_interval: 5s, scrape_timeout: 5s, evaluation_interval: 5s}}\n\
         rule_files: ['{}/*.yaml']\nscrape_configs:\n",
        rules.display()
    );
    for (job, address) in addresses {
        writeln!(configuration, "- {{job_name: {job}, static_configs: [{{targets: ['{address}']}}]}}")
            .unwrap();
    }
    configuration
}

fn number(value: &Value) -> f64 {
    text(value).parse().unwrap()
}

/// Unix seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn until(time: u64) {
    sleep(Duration::from_secs(time.saturating_sub(now())));
}
