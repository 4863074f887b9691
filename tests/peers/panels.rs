//! Panels over a past range, evaluated by promtool with series in which bridges move,
//! values are missing and definitions change.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::support::dashboard::{Dashboard, filled, list, text};
use crate::support::trial::{program, trial};

pub fn trials() -> Vec<Trial> {
    let promtool = program("promtool");
    vec![
        trial("instance_looks_back", promtool.clone(), |()| instance_looks_back()),
        trial("instance_knows_what_is_usual", promtool.clone(), |()| instance_knows_what_is_usual()),
        trial("instance_joins_bridges", promtool.clone(), |()| instance_joins_bridges()),
        trial("fleet_joins_bridges", promtool.clone(), |()| fleet_joins_bridges()),
        trial("fleet_tells_servers_apart", promtool.clone(), |()| fleet_tells_servers_apart()),
        trial("fleet_asks_for_few_points", promtool, |()| fleet_asks_for_few_points()),
    ]
}

/// The first expression of a panel of Instance, for the server `a` over four hours.
fn expression(title: &str) -> String {
    asked("instance", title, 0, &[("server_address", "a")])
}

/// An expression of a panel over four hours, with these variables. Of other variables, all
/// values are chosen.
fn asked(dashboard: &str, title: &str, target: usize, chosen: &[(&str, &str)]) -> String {
    query(dashboard, title, target, chosen).0
}

/// The same with the minimum step of the query.
fn query(dashboard: &str, title: &str, target: usize, chosen: &[(&str, &str)]) -> (String, String) {
    let dashboard = Dashboard::all().into_iter().find(|one| one.name == dashboard).unwrap();
    let panel = dashboard.panels().find(|panel| panel["title"] == title).unwrap();
    let mut values = BTreeMap::from([("__range", "4h".to_owned())]);
    for variable in dashboard.variables() {
        values.insert(text(&variable["name"]), text(&variable["allValue"]).to_owned());
    }
    values.extend(chosen.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let target = list(&panel["targets"]).nth(target).unwrap();
    (filled(text(&target["expr"]), &values).unwrap(), text(&target["interval"]).to_owned())
}

/// A panel of Fleet, with one kind of software chosen or all.
fn fleet(title: &str, software: &str) -> String {
    asked("fleet", title, 0, &[("fediverse_software_name", software)])
}

fn series(metric: &str, bridge: &str, values: &str) -> Value {
    labelled(metric, &format!("server_address=\"a\",instance=\"{bridge}\""), values)
}

pub fn labelled(metric: &str, labels: &str, values: &str) -> Value {
    json!({"series": format!("{metric}{{{labels}}}"), "values": values})
}

fn case(interval: &str, input: &[Value], expression: &str, expected: &[(&str, f64)]) -> Value {
    let expected: Vec<Value> = expected
        .iter()
        .map(|(time, value)| answer(expression, time, "{server_address=\"a\"}", *value))
        .collect();
    scene(interval, input, &expected)
}

/// The only sample of an expression at a time.
pub fn answer(expression: &str, time: &str, labels: &str, value: f64) -> Value {
    json!({"expr": expression, "eval_time": time, "exp_samples": [{"labels": labels, "value": value}]})
}

pub fn scene(interval: &str, input: &[Value], answers: &[Value]) -> Value {
    json!({"interval": interval, "input_series": input, "promql_expr_test": answers})
}

/// Asserts with promtool that all expectations hold.
pub fn holds(cases: &[Value]) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("panels.yaml");
    // JSON is YAML.
    fs::write(&file, json!({"evaluation_interval": "1m", "tests": cases}).to_string())?;
    let output = Command::new("promtool").args(["test", "rules"]).arg(&file).output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(()) } else { Err(said.into()) }
}

