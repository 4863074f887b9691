use proptest::prelude::*;

use super::*;

use crate::outcome::ErrorType;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// When the attempts in these tests begin. Each takes a second.
const BEGAN: Moment = Moment::at(DAY);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Returns the time from the beginning of an attempt to the next attempt.
fn wait(timing: &mut Timing, ended: Ended, retry_after: Option<u64>, endpoint: Endpoint) -> u64 {
    let took = Attempted { began: BEGAN, now: BEGAN + seconds(1), retry_after: retry_after.map(seconds) };
    timing.enter(ended, took, endpoint, endpoint.interval());
    timing.due.since(BEGAN).as_secs()
}

#[test]
fn an_answer_decides_when_the_next_is_asked_for() {
    let read = |lifetime| Ended::Read { lifetime: seconds(lifetime) };
    for (endpoint, ended, retry_after, expected) in [
        (Endpoint::InstanceV1, read(0), None, 54),
        (Endpoint::InstanceV1, read(300), None, 301),
        (Endpoint::Peers, read(300), None, 19_440),
        (Endpoint::Activity, Ended::NotOffered { for_long: true }, None, 21_601),
        (Endpoint::Activity, Ended::NotOffered { for_long: true }, Some(30_000), 30_001),
        (Endpoint::Activity, Ended::NotOffered { for_long: false }, None, 54),
        (Endpoint::Activity, Ended::Failed, None, 54),
        (Endpoint::Activity, Ended::Failed, Some(10), 54),
        (Endpoint::Activity, Ended::Failed, Some(600), 601),
        (Endpoint::Activity, Ended::NotAsked, None, 54),
        (Endpoint::Activity, Ended::NotAsked, Some(600), 601),
        (Endpoint::Health, Ended::Failed, None, 54),
    ] {
        let found = wait(&mut Timing::default(), ended, retry_after, endpoint);
        assert_eq!(found, expected, "{endpoint:?} {ended:?} {retry_after:?}");
    }
}

#[test]
fn waits_grow_up_to_the_interval_and_six_hours() {
    for (endpoint, expected) in [
        (Endpoint::InstanceV1, [54, 54, 54, 54, 54]),
        (Endpoint::Robots, [54, 54, 54, 54, 54]),
        (Endpoint::Accounts, [54, 108, 216, 270, 270]),
        (Endpoint::Activity, [54, 108, 216, 432, 864]),
    ] {
        let mut timing = Timing::default();
        let found = [(); 5].map(|()| wait(&mut timing, Ended::Failed, None, endpoint));
        assert_eq!(found, expected, "{endpoint:?}");
        // An endpoint that was not requested has neither failed nor recovered.
        let before = timing.failures_in_row;
        wait(&mut timing, Ended::NotAsked, None, endpoint);
        assert_eq!(timing.failures_in_row, before);
        wait(&mut timing, Ended::Read { lifetime: Duration::ZERO }, None, endpoint);
        assert_eq!(wait(&mut timing, Ended::Failed, None, endpoint), 54);
    }
    let gone = Ended::NotOffered { for_long: false };
    let mut timing = Timing::default();
    let found = [(); 5].map(|()| wait(&mut timing, gone, None, Endpoint::InstanceV1));
    assert_eq!(found, [54, 108, 216, 432, 864], "also for what is asked for every minute");
    let mut timing = Timing::default();
    let last = (0..2000).map(|_| wait(&mut timing, Ended::Failed, None, Endpoint::NodeinfoDiscovery)).last();
    assert_eq!(last, Some(19_440));
}

#[test]
fn nothing_is_brought_forward_before_the_time_that_a_server_gave() {
    let mut timing = Timing::default();
    wait(&mut timing, Ended::Failed, Some(600), Endpoint::Activity);
    timing.bring_forward(BEGAN);
    assert_eq!(timing.due, BEGAN + seconds(601));
    let mut timing = Timing::default();
    wait(&mut timing, Ended::NotOffered { for_long: true }, None, Endpoint::Activity);
    timing.bring_forward(BEGAN + MINUTE);
    assert_eq!(timing.due, BEGAN + MINUTE);
}

const OK: Option<Outcome> = Some(Outcome::Ok);
const NOT_OFFERED: Option<Outcome> = Some(Outcome::NotOffered);
const FAILED: Option<Outcome> = Some(Outcome::Failed(ErrorType::Http5xx));

/// An endpoint with the outcome of its last attempt, the seconds since it began, and
/// the seconds until it is due.
fn candidate(endpoint: Endpoint, outcome: Option<Outcome>, ago: u64, due_in: u64) -> Candidate {
    Candidate {
        endpoint,
        timing: Timing { due: BEGAN + seconds(due_in), ..Timing::default() },
        under_way: false,
        outcome,
        attempted: BEGAN.before(seconds(ago)),
        has_facts: outcome == OK,
    }
}

