//! Numbers that software reports without counting are absent, with a reason. Other
//! software's numbers are reported.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fedimeter::clock::Moment;
use fedimeter::endpoint::Endpoint;
use fedimeter::metrics::uncounted::{Figure, UNCOUNTED, Who};
use fedimeter::metrics::{Number, in_words, rows};
use fedimeter::snapshot::{
    ActivityWeek, Facts, Found, InstanceV1, InstanceV2, LastAttempt, Nodeinfo, Reading, Slot, Snapshot,
};
use fedimeter::target::Target;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// The numbers of a server; `None` if it does not report them.
#[derive(Debug, Clone, Default)]
struct Server {
    software: &'static str,
    /// Users, posts, domains.
    v1: Option<[i64; 3]>,
    month: Option<i64>,
    /// Users, month, half-year, posts, comments.
    nodeinfo: Option<[i64; 5]>,
    nodeinfo_is: Nodeinfo,
    /// Whether its federation is limited, as v2 says.
    limited: Option<bool>,
}

/// An endpoint after an attempt that found this.
fn attempted(endpoint: Endpoint, found: Found) -> Slot {
    let mut slot = Slot::new(endpoint);
    slot.record(LastAttempt::new(Moment::at(Duration::from_secs(1)), found));
    slot
}

fn read(endpoint: Endpoint, facts: Facts) -> Slot {
    attempted(endpoint, Found::read(Some(facts), 1e9))
}

impl Server {
    fn snapshot(&self) -> Snapshot {
        let slot = |endpoint, facts: Option<Facts>| match facts {
            Some(facts) => read(endpoint, facts),
            None => attempted(endpoint, Found::not_offered("HTTP 404")),
        };
        let version: Arc<str> = format!("0.1 (compatible; {} 1.0)", self.software).into();
        let v1 = self.v1.map(|[users, statuses, domains]| {
            let counts = (Some(users), Some(statuses), Some(domains));
            let (users, statuses, domains) = counts;
            InstanceV1 { users, statuses, domains, version: Some(version.clone()), ..InstanceV1::default() }
        });
        let v2 = self.month.map(|month| InstanceV2 {
            active_month: Some(month),
            version: Some(version.clone()),
            limited_federation: self.limited,
            ..InstanceV2::default()
        });
        let nodeinfo = self.nodeinfo.map(|[users, month, half_year, posts, comments]| Nodeinfo {
            software: Some(self.software.into()),
            users: Some(users).filter(|n| *n >= 0),
            active_month: Some(month).filter(|n| *n >= 0),
            active_half_year: Some(half_year).filter(|n| *n >= 0),
            local_posts: Some(posts),
            local_comments: Some(comments).filter(|n| *n >= 0),
            ..self.nodeinfo_is.clone()
        });
        let slots = vec![
            slot(Endpoint::InstanceV1, v1.map(|v1| Facts::InstanceV1(v1.into()))),
            slot(Endpoint::InstanceV2, v2.map(|v2| Facts::InstanceV2(v2.into()))),
            slot(Endpoint::Nodeinfo, nodeinfo.map(|nodeinfo| Facts::Nodeinfo(nodeinfo.into()))),
        ];
        Snapshot { slots, ..Snapshot::default() }
    }

    /// Every reported number, and each reason that names no endpoint.
    fn reported(&self) -> (BTreeMap<&'static str, i64>, Vec<String>) {
        let target = Target::new("https://a.example".parse().unwrap(), None, None, &BTreeMap::new());
        let snapshot = self.snapshot();
        let reading = Reading::new(&target, &snapshot, Moment::at(Duration::from_secs(1)), 1e9);
        let (mut numbers, mut reasons) = (BTreeMap::new(), Vec::new());
        for row in rows()
            .filter(|row| row.name.starts_with("mastodon.instance.") || row.name.starts_with("nodeinfo."))
        {
            row.points(&reading, &mut |number, _| {
                if let Number::Int(number) = number {
                    numbers.insert(row.name, number);
                }
            });
            reasons.push(in_words(&row.absence(&reading)));
        }
        (numbers, reasons)
    }
}

const USERS: &str = "mastodon.instance.users";
const STATUSES: &str = "mastodon.instance.statuses";
const DOMAINS: &str = "mastodon.instance.domains";
const MONTH: &str = "mastodon.instance.active_users.month";

