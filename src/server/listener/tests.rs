//! Tests clients of every kind on connections without a network. Time is paused: it
//! advances at once when all tasks wait.

use super::*;
use crate::config::WebSettings;

use std::sync::Mutex;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep};

use crate::config::Limits;
use crate::server::body::Pieces;
use crate::server::connection::Connection;

/// More bytes than a connection buffers.
const LARGE: usize = 4 << 20;
const REQUEST: &[u8] = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LARGE_REQUEST: &[u8] = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";

struct Server {
    clients: Arc<Clients>,
    reached: Arc<Mutex<Vec<ClientLimit>>>,
    end: CancellationToken,
}

impl Server {
    fn new(limits: Limits) -> Server {
        let reached = Arc::<Mutex<Vec<_>>>::default();
        let log = reached.clone();
        let clients = Clients::new(limits, move |limit| log.lock().unwrap().push(limit));
        let end = CancellationToken::new();
        let watching = clients.clone();
        let until = end.clone();
        tokio::spawn(async move { watching.watch(until).await });
        Server { clients, reached, end }
    }

    /// Connects a client.
    async fn connect(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(8 << 10);
        let place = self.clients.admit().await;
        let names = Arc::new(HostNames::of(([127, 0, 0, 1], 0).into(), &[]));
        let router = Router::new()
            .route("/small", get(|| async { "small" }))
            .route("/slow", get(|| async { sleep(Duration::from_secs(100)).await }))
            .route("/large", get(large))
            .with_state(self.clients.clone());
        let door = Arc::new(Door::new(WebSettings::default()).unwrap());
        tokio::spawn(connection(server, place, router, names, door, self.end.clone()));
        client
    }

    fn reached(&self) -> Vec<ClientLimit> {
        self.reached.lock().unwrap().clone()
    }
}

