//! Tests of the log lines about servers.

use std::io::Write;

use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::snapshot::{Found, LastAttempt};

#[test]
fn each_reason_is_told_once_until_the_endpoint_is_read_again() {
    use ErrorType::{Http5xx, Timeout};
    let mut said = EndpointLog::default();
    for (outcome, news) in [
        (Outcome::Ok, None),
        (Outcome::Failed(Http5xx), Some(News::Failed(Http5xx))),
        (Outcome::Failed(Http5xx), None),
        (Outcome::Failed(Timeout), Some(News::Failed(Timeout))),
        (Outcome::Failed(Http5xx), None),
        (Outcome::Failed(Timeout), None),
        (Outcome::NotOffered, Some(News::NotOffered)),
        (Outcome::Failed(Timeout), None),
        (Outcome::Ok, Some(News::Recovered)),
        (Outcome::Ok, None),
        (Outcome::Failed(Timeout), Some(News::Failed(Timeout))),
        (Outcome::Ok, Some(News::Recovered)),
        (Outcome::NotOffered, Some(News::NotOffered)),
        (Outcome::Ok, None),
    ] {
        assert_eq!(said.news(outcome), news, "{outcome:?}");
    }
}

/// The output of a subscriber.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Lines;

    fn make_writer(&self) -> Lines {
        self.clone()
    }
}

/// Returns the level and message of the lines that `act` logs.
fn lines(act: impl FnOnce()) -> Vec<String> {
    let written = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(written.clone())
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .fmt_fields(tracing_subscriber::fmt::format::debug_fn(|writer, field, value| match field.name() {
            "message" => write!(writer, "{value:?}"),
            _ => Ok(()),
        }))
        .finish();
    tracing::subscriber::with_default(subscriber, act);
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(|line| line.trim().to_owned()).collect()
}

const CONNECT: Outcome = Outcome::Failed(ErrorType::Connect);

/// A server with two documents and one other endpoint.
#[derive(Default)]
struct Server {
    log: TargetLog,
    snapshot: Snapshot,
}

impl Server {
    fn run(&mut self, name: &str, outcomes: [Outcome; 3], seconds: u64, outages: &Outages) {
        let endpoints = [Endpoint::InstanceV2, Endpoint::InstanceV1, Endpoint::Activity];
        self.snapshot.slots.clear();
        for (endpoint, outcome) in endpoints.into_iter().zip(outcomes) {
            let why = "it does not answer";
            let found = match outcome {
                Outcome::Ok => Found::read(None, 0.0),
                Outcome::NotOffered => Found::not_offered(why),
                Outcome::Failed(error) => Found::failed(error, why),
            };
            let last = LastAttempt::new(Moment::ORIGIN, found);
            let mut slot = Slot::new(endpoint);
            slot.record(LastAttempt { took: Duration::from_millis(7), ..last });
            self.log.note(&slot, Vec::new());
            self.snapshot.slots.push(slot);
        }
        self.log.tell(name, &self.snapshot, Moment::at(Duration::from_secs(seconds)), outages);
    }
}

#[test]
fn a_server_that_goes_down_is_one_line_and_one_when_it_is_back() {
    let (mut server, outages) = (Server::default(), Outages::default());
    let timeout = Outcome::Failed(ErrorType::Timeout);
    let runs = [
        [Outcome::Ok; 3],
        [CONNECT; 3],
        [CONNECT; 3],
        [timeout; 3],
        [CONNECT; 3],
        [Outcome::Ok, Outcome::Ok, CONNECT],
        [Outcome::Ok; 3],
    ];
    let told = lines(|| {
        for (minute, outcomes) in (0..).zip(runs) {
            server.run("a.example", outcomes, minute * 65, &outages);
        }
    });
    let expected = [
        "WARN a.example is down: instance_v2 cannot be read (connect): it does not answer",
        "WARN a.example is still down: instance_v2 cannot be read (timeout): it does not answer",
        "INFO a.example is up again, after 4 min 20 s",
        "WARN a.example: activity cannot be read (connect): it does not answer",
        "INFO a.example: activity recovered",
    ];
    assert_eq!(told, expected);
}

#[test]
fn of_many_that_go_down_together_the_first_have_lines() {
    let outages = Outages::default();
    let mut servers: Vec<Server> = (0..300).map(|_| Server::default()).collect();
    let mut round = |outcome, minute: u64| {
        lines(|| {
            for (i, server) in servers.iter_mut().enumerate() {
                server.run(&format!("i{i}.example"), [outcome; 3], minute * 60, &outages);
            }
            outages.tell_counted();
            outages.tell_counted();
        })
    };
    let down = round(CONNECT, 1);
    assert_eq!(down.len(), MAX_LINES + 1, "{down:#?}");
    assert_eq!(down.last().unwrap(), "WARN 290 more servers are down: connect 290");
    assert_eq!(round(CONNECT, 2), [""; 0]);
    let back = round(Outcome::Ok, 3);
    assert_eq!(back.len(), MAX_LINES + 1, "{back:#?}");
    assert_eq!(back.last().unwrap(), "INFO 290 more servers are up again");
}

#[test]
fn waits_in_words() {
    for (seconds, words) in
        [(0, "1 minute"), (54, "1 minute"), (216, "4 minutes"), (5400, "90 minutes"), (21_600, "6 hours")]
    {
        assert_eq!(roughly(Duration::from_secs(seconds)), words);
    }
}
