//! Sockets that clients connect to.

mod inherited;
#[cfg(unix)]
mod unix;

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::config::Address;

pub use inherited::{InheritError, Inherited};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A socket that is listened on.
#[derive(Debug)]
pub enum Socket {
    /// On an IP address.
    Tcp(TcpListener),
    /// On a path, with the file that stands for it where that is ours.
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
    /// Listens on an address, one of `all`. A Unix socket gets this mode.
    ///
    /// # Errors
    ///
    /// When that is not possible. A Unix socket that a process listens on stays.
    pub async fn bind(address: &Address, all: &[Address], mode: u32) -> io::Result<Socket> {
        match address {
            Address::Ip(ip) => {
                let is_ipv4 = |other: &SocketAddr| other.is_ipv4() && other.port() == ip.port();
                let has_ipv4 = all.iter().any(|other| matches!(other, Address::Ip(other) if is_ipv4(other)));
                // `[::]` takes IPv4, too, unless told otherwise.
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

    /// One that the system listens on already, at this address.
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

    /// Where it listens: with the port that the system chose, if it did.
    ///
    /// # Errors
    ///
    /// When the system does not say.
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

    /// The next connection.
    ///
    /// # Errors
    ///
    /// When the client has gone, or the system cannot give one more.
    pub async fn accept(&self) -> io::Result<Stream> {
        let tcp = async |listener: &TcpListener| {
            let (stream, _) = listener.accept().await?;
            // Answers are written whole; waiting for more would only delay them.
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

/// What to do when an address cannot be listened on.
#[must_use]
pub fn advice(address: &Address, cause: &io::Error) -> &'static str {
    match (address, cause.kind()) {
        (Address::Ip(_), io::ErrorKind::AddrInUse) => {
            "another program has it: stop that one, or choose another with --listen"
        }
        (Address::Ip(_), io::ErrorKind::PermissionDenied) => {
            "ports below 1024 need rights: choose a higher one with --listen"
        }
        (Address::Ip(_), io::ErrorKind::AddrNotAvailable) => {
            "this machine has no such address: choose another with --listen"
        }
        (Address::Unix(_), io::ErrorKind::AddrInUse) => {
            "another process listens there: stop that one, or choose another path with --listen"
        }
        (Address::Unix(_), io::ErrorKind::AlreadyExists) => {
            "remove what is there, or choose another path with --listen"
        }
        (Address::Unix(_), io::ErrorKind::NotFound) => {
            "create its directory (RuntimeDirectory= of systemd does), or choose another path with --listen"
        }
        (Address::Unix(_), io::ErrorKind::PermissionDenied) => {
            "let fedimeter's user write to its directory, or choose another path with --listen"
        }
        _ => "choose another with --listen",
    }
}

/// Listens, as [`TcpListener::bind`] does, which cannot leave IPv4 out.
fn bind_tcp(address: SocketAddr, only_ipv6: bool) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if only_ipv6 {
        socket.set_only_v6(true)?;
    }
    // A port that was just left may still have connections that end.
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