#[test]
#[rustfmt::skip]
fn what_is_not_counted_is_absent() {
    let server = |software, v1, month, nodeinfo| Server { software, v1, month, nodeinfo, ..Server::default() };
    let hidden = Nodeinfo { users_hidden: true, ..Nodeinfo::default() };
    let noindex = Nodeinfo { noindex: true, ..Nodeinfo::default() };
    let metadata = Nodeinfo { metadata_usage: true, ..Nodeinfo::default() };
    for (server, expected) in [
        // Hidden by the admin.
        (Server { nodeinfo_is: hidden.clone(), ..server("friendica", Some([0, 0, 0]), Some(0), Some([0, -1, -1, 0, -1])) },
            &[("nodeinfo.users", 0), ("nodeinfo.local_posts", 0)][..]),
        (server("friendica", Some([3, 9, 2]), Some(1), None), &[(USERS, 3), (STATUSES, 9), (DOMAINS, 2), (MONTH, 1)]),
        // Constants.
        (server("hollo", Some([0, 0, 0]), Some(0), Some([1, 1, 1, 3, -1])),
            &[("nodeinfo.users", 1), ("nodeinfo.active_users.month", 1), ("nodeinfo.active_users.half_year", 1), ("nodeinfo.local_posts", 3)]),
        (server("hollo", Some([0, 0, 0]), Some(0), None), &[]),
        (server("tootik", None, None, Some([0, 0, 0, 0, -1])), &[]),
        (server("tootik", None, None, Some([2, 0, 0, 0, -1])),
            &[("nodeinfo.users", 2), ("nodeinfo.active_users.month", 0), ("nodeinfo.active_users.half_year", 0), ("nodeinfo.local_posts", 0)]),
        (server("piefed", Some([5, 7, 1]), None, None), &[(USERS, 5), (STATUSES, 7)]),
        (server("piefed", Some([5, 7, 20]), None, None), &[(USERS, 5), (STATUSES, 7), (DOMAINS, 20)]),
        (server("epicyon", Some([1, 1, 2]), Some(1), Some([1, 1, 1, 1, 0])), &[]),
        (server("epicyon", Some([4, 30, 2]), Some(3), Some([4, 3, 4, 30, 0])),
            &[(USERS, 4), (STATUSES, 30), (MONTH, 3), ("nodeinfo.users", 4), ("nodeinfo.active_users.month", 3),
              ("nodeinfo.active_users.half_year", 4), ("nodeinfo.local_posts", 30)]),
        (server("snac", None, None, Some([2, -1, -1, 0, -1])), &[("nodeinfo.users", 2)]),
        // Totals of other things.
        (server("sharkey", Some([4171, 90_000, 300]), Some(2), Some([4, 2, 3, 60, 0])),
            &[(DOMAINS, 300), (MONTH, 2), ("nodeinfo.users", 4), ("nodeinfo.active_users.month", 2),
              ("nodeinfo.active_users.half_year", 3), ("nodeinfo.local_posts", 60)]),
        (server("calckey", Some([4171, 90_000, 300]), None, None), &[(DOMAINS, 300)]),
        (server("iceshrimp.net", Some([4, 60, 300]), None, None), &[(USERS, 4), (STATUSES, 60), (DOMAINS, 300)]),
        (server("takahe", Some([4, 60, 300]), Some(4), None), &[(USERS, 4), (STATUSES, 60), (DOMAINS, 300)]),
        // Invented and hidden numbers.
        (server("gotosocial", Some([891_110, 6_999_192, 7]), Some(394_009), Some([891_110, 394_009, -1, 6_999_192, -1])), &[]),
        (server("gotosocial", Some([7, 5, 3]), Some(0), Some([7, -1, -1, 5, -1])),
            &[(USERS, 7), (STATUSES, 5), (DOMAINS, 3), ("nodeinfo.users", 7), ("nodeinfo.local_posts", 5)]),
        (Server { nodeinfo_is: noindex, ..server("gotosocial", Some([0, 0, 0]), Some(0), Some([0, -1, -1, 0, -1])) }, &[]),
        (server("gotosocial", Some([0, 0, 0]), Some(0), Some([0, -1, -1, 0, -1])),
            &[(USERS, 0), (STATUSES, 0), (DOMAINS, 0), ("nodeinfo.users", 0), ("nodeinfo.local_posts", 0)]),
        (server("kitsune", Some([0, 0, 0]), None, Some([3, -1, -1, 9, -1])), &[("nodeinfo.users", 3), ("nodeinfo.local_posts", 9)]),
        (server("kitsune", Some([812_345, 99, 5]), None, Some([3, -1, -1, 9, -1])), &[("nodeinfo.users", 3), ("nodeinfo.local_posts", 9)]),
        (server("kitsune", Some([3, 9, 5]), None, Some([3, -1, -1, 9, -1])),
            &[(USERS, 3), (STATUSES, 9), (DOMAINS, 5), ("nodeinfo.users", 3), ("nodeinfo.local_posts", 9)]),
        (server("funkwhale", None, None, Some([0, 0, 0, 12, -1])), &[("nodeinfo.local_posts", 12)]),
        (server("owncast", Some([1, 40, 0]), None, Some([1, 1, 1, 40, 0])), &[(STATUSES, 40), ("nodeinfo.local_posts", 40)]),
        (server("aoderelay", None, None, Some([1, 1, 1, 0, 0])), &[]),
        (server("activity-relay", None, None, Some([310, 310, 310, 0, -1])), &[("nodeinfo.local_posts", 0)]),
        (Server { nodeinfo_is: hidden, ..server("ghost", None, None, Some([-1, -1, -1, 0, 0])) }, &[]),
        (server("ghost", None, None, Some([1, 0, 1, 0, 0])),
            &[("nodeinfo.users", 1), ("nodeinfo.active_users.month", 0), ("nodeinfo.active_users.half_year", 1),
              ("nodeinfo.local_posts", 0), ("nodeinfo.local_comments", 0)]),
        (Server { nodeinfo_is: metadata, ..server("funkwhale", None, None, Some([0, 0, 0, 12, -1])) },
            &[("nodeinfo.users", 0), ("nodeinfo.active_users.month", 0), ("nodeinfo.active_users.half_year", 0), ("nodeinfo.local_posts", 12)]),
    ] {
        let (numbers, _) = server.reported();
        assert_eq!(numbers, expected.iter().copied().collect(), "{server:?}");
    }
}

