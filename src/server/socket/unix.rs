//! Unix sockets: their files, which outlive a process that is killed.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use super::BACKLOG;

/// How often another process that holds the directory's lock is waited for, and how
/// long each time. It holds it while it starts to listen.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The file of a socket that this process listens on. Dropped, it is removed.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Which file it is: another process may have put one of its own there.
    id: (u64, u64),
}

/// Listens on a path with this mode. A file that a dead process left there is replaced.
pub async fn bind(path: &Path, mode: u32) -> io::Result<(SocketFile, UnixListener)> {
    // Of two that find a dead process' file, the second must not remove the first one's.
    let _turn = lock(path.parent().unwrap_or(path)).await?;
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let permissions = Permissions::from_mode(mode);
    // On Linux the file is made with it: there is no moment at which more may connect.
    let _ = File::from(OwnedFd::from(socket.try_clone()?)).set_permissions(permissions.clone());
    match socket.bind(&address) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse && is_left_behind(path, &address)? => {
            match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => tracing::info!("replacing {}, which a process that is dead left", path.display()),
            }
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    let bound = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.to_owned(), id: (bound.dev(), bound.ino()) };
    // The umask took from it.
    if bound.permissions().mode() & 0o777 != mode {
        fs::set_permissions(path, permissions)?;
    }
    socket.listen(BACKLOG)?;
    Ok((file, UnixListener::from_std(socket.into())?))
}

/// Whether no process listens on the socket there.
fn is_left_behind(path: &Path, address: &SockAddr) -> io::Result<bool> {
    let there = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        there => there?,
    };
    if !there.file_type().is_socket() {
        let what = "something that is not a socket is there";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A process that accepts nothing would keep this one waiting.
    socket.set_nonblocking(true)?;
    Ok(match socket.connect(address) {
        Ok(()) => false,
        // A process that has no room for one more would answer otherwise.
        Err(e) => matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound),
    })
}

/// The lock of a directory, until it is dropped; none where there can be none.
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

/// While the process still listens, so that nobody takes the file for one that was left
/// behind.
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
        // A socket that is bound and closed stays as that of a process that was killed.
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

    /// Its place among those who start is what counts, not luck.
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
