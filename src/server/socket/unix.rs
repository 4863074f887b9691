//! Unix sockets and their files, which remain when a process is killed.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use super::BACKLOG;

/// How often, and how long each time, this process waits for another one that holds the
/// directory's lock. The lock is held while a process starts to listen.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The file of a socket on which this process listens. Dropping it removes the file.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Identifies the file, because another process may have replaced it.
    id: (u64, u64),
}

/// Listens on a path, with this mode. The file of a dead process is replaced.
pub async fn bind(path: &Path, mode: u32) -> io::Result<(SocketFile, UnixListener)> {
    // If two processes find the file of a dead one, the second must not remove the
    // first one's file.
    let _turn = lock(path.parent().unwrap_or(path)).await?;
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let permissions = Permissions::from_mode(mode);
    // On Linux the file is created with this mode, so other users can connect at no
    // moment.
    let _ = File::from(OwnedFd::from(socket.try_clone()?)).set_permissions(permissions.clone());
    match socket.bind(&address) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse && is_left_behind(path, &address)? => {
            match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => tracing::info!("replacing {}, left behind by a dead process", path.display()),
            }
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    let bound = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.to_owned(), id: (bound.dev(), bound.ino()) };
    // The umask removed some bits.
    if bound.permissions().mode() & 0o777 != mode {
        fs::set_permissions(path, permissions)?;
    }
    socket.listen(BACKLOG)?;
    Ok((file, UnixListener::from_std(socket.into())?))
}

/// Whether no process listens on the socket.
fn is_left_behind(path: &Path, address: &SockAddr) -> io::Result<bool> {
    let there = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        there => there?,
    };
    if !there.file_type().is_socket() {
        let what = "a file that is not a socket exists there";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A process that does not accept would block this one.
    socket.set_nonblocking(true)?;
    Ok(match socket.connect(address) {
        Ok(()) => false,
        // A process whose queue is full gives another error.
        Err(e) => matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound),
    })
}

/// Locks a directory until the result is dropped. Returns `None` if it cannot be
/// locked.
async fn lock(directory: &Path) -> io::Result<Option<File>> {
    let Ok(directory) = File::open(directory) else { return Ok(None) };
    for _ in 0..LOCK_ATTEMPTS {
        match directory.try_lock() {
            Ok(()) => return Ok(Some(directory)),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process keeps its directory locked"))
}

/// Removes the file while the process still listens, so that no other process takes it
/// for a dead one's.
impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |there: fs::Metadata| (there.dev(), there.ino()) == self.id;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn the_file_has_the_mode_and_goes_with_the_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        for wanted in [0o660, 0o600, 0o777, 0o666] {
            let (file, listener) = bind(&path, wanted).await.unwrap();
            assert_eq!(mode(&path), wanted);
            drop((file, listener));
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn only_what_a_dead_process_left_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        // A socket that is bound and dropped leaves the same file as a killed process.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (file, listener) = bind(&path, 0o660).await.unwrap();
        let error = bind(&path, 0o660).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
        tokio::net::UnixStream::connect(&path).await.unwrap();
        drop((file, listener));

        for make in [|path: &Path| fs::write(path, "").unwrap(), |path: &Path| fs::create_dir(path).unwrap()]
        {
            make(&path);
            let error = bind(&path, 0o660).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
            assert!(path.exists());
            let _ = fs::remove_file(&path);
        }
    }

    #[tokio::test]
    async fn the_file_of_another_process_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (file, listener) = bind(&path, 0o660).await.unwrap();
        fs::remove_file(&path).unwrap();
        let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop((file, listener));
        assert!(path.exists());
        drop(other);
    }

    /// The lock must decide the order of the processes, not chance.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_many_that_find_a_file_left_behind_one_gets_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        for _ in 0..20 {
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
            let starts = (0..8).map(|_| {
                let path = path.clone();
                tokio::spawn(async move { bind(&path, 0o660).await })
            });
            let bound = futures_util::future::join_all(starts.collect::<Vec<_>>()).await;
            let bound: Vec<_> = bound.into_iter().filter_map(|start| start.unwrap().ok()).collect();
            assert_eq!(bound.len(), 1);
            std::os::unix::net::UnixStream::connect(&path).unwrap();
            drop(bound);
        }
    }
}
