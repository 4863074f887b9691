//! What the machine lacks, by the errors of its system calls.

/// Whether this machine refused: it had no descriptor (`EMFILE`, `ENFILE`), memory
/// (`ENOMEM`, `ENOBUFS`), thread or port (`EAGAIN`) left for us.
pub fn is_local(error: &std::io::Error) -> bool {
    #[cfg(target_os = "linux")]
    const CODES: &[i32] = &[11, 12, 23, 24, 105];
    #[cfg(all(unix, not(target_os = "linux")))]
    const CODES: &[i32] = &[12, 23, 24, 35, 55];
    // WSAEMFILE, WSAENOBUFS
    #[cfg(not(unix))]
    const CODES: &[i32] = &[10_024, 10_055];
    error.raw_os_error().is_some_and(|code| CODES.contains(&code))
}