fn due(all: &[Candidate], held: Duration) -> Vec<Endpoint> {
    let choice = Choice { all: all.to_vec(), held_until: BEGAN + held, now: BEGAN };
    choice.due().into_iter().map(|i| all[i].endpoint).collect()
}

#[test]
fn what_is_due_is_asked_for_and_a_document_once_a_minute() {
    use Endpoint::{Activity, InstanceV1, InstanceV2, Nodeinfo, NodeinfoDiscovery};
    for (case, all, expected) in [
        (
            "nothing known",
            vec![candidate(InstanceV2, None, 86_400, 0), candidate(Activity, None, 86_400, 0)],
            vec![InstanceV2, Activity],
        ),
        (
            "all is fresh, and was read within the minute",
            vec![candidate(InstanceV2, OK, 30, 270), candidate(InstanceV1, OK, 30, 270)],
            vec![],
        ),
        (
            "all is fresh, and older than a minute",
            vec![candidate(InstanceV2, OK, 60, 240), candidate(InstanceV1, OK, 60, 240)],
            vec![InstanceV2],
        ),
        (
            "one was read within the minute",
            vec![candidate(InstanceV2, OK, 60, 240), candidate(InstanceV1, OK, 30, 240)],
            vec![],
        ),
        (
            "what is not offered shows nothing",
            vec![candidate(InstanceV2, NOT_OFFERED, 60, 9000), candidate(Nodeinfo, OK, 60, 240)],
            vec![Nodeinfo],
        ),
        (
            "discovery is all there is to ask",
            vec![candidate(NodeinfoDiscovery, FAILED, 60, 9000), candidate(Nodeinfo, FAILED, 60, 0)],
            vec![NodeinfoDiscovery, Nodeinfo],
        ),
        (
            "discovery backs off beside a document that was read",
            vec![
                candidate(InstanceV1, OK, 60, 0),
                candidate(NodeinfoDiscovery, FAILED, 60, 9000),
                candidate(Nodeinfo, FAILED, 60, 0),
            ],
            vec![InstanceV1, Nodeinfo],
        ),
    ] {
        assert_eq!(due(&all, Duration::ZERO), expected, "{case}");
    }
    let mut left_alone = candidate(InstanceV1, FAILED, 60, 0);
    left_alone.timing.not_before = BEGAN + MINUTE;
    assert_eq!(due(&[left_alone], Duration::ZERO), []);
    let mut under_way = candidate(InstanceV1, OK, 600, 0);
    under_way.under_way = true;
    assert_eq!(due(&[under_way, candidate(Nodeinfo, OK, 600, 600)], Duration::ZERO), [], "one is asked for");
}

#[test]
fn what_is_due_soon_is_asked_for_together_with_what_is_due() {
    use Endpoint::{Activity, InstanceV1};
    let mut activity = candidate(Activity, OK, 240, 30);
    let due_by = |activity: Candidate, by: u64| {
        let all = vec![candidate(InstanceV1, OK, 60, 0), activity];
        Choice { all, held_until: Moment::ORIGIN, now: BEGAN }.due_by(BEGAN + seconds(by))
    };
    activity.timing.together = BEGAN;
    assert_eq!(due_by(activity, 29), [0], "it is not due by then");
    assert_eq!(due_by(activity, 30), [0, 1]);
    activity.timing.together = BEGAN + seconds(1);
    assert_eq!(due_by(activity, 60), [0], "what was read has not aged enough");
    activity.timing.together = BEGAN;
    activity.timing.not_before = BEGAN + seconds(1);
    assert_eq!(due_by(activity, 60), [0], "the server asked for a pause");
}

#[test]
fn a_spent_rate_limit_holds_the_api_and_nothing_else() {
    use Endpoint::{Activity, Health, InstanceV2, Nodeinfo};
    let all = [Activity, Health, InstanceV2].map(|endpoint| candidate(endpoint, OK, 3600, 0));
    assert_eq!(due(&all, HOUR), [Health]);
    let all = [InstanceV2, Nodeinfo].map(|endpoint| candidate(endpoint, OK, 60, 240));
    assert_eq!(due(&all, HOUR), [Nodeinfo], "it shows the server up meanwhile");
}

#[test]
fn other_documents_confirm_that_a_server_is_down() {
    use Endpoint::{Activity, InstanceV1, InstanceV2, Nodeinfo};
    let all = vec![
        candidate(InstanceV2, FAILED, 0, 54),
        candidate(InstanceV1, OK, 60, 240),
        candidate(Nodeinfo, OK, 10, 240),
        candidate(Activity, OK, 60, 240),
    ];
    let choice = Choice { all, held_until: Moment::ORIGIN, now: BEGAN };
    assert_eq!(choice.to_confirm_down(), [1]);
}

fn ended() -> impl Strategy<Value = Ended> {
    prop_oneof![
        (0_u64..10_000).prop_map(|n| Ended::Read { lifetime: seconds(n) }),
        any::<bool>().prop_map(|for_long| Ended::NotOffered { for_long }),
        Just(Ended::Failed),
        Just(Ended::NotAsked),
    ]
}