fn instance_looks_back() -> Result<(), Failed> {
    let (users, nodeinfo) = ("mastodon_instance_users", "nodeinfo_users");
    let growth = expression("New users, 7 days");
    let cases = [
        // 100 more after two days, 150 more after five. The bridge moves after three days,
        // and ten minutes without a value are exactly a week before the end.
        case(
            "1m",
            &[
                series(users, "old", "1000x1434 _x10 1000x1434 1100x1439 stale"),
                series(users, "new", "_x4320 1100x2879 1250x4320"),
            ],
            &growth,
            &[("5m", 0.0), ("60h", 100.0), ("8d", 250.0)],
        ),
        // A server that is known for only four hours, in which its bridge moves.
        case(
            "1m",
            &[series(users, "old", "1000x119 stale"), series(users, "new", "_x120 1100x121")],
            &growth,
            &[("240m", 100.0)],
        ),
        // The API fails. NodeInfo, which counts differently, continues.
        case(
            "2m",
            &[series(users, "b", "5000x5035 stale"), series(nodeinfo, "b", "5300x5100")],
            &growth,
            &[("10150m", 0.0)],
        ),
        // The server is down for two hours. Then another bridge reports it up.
        case(
            "1m",
            &[
                series("fedimeter_target_up", "old", "0x119 stale"),
                series("fedimeter_target_up", "new", "_x120 1x121"),
            ],
            &format!("round({}, 0.01)", expression("Availability")),
            &[("240m", 0.5)],
        ),
    ];
    holds(&cases)
}

fn instance_knows_what_is_usual() -> Result<(), Failed> {
    let (local, federated) = (
        "mastodon_instance_newest_status_local_timestamp_seconds",
        "mastodon_instance_newest_status_federated_timestamp_seconds",
    );
    let newcomers = |target| asked("instance", "New users in an hour", target, &[("server_address", "a")]);
    let server = "{server_address=\"a\"}";
    holds(&[
        // Only NodeInfo reports users: 2 more in this hour of the previous week, 38 more
        // now.
        scene(
            "2m",
            &[series("nodeinfo_users", "b", "1000x30 1002x5039 1040x30")],
            &[answer(&newcomers(0), "10200m", server, 38.0), answer(&newcomers(1), "10200m", server, 2.0)],
        ),
        // After an hour no posts arrive from other servers. Local posts continue, and are
        // also on the federated timeline.
        case(
            "1m",
            &[series(local, "b", "0+60x120"), series(federated, "b", "30+60x60 3660+60x59")],
            &expression("Federating"),
            &[("120m", 3570.0)],
        ),
        // A post from another server arrives every hour, and local posts every minute, so
        // the newest one is nearly always local.
        case(
            "1m",
            &[series(local, "b", "0+60x120"), series(federated, "b", "0x30 1800x90")],
            &expression("Federating"),
            &[("120m", 5400.0)],
        ),
    ])
}

fn instance_joins_bridges() -> Result<(), Failed> {
    holds(&[
        // One of two bridges does not reach the server.
        case(
            "1m",
            &[series("fedimeter_target_up", "x", "0x10"), series("fedimeter_target_up", "y", "1x10")],
            &expression("State"),
            &[("5m", 1.0)],
        ),
        // One of two bridges cannot read the API. NodeInfo counts differently, and more.
        case(
            "1m",
            &[
                series("mastodon_instance_users", "x", "1000x10"),
                series("nodeinfo_users", "x", "1300x10"),
                series("nodeinfo_users", "y", "1300x10"),
            ],
            &expression("Users"),
            &[("5m", 1000.0)],
        ),
        // The rate limit of one of two bridges is exhausted, in each panel that shows it.
        scene(
            "1m",
            &[
                series("mastodon_rate_limit_remaining", "x", "0x10"),
                series("mastodon_rate_limit_remaining", "y", "250x10"),
                series("mastodon_rate_limit_limit", "x", "300x10"),
                series("mastodon_rate_limit_limit", "y", "300x10"),
            ],
            &[
                answer(&expression("Checks"), "5m", "{server_address=\"a\",check=\"rate limit\"}", 0.0),
                answer(&expression("Rate limit"), "5m", "{server_address=\"a\"}", 0.0),
            ],
        ),
    ])
}

