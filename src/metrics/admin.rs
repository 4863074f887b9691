//! Metrics that need an administrator's token.

use crate::endpoint::Endpoint;
use crate::snapshot::{Measures, Reading};

use super::{Label, Read, Row, emit_tally, gauge};

const CATEGORY: &str = "mastodon.report.category";
const COMPONENT: &str = "mastodon.software.component";
const KIND: &str = "mastodon.storage.kind";
const LANGUAGE: &str = "mastodon.language";
const SEVERITY: &str = "mastodon.block.severity";
const TREND: &str = "mastodon.trend.kind";
const VERSION: &str = "mastodon.software.version";

const TOKEN: &str = "token";

pub(super) const ROWS: &[Row] = &[
    gauge(
        "mastodon.admin.reports.open",
        "{report}",
        "Unresolved reports, by category (spam, legal, violation, other).",
        "pages of unresolved `/api/v1/admin/reports`",
        Read::Ints(|r, emit| emit_tally(r.reports().map(|reports| &reports.open), CATEGORY, emit), |_| 5),
    )
    .by(&[CATEGORY])
    .on(TOKEN)
    .from(&[Endpoint::AdminReports]),
    gauge(
        "mastodon.admin.reports.unassigned",
        "{report}",
        "Unresolved reports that no moderator has taken.",
        "pages of unresolved `/api/v1/admin/reports`",
        Read::Int(|r| r.reports().map(|reports| reports.unassigned)),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminReports]),
    gauge(
        "mastodon.admin.reports.oldest.timestamp",
        "s",
        "When the oldest unresolved report was made.",
        "`created_at` of unresolved `/api/v1/admin/reports`",
        Read::Float(|r| r.reports()?.oldest),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminReports])
    .unless(no_report),
    gauge(
        "mastodon.admin.accounts.pending",
        "{account}",
        "Accounts that wait for approval.",
        "pages of `/api/v2/admin/accounts` (v1 before Mastodon 3.5)",
        Read::Int(|r| r.pending_accounts().map(|n| n.0)),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminAccounts]),
    gauge(
        "mastodon.admin.trends.pending",
        "{trend}",
        "Trends that wait for review, by kind (tags, statuses, links).",
        "`requires_review` in pages of `/api/v1/admin/trends/*`",
        Read::Ints(|r, emit| emit_tally(r.pending_trends(), TREND, emit), |_| 3),
    )
    .by(&[TREND])
    .on(TOKEN)
    .from(&[Endpoint::AdminTrends]),
    gauge(
        "mastodon.admin.measures.today.active_users",
        "{user}",
        "Users seen on the current UTC day so far.",
        "`active_users` of `/api/v1/admin/measures`, the day by its date",
        Read::Int(|r| measures(r)?.today[0]),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminMeasures])
    .unless(of_another_day),
    gauge(
        "mastodon.admin.measures.today.new_users",
        "{user}",
        "Sign-ups, unconfirmed ones included, on the current UTC day so far.",
        "`new_users` of `/api/v1/admin/measures`, the day by its date",
        Read::Int(|r| measures(r)?.today[1]),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminMeasures])
    .unless(of_another_day),
    gauge(
        "mastodon.admin.measures.today.interactions",
        "{interaction}",
        "Favourites, boosts, replies, follows and votes by local users on the current UTC day so far.",
        "`interactions` of `/api/v1/admin/measures`, the day by its date",
        Read::Int(|r| measures(r)?.today[2]),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminMeasures])
    .unless(of_another_day),
    gauge(
        "mastodon.admin.measures.today.opened_reports",
        "{report}",
        "Reports made on the current UTC day so far.",
        "`opened_reports` of `/api/v1/admin/measures`, the day by its date",
        Read::Int(|r| measures(r)?.today[3]),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminMeasures])
    .unless(of_another_day),
    gauge(
        "mastodon.admin.measures.today.resolved_reports",
        "{report}",
        "Reports resolved on the current UTC day so far.",
        "`resolved_reports` of `/api/v1/admin/measures`, the day by its date",
        Read::Int(|r| measures(r)?.today[4]),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminMeasures])
    .unless(of_another_day),
    gauge(
        "mastodon.admin.measures.yesterday.active_users",
        "{user}",
        "Users seen on the UTC day before.",
        "`active_users` of `/api/v1/admin/measures`, the day by its date",
        Read::Int(|r| measures(r)?.yesterday[0]),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminMeasures])
    .unless(of_another_day),
    gauge(
        "mastodon.admin.measures.yesterday.new_users",
        "{user}",
        "Sign-ups, unconfirmed ones included, on the UTC day before.",
        "`new_users` of `/api/v1/admin/measures`, the day by its date",
        Read::Int(|r| measures(r)?.yesterday[1]),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminMeasures])
    .unless(of_another_day),
    gauge(
        "mastodon.admin.measures.yesterday.interactions",
        "{interaction}",
        "Favourites, boosts, replies, follows and votes by local users on the UTC day before.",
        "`interactions` of `/api/v1/admin/measures`, the day by its date",
        Read::Int(|r| measures(r)?.yesterday[2]),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminMeasures])
    .unless(of_another_day),
    gauge(
        "mastodon.admin.measures.yesterday.opened_reports",
        "{report}",
        "Reports made on the UTC day before.",
        "`opened_reports` of `/api/v1/admin/measures`, the day by its date",
        Read::Int(|r| measures(r)?.yesterday[3]),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminMeasures])
    .unless(of_another_day),
    gauge(
        "mastodon.admin.measures.yesterday.resolved_reports",
        "{report}",
        "Reports resolved on the UTC day before.",
        "`resolved_reports` of `/api/v1/admin/measures`, the day by its date",
        Read::Int(|r| measures(r)?.yesterday[4]),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminMeasures])
    .unless(of_another_day),
    gauge(
        "mastodon.admin.storage",
        "By",
        "Storage used, by kind (postgresql, redis, media, search).",
        "`space_usage` of `/api/v1/admin/dimensions`",
        Read::Ints(|r, emit| emit_tally(r.storage(), KIND, emit), |_| 5),
    )
    .by(&[KIND])
    .on(TOKEN)
    .from(&[Endpoint::AdminStorage]),
    gauge(
        "mastodon.admin.software.info",
        "",
        "A component of the server's software and its version; always 1.",
        "`software_versions` of `/api/v1/admin/dimensions`",
        Read::Ints(
            |r, emit| {
                for (component, version) in r.components().unwrap_or_default() {
                    let parts = [
                        (COMPONENT, Label::Text(component.clone())),
                        (VERSION, Label::Text(version.clone())),
                    ];
                    emit(1, &parts);
                }
            },
            |_| 16,
        ),
    )
    .by(&[COMPONENT, VERSION])
    .on(TOKEN)
    .from(&[Endpoint::AdminSoftware]),
    gauge(
        "mastodon.admin.languages",
        "{user}",
        "Users who signed in during the last 28 UTC days, by the language of their interface (ISO 639), the \
         ten largest.",
        "`languages` of `/api/v1/admin/dimensions`",
        Read::Ints(|r, emit| emit_tally(r.languages(), LANGUAGE, emit), |_| 10),
    )
    .by(&[LANGUAGE])
    .on(TOKEN)
    .from(&[Endpoint::AdminLanguages]),
    gauge(
        "mastodon.admin.domain_blocks",
        "{domain}",
        "Domain blocks, by severity (noop, silence, suspend).",
        "pages of `/api/v1/admin/domain_blocks`",
        Read::Ints(|r, emit| emit_tally(r.admin_domain_blocks(), SEVERITY, emit), |_| 4),
    )
    .by(&[SEVERITY])
    .on(TOKEN)
    .from(&[Endpoint::AdminDomainBlocks]),
    gauge(
        "mastodon.admin.ip_blocks",
        "{block}",
        "IP blocks, by severity (sign_up_requires_approval, sign_up_block, no_access).",
        "pages of `/api/v1/admin/ip_blocks`",
        Read::Ints(|r, emit| emit_tally(r.ip_blocks(), SEVERITY, emit), |_| 4),
    )
    .by(&[SEVERITY])
    .on(TOKEN)
    .from(&[Endpoint::AdminIpBlocks]),
    gauge(
        "mastodon.admin.domain_allows",
        "{domain}",
        "Domains that a server in limited federation talks to.",
        "pages of `/api/v1/admin/domain_allows`",
        Read::Int(|r| r.domain_allows().map(|n| n.0)),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminDomainAllows]),
    gauge(
        "mastodon.admin.email_domain_blocks",
        "{domain}",
        "Blocked e-mail domains.",
        "pages of `/api/v1/admin/email_domain_blocks`",
        Read::Int(|r| r.email_domain_blocks().map(|n| n.0)),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminEmailDomainBlocks]),
    gauge(
        "mastodon.admin.canonical_email_blocks",
        "{block}",
        "Blocked e-mail addresses.",
        "pages of `/api/v1/admin/canonical_email_blocks`",
        Read::Int(|r| r.canonical_email_blocks().map(|n| n.0)),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminCanonicalEmailBlocks]),
    gauge(
        "mastodon.admin.retention.rate",
        "",
        "Share of the users who signed up in the month before last and were seen again in the following \
         month, from 0 to 1.",
        "`/api/v1/admin/retention` by month",
        Read::Float(|r| r.retention().map(|retention| retention.rate)),
    )
    .on(TOKEN)
    .from(&[Endpoint::AdminRetention]),
];

fn no_report(r: &Reading<'_>) -> Option<&'static str> {
    let none = r.reports()?.open.0.iter().all(|(_, open)| *open == 0);
    none.then_some("no report is open")
}

/// Returns the measures while the day of the request is today.
fn measures<'a>(r: &Reading<'a>) -> Option<&'a Measures> {
    r.measures().filter(|_| of_another_day(r).is_none())
}

fn of_another_day(r: &Reading<'_>) -> Option<&'static str> {
    let asked = r.measures()?.day.saturating_mul(86_400);
    (!r.is_day_of(asked)).then_some("the figures were requested before midnight (UTC)")
}
