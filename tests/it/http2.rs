//! A server that supports only HTTP/2 over TLS is read like every other.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use fedimeter::simulator::{Settings, Simulator};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::pki::Pki;
use crate::support::program::run;

/// Serves the content of `behind` over TLS, with only this protocol. Counts connections.
pub async fn serve(pki: &Pki, behind: String, protocol: &'static str) -> (u16, Arc<AtomicUsize>) {
    let acceptor = pki.acceptor(&[protocol]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::<AtomicUsize>::default();
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind, count) = (acceptor.clone(), behind.clone(), count.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                count.fetch_add(1, Ordering::Relaxed);
                let answer = hyper::service::service_fn(move |request| forward(request, behind.clone()));
                let io = TokioIo::new(stream);
                let _ = if protocol == "h2" {
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(io, answer)
                        .await
                } else {
                    hyper::server::conn::http1::Builder::new().serve_connection(io, answer).await
                };
            });
        }
    });
    (port, connections)
}

async fn forward(request: Request<Incoming>, behind: String) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_http2 = request.version() == Version::HTTP_2;
    // A request must not name the server twice (RFC 9113, 8.3.1).
    let named = request.headers().get("host").and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    if is_http2 && named.is_some() && named != authority {
        return Ok(Response::builder().status(400).body(Full::default()).unwrap());
    }
    let path = request.uri().path_and_query().unwrap().as_str();
    let answer = crate::support::http::client().get(format!("{behind}{path}")).send().await.unwrap();
    let status = answer.status();
    let body = answer.text().await.unwrap();
    Ok(Response::builder().status(status).body(Full::from(body)).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_read_by_whichever_protocol_they_speak() {
    let simulator = Simulator::start(Settings::default(), ([127, 0, 0, 1], 0).into()).await.unwrap();
    let pki = Pki::new();
    let directory = tempfile::tempdir().unwrap();
    for (protocol, host) in [("h2", None), ("http/1.1", None), ("http/1.1", Some("social.example"))] {
        let (port, count) = serve(&pki, format!("http://{}", simulator.addr()), protocol).await;
        let file = directory.path().join("config.yaml");
        let host = host.map(|host| format!("\n    host: {host}")).unwrap_or_default();
        std::fs::write(&file, format!("targets:\n  - url: https://127.0.0.1:{port}{host}\n")).unwrap();
        let args = ["once", "--format", "json", "--config", file.to_str().unwrap()];
        let ran = run(&args, &[("SSL_CERT_FILE", pki.ca.to_str().unwrap())]);
        let printed: Value = serde_json::from_str(&ran.out).unwrap();
        let target = printed.as_array().map_or(&printed["targets"][0], |all| &all[0]);
        assert_eq!(target["up"], Value::Bool(true), "{protocol}: {printed:#}\n{}", ran.err);
        let count = count.load(Ordering::Relaxed);
        assert!(count <= 2, "{protocol}: {count} connections");
    }
}