fn fleet_joins_bridges() -> Result<(), Failed> {
    let (users, up) = ("mastodon_instance_users", "fedimeter_target_up");
    let b = |bridge: &str| format!("server_address=\"b\",instance=\"{bridge}\"");
    let all = |title: &str| fleet(title, ".*");
    holds(&[
        // A server is down for half an hour, and the sum of all does not fall. Two bridges
        // poll the other server.
        scene(
            "1m",
            &[
                series(users, "x", "1000x60 stale"),
                labelled(users, &b("x"), "500x120"),
                labelled(users, &b("y"), "500x120"),
            ],
            &[
                answer(&all("Users"), "75m", "{}", 1500.0),
                answer(&all("Users, all servers"), "75m", "{}", 1500.0),
            ],
        ),
        // For a server that is known for two days, the last day counts. The bridge moves
        // meanwhile.
        scene(
            "2m",
            &[series(users, "old", "1000x1079 stale"), series(users, "new", "_x1080 1100x361")],
            &[answer(&all("New users, 7 days"), "48h", "{}", 100.0)],
        ),
        // One of two bridges does not reach a server, which counts as up. No bridge reaches
        // the other server.
        scene(
            "1m",
            &[
                series(up, "x", "0x10"),
                series(up, "y", "1x10"),
                labelled(up, &b("x"), "0x10"),
                labelled(up, &b("y"), "0x10"),
            ],
            &[answer(&all("Servers"), "5m", "{}", 2.0), answer(&all("Down"), "5m", "{}", 1.0)],
        ),
        // Every server is down. Their endpoints do not count again, so the result is 0.
        scene(
            "1m",
            &[series(up, "x", "0x10"), endpoint("x", "0x10"), endpoint("y", "0x10")],
            &[answer(&all("Down"), "5m", "{}", 1.0), answer(&all("Failing endpoints"), "5m", "{}", 0.0)],
        ),
    ])
}

fn endpoint(bridge: &str, values: &str) -> Value {
    let labels =
        format!("server_address=\"a\",instance=\"{bridge}\",fedimeter_endpoint_name=\"instance_v2\"");
    labelled("fedimeter_endpoint_up", &labels, values)
}

fn fleet_tells_servers_apart() -> Result<(), Failed> {
    let (info, up) = ("fedimeter_target_info", "fedimeter_target_up");
    let runs = |server: &str, bridge: &str, software: &str, version: &str| {
        format!(
            "{server},instance=\"{bridge}\",fediverse_software_name=\"{software}\",\
             fediverse_software_version=\"{version}\""
        )
    };
    let (plain, port) = ("server_address=\"a\"", "server_address=\"a\",server_port=\"8443\"");
    let input = [
        labelled(up, &format!("{plain},instance=\"x\""), "1x60 0x60"),
        labelled(up, &format!("{plain},instance=\"y\""), "1x60 0x60"),
        labelled(up, &format!("{port},instance=\"x\""), "1x120"),
        // One bridge has already read the newer version. Then the server goes down.
        labelled(info, &runs(plain, "x", "mastodon", "4.3.0"), "1x60 stale"),
        labelled(info, &runs(plain, "y", "mastodon", "4.2.0"), "1x60 stale"),
        labelled(info, &runs(port, "x", "pleroma", "2.7.0"), "1x120"),
    ];
    holds(&[scene(
        "1m",
        &input,
        &[
            // Two servers on two ports of one host.
            answer(&fleet("Servers", ".*"), "30m", "{}", 2.0),
            answer(&fleet("Software", "mastodon"), "30m", "{fediverse_software_name=\"mastodon\"}", 1.0),
            answer(&fleet("Servers", "mastodon"), "30m", "{}", 1.0),
            // Neither server has the attribute.
            answer(&fleet("By customer", ".*"), "30m", "{customer=\"none\"}", 2.0),
            // A server that ran Mastodon is still shown while it is down.
            answer(&fleet("Down", "mastodon"), "90m", "{}", 1.0),
            answer(&fleet("Down", "pleroma"), "90m", "{}", 0.0),
        ],
    )])
}

/// A small graph of each server over a day has 25 points, not 1,440.
fn fleet_asks_for_few_points() -> Result<(), Failed> {
    let (trend, step) = query("fleet", "Every server", 3, &[("fediverse_software_name", ".*")]);
    let users: Vec<Value> = ["a", "b", "c"]
        .map(|server| {
            let labels = format!("server_address=\"{server}\",instance=\"b\"");
            labelled("mastodon_instance_users", &labels, "9x1440")
        })
        .into();
    let few = format!("sum(count_over_time(({trend})[1d:{step}])) <= bool 3 * 25");
    holds(&[scene("1m", &users, &[answer(&few, "1d", "{}", 1.0)])])
}
