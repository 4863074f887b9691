//! Sets of answers of one server with their points, and the points that remain when one
//! endpoint fails.

use std::time::Duration;

use fedimeter::endpoint::Endpoint;
use libtest_mimic::Failed;
use serde_json::Value;

use super::points::{said, spelt};
use super::recorded::Sample;
use super::served::{poll, read_at, simulator, target};

/// Several answers of one server, and the resulting points.
pub struct Set {
    pub name: &'static str,
    /// Paths with their answers.
    pub served: &'static [(&'static str, Body)],
    /// The time at which the points are read; `None` for any time.
    pub at: Option<i64>,
    /// All points, sorted.
    pub points: &'static [(&'static str, i64)],
}

/// The source of an answer.
pub enum Body {
    /// An unchanged sample.
    Sample(&'static str),
    /// A sample with the value at a JSON Pointer (RFC 6901) replaced.
    Changed(&'static str, &'static str, &'static str),
    /// A document of the test.
    Json(&'static str),
}

use Body::{Changed, Json, Sample as Recorded};

const V1: &str = "/api/v1/instance";
const V2: &str = "/api/v2/instance";
const ACTIVITY: &str = "/api/v1/instance/activity";
const NODEINFO: &str = "/nodeinfo/2.0";

#[rustfmt::skip]
pub const SETS: &[Set] = &[
    Set {
        name: "friendica_hides_its_counts_behind_zeros",
        served: &[
            (V1, Recorded("friendica-2022.05-dev-v1-instance-soapbox.json")),
            (NODEINFO, Recorded("friendica-2024.03-1557-nodeinfo-usage-hidden.json")),
        ],
        at: None,
        points: &[
            ("mastodon.instance.registrations.approval_required", 0),
            ("mastodon.instance.registrations.open", 1),
            ("mastodon.instance.rules", 0),
            ("nodeinfo.registrations.open", 1),
        ],
    },
    Set {
        name: "friendica_hides_its_counts_also_while_nodeinfo_is_away",
        served: &[(V1, Recorded("friendica-2023.05-v1-instance-nocontact.json"))],
        at: None,
        points: &[
            ("mastodon.instance.registrations.approval_required", 0),
            ("mastodon.instance.registrations.open", 1),
            ("mastodon.instance.rules", 0),
        ],
    },
    Set {
        name: "gotosocial_counts_no_active_users",
        served: &[
            (V1, Recorded("gotosocial-0.20-v1-instance-testrig.json")),
            (V2, Recorded("gotosocial-0.20-v2-instance-testrig.json")),
            (NODEINFO, Recorded("gotosocial-0.16.0+git-f1cbf6f-nodeinfo.json")),
        ],
        at: None,
        points: &[
            ("mastodon.instance.domains", 2),
            ("mastodon.instance.limits.media_attachments", 6),
            ("mastodon.instance.limits.status_characters", 5000),
            ("mastodon.instance.registrations.approval_required", 1),
            ("mastodon.instance.registrations.open", 1),
            ("mastodon.instance.rules", 0),
            ("mastodon.instance.statuses", 23),
            ("mastodon.instance.users", 5),
            ("nodeinfo.local_posts", 3010),
            ("nodeinfo.registrations.open", 0),
            ("nodeinfo.users", 5),
        ],
    },
    Set {
        name: "limited_federation_forces_active_users_to_zero",
        served: &[(V2, Changed("mastodon-4.4.3-v2-instance.json", "/configuration/limited_federation", "true"))],
        at: None,
        points: &[
            ("mastodon.instance.api_version", 6),
            ("mastodon.instance.limits.media_attachments", 4),
            ("mastodon.instance.limits.status_characters", 500),
            ("mastodon.instance.registrations.approval_required", 1),
            ("mastodon.instance.registrations.open", 1),
            ("mastodon.instance.rules", 0),
        ],
    },
    Set {
        name: "mastodon_4_5_on_the_day_of_its_activity",
        served: &[
            (V1, Recorded("mastodon-4.5.0-v1-instance.json")),
            (V2, Recorded("mastodon-4.5.0-v2-instance.json")),
            (ACTIVITY, Recorded("mastodon-4.5.0-instance-activity.json")),
            (NODEINFO, Recorded("mastodon-4.5.0-nodeinfo-2.0.json")),
        ],
        at: Some(1_775_949_325),
        points: &[
            ("mastodon.instance.active_users.month", 0),
            ("mastodon.instance.activity.day.logins", 4),
            ("mastodon.instance.activity.day.registrations", 4),
            ("mastodon.instance.activity.day.statuses", 96),
            ("mastodon.instance.activity.six_day.logins", 0),
            ("mastodon.instance.activity.six_day.registrations", 0),
            ("mastodon.instance.activity.six_day.statuses", 0),
            ("mastodon.instance.activity.timestamp", 1_775_949_325),
            ("mastodon.instance.api_version", 7),
            ("mastodon.instance.domains", 1),
            ("mastodon.instance.limits.media_attachments", 4),
            ("mastodon.instance.limits.status_characters", 500),
            ("mastodon.instance.registrations.approval_required", 0),
            ("mastodon.instance.registrations.open", 1),
            ("mastodon.instance.rules", 0),
            ("mastodon.instance.statuses", 14),
            ("mastodon.instance.users", 4),
            ("nodeinfo.active_users.half_year", 0),
            ("nodeinfo.active_users.month", 0),
            ("nodeinfo.local_posts", 13),
            ("nodeinfo.registrations.open", 1),
            ("nodeinfo.users", 4),
        ],
    },
    Set {
        name: "a_rolling_activity_of_yesterday_has_no_day",
        served: &[
            (V1, Json(r#"{"version":"4.6.0-nightly.2026-04-09"}"#)),
            (ACTIVITY, Recorded("mastodon-4.6.0-nightly.2026-04-09-social-instance-activity.json")),
        ],
        at: Some(1_775_930_822 + 86_400),
        points: &[
            ("mastodon.instance.activity.six_day.logins", 162_367),
            ("mastodon.instance.activity.six_day.registrations", 12_064),
            ("mastodon.instance.activity.six_day.statuses", 899_843),
            ("mastodon.instance.activity.timestamp", 1_775_930_822),
        ],
    },
    Set {
        name: "iso_weeks_two_days_into_the_week",
        served: &[
            (NODEINFO, Recorded("mastodon-3.0.1-nodeinfo-2.0.json")),
            (ACTIVITY, Recorded("mastodon-3.0-social-instance-activity-iso-weeks.json")),
        ],
        at: Some(1_574_640_000 + 2 * 86_400),
        points: &[
            ("mastodon.instance.activity.last_week.logins", 28_820),
            ("mastodon.instance.activity.last_week.registrations", 4_425),
            ("mastodon.instance.activity.last_week.statuses", 244_447),
            ("mastodon.instance.activity.timestamp", 1_574_640_000),
            ("mastodon.instance.activity.week.logins", 14_239),
            ("mastodon.instance.activity.week.registrations", 542),
            ("mastodon.instance.activity.week.statuses", 37_125),
            // The server offers neither v1 nor v2, and NodeInfo is that of a Mastodon
            // server.
            ("mastodon.instance.statuses", 31),
            ("mastodon.instance.users", 3),
            ("nodeinfo.active_users.half_year", 3),
            ("nodeinfo.active_users.month", 3),
            ("nodeinfo.local_posts", 31),
            ("nodeinfo.registrations.open", 1),
            ("nodeinfo.users", 3),
        ],
    },
    Set {
        name: "iso_weeks_of_the_past_are_neither_this_nor_the_last",
        served: &[
            (V1, Json(r#"{"version":"3.0.1"}"#)),
            (ACTIVITY, Recorded("mastodon-3.0-social-instance-activity-iso-weeks.json")),
        ],
        at: Some(1_574_640_000 + 9 * 86_400),
        points: &[("mastodon.instance.activity.timestamp", 1_574_640_000)],
    },
    Set {
        name: "takahe_counts_no_logins",
        served: &[
            (V1, Json(r#"{"version":"takahe/0.11.0"}"#)),
            (ACTIVITY, Recorded("synthetic/takahe-instance-activity-ints.json")),
        ],
        at: Some(1_786_924_800 + 3600),
        points: &[
            ("mastodon.instance.activity.last_week.registrations", 0),
            ("mastodon.instance.activity.last_week.statuses", 30),
            ("mastodon.instance.activity.timestamp", 1_786_924_800),
            ("mastodon.instance.activity.week.registrations", 1),
            ("mastodon.instance.activity.week.statuses", 21),
        ],
    },
    Set {
        name: "activity_of_software_that_is_no_mastodon_means_nothing",
        served: &[
            (V1, Recorded("akkoma-3.10.4-0-gebfb617-v1-instance.json")),
            (ACTIVITY, Recorded("mastodon-4.5.0-instance-activity.json")),
        ],
        at: Some(1_775_949_325),
        points: &[
            ("mastodon.instance.domains", 5844),
            ("mastodon.instance.registrations.approval_required", 1),
            ("mastodon.instance.registrations.open", 1),
            ("mastodon.instance.statuses", 16),
            ("mastodon.instance.users", 5),
        ],
    },
    Set {
        name: "a_mastodon_without_v1_says_its_totals_in_nodeinfo",
        served: &[
            (V2, Recorded("mastodon-4.3.0-v2-instance.json")),
            (NODEINFO, Recorded("mastodon-4.3.0-nodeinfo-2.0.json")),
        ],
        at: None,
        points: &[
            ("mastodon.instance.active_users.month", 0),
            ("mastodon.instance.api_version", 2),
            ("mastodon.instance.limits.media_attachments", 4),
            ("mastodon.instance.limits.status_characters", 500),
            ("mastodon.instance.registrations.approval_required", 1),
            ("mastodon.instance.registrations.open", 1),
            ("mastodon.instance.rules", 0),
            ("mastodon.instance.statuses", 5),
            ("mastodon.instance.users", 4),
            ("nodeinfo.active_users.half_year", 0),
            ("nodeinfo.active_users.month", 0),
            ("nodeinfo.local_posts", 5),
            ("nodeinfo.registrations.open", 1),
            ("nodeinfo.users", 4),
        ],
    },
    Set {
        name: "writefreely_hides_who_is_active_behind_zeros",
        served: &[(NODEINFO, Json(
            r#"{"software":{"name":"WriteFreely"},"openRegistrations":false,
                "usage":{"users":{"total":7,"activeMonth":0,"activeHalfyear":0},"localPosts":90}}"#,
        ))],
        at: None,
        points: &[
            ("nodeinfo.local_posts", 90),
            ("nodeinfo.registrations.open", 0),
            ("nodeinfo.users", 7),
        ],
    },
];

/// Serves a set, and nothing else.
pub async fn check(set: &Set, samples: &[Sample]) -> Result<(), Failed> {
    let simulator = simulator(1, &["4.6.4"]).await;
    for path in [V1, V2, ACTIVITY, NODEINFO, "/.well-known/nodeinfo"] {
        simulator.set_answer(0, path, http::StatusCode::NOT_FOUND, http::HeaderMap::new(), "");
    }
    for (path, body) in set.served {
        simulator.set_json(0, path, body.read(samples)?);
        if *path == NODEINFO {
            simulator.remove_answer(0, "/.well-known/nodeinfo");
        }
    }
    let view = poll(vec![target(&simulator, 0)], Duration::from_secs(60)).await;
    let view = read_at(&view, set.at.unwrap_or_default());
    let found: Vec<String> = said(&view.readings().next().ok_or("no target")?)
        .into_iter()
        .map(|(name, value)| format!("{name} {}", spelt(value)))
        .collect();
    let expected: Vec<String> = set.points.iter().map(|(name, value)| format!("{name} {value}")).collect();
    if found == expected {
        Ok(())
    } else {
        Err(format!("expected:\n{}\n\nfound:\n{}", expected.join("\n"), found.join("\n")).into())
    }
}

impl Body {
    fn read(&self, samples: &[Sample]) -> Result<Vec<u8>, Failed> {
        let sample =
            |name: &str| samples.iter().find(|s| s.name == name).ok_or_else(|| format!("no sample {name}"));
        match self {
            Json(text) => Ok((*text).into()),
            Recorded(name) => Ok(sample(name)?.body.clone()),
            Changed(name, place, json) => {
                let mut document = sample(name)?.json().ok_or("no JSON")?;
                let value = document.pointer_mut(place).ok_or_else(|| format!("{name} has no {place}"))?;
                *value = serde_json::from_str::<Value>(json)?;
                Ok(document.to_string().into())
            }
        }
    }
}

/// Whether a point remains when `endpoint` of a Mastodon server from 4.0 has this outcome.
/// Numbers in two documents come from the other one.
pub fn survives(name: &str, endpoint: Endpoint, outcome: &str) -> bool {
    let metric = name.split('{').next().unwrap_or(name);
    let only = |from: &[Endpoint]| !from.contains(&endpoint);
    match metric {
        "mastodon.instance.users" | "mastodon.instance.statuses" => {
            // NodeInfo replaces v1 only if v1 is not offered.
            only(&[Endpoint::InstanceV1]) || outcome == "not_offered"
        }
        "mastodon.instance.domains" => only(&[Endpoint::InstanceV1]),
        "mastodon.instance.active_users.month" | "mastodon.instance.api_version" => {
            only(&[Endpoint::InstanceV2])
        }
        _ if metric.starts_with("mastodon.instance.activity.") => only(&[Endpoint::Activity]),
        _ if metric.starts_with("mastodon.account.") => only(&[Endpoint::Accounts]),
        _ if metric.starts_with("nodeinfo.") => only(&[Endpoint::Nodeinfo, Endpoint::NodeinfoDiscovery]),
        _ => true,
    }
}
