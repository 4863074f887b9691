//! Text that is kept between pages: it equals newly written text.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fedimeter::clock::Moment;
use fedimeter::endpoint::Endpoint;
use fedimeter::export::exposition::{Escaping, Format, Representation};
use fedimeter::export::page::Page;
use fedimeter::export::prometheus::{OwnFamilies, Pull, PullSettings};
use fedimeter::outcome::ErrorType;
use fedimeter::snapshot::{
    ActivityWeek, Count, Facts, Found, InstanceV1, LastAttempt, RateLimit, Slot, Snapshot, View,
};
use fedimeter::target::Target;
use opentelemetry_sdk::Resource;
use proptest::prelude::*;

/// Some seconds before a midnight in UTC.
const UNIX: f64 = 1_775_951_990.0;
const DAY: i64 = 86_400;
const ENDPOINTS: [Endpoint; 3] = [Endpoint::InstanceV1, Endpoint::Activity, Endpoint::Peers];

/// Targets, their snapshots, and the time.
struct World {
    known: Vec<(Arc<Target>, Arc<Snapshot>)>,
    passed: Duration,
}

#[derive(Debug, Clone)]
enum Step {
    /// An endpoint of a target answers with a number and its lifetime in seconds.
    Answer {
        target: usize,
        endpoint: usize,
        number: i64,
        lives: u64,
    },
    Fail {
        target: usize,
        endpoint: usize,
    },
    /// The window of a rate limit ends in this number of seconds.
    Limit {
        target: usize,
        ends: u32,
    },
    Pass {
        seconds: f64,
    },
}

impl World {
    fn new(targets: usize) -> World {
        let known = (0..targets).map(|i| {
            let url = format!("https://i{i:04}.example").parse().unwrap();
            let mut target = Target::new(url, None, None, &BTreeMap::new());
            target.endpoints = ENDPOINTS.to_vec();
            let slots = ENDPOINTS.into_iter().map(Slot::new).collect();
            let since = Moment::at(Duration::from_secs(1));
            (Arc::new(target), Arc::new(Snapshot { since, slots, ..Snapshot::default() }))
        });
        World { known: known.collect(), passed: Duration::ZERO }
    }

    fn now(&self) -> Moment {
        Moment::at(Duration::from_secs(10) + self.passed)
    }

    fn unix(&self) -> f64 {
        UNIX + self.passed.as_secs_f64()
    }

    fn view(&self) -> Arc<View> {
        self.view_in(0.0)
    }

    /// As a collection will read it after this number of seconds.
    fn view_in(&self, seconds: f64) -> Arc<View> {
        let now = self.now() + Duration::from_secs_f64(seconds);
        Arc::new(View::new(now, self.unix() + seconds, self.known.clone()))
    }

    /// The snapshot is changed in place if it is not shared, as in a refresh.
    fn take(&mut self, step: &Step) {
        let (now, unix) = (self.now(), self.unix());
        match *step {
            Step::Answer { target, endpoint, number, lives } => {
                let week = ActivityWeek {
                    week: (unix as i64).div_euclid(DAY) * DAY,
                    statuses: Some(number),
                    ..ActivityWeek::default()
                };
                let slot = &mut self.snapshot(target).slots[endpoint];
                let facts = match slot.endpoint {
                    Endpoint::InstanceV1 => Facts::InstanceV1(
                        InstanceV1 {
                            users: Some(number),
                            version: Some("4.5.0".into()),
                            ..InstanceV1::default()
                        }
                        .into(),
                    ),
                    Endpoint::Activity => Facts::Activity(vec![week].into()),
                    _ => Facts::Peers(Count(number).into()),
                };
                let fresh_until = now + Duration::from_secs(lives);
                let last = LastAttempt::new(now, Found::read(Some(facts), unix));
                slot.record(LastAttempt { fresh_until, ..last });
            }
            Step::Fail { target, endpoint } => {
                let found = Found::failed(ErrorType::Timeout, "slow");
                self.snapshot(target).slots[endpoint].record(LastAttempt::new(now, found));
            }
            Step::Limit { target, ends } => {
                let (limit, remaining) = (Some(300), Some(i64::from(ends)));
                self.snapshot(target).rate_limit =
                    Some(RateLimit { limit, remaining, reset: unix + f64::from(ends) });
            }
            Step::Pass { seconds } => self.passed += Duration::from_secs_f64(seconds),
        }
    }

