//! The expected metrics of a Mastodon server, read from its answers without our decoders.

use std::collections::BTreeMap;

use serde_json::Value;

const DAY: i64 = 86_400;

/// Points by name and attributes, without the target's identity.
#[derive(Debug)]
pub struct Expected {
    points: BTreeMap<(String, BTreeMap<String, String>), f64>,
    accounts: Vec<String>,
}

/// The expected points of a Mastodon server from 3.5 with these answers.
pub fn expected(
    v1: &Value,
    v2: &Value,
    activity: &Value,
    nodeinfo: &Value,
    accounts: Vec<(String, Value)>,
) -> Expected {
    let mut expected = Expected { points: BTreeMap::new(), accounts: Vec::new() };
    let mut is = |name: &str, value: i64| expected.add(name, &[], value);

    is("fedimeter.target.up", 1);
    is("mastodon.instance.users", int(&v1["stats"]["user_count"]));
    is("mastodon.instance.statuses", int(&v1["stats"]["status_count"]));
    is("mastodon.instance.domains", int(&v1["stats"]["domain_count"]));
    is("mastodon.instance.active_users.month", int(&v2["usage"]["users"]["active_month"]));
    is("mastodon.instance.registrations.open", flag(&v2["registrations"]["enabled"]));
    is("mastodon.instance.registrations.approval_required", flag(&v2["registrations"]["approval_required"]));
    is("mastodon.instance.api_version", int(&v2["api_versions"]["mastodon"]));
    is("mastodon.instance.rules", v2["rules"].as_array().unwrap().len() as i64);
    let limits = &v2["configuration"]["statuses"];
    is("mastodon.instance.limits.status_characters", int(&limits["max_characters"]));
    is("mastodon.instance.limits.media_attachments", int(&limits["max_media_attachments"]));

    // The server reports version 4.6, whose row 0 is the current UTC day. The mock's row 0
    // begins seven days ago, so there are no points for today. From 3.5 there is no ISO
    // week.
    let (newest, before) = (&activity[0], &activity[1]);
    let today = jiff::Timestamp::now().as_second().div_euclid(DAY);
    assert_ne!(int(&newest["week"]).div_euclid(DAY), today, "the mock has learnt: say what today is");
    assert_eq!(int(&newest["week"]) - int(&before["week"]), 7 * DAY);
    is("mastodon.instance.activity.timestamp", int(&newest["week"]));
    for figure in ["statuses", "logins", "registrations"] {
        is(&format!("mastodon.instance.activity.six_day.{figure}"), int(&before[figure]));
    }

    // Its NodeInfo contains no active users and no comments.
    assert_eq!(nodeinfo["usage"]["users"].as_object().unwrap().len(), 1);
    assert_eq!(nodeinfo["usage"]["localComments"], Value::Null);
    is("nodeinfo.users", int(&nodeinfo["usage"]["users"]["total"]));
    is("nodeinfo.local_posts", int(&nodeinfo["usage"]["localPosts"]));
    is("nodeinfo.registrations.open", flag(&nodeinfo["openRegistrations"]));

    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (software, version, domain) =
        (text(&nodeinfo["software"]["name"]), text(&nodeinfo["software"]["version"]), text(&v2["domain"]));
    expected.add(
        "fedimeter.target.info",
        &[
            ("fediverse.software.name", &software),
            ("fediverse.software.version", &version),
            ("fediverse.domain", &domain),
        ],
        1,
    );
    for (listed, account) in accounts {
        let mut is =
            |name: &str, value: i64| expected.add(name, &[("mastodon.account.acct", &listed)], value);
        is("mastodon.account.followers", int(&account["followers_count"]));
        is("mastodon.account.following", int(&account["following_count"]));
        is("mastodon.account.statuses", int(&account["statuses_count"]));
        // Only the day counts, although the mock reports a time.
        let instant: jiff::Timestamp = text(&account["last_status_at"]).parse().unwrap();
        let day = instant.as_second().div_euclid(DAY);
        is("mastodon.account.last_status.timestamp", day * DAY);
        expected.accounts.push(listed);
    }
    expected
}

impl Expected {
    fn add(&mut self, name: &str, attributes: &[(&str, &str)], value: i64) {
        let attributes = attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.points.insert((name.to_owned(), attributes), value as f64);
    }

    /// The accounts, as in the configuration.
    pub fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().map(String::as_str)
    }

    /// The same points with their Prometheus names.
    pub fn in_prometheus(self) -> Expected {
        let underscores = |name: &str| name.replace('.', "_");
        let points = self.points.into_iter().map(|((name, attributes), value)| {
            let suffix = if name.ends_with(".timestamp") { "_seconds" } else { "" };
            let labels = attributes.into_iter().map(|(key, value)| (underscores(&key), value)).collect();
            ((underscores(&name) + suffix, labels), value)
        });
        Expected { points: points.collect(), ..self }
    }

    /// Asserts that exactly these points exist, with these values.
    pub fn check(&self, points: &BTreeMap<(String, BTreeMap<String, String>), f64>) {
        assert!(self.accounts.len() == 2 && self.points.len() > 25, "{self:?}");
        for (point, value) in &self.points {
            assert_eq!(points.get(point), Some(value), "{point:?}");
        }
        for point in points.keys() {
            assert!(self.points.contains_key(point), "the server does not say this: {point:?}");
        }
    }
}

/// A number, or a string of digits.
fn int(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{value} is no number"))
}

fn flag(value: &Value) -> i64 {
    value.as_bool().unwrap().into()
}
