//! Listening sockets.

mod inherited;
#[cfg(unix)]
mod unix;

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::config::Address;

pub use inherited::{InheritError, Inherited};

/// The maximum number of connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// A listening socket.
#[derive(Debug)]
pub enum Socket {
    /// A socket on an IP address.
    Tcp(TcpListener),
    /// A socket on a path, with its file if this process created it.
    #[cfg(unix)]
    Unix(Option<unix::SocketFile>, tokio::net::UnixListener),
}

/// A client's connection.
#[cfg(unix)]
pub type Stream = tokio_util::either::Either<TcpStream, tokio::net::UnixStream>;
/// A client's connection.
#[cfg(not(unix))]
pub type Stream = TcpStream;

impl Socket {
    /// Listens on an address, which is one of `all`. `mode` is the mode of a Unix
    /// socket's file.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on. The file of a Unix socket on which
    /// another process listens is not replaced.
    pub async fn bind(address: &Address, all: &[Address], mode: u32) -> io::Result<Socket> {
        match address {
            Address::Ip(ip) => {
                let is_ipv4 = |other: &SocketAddr| other.is_ipv4() && other.port() == ip.port();
                let has_ipv4 = all.iter().any(|other| matches!(other, Address::Ip(other) if is_ipv4(other)));
                // `[::]` accepts IPv4, too, unless it is limited to IPv6.
                bind_tcp(*ip, ip.is_ipv6() && has_ipv4).map(Socket::Tcp)
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                let (file, listener) = unix::bind(path, mode).await?;
                Ok(Socket::Unix(Some(file), listener))
            }
            #[cfg(not(unix))]
            Address::Unix(_) => {
                let _ = mode;
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    }

    /// Uses a socket on which the system already listens at this address.
    fn of_system(address: &Address, socket: socket2::Socket) -> io::Result<Socket> {
        match address {
            Address::Ip(_) => TcpListener::from_std(socket.into()).map(Socket::Tcp),
            #[cfg(unix)]
            Address::Unix(_) => {
                let listener = tokio::net::UnixListener::from_std(socket.into())?;
                Ok(Socket::Unix(None, listener))
            }
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Returns the address, with the port that the system chose if none was given.
    ///
    /// # Errors
    ///
    /// When the system does not report the address.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Socket::Tcp(listener) => listener.local_addr().map(Address::from),
            #[cfg(unix)]
            Socket::Unix(_, listener) => {
                let address = listener.local_addr()?;
                Ok(Address::Unix(address.as_pathname().unwrap_or("".as_ref()).to_owned()))
            }
        }
    }

    /// Accepts the next connection.
    ///
    /// # Errors
    ///
    /// When the client has disconnected, or the system is out of resources.
    pub async fn accept(&self) -> io::Result<Stream> {
        let tcp = async |listener: &TcpListener| {
            let (stream, _) = listener.accept().await?;
            // Answers are written in one piece, so waiting for more would only delay
            // them.
            let _ = stream.set_nodelay(true);
            io::Result::Ok(stream)
        };
        match self {
            #[cfg(not(unix))]
            Socket::Tcp(listener) => tcp(listener).await,
            #[cfg(unix)]
            Socket::Tcp(listener) => tcp(listener).await.map(Stream::Left),
            #[cfg(unix)]
            Socket::Unix(_, listener) => listener.accept().await.map(|(stream, _)| Stream::Right(stream)),
        }
    }
}

/// Returns what to do when an address cannot be listened on.
#[must_use]
pub fn advice(address: &Address, cause: &io::Error) -> &'static str {
    match (address, cause.kind()) {
        (Address::Ip(_), io::ErrorKind::AddrInUse) => {
            "another program uses it: stop that program, or choose another address with --listen"
        }
        (Address::Ip(_), io::ErrorKind::PermissionDenied) => {
            "ports below 1024 need privileges: choose a higher port with --listen"
        }
        (Address::Ip(_), io::ErrorKind::AddrNotAvailable) => {
            "this machine has no such address: choose another address with --listen"
        }
        (Address::Unix(_), io::ErrorKind::AddrInUse) => {
            "another process listens there: stop that process, or choose another path with --listen"
        }
        (Address::Unix(_), io::ErrorKind::AlreadyExists) => {
            "remove that file, or choose another path with --listen"
        }
        (Address::Unix(_), io::ErrorKind::NotFound) => {
            "create its directory (RuntimeDirectory= of systemd does), or choose another path with --listen"
        }
        (Address::Unix(_), io::ErrorKind::PermissionDenied) => {
            "let fedimeter's user write to its directory, or choose another path with --listen"
        }
        _ => "choose another address with --listen",
    }
}

/// Listens like [`TcpListener::bind`], which cannot exclude IPv4.
fn bind_tcp(address: SocketAddr, only_ipv6: bool) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if only_ipv6 {
        socket.set_only_v6(true)?;
    }
    // A port that was just released may still have connections that are closing.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bind(address: SocketAddr, all: &[SocketAddr]) -> io::Result<Socket> {
        let all: Vec<Address> = all.iter().copied().map(Address::from).collect();
        Socket::bind(&address.into(), &all, 0o660).await
    }

    #[tokio::test]
    async fn ipv6_beside_ipv4_of_the_same_port_is_listened_on_alone() {
        let ipv4: SocketAddr = ([127, 0, 0, 1], 0).into();
        let first = bind(ipv4, &[ipv4]).await.unwrap();
        let Address::Ip(ipv4) = first.address().unwrap() else { panic!("{first:?}") };
        let ipv6 = SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), ipv4.port());
        let second = bind(ipv6, &[ipv4, ipv6]).await.unwrap();
        assert_eq!(second.address().unwrap(), ipv6.into());
        drop(second);
        let error = bind(ipv6, &[ipv6]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "alone it takes IPv4, too: {error}");
    }
}
