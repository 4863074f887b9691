//! Kept connections: a request that fails on one is repeated once, and no connection is
//! used for too long.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fedimeter::clock::Clock;
use fedimeter::config::Http;
use fedimeter::endpoint::Endpoint;
use fedimeter::fetch::{Client, Request, Take};
use fedimeter::outcome::Outcome;
use fedimeter::refresh::Refresher;
use fedimeter::simulator::{Settings, Simulator};
use fedimeter::target::{AccountRef, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server does with a request.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// It answers with this status, and keeps the connection.
    Answer(u16),
    /// It closes the connection without an answer.
    Close,
    /// It closes the connection within the answer.
    Begin,
    /// It keeps the connection without an answer.
    Hang,
}

/// A server with a list of acts, one for each request, on any connection.
struct Server {
    url: String,
    /// The connection of each request.
    seen: Arc<Mutex<Vec<usize>>>,
}

impl Server {
    async fn start(acts: Vec<Act>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (seen, acts) = (Arc::<Mutex<Vec<usize>>>::default(), Arc::new(acts));
        let of_requests = seen.clone();
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(serve(stream, connection, of_requests.clone(), acts.clone()));
            }
        });
        Server { url, seen }
    }

    fn seen(&self) -> Vec<usize> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, connection: usize, seen: Arc<Mutex<Vec<usize>>>, acts: Arc<Vec<Act>>) {
    while read_request(&mut stream).await {
        let act = {
            let mut seen = seen.lock().unwrap();
            seen.push(connection);
            acts.get(seen.len() - 1).copied().unwrap_or(Act::Answer(200))
        };
        match act {
            Act::Answer(status) => {
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\n{{}}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            Act::Close => return,
            Act::Begin => {
                stream.write_all(b"HTTP/1.1 2").await.unwrap();
                return;
            }
            Act::Hang => {}
        }
    }
}

/// Reads the head of a request, and a small body.
async fn read_request(stream: &mut TcpStream) -> bool {
    let (mut read, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return false,
            Ok(n) => read.extend_from_slice(&piece[..n]),
        }
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return true;
            }
        }
    }
}

fn client(change: impl FnOnce(&mut Http)) -> Client {
    let mut http = Http { timeout: Duration::from_secs(20), ..Http::default() };
    change(&mut http);
    Client::without_proxy(http).unwrap()
}

/// The status of a request, or the type of its failure.
async fn ask(client: &Client, server: &Server, posts: &[bool]) -> Vec<String> {
    let target = Target::new(server.url.parse().unwrap(), None, None, &BTreeMap::new());
    let mut ends = Vec::new();
    for is_post in posts {
        let post = is_post.then_some(&b"{}"[..]);
        let url = target.url.clone();
        let request = Request { target: &target, url, etag: None, token: None, post, take: Take::Whole };
        ends.push(match client.get(request, 0.0).await.result {
            Ok(reply) => reply.status.as_u16().to_string(),
            Err(failure) => {
                failure.status.map_or(failure.error.name().to_owned(), |s| s.as_u16().to_string())
            }
        });
    }
    ends
}

