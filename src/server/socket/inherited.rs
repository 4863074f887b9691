//! Sockets that the service manager passes to the process: see sd_listen_fds(3).
//! Connections wait in them while the bridge restarts.

use std::io;

use super::Socket;
use crate::config::Address;

/// The sockets that were passed.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Passed>);

#[derive(Debug)]
struct Passed {
    /// The name of the unit, or its `FileDescriptorName`.
    name: String,
    address: Address,
    socket: socket2::Socket,
}

/// Why a passed socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// The environment variables are invalid.
    #[error(
        "cannot take over the sockets that LISTEN_FDS promises: {0}; start fedimeter by a socket unit of \
         systemd, or unset LISTEN_FDS"
    )]
    Promised(io::Error),
    /// The descriptor is another kind of socket, or no socket.
    #[error(
        "cannot serve on {0}, which LISTEN_FDS names: in the socket unit, use ListenStream= and Accept=no"
    )]
    Kind(String),
}

impl Inherited {
    /// Takes over the sockets that the environment names, once. It changes the
    /// environment, so the process must have only one thread.
    ///
    /// # Errors
    ///
    /// When a descriptor cannot be listened on.
    pub fn take() -> Result<Inherited, InheritError> {
        #[cfg(unix)]
        return passed().map(Inherited);
        #[cfg(not(unix))]
        Ok(Inherited::default())
    }

    /// Replaces the configured addresses with those of the sockets, if there are any.
    pub fn replace(&self, listen: &mut Vec<Address>) {
        if !listen.is_empty() && !self.0.is_empty() {
            *listen = self.0.iter().map(|passed| passed.address.clone()).collect();
        }
    }

    /// Returns the socket that listens on this address, if one was passed.
    ///
    /// # Errors
    ///
    /// When the system cannot watch the socket.
    pub fn socket(&mut self, address: &Address) -> io::Result<Option<Socket>> {
        let Some(index) = self.0.iter().position(|passed| passed.address == *address) else {
            return Ok(None);
        };
        let Passed { name, socket, .. } = self.0.remove(index);
        tracing::info!("{address} is passed by the service manager ({name})");
        Socket::of_system(address, socket).map(Some)
    }

    /// Closes the sockets that are not used, and logs it.
    pub fn close(self) {
        for Passed { name, address, socket } in self.0 {
            drop(socket);
            tracing::warn!("{address}, passed by the service manager ({name}), is closed: /metrics is off");
        }
    }
}

#[cfg(unix)]
fn passed() -> Result<Vec<Passed>, InheritError> {
    use std::os::fd::OwnedFd;

    // If the descriptors belong to another process, the names would be wrong.
    if sd_notify::listen_fds().map_err(InheritError::Promised)?.len() == 0 {
        return Ok(Vec::new());
    }
    let named = sd_notify::listen_fds_with_names().map_err(InheritError::Promised)?;
    let mut descriptors = listenfd::ListenFd::from_env();
    let mut passed = Vec::new();
    for (i, (_, name)) in named.enumerate() {
        let descriptor: OwnedFd = match descriptors.take_tcp_listener(i) {
            Ok(Some(tcp)) => tcp.into(),
            _ => match descriptors.take_unix_listener(i) {
                Ok(Some(unix)) => unix.into(),
                _ => return Err(InheritError::Kind(name)),
            },
        };
        let socket = socket2::Socket::from(descriptor);
        // The service manager can also pass a connection instead of a socket.
        if !is_listener(&socket).map_err(InheritError::Promised)? {
            return Err(InheritError::Kind(name));
        }
        socket.set_nonblocking(true).map_err(InheritError::Promised)?;
        let bound = socket.local_addr().map_err(InheritError::Promised)?;
        let address = match bound.as_socket() {
            Some(ip) => Address::Ip(ip),
            None => Address::Unix(bound.as_pathname().unwrap_or("(without a path)".as_ref()).to_owned()),
        };
        passed.push(Passed { name, address, socket });
    }
    Ok(passed)
}

#[cfg(target_os = "linux")]
fn is_listener(socket: &socket2::Socket) -> io::Result<bool> {
    socket.is_listener()
}

/// Not every other system reports whether a socket listens.
#[cfg(all(unix, not(target_os = "linux")))]
fn is_listener(_: &socket2::Socket) -> io::Result<bool> {
    Ok(true)
}
