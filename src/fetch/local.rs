//! Recognises a shortage of this machine's resources, by the errors of system calls.

/// Whether the machine lacked a descriptor (`EMFILE`, `ENFILE`), memory (`ENOMEM`,
/// `ENOBUFS`), a thread or a port (`EAGAIN`).
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