    fn snapshot(&mut self, target: usize) -> &mut Snapshot {
        let place = target % self.known.len();
        Arc::make_mut(&mut self.known[place].1)
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = || (0..4_usize, 0..ENDPOINTS.len());
    let lives = prop_oneof![Just(0), 0..90_u64, Just(100_000)];
    let step = prop_oneof![
        (place(), 0..1000_i64, lives).prop_map(|((target, endpoint), number, lives)| Step::Answer {
            target,
            endpoint,
            number,
            lives
        }),
        place().prop_map(|(target, endpoint)| Step::Fail { target, endpoint }),
        (0..4_usize, 0..90_u32).prop_map(|(target, ends)| Step::Limit { target, ends }),
        prop_oneof![Just(0.0), 0.0..2.0, (0..40_u32).prop_map(f64::from), Just(86_400.0)]
            .prop_map(|seconds| Step::Pass { seconds }),
    ];
    prop::collection::vec(step, 1..40)
}

fn pull(world: &World) -> Pull {
    let targets: Vec<Arc<Target>> = world.known.iter().map(|(target, _)| target.clone()).collect();
    let settings = PullSettings { created: true, ..PullSettings::default() };
    Pull::new(&Resource::builder_empty().build(), &targets, settings).unwrap()
}

fn scrape(pull: &Pull, world: &World, shown: Representation) -> Arc<Page> {
    pull.scrape(&world.view(), &OwnFamilies::default, shown, &|| true).unwrap()
}

fn text(page: &Page) -> String {
    String::from_utf8(page.text().into_owned()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_page_is_what_would_be_written_anew(steps in steps()) {
        let mut world = World::new(4);
        let keeping = pull(&world);
        let dots = Representation::new(Format::OpenMetrics100, Escaping::Dots);
        for (place, step) in steps.iter().enumerate() {
            world.take(step);
            if place % 5 == 3 {
                let ahead = world.view_in([0.0, 0.5, 30.0][place / 5 % 3]);
                while keeping.write_ahead(&ahead, &(0.0..1.0)).unwrap() {}
            }
            // Several steps may happen between two pages.
            if place % 3 == 2 {
                continue;
            }
            let shown = if place % 2 == 0 { Format::Text004.into() } else { dots };
            let kept = text(&scrape(&keeping, &world, shown));
            let anew = text(&scrape(&pull(&world), &world, shown));
            prop_assert_eq!(kept, anew, "after {:?}", step);
        }
    }
}

#[test]
fn a_page_is_written_anew_when_it_would_be_another() {
    let mut world = World::new(4);
    world.take(&Step::Answer { target: 0, endpoint: 0, number: 7, lives: 60 });
    world.take(&Step::Answer { target: 1, endpoint: 2, number: 7, lives: 600 });
    let pull = pull(&world);
    let shown = Representation::from(Format::Text004);
    let first = scrape(&pull, &world, shown);
    world.take(&Step::Pass { seconds: 0.5 });
    assert!(Arc::ptr_eq(&first, &scrape(&pull, &world, shown)), "nothing has changed");
    assert!(text(&first).contains("mastodon_instance_users"));
    // A lifetime ends.
    world.take(&Step::Pass { seconds: 60.0 });
    let later = scrape(&pull, &world, shown);
    assert!(!text(&later).contains("mastodon_instance_users"));
    assert!(text(&later).contains("mastodon_instance_peers"));
    // Another format has another text.
    let openmetrics = scrape(&pull, &world, Format::OpenMetrics100.into());
    assert!(text(&openmetrics).ends_with("# EOF\n"));
    world.take(&Step::Answer { target: 3, endpoint: 2, number: 9, lives: 60 });
    let peers = |line: &str| line.starts_with("mastodon_instance_peers{") && line.contains("i0003.example");
    assert!(text(&scrape(&pull, &world, shown)).lines().any(|line| peers(line) && line.ends_with(" 9")));
}

/// Between the writing and the collection a lifetime ends and a rate limit window, as in
/// each slice of a large fleet.
#[test]
fn a_slice_is_written_ahead_as_its_collection_reads_it() {
    let mut world = World::new(4);
    let pull = pull(&world);
    let shown = Representation::from(Format::Text004);
    scrape(&pull, &world, shown);
    world.take(&Step::Answer { target: 0, endpoint: 0, number: 7, lives: 5 });
    world.take(&Step::Answer { target: 1, endpoint: 0, number: 8, lives: 60 });
    world.take(&Step::Limit { target: 2, ends: 7 });
    let mut ahead = world.view_in(10.0);
    assert!(pull.write_ahead(&ahead, &(0.0..1.0)).unwrap());
    for seconds in [9.9, 10.0, 10.1, 59.0] {
        ahead = world.view_in(seconds);
        assert!(!pull.write_ahead(&ahead, &(0.0..1.0)).unwrap(), "after {seconds} s it holds");
    }
    // Before, and after the next lifetime, it is another text.
    for seconds in [6.9, 60.0] {
        let _ = pull.write_ahead(&world.view_in(10.0), &(0.0..1.0)).unwrap();
        ahead = world.view_in(seconds);
        assert!(pull.write_ahead(&ahead, &(0.0..1.0)).unwrap(), "after {seconds} s");
    }
}

/// The page of a fleet is kept compressed, slice by slice.
#[test]
fn a_large_page_is_one_gzip_stream_of_kept_pieces() {
    let mut world = World::new(1500);
    for target in 0..1500 {
        world.take(&Step::Answer { target, endpoint: 0, number: 1 + target as i64, lives: 60 });
    }
    let pull = pull(&world);
    let first = scrape(&pull, &world, Format::Text004.into());
    assert!(first.plain().is_none() && first.gzip().len() * 5 < first.len());
    let users =
        |page: &Page| text(page).lines().filter(|line| line.starts_with("mastodon_instance_users{")).count();
    assert_eq!((users(&first), text(&first).len()), (1500, first.len()));
    // One family, for any number of slices.
    assert_eq!(text(&first).matches("# TYPE mastodon_instance_users ").count(), 1);
    world.take(&Step::Fail { target: 700, endpoint: 0 });
    assert_eq!(users(&scrape(&pull, &world, Format::Text004.into())), 1499);
}

#[test]
fn what_has_changed_is_written_ahead_as_long_as_it_is_requested() {
    let mut world = World::new(1500);
    let pull = pull(&world);
    let ahead_of = |world: &World, part: Range<f64>| {
        let view = world.view();
        (0..1000).take_while(|_| pull.write_ahead(&view, &part).unwrap()).count()
    };
    let ahead = |world: &World| ahead_of(world, 0.0..1.0);
    assert_eq!(ahead(&world), 0, "nobody has requested it");
    let shown = [Format::Text004.into(), Representation::new(Format::OpenMetrics100, Escaping::Dots)];
    for shown in shown {
        scrape(&pull, &world, shown);
    }
    assert_eq!(ahead(&world), 0, "nothing has changed");
    let mut turns: Vec<(f64, usize)> =
        world.known.iter().enumerate().map(|(place, (target, _))| (target.turn(), place)).collect();
    turns.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (first, last) = (turns[0].1, turns[turns.len() - 1].1);
    for target in [first, last, turns[1].1] {
        world.take(&Step::Answer { target, endpoint: 0, number: 7, lives: 60 });
    }
    assert_eq!(ahead_of(&world, 0.0..0.01), 0, "no slice has been polled whole");
    assert_eq!(ahead_of(&world, 0.01..0.6), 2, "the first slice in two formats");
    assert_eq!(ahead_of(&world, 0.6..1.0), 2, "and the last");
    assert_eq!(ahead(&world), 0);
    for shown in shown {
        let users = |line: &&str| line.starts_with("mastodon_instance_users{");
        assert_eq!(text(&scrape(&pull, &world, Format::Text004.into())).lines().filter(users).count(), 3);
        assert_eq!(ahead(&world), 0, "{shown:?}");
    }
    world.take(&Step::Pass { seconds: 200.0 });
    assert_eq!(ahead(&world), 4, "a lifetime has ended");
    world.take(&Step::Answer { target: first, endpoint: 0, number: 7, lives: 600 });
    world.take(&Step::Pass { seconds: 1200.0 });
    assert_eq!(ahead(&world), 0, "nobody requests it any more");
}