#[tokio::test]
async fn what_dies_on_a_kept_connection_is_asked_once_more() {
    use Act::{Answer, Begin, Close};
    const GET: bool = false;
    const POST: bool = true;
    // The acts of the server, whether requests are POSTs, their results, and the
    // connections of the requests.
    type Case = (&'static str, &'static [Act], &'static [bool], &'static str, &'static [usize]);
    let cases: &[Case] = &[
        ("one connection is enough", &[], &[GET, GET, POST, GET], "200 200 200 200", &[0, 0, 0, 0]),
        ("it dies in silence", &[Answer(200), Close], &[GET, GET], "200 200", &[0, 0, 1]),
        ("a POST only reads, too", &[Answer(200), Close], &[GET, POST], "200 200", &[0, 0, 1]),
        ("never more than once", &[Answer(200), Close, Close], &[GET, GET], "200 connect", &[0, 0, 1]),
        ("not where it was new", &[Close], &[GET], "connect", &[0]),
        ("not where it was new", &[Close], &[POST], "connect", &[0]),
        ("not after a byte of the answer", &[Answer(200), Begin], &[GET, GET], "200 connect", &[0, 0]),
        ("the server had given it up", &[Answer(200), Answer(408)], &[GET, GET], "200 200", &[0, 0, 1]),
        ("a new one is given up at once", &[Answer(408)], &[GET], "408", &[0]),
        // A server that rejects a POST may close the connection without an answer.
        ("after a refused POST", &[Answer(422)], &[POST, GET], "422 200", &[0, 1]),
        ("after a refused POST", &[Answer(200), Answer(403)], &[GET, POST, GET], "200 403 200", &[0, 0, 1]),
        ("after a refused GET", &[Answer(404)], &[GET, GET], "404 200", &[0, 0]),
    ];
    for (what, acts, posts, ends, seen) in cases {
        let server = Server::start(acts.to_vec()).await;
        let ended = ask(&client(|_| {}), &server, posts).await.join(" ");
        assert_eq!((&*ended, server.seen()), (*ends, seen.to_vec()), "{what}: {acts:?}");
    }
}

#[tokio::test]
async fn what_hangs_is_not_asked_again_and_its_connection_is_left() {
    let server = Server::start(vec![Act::Answer(200), Act::Hang]).await;
    let client = client(|http| http.timeout = Duration::from_millis(500));
    assert_eq!(ask(&client, &server, &[false, false, false]).await, ["200", "timeout", "200"]);
    assert_eq!(server.seen(), [0, 0, 1]);
}

#[tokio::test]
async fn no_connection_is_used_longer_than_it_should_be() {
    for (age, connections) in [(Duration::from_secs(600), 1), (Duration::from_nanos(1), 4)] {
        let server = Server::start(Vec::new()).await;
        let client = client(|http| http.connection_age = age);
        assert_eq!(ask(&client, &server, &[false; 4]).await, ["200"; 4]);
        let mut seen = server.seen();
        seen.dedup();
        assert_eq!(seen.len(), connections, "{age:?}");
    }
}

/// It is never idle for as long, so nothing else ends it.
#[tokio::test]
async fn a_connection_in_steady_use_is_used_until_its_age_and_no_longer() {
    const AGE: Duration = Duration::from_millis(800);
    let server = Server::start(Vec::new()).await;
    let client = client(|http| http.connection_age = AGE);
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed() < 3 * AGE {
        let begin = started.elapsed();
        assert_eq!(ask(&client, &server, &[false]).await, ["200"]);
        times.push((begin, started.elapsed()));
        tokio::time::sleep(AGE / 16).await;
    }
    let seen = server.seen();
    // The age of the first is three quarters of the setting, that of each at most the whole.
    for ((begin, end), connection) in times.iter().zip(&seen) {
        let first = seen.iter().position(|other| other == connection).unwrap();
        assert!(*begin <= times[first].1 + AGE, "{connection} is too old: {seen:?} at {times:?}");
        assert!(
            *end >= AGE * 3 / 4 || *connection == 0,
            "the first is given up early: {seen:?} at {times:?}"
        );
    }
}

#[tokio::test]
async fn while_too_many_are_open_no_more_are_kept() {
    let (first, second) = (Server::start(Vec::new()).await, Server::start(Vec::new()).await);
    let client = client(|http| (http.most_open, http.max_requests, http.kept_per_host) = (2, 1, 1));
    for server in [&first, &second, &first, &second] {
        assert_eq!(ask(&client, server, &[false]).await, ["200"]);
    }
    assert_eq!((first.seen(), second.seen()), (vec![0, 0], vec![0, 1]));
}

/// nginx closes a connection after `keepalive_timeout`, which may equal the time between
/// two scrapes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_closes_idle_connections_about_when_it_is_asked_answers_always() {
    const IDLE: Duration = Duration::from_millis(40);
    const BEFORE: Duration = Duration::from_millis(34);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // A new connection is not idle: its request may take its time, as with nginx.
                let mut patience = Duration::from_secs(60);
                while let Ok(true) = tokio::time::timeout(patience, read_request(&mut stream)).await {
                    patience = IDLE;
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let server = Server { url, seen: Arc::default() };
    let client = client(|_| {});
    for i in 0..60 {
        assert_eq!(ask(&client, &server, &[false]).await, ["200"], "request {i}");
        // At about the time when the server closes the connection.
        tokio::time::sleep(BEFORE + Duration::from_micros(200 * i)).await;
    }
}

/// Forwards one request for each connection. A second request closes the connection without
/// an answer.
async fn pass_one_each(listener: TcpListener, to: SocketAddr) {
    while let Ok((mut client, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut server = TcpStream::connect(to).await.unwrap();
            let (mut asked, mut piece) = (0, [0; 8192]);
            let mut answer = vec![0; 8192];
            loop {
                tokio::select! {
                    read = client.read(&mut piece) => match read {
                        Ok(1..) if asked > 0 => return,
                        Ok(n @ 1..) => {
                            asked += 1;
                            server.write_all(&piece[..n]).await.unwrap();
                        }
                        _ => return,
                    },
                    read = server.read(&mut answer) => match read {
                        Ok(n @ 1..) if client.write_all(&answer[..n]).await.is_ok() => {}
                        _ => return,
                    },
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_is_read_where_no_connection_serves_twice() {
    let settings = Settings { instances: 1, versions: vec!["4.6.4".to_owned()], ..Settings::default() };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(pass_one_each(listener, simulator.addr()));
    let host = simulator.url(0).trim_start_matches("http://").to_owned();
    let mut target = Target::new(url, Some(host), None, &BTreeMap::new());
    target.accounts = vec![AccountRef::Acct("ada".into())];
    target.endpoints = Endpoint::ALL
        .iter()
        .copied()
        .filter(|endpoint| {
            endpoint.needs().is_none() && !matches!(endpoint, Endpoint::Robots | Endpoint::Tags)
        })
        .filter(|endpoint| !matches!(endpoint, Endpoint::Announcements | Endpoint::Credentials))
        .collect();
    let clock = Clock::default();
    let refresher = Refresher::new(vec![target], client(|_| {}), clock.clone());
    for _ in 0..3 {
        let view = refresher.refresh(Duration::from_secs(60)).await;
        for slot in &view.readings().next().unwrap().snapshot.slots {
            let is_fine = matches!(slot.outcome(), Some(Outcome::Ok | Outcome::NotOffered));
            assert!(is_fine, "{}: {:?} {:?}", slot.endpoint.name(), slot.outcome(), slot.reason());
        }
        clock.advance(Duration::from_secs(61));
    }
}