async fn large(
    State(clients): State<Arc<Clients>>,
    Extension(connection): Extension<Arc<Connection>>,
) -> Result<Body, http::StatusCode> {
    let turn = clients.turn(&connection).await.ok_or(http::StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(Body::new(Pieces::of(Bytes::from(vec![b'x'; LARGE]), turn)))
}

/// Reads up to and including `end`, or to the end of the connection.
async fn read_until(client: &mut DuplexStream, end: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut some = [0; 4096];
    while !all.ends_with(end) {
        match client.read(&mut some).await {
            Ok(0) | Err(_) => break,
            Ok(n) => all.extend_from_slice(&some[..n]),
        }
    }
    all
}

/// Discards what is left in the connection, and returns when it was closed.
async fn closed(client: &mut DuplexStream) -> Instant {
    let mut some = [0; 4096];
    while matches!(client.read(&mut some).await, Ok(1..)) {}
    Instant::now()
}

fn seconds(since: Instant, until: Instant) -> u64 {
    (until - since).as_secs()
}

#[tokio::test(start_paused = true)]
async fn half_sent_headers_are_waited_for_no_longer_than_the_header_timeout() {
    let server = Server::new(Limits::default());
    let began = Instant::now();
    let (mut silent, mut half) = (server.connect().await, server.connect().await);
    half.write_all(&REQUEST[..20]).await.unwrap();
    for client in [&mut silent, &mut half] {
        let took = seconds(began, closed(client).await);
        assert!((10..12).contains(&took), "{took} s");
    }
    assert_eq!(server.reached(), [ClientLimit::HeaderTimeout; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_waits_for_the_next_request_and_then_for_its_headers() {
    let server = Server::new(Limits::default());
    let (mut idle, mut half) = (server.connect().await, server.connect().await);
    for client in [&mut idle, &mut half] {
        client.write_all(REQUEST).await.unwrap();
        read_until(client, b"small").await;
    }
    let answered = Instant::now();
    sleep(Duration::from_secs(250)).await;
    half.write_all(&REQUEST[..20]).await.unwrap();
    let took = seconds(answered, closed(&mut half).await);
    assert!((260..262).contains(&took), "{took} s");
    let took = seconds(answered, closed(&mut idle).await);
    assert!((300..302).contains(&took), "{took} s");
    assert_eq!(server.reached(), [ClientLimit::HeaderTimeout, ClientLimit::IdleTimeout]);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_not_taken_is_given_up() {
    let server = Server::new(Limits::default());
    let (mut unread, mut dripping) = (server.connect().await, server.connect().await);
    let began = Instant::now();
    for client in [&mut unread, &mut dripping] {
        client.write_all(LARGE_REQUEST).await.unwrap();
    }
    let drip = async {
        let mut some = [0; 100];
        while matches!(dripping.read(&mut some).await, Ok(1..)) {
            sleep(Duration::from_millis(100)).await;
            if seconds(began, Instant::now()) > 62 {
                break;
            }
        }
    };
    drip.await;
    let took = seconds(began, closed(&mut unread).await);
    assert!((60..64).contains(&took), "{took} s");
    closed(&mut dripping).await;
    assert_eq!(server.reached(), [ClientLimit::WriteTimeout; 2]);
}

/// HTTP/2 has its own flow control: nothing is written, and the transport does not
/// stall.
#[tokio::test(start_paused = true)]
async fn a_closed_window_is_a_response_that_is_not_taken() {
    let server = Server::new(Limits::default());
    let client = server.connect().await;
    let (sender, connection) =
        h2::client::Builder::new().initial_window_size(0).handshake::<_, Bytes>(client).await.unwrap();
    let began = Instant::now();
    let connection = tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let mut responses = Vec::new();
    for _ in 0..MAX_STREAMS {
        let request = Request::get("http://localhost/large").body(()).unwrap();
        responses.push(sender.send_request(request, true).unwrap().0);
        sender = sender.ready().await.unwrap();
    }
    let _ = connection.await.unwrap();
    assert_eq!(sender.current_max_send_streams(), MAX_STREAMS as usize);
    let took = seconds(began, Instant::now());
    assert!((60..62).contains(&took), "{took} s");
    assert_eq!(server.reached(), [ClientLimit::WriteTimeout]);
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_takes_the_place_of_the_one_that_waited_longest() {
    let server = Server::new(Limits { max_connections: 3, ..Limits::default() });
    let mut kept = server.connect().await;
    kept.write_all(REQUEST).await.unwrap();
    read_until(&mut kept, b"small").await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(2)).await;
    // Each connection replaces the one before it.
    let mut half = Vec::new();
    for _ in 0..20 {
        let mut client = server.connect().await;
        client.write_all(&REQUEST[..20]).await.unwrap();
        sleep(Duration::from_secs(2)).await;
        half.push(client);
    }
    let began = Instant::now();
    for client in &mut half[..19] {
        closed(client).await;
    }
    assert_eq!(began, Instant::now(), "they were closed already");
    assert_eq!(server.reached(), [ClientLimit::Connections; 19]);
    for client in [&mut kept, &mut slow] {
        client.write_all(REQUEST).await.unwrap();
        assert!(read_until(client, b"small").await.ends_with(b"small"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_waits_where_all_others_work_for_their_clients() {
    let server = Server::new(Limits { max_connections: 1, ..Limits::default() });
    let mut slow = server.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let mut next = server.connect().await;
    assert_eq!(seconds(began, Instant::now()), 99, "until the answer is there");
    assert!(closed(&mut slow).await >= began);
    next.write_all(REQUEST).await.unwrap();
    assert!(read_until(&mut next, b"small").await.ends_with(b"small"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_gives_its_turn_to_one_that_does() {
    let server = Server::new(Limits { max_requests: 2, ..Limits::default() });
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    one.write_all(LARGE_REQUEST).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    two.write_all(LARGE_REQUEST).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    let mut good = server.connect().await;
    let began = Instant::now();
    good.write_all(LARGE_REQUEST).await.unwrap();
    let answer = read_until(&mut good, &vec![b'x'; LARGE]).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..100]));
    assert_eq!(began, Instant::now());
    assert_eq!(closed(&mut one).await, began, "it had not read for longest");
    assert_eq!(server.reached(), [ClientLimit::Requests]);
    // The other connection is still served.
    let mut some = [0; 15];
    two.read_exact(&mut some).await.unwrap();
    assert_eq!(&some, b"HTTP/1.1 200 OK");
}

/// All clients connect at once, so that none of them is slow yet.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_outlasts_those_that_have_just_asked_and_do_not() {
    let server = Server::new(Limits { max_requests: 2, ..Limits::default() });
    let mut deaf = Vec::new();
    for _ in 0..4 {
        let mut one = server.connect().await;
        one.write_all(LARGE_REQUEST).await.unwrap();
        deaf.push(one);
    }
    let mut good = server.connect().await;
    good.write_all(LARGE_REQUEST).await.unwrap();
    let answer = read_until(&mut good, &vec![b'x'; LARGE]).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..100]));
}

/// Prometheus keeps its connection while clients that read nothing have taken all
/// turns.
#[tokio::test(start_paused = true)]
async fn a_client_that_has_read_before_waits_for_none_that_do_not_read() {
    let server = Server::new(Limits { max_requests: 2, ..Limits::default() });
    let mut scraper = server.connect().await;
    scraper.write_all(REQUEST).await.unwrap();
    read_until(&mut scraper, b"small").await;
    let mut deaf = Vec::new();
    for _ in 0..4 {
        let mut one = server.connect().await;
        one.write_all(LARGE_REQUEST).await.unwrap();
        deaf.push(one);
    }
    let began = Instant::now();
    sleep(Duration::from_millis(100)).await;
    scraper.write_all(LARGE_REQUEST).await.unwrap();
    let answer = read_until(&mut scraper, &vec![b'x'; LARGE]).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..100]));
    assert_eq!(began.elapsed(), Duration::from_millis(100), "nobody was slow by then");
}

/// Nobody is slow, but there are too many clients.
#[tokio::test(start_paused = true)]
async fn one_request_too_many_is_told_so() {
    let server = Server::new(Limits { max_requests: 1, ..Limits::default() });
    let mut one = server.connect().await;
    one.write_all(LARGE_REQUEST).await.unwrap();
    // This client reads slowly, but it does read.
    let reading = tokio::spawn(async move {
        let mut some = vec![0; 64 << 10];
        while one.read_exact(&mut some).await.is_ok() {
            sleep(Duration::from_millis(200)).await;
        }
    });
    sleep(Duration::from_secs(5)).await;
    let mut two = server.connect().await;
    let mut request = Vec::from(&LARGE_REQUEST[..LARGE_REQUEST.len() - 2]);
    request.extend_from_slice(b"Connection: close\r\n\r\n");
    two.write_all(&request).await.unwrap();
    let answer = read_until(&mut two, b"never").await;
    assert!(answer.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(server.reached(), [ClientLimit::Requests]);
    assert!(!reading.is_finished(), "it is not disturbed");
}

#[tokio::test(start_paused = true)]
async fn responses_under_way_are_finished_at_the_end() {
    let server = Server::new(Limits::default());
    let (mut idle, mut busy) = (server.connect().await, server.connect().await);
    busy.write_all(LARGE_REQUEST).await.unwrap();
    let mut first = vec![0; 15];
    busy.read_exact(&mut first).await.unwrap();
    server.end.cancel();
    let answer = read_until(&mut busy, b"never").await;
    assert!(answer.ends_with(b"xxx") && answer.len() > LARGE, "{} bytes", answer.len());
    closed(&mut idle).await;
    assert_eq!(server.reached(), []);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_just_connected_is_answered_at_the_end() {
    let server = Server::new(Limits::default());
    let (mut late, mut silent) = (server.connect().await, server.connect().await);
    server.end.cancel();
    let began = Instant::now();
    sleep(Duration::from_millis(400)).await;
    late.write_all(REQUEST).await.unwrap();
    let answer = String::from_utf8(read_until(&mut late, b"never").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("small"), "{answer}");
    assert!(closed(&mut silent).await - began < Duration::from_secs(1), "it is not waited for for long");
}

#[tokio::test(start_paused = true)]
async fn requests_that_name_no_host_or_another_one_are_refused() {
    let server = Server::new(Limits::default());
    for (request, status) in [
        ("GET /small HTTP/1.1\r\nHost: localhost\r\n", 200),
        ("GET /small HTTP/1.1\r\n", 400),
        ("GET /small HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 400),
        ("GET /small HTTP/1.0\r\n", 421),
        ("GET /small HTTP/1.1\r\nHost: evil.example\r\n", 421),
    ] {
        let mut client = server.connect().await;
        client.write_all(format!("{request}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
        let answer = String::from_utf8(read_until(&mut client, b"never").await).unwrap();
        assert_eq!(answer[9..12], status.to_string(), "{request}");
        assert!(status == 200 || answer.contains("x-content-type-options: nosniff"), "{answer}");
    }
}
