//! The reasons for numbers that a server reports and fedimeter omits, because they mean
//! something else or nothing.

use std::sync::Arc;

use fedimeter::endpoint::Endpoint;
use fedimeter::metrics::{in_words, rows};
use fedimeter::snapshot::{
    ActivityWeek, Facts, InstanceV1, InstanceV2, Nodeinfo, Reading, Reports, Snapshot, Tally, View,
};
use fedimeter::target::Token;

use crate::support::known::{NOW, UNIX, known, not_offered, ok, target};

fn nodeinfo(s: &mut Snapshot, software: &str, change: impl FnOnce(&mut Nodeinfo)) {
    let mut nodeinfo = Nodeinfo { software: Some(software.into()), ..Nodeinfo::default() };
    change(&mut nodeinfo);
    ok(s, Endpoint::Nodeinfo, Facts::Nodeinfo(nodeinfo.into()));
}

fn activity(s: &mut Snapshot, newest: i64, logins: i64) {
    let row = |week| ActivityWeek { week, logins: Some(logins), ..ActivityWeek::default() };
    ok(s, Endpoint::Activity, Facts::Activity([row(newest), row(newest - 604_800)].into()));
}

/// The reason for an absent metric.
fn said(metric: &str, change: impl FnOnce(&mut Snapshot)) -> String {
    let mut target = target("https://a.example", &[]);
    target.token = Some(Token::new("secret"));
    target.select_endpoints(&[]);
    let view = View::new(NOW, UNIX, vec![known(target, change)]);
    let reading: Reading<'_> = view.readings().next().unwrap();
    let row = rows().find(|row| row.name == metric).unwrap();
    let mut points = 0;
    row.points(&reading, &mut |_, _| points += 1);
    assert_eq!(points, 0, "{metric} is there");
    in_words(&row.absence(&reading))
}

#[test]
fn a_number_that_means_something_else_says_so() {
    let zeros =
        || InstanceV1 { users: Some(0), statuses: Some(0), domains: Some(0), ..InstanceV1::default() };
    let friendica = |s: &mut Snapshot| {
        ok(s, Endpoint::InstanceV1, Facts::InstanceV1(zeros().into()));
        nodeinfo(s, "friendica", |n| n.users_hidden = true);
    };
    for metric in ["mastodon.instance.users", "mastodon.instance.statuses", "mastodon.instance.domains"] {
        assert!(said(metric, friendica).contains("hides the counts"), "{metric}");
    }
    let peertube = |s: &mut Snapshot| {
        not_offered(s, Endpoint::InstanceV1, "HTTP 404 Not Found");
        nodeinfo(s, "peertube", |n| n.users = Some(3));
    };
    assert!(said("mastodon.instance.users", peertube).ends_with("see nodeinfo.*"));

    let active = "mastodon.instance.active_users.month";
    let v2 =
        |limited| InstanceV2 { active_month: Some(0), limited_federation: limited, ..InstanceV2::default() };
    let limited = |s: &mut Snapshot| ok(s, Endpoint::InstanceV2, Facts::InstanceV2(v2(Some(true)).into()));
    assert!(said(active, limited).contains("limited federation"));
    let gotosocial = |s: &mut Snapshot| {
        ok(s, Endpoint::InstanceV2, Facts::InstanceV2(v2(None).into()));
        nodeinfo(s, "gotosocial", |_| {});
    };
    assert!(said(active, gotosocial).contains("GoToSocial"));

    let writefreely =
        |s: &mut Snapshot| nodeinfo(s, "writefreely", |n| (n.users, n.active_month) = (Some(5), Some(0)));
    assert!(said("nodeinfo.active_users.month", writefreely).contains("WriteFreely"));
    let misskey = |s: &mut Snapshot| nodeinfo(s, "misskey", |n| n.local_comments = Some(0));
    assert!(said("nodeinfo.local_comments", misskey).contains("does not count comments"));

    let reports = Reports { open: Tally::of(&["spam", "other"]), ..Reports::default() };
    let none = |s: &mut Snapshot| ok(s, Endpoint::AdminReports, Facts::Reports(Arc::new(reports)));
    assert_eq!(said("mastodon.admin.reports.oldest.timestamp", none), "no report is open");
}

#[test]
fn activity_says_which_rows_a_server_has() {
    let today = UNIX as i64;
    let of = |name: &'static str, version: &'static str, newest: i64| {
        move |s: &mut Snapshot| {
            nodeinfo(s, name, |n| n.version = Some(version.into()));
            activity(s, newest, 0);
        }
    };
    for (metric, server, words) in [
        ("week.statuses", ("mastodon", "4.6.4", today), "counts no ISO weeks"),
        ("six_day.statuses", ("mastodon", "3.4.10", today), "this software counts ISO weeks"),
        ("day.logins", ("mastodon", "4.6.4", today - 86_400), "has not counted today yet"),
        ("week.logins", ("mastodon", "3.4.10", today - 20 * 86_400), "not about the current week"),
        ("week.logins", ("takahe", "0.11", today), "Takahe does not count log-ins"),
        ("last_week.logins", ("takahe", "0.11", today), "Takahe does not count log-ins"),
        ("day.statuses", ("akkoma", "3.13", today), "are known only for Mastodon"),
        ("timestamp", ("akkoma", "3.13", today), "are known only for Mastodon"),
        ("day.statuses", ("mastodon", "4.6.4", today), "activity was read, but does not contain it"),
    ] {
        let (name, version, newest) = server;
        let text = said(&format!("mastodon.instance.activity.{metric}"), of(name, version, newest));
        assert!(text.contains(words), "{metric} of {name} {version}: {text}");
    }
}