/// One name for each row of the table.
fn names() -> Vec<&'static str> {
    let mut names = vec!["friendica", "mastodon", "misskey", "sharkey", "firefish", "unheard-of"];
    names.extend(
        UNCOUNTED
            .iter()
            .filter_map(|row| match row.who {
                Who::Named(names) => Some(names),
                _ => None,
            })
            .flatten(),
    );
    names
}

proptest! {
    /// For any server: reported numbers are those of the server, omitted ones have a
    /// reason, and none is invented.
    #[test]
    fn a_number_is_reported_as_it_is_said_or_not_at_all(
        software in prop::sample::select(names()),
        v1 in prop::option::of(prop::array::uniform3(0_i64..4)),
        month in prop::option::of(0_i64..3),
        nodeinfo in prop::option::of(prop::array::uniform5(0_i64..4)),
        users_hidden: bool, noindex: bool, metadata_usage: bool,
    ) {
        let nodeinfo_is = Nodeinfo { users_hidden, noindex, metadata_usage, ..Nodeinfo::default() };
        let server = Server { software, v1, month, nodeinfo, nodeinfo_is, limited: None };
        let target = Target::new("https://a.example".parse().unwrap(), None, None, &BTreeMap::new());
        let snapshot = server.snapshot();
        let reading = Reading::new(&target, &snapshot, Moment::at(Duration::from_secs(1)), 1e9);
        for figure in Figure::ALL {
            let said = figure.reported(&reading);
            let withheld = figure.withheld(&reading);
            prop_assert!(withheld.is_none_or(|why| said.is_some() && !why.is_empty()));
            prop_assert_eq!(figure.counted(&reading), said.filter(|_| withheld.is_none()));
        }
        // A reported 0 comes from the server.
        for (name, number) in server.reported().0 {
            let all: Vec<i64> = v1.iter().flatten().chain(&month).chain(nodeinfo.iter().flatten()).copied().collect();
            prop_assert!(all.contains(&number), "{} {}", name, number);
        }
    }
}

#[test]
fn each_row_of_the_table_withholds_something_of_some_server() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let numbers = (
        prop::sample::select(names()),
        prop::array::uniform3(0_i64..3),
        0_i64..3,
        prop::array::uniform5(0_i64..3),
        prop::array::uniform3(any::<bool>()),
        any::<bool>(),
    );
    let mut unseen: Vec<&str> = UNCOUNTED.iter().map(|row| row.why).collect();
    for _ in 0..20_000 {
        let (software, v1, month, nodeinfo, [users_hidden, noindex, metadata_usage], limited) =
            numbers.new_tree(&mut runner).unwrap().current();
        let nodeinfo_is = Nodeinfo { users_hidden, noindex, metadata_usage, ..Nodeinfo::default() };
        let server = Server {
            software,
            v1: Some(v1),
            month: Some(month),
            nodeinfo: Some(nodeinfo),
            nodeinfo_is,
            limited: Some(limited),
        };
        let mut snapshot = server.snapshot();
        let week = ActivityWeek { week: 1, logins: Some(0), ..ActivityWeek::default() };
        snapshot.slots.push(read(Endpoint::Activity, Facts::Activity(vec![week, week].into())));
        let target = Target::new("https://a.example".parse().unwrap(), None, None, &BTreeMap::new());
        let reading = Reading::new(&target, &snapshot, Moment::at(Duration::from_secs(1)), 1e9);
        for figure in Figure::ALL {
            if let Some(why) = figure.withheld(&reading) {
                unseen.retain(|unseen| *unseen != why);
            }
        }
        if unseen.is_empty() {
            return;
        }
    }
    panic!("these rows withhold nothing: {unseen:#?}");
}
