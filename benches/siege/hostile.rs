//! Clients that take what they can. One that is turned away comes back.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::bridge::Failure;

/// Each kind, and what it does.
pub const KINDS: [(&str, &str); 6] = [
    ("leave", "50 that ask and leave, 20 times a second each"),
    ("deaf", "100 that ask and read nothing"),
    ("slow", "2,000 that send a header's letter a second"),
    ("idle", "2,000 that connect and say nothing"),
    ("window", "5 HTTP/2 connections of 60 streams with closed windows"),
    ("crowd", "100 that scrape without a pause"),
];

const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// Before one that was turned away comes back.
const PAUSE: Duration = Duration::from_millis(100);
/// What a client that does not read has room for.
const SMALL_BUFFER: u32 = 4096;

/// Does this for ever.
pub async fn attack(kind: &str, address: SocketAddr) -> Result<(), Failure> {
    match kind {
        "leave" => again_and_again(50, move || leave(address)).await,
        "deaf" => again_and_again(100, move || deaf(address)).await,
        "slow" => again_and_again(2000, move || slow(address)).await,
        "idle" => again_and_again(2000, move || idle(address)).await,
        "window" => again_and_again(5, move || closed_windows(address)).await,
        "crowd" => again_and_again(100, move || scrape(address)).await,
        _ => return Err("no such clients".into()),
    }
    Ok(())
}

async fn again_and_again<F: Future<Output = Result<(), Failure>> + Send + 'static>(
    clients: usize,
    act: impl Fn() -> F + Clone + Send + 'static,
) {
    let mut all = JoinSet::new();
    for _ in 0..clients {
        let act = act.clone();
        all.spawn(async move {
            loop {
                // That it is turned away is what this is about.
                if act().await.is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
    }
    while all.join_next().await.is_some() {}
}

async fn leave(address: SocketAddr) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(REQUEST).await?;
    drop(stream);
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}

async fn deaf(address: SocketAddr) -> Result<(), Failure> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(SMALL_BUFFER)?;
    let mut stream = socket.connect(address).await?;
    stream.write_all(REQUEST).await?;
    // Fails from when the bridge has closed the connection.
    for letter in REQUEST.iter().cycle() {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stream.write_all(&[*letter]).await?;
    }
    Ok(())
}

async fn slow(address: SocketAddr) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await?;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stream.write_all(b"w").await?;
    }
}

async fn idle(address: SocketAddr) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address).await?;
    until_closed(&mut stream).await
}

async fn until_closed(stream: &mut TcpStream) -> Result<(), Failure> {
    let mut read = [0; 1024];
    while stream.read(&mut read).await? > 0 {}
    Err(io::Error::from(io::ErrorKind::ConnectionReset).into())
}

async fn closed_windows(address: SocketAddr) -> Result<(), Failure> {
    let stream = TcpStream::connect(address).await?;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let (client, connection) = builder.handshake::<_, bytes::Bytes>(stream).await?;
    let mut streams = JoinSet::new();
    for _ in 0..60 {
        let client = client.clone();
        streams.spawn(async move {
            let mut client = client.ready().await?;
            let request = http::Request::get(format!("http://localhost:{}/metrics", address.port()));
            let request = request.body(()).map_err(|_| h2::Error::from(h2::Reason::INTERNAL_ERROR))?;
            let response = client.send_request(request, true)?.0.await?;
            // Keeps it, and opens no window.
            std::future::pending::<()>().await;
            drop(response);
            Ok::<(), h2::Error>(())
        });
    }
    Ok(connection.await?)
}

async fn scrape(address: SocketAddr) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = vec![0; 64 << 10];
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}
