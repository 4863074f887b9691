//! Receivers that send endlessly, and read nothing.

use std::time::Duration;

use fedimeter::export::otlp::{Cause, Exporter, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use super::{export, settings};
use crate::support::otlp_sink::PATIENCE;

const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
/// Nobody waits for its answer.
const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
const ROUNDS: usize = 2;

/// A receiver that sends PINGs while the connection is open.
struct Flood {
    endpoint: String,
    connections: watch::Receiver<Connections>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Connections {
    made: usize,
    open: usize,
}

impl Flood {
    fn start(reads: bool) -> Flood {
        // Unread data soon fills this buffer, and then nothing more can be sent.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(16).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (count, connections) = watch::channel(Connections::default());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.send_modify(|now| *now = Connections { made: now.made + 1, open: now.open + 1 });
                let count = count.clone();
                tokio::spawn(async move {
                    send_pings(stream, reads).await;
                    count.send_modify(|now| now.open -= 1);
                });
            }
        });
        Flood { endpoint, connections }
    }
}

/// When the other side is gone, a write fails.
async fn send_pings(mut stream: TcpStream, reads: bool) {
    let pings = PING.repeat(1024);
    let (mut from, mut to) = stream.split();
    let read = async {
        let mut answers = [0; 4096];
        while reads && from.read(&mut answers).await.is_ok_and(|length| length > 0) {}
        std::future::pending::<()>().await;
    };
    let write = async {
        let _ = to.write_all(&SETTINGS).await;
        while to.write_all(&pings).await.is_ok() {}
    };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_pings_leaves_no_connection_behind() {
    for reads in [true, false] {
        let mut flood = Flood::start(reads);
        let mut settings = settings(Protocol::Grpc, &flood.endpoint);
        // Time for the answers to fill the buffers between the two.
        settings.timeout = Duration::from_secs(2);
        let exporter = Exporter::build(&settings).unwrap();
        for _ in 0..ROUNDS {
            let report = export(&exporter).await;
            assert_eq!(report.failure.map(|failure| failure.cause), Some(Cause::Timeout));
        }
        assert!(flood.connections.borrow().made >= ROUNDS);
        let closed = tokio::time::timeout(PATIENCE, flood.connections.wait_for(|now| now.open == 0)).await;
        assert!(closed.is_ok(), "some of {ROUNDS} rounds left a connection open, reads: {reads}");
    }
}
