use super::*;

/// An event on a connection.
#[derive(Debug, Clone, Copy)]
enum Event {
    Received,
    Requested(Version),
    /// A response is ready, or the client took part of it.
    Progressed,
    Done,
    Sending,
    Sent,
    Flushed,
}

use ClientLimit::{HeaderTimeout, IdleTimeout, WriteTimeout};
use Event::{Done, Flushed, Progressed, Received, Requested, Sending, Sent};

/// A name, the events, and the limit that the connection reaches with the time.
type Case = (&'static str, &'static [(u64, Event)], Option<(u64, ClientLimit)>);

const H1: Event = Requested(Version::HTTP_11);
const H2: Event = Requested(Version::HTTP_2);

fn limits() -> Limits {
    Limits {
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(300),
        write_timeout: Duration::from_secs(60),
        ..Limits::default()
    }
}

/// A connection after these events, each at a second since its start.
async fn connection(events: &[(u64, Event)]) -> (Arc<Connection>, Vec<Exchange>, Instant) {
    let start = Instant::now();
    let connection = Arc::new(Connection::new(start));
    let mut exchanges = Vec::new();
    let mut passed = 0;
    for (second, event) in events {
        tokio::time::advance(Duration::from_secs(second - passed)).await;
        passed = *second;
        let now = start + Duration::from_secs(*second);
        match event {
            Received => connection.received(now),
            Requested(version) => exchanges.push(connection.requested(*version)),
            Progressed => exchanges.last().unwrap().progressed(now),
            Done => drop(exchanges.pop()),
            Sending => connection.sending(now),
            Sent => connection.sent(now),
            Flushed => connection.flushed(),
        }
    }
    (connection, exchanges, start)
}

#[tokio::test(start_paused = true)]
async fn each_phase_has_its_limit() {
    let cases: &[Case] = &[
        ("nothing is sent", &[], Some((10, HeaderTimeout))),
        (
            "headers come byte by byte",
            &[(3, Received), (6, Received), (9, Received)],
            Some((10, HeaderTimeout)),
        ),
        ("a response is being made", &[(1, Received), (2, H1)], None),
        ("it is answered, then nothing", &[(1, H1), (5, Progressed), (6, Done)], Some((306, IdleTimeout))),
        (
            "the next headers come byte by byte",
            &[(1, H1), (2, Done), (100, Received), (105, Received)],
            Some((110, HeaderTimeout)),
        ),
        ("pings between requests", &[(1, H2), (2, Done), (100, Received)], Some((302, IdleTimeout))),
        ("a response is not taken", &[(1, H1), (5, Progressed)], Some((65, WriteTimeout))),
        (
            "a response is taken in drops",
            &[(1, H1), (5, Progressed), (20, Progressed), (50, Progressed)],
            Some((65, WriteTimeout)),
        ),
        (
            "one stream of two is not taken",
            &[(1, H2), (5, Progressed), (6, H2), (7, Done), (40, Received)],
            Some((65, WriteTimeout)),
        ),
        (
            "the last bytes are not taken",
            &[(1, H1), (5, Progressed), (5, Sending), (6, Done), (30, Sent)],
            Some((65, WriteTimeout)),
        ),
        (
            "all bytes are taken",
            &[(1, H1), (5, Progressed), (5, Sending), (6, Done), (30, Sent), (31, Flushed)],
            Some((331, IdleTimeout)),
        ),
    ];
    for (what, events, reached) in cases {
        let (connection, _exchanges, start) = connection(events).await;
        let next = connection.next_limit(&limits());
        let next = next.map(|(at, limit)| ((at - start).as_secs(), limit));
        assert_eq!(next, *reached, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_longest_for_their_client_give_way_first() {
    // In the order in which they are closed, all checked at second 100.
    let cases: &[(&str, &[(u64, Event)])] = &[
        ("no request for long", &[]),
        ("headers come byte by byte", &[(1, H1), (2, Done), (95, Received)]),
        ("idle for long", &[(1, H1), (10, Done)]),
        ("idle", &[(1, H1), (50, Done)]),
        ("not reading for long", &[(1, H1), (10, Progressed)]),
        ("not reading the last bytes", &[(1, H1), (20, Progressed), (20, Sending), (21, Done)]),
        ("idle since just now", &[(1, H1), (100, Done)]),
    ];
    let mut worths = Vec::new();
    for (what, events) in cases {
        let (connection, _exchanges, start) = connection(events).await;
        let seen = start + Duration::from_secs(100);
        // The times are relative, because the connections started at different moments.
        let worth = connection.worth(seen).unwrap_or_else(|| panic!("{what} gives way"));
        worths.push((worth.is_recent, worth.kind, worth.since - start));
    }
    assert!(worths.is_sorted(), "{worths:?}");
    for (what, events) in [
        ("works for its client", &[(1, H1)][..]),
        ("its client reads", &[(1, H1), (10, Progressed), (100, Progressed)]),
        ("its client reads the last bytes", &[(1, H1), (10, Sending), (11, Done), (100, Sent)]),
    ] {
        let (connection, _exchanges, start) = connection(events).await;
        assert_eq!(connection.worth(start + Duration::from_secs(100)), None, "{what}");
    }
    let closing = Connection::new(Instant::now());
    closing.close();
    assert_eq!(closing.worth(Instant::now()), None);
}
