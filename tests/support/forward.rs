//! A forward proxy that resolves names which are not in DNS.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The proxy's address, and the requests it received.
pub struct Forward {
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Forward {
    /// Starts a proxy with these hosts and ports, and their addresses. Other hosts get 502.
    pub async fn start(known: BTreeMap<String, SocketAddr>) -> Forward {
        Forward::with(known, None).await
    }

    /// Starts a proxy that requires this header. Requests without it get 407.
    pub async fn with(known: BTreeMap<String, SocketAddr>, header: Option<&'static str>) -> Forward {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (known, seen) = (Arc::new(known), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (known, seen) = (known.clone(), seen.clone());
                tokio::spawn(async move { pass(stream, &known, header, &seen).await });
            }
        });
        Forward { url, asked }
    }

    /// The requested authorities, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Forwards one request, and then the bytes of both sides.
async fn pass(
    mut client: TcpStream,
    known: &BTreeMap<String, SocketAddr>,
    header: Option<&str>,
    seen: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let (line, headers) = head.split_once("\r\n").unwrap();
    let (method, rest) = line.split_once(' ').unwrap();
    let (target, version) = rest.rsplit_once(' ').unwrap();
    let is_tunnel = method == "CONNECT";
    let (authority, path) = if is_tunnel {
        (target.to_owned(), String::new())
    } else {
        let (authority, path) = target.strip_prefix("http://")?.split_once('/').unwrap();
        (authority.to_owned(), format!("/{path}"))
    };
    seen.lock().unwrap().push(authority.clone());
    let is_known = header.is_none_or(|header| headers.to_lowercase().contains(&header.to_lowercase()));
    let Some(address) = known.get(&authority).filter(|_| is_known) else {
        let status = if is_known { "502 Bad Gateway" } else { "407 Proxy Authentication Required" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        client.write_all(answer.as_bytes()).await.ok()?;
        return None;
    };
    let mut server = TcpStream::connect(address).await.ok()?;
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    } else {
        // One request for each connection, so that each is recorded here.
        let headers = format!("{method} {path} {version}\r\nconnection: close\r\n{headers}");
        server.write_all(headers.as_bytes()).await.ok()?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut server).await.ok()?;
    Some(())
}