proptest! {
    /// In any order of answers: no request before the time that the server gave, and
    /// each wait after a failure is at least as long as the one before it.
    #[test]
    fn no_order_of_answers_brings_an_endpoint_too_early(
        index in 0..Endpoint::ALL.len(),
        answers in prop::collection::vec((ended(), prop::option::of(0_u64..4000), any::<bool>()), 1..40),
    ) {
        let endpoint = Endpoint::ALL[index];
        let (mut timing, mut now, mut not_before) = (Timing::default(), Moment::at(seconds(1000)), Moment::ORIGIN);
        let mut last: Option<Duration> = None;
        for (ended, retry_after, pulled) in answers {
            prop_assert!(now >= not_before);
            let took = Attempted { began: now, now, retry_after: retry_after.map(seconds) };
            timing.enter(ended, took, endpoint, endpoint.interval());
            not_before = not_before.max(now + seconds(retry_after.unwrap_or_default()));
            if pulled {
                timing.bring_forward(now);
            }
            prop_assert!(timing.due >= not_before && timing.together >= not_before);
            if let Ended::Read { lifetime } = ended {
                prop_assert!(timing.together >= now + lifetime);
            } else {
                prop_assert!(pulled || timing.together == timing.due);
            }
            let usual = back_off(timing.failures_in_row.max(1), longest_back_off(endpoint, endpoint.interval()));
            if ended == Ended::Failed && !pulled {
                prop_assert!(timing.due >= now + usual && last.is_none_or(|last| usual >= last));
                last = Some(usual);
            } else if ended != Ended::NotAsked {
                last = None;
            }
            now = timing.due;
        }
    }
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let outcome = prop_oneof![
        Just(None),
        Just(Some(Outcome::Ok)),
        Just(Some(Outcome::NotOffered)),
        Just(Some(Outcome::Failed(ErrorType::Timeout))),
    ];
    let times = (0u64..240, 0u64..240, 0u64..240, 0u64..120);
    let one = (times, any::<bool>(), outcome, any::<bool>());
    let endpoints = [
        Endpoint::Robots,
        Endpoint::InstanceV2,
        Endpoint::InstanceV1,
        Endpoint::NodeinfoDiscovery,
        Endpoint::Nodeinfo,
        Endpoint::Activity,
    ];
    prop::collection::vec(one, endpoints.len()).prop_map(move |all| {
        let candidate =
            |(endpoint, ((due, together, not_before, attempted), under_way, outcome, has_facts))| Candidate {
                endpoint,
                timing: Timing {
                    due: BEGAN + seconds(due),
                    together: BEGAN + seconds(u64::min(together, due)),
                    not_before: BEGAN + seconds(not_before / 2),
                    ..Timing::default()
                },
                under_way,
                outcome,
                attempted: BEGAN + seconds(attempted),
                has_facts,
            };
        endpoints.into_iter().zip(all).map(candidate).collect()
    })
}

proptest! {
    /// Who polls again at that time neither polls in vain, without end, nor too late.
    #[test]
    fn the_next_time_is_later_and_has_something_to_be_asked_for(
        all in candidates(),
        held in 0u64..240,
        now in 120u64..240,
    ) {
        let mut choice = Choice { all, held_until: BEGAN + seconds(held), now: BEGAN + seconds(now) };
        for chosen in choice.due() {
            choice.all[chosen].under_way = true;
        }
        let Some(next) = choice.next_due(Moment::ORIGIN, Moment::ORIGIN) else { return Ok(()) };
        prop_assert!(next > choice.now, "{next:?} at {:?}", choice.now);
        let before = Choice { now: next.before(Duration::from_nanos(1)), ..choice.clone() };
        prop_assert_eq!(before.due(), Vec::<usize>::new(), "before {:?}", next);
        let then = Choice { now: next, ..choice };
        prop_assert!(!then.due().is_empty(), "nothing is due at {next:?}");
    }

    /// The same in a round, in which it may be requested before it is due.
    #[test]
    fn the_next_time_in_a_round_has_something_to_be_asked_for(
        all in candidates(),
        held in 0u64..240,
        (since, now, by) in (0u64..240, 120u64..240, 120u64..400),
    ) {
        let [since, now, by] = [since, now, by].map(|second| BEGAN + seconds(second));
        let mut choice = Choice { all, held_until: BEGAN + seconds(held), now };
        for chosen in choice.due_by(by) {
            choice.all[chosen].under_way = true;
        }
        let Some(next) = choice.next_due(since, by) else { return Ok(()) };
        prop_assert!(next > choice.now, "{next:?} at {:?}", choice.now);
        let then = Choice { now: next, ..choice };
        prop_assert!(!then.due_by(by).is_empty(), "nothing is to be asked for at {next:?}");
    }
}
