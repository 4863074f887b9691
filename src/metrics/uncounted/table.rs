//! The rows, by software, each with its source.

use super::Figure::{
    Comments, HalfYear, Logins, LoginsBefore, Month, Posts, Users, V1Domains, V1Statuses, V1Users, V2Month,
    Week,
};
use super::{Figure, Uncounted, When, Who};

const V1: &[Figure] = &[V1Users, V1Statuses, V1Domains];
const ACTIVE: &[Figure] = &[Month, HalfYear, Week];

/// The table, by software.
pub const UNCOUNTED: &[Uncounted] = &[
    Uncounted {
        who: Who::Any,
        figures: V1,
        when: When::ZerosAlone,
        why: "it reports 0 for users, posts and domains alike, so it hides the counts or has none",
        source: "Friendica's API without `system.nodeinfo`, Hollo's; recorded answers",
    },
    Uncounted {
        who: Who::Any,
        figures: &[V2Month],
        when: When::ZeroWhileHidden,
        why: "its administrator hides the counts, and it reports 0",
        source: "Friendica's API without `system.nodeinfo`",
    },
    Uncounted {
        who: Who::Any,
        figures: &[V2Month],
        when: When::LimitedFederation,
        why: "in limited federation Mastodon reports 0, whatever the real number",
        source: "Mastodon 4.4 and later",
    },
    Uncounted {
        who: Who::Named(&["gotosocial"]),
        figures: &[V1Users, V1Statuses, V1Domains, V2Month, Users, Month, Posts],
        when: When::ActiveInvented,
        why: "its administrator makes GoToSocial invent the numbers: it reports monthly users, which it \
              never counts",
        source: "GoToSocial, `instance-stats-mode: baffle`; recorded answer",
    },
    Uncounted {
        who: Who::Named(&["gotosocial"]),
        figures: &[V2Month],
        when: When::Always,
        why: "GoToSocial does not count it and reports 0",
        source: "GoToSocial's API; recorded answers",
    },
    Uncounted {
        who: Who::Named(&["gotosocial"]),
        figures: &[V1Users, V1Statuses, V1Domains, Users, Posts],
        when: When::ZeroNotIndexed,
        why: "its administrator makes GoToSocial report 0",
        source: "GoToSocial, `instance-stats-mode: zero`",
    },
    Uncounted {
        who: Who::Named(&["hollo"]),
        figures: &[V1Users, V1Statuses, V1Domains, V2Month],
        when: When::Is(0),
        why: "Hollo does not count it and reports 0: see nodeinfo.*",
        source: "Hollo 0.6; recorded answers",
    },
    Uncounted {
        who: Who::Named(&["tootik"]),
        figures: &[Users, Month, HalfYear, Posts],
        when: When::AllAre(0),
        why: "tootik reports 0 unless its administrator enables counting",
        source: "tootik 0.20, `FillNodeInfoUsage`; recorded answers",
    },
    Uncounted {
        who: Who::Calckey,
        figures: &[V1Users, V1Statuses],
        when: When::Always,
        why: "this software counts the users and posts of other servers, too: see nodeinfo.*",
        source: "Sharkey, which reported 4,171 users while its NodeInfo reported 4",
    },
    Uncounted {
        who: Who::Misskey,
        figures: &[Comments],
        when: When::Is(0),
        why: "this software does not count comments apart from posts and reports 0",
        source: "Misskey's NodeInfo",
    },
    Uncounted {
        who: Who::Named(&["pixelfed"]),
        figures: &[Comments],
        when: When::Is(0),
        why: "Pixelfed does not count comments apart from posts and reports 0",
        source: "Pixelfed's NodeInfo",
    },
    Uncounted {
        who: Who::Named(&["writefreely"]),
        figures: ACTIVE,
        when: When::ZeroBesideUsers,
        why: "WriteFreely reports 0 active users if its administrator hides the statistics",
        source: "WriteFreely without `public_stats`",
    },
    Uncounted {
        who: Who::Named(&["takahe"]),
        figures: &[Logins, LoginsBefore],
        when: When::Is(0),
        why: "Takahe does not count log-ins and reports 0",
        source: "Takahe's API",
    },
    Uncounted {
        who: Who::Named(&["takahe"]),
        figures: &[V2Month],
        when: When::Always,
        why: "Takahe reports the number of all identities instead",
        source: "Takahe's API",
    },
    Uncounted {
        who: Who::Named(&["piefed"]),
        figures: &[V1Domains],
        when: When::Is(1),
        why: "PieFed does not count it and reports 1",
        source: "PieFed's API",
    },
    Uncounted {
        who: Who::Named(&["epicyon"]),
        figures: &[V1Domains],
        when: When::Is(2),
        why: "Epicyon does not count it and reports 2",
        source: "Epicyon 1.7; recorded answers",
    },
    Uncounted {
        who: Who::Named(&["epicyon"]),
        figures: &[Comments],
        when: When::Is(0),
        why: "Epicyon does not count it and reports 0",
        source: "Epicyon 1.7; recorded answers",
    },
    Uncounted {
        who: Who::Named(&["epicyon"]),
        figures: &[V1Users, V1Statuses, V2Month, Users, Month, HalfYear, Posts],
        when: When::AllAre(1),
        why: "Epicyon reports 1 for users, posts and active users alike while its statistics are off",
        source: "Epicyon 1.7; recorded answers",
    },
    Uncounted {
        who: Who::Named(&["funkwhale"]),
        figures: &[Users, Month, HalfYear],
        when: When::ZeroWithoutMetadata,
        why: "Funkwhale reports 0 if its administrator hides the statistics",
        source: "Funkwhale's NodeInfo",
    },
    Uncounted {
        who: Who::Named(&["kitsune"]),
        figures: V1,
        when: When::OtherThanNodeinfo,
        why: "Kitsune can be configured to report 0 or random numbers, and its NodeInfo reports others: see \
              nodeinfo.*",
        source: "Kitsune, statistics modes `zero` and `random`",
    },
    Uncounted {
        who: Who::Named(&["snac"]),
        figures: &[Posts],
        when: When::Is(0),
        why: "old versions of snac do not count it and report 0",
        source: "snac's NodeInfo",
    },
    Uncounted {
        who: Who::Named(&["owncast"]),
        figures: &[V1Users, Users, Month, HalfYear, Week],
        when: When::Is(1),
        why: "Owncast does not count it and says 1",
        source: "Owncast's source, `activitypub/controllers/nodeinfo.go`",
    },
    Uncounted {
        who: Who::Named(&["owncast"]),
        figures: &[V1Domains, Comments],
        when: When::Is(0),
        why: "Owncast does not count it and says 0",
        source: "Owncast's source, `activitypub/controllers/nodeinfo.go`",
    },
    Uncounted {
        who: Who::Named(&["aoderelay"]),
        figures: &[Users, Month, HalfYear],
        when: When::Is(1),
        why: "AodeRelay is a relay without users and says 1",
        source: "AodeRelay's source, `src/routes/nodeinfo.rs`; recorded answer",
    },
    Uncounted {
        who: Who::Named(&["aoderelay"]),
        figures: &[Posts, Comments],
        when: When::Is(0),
        why: "AodeRelay is a relay without posts and says 0",
        source: "AodeRelay's source, `src/routes/nodeinfo.rs`; recorded answer",
    },
    Uncounted {
        who: Who::Named(&["activity-relay"]),
        figures: &[Users, Month, HalfYear],
        when: When::Always,
        why: "Activity-Relay gives the number of servers that subscribe to it in its place",
        source: "Activity-Relay's source, `api/handle.go`; recorded answer",
    },
    Uncounted {
        who: Who::Named(&["ghost"]),
        figures: &[Posts, Comments],
        when: When::ZeroWhileHidden,
        why: "old versions of Ghost do not count it and say 0, beside an empty `users`",
        source: "Ghost's source, `nodeInfoDispatcher` of its ActivityPub service",
    },
];
