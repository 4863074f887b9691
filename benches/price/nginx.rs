//! nginx with one file.

use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use super::bridge::{Failure, cpu_of};

/// Where Debian has it.
const PROGRAM: &str = "/usr/sbin/nginx";

pub struct Nginx {
    child: Child,
    pub url: String,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts it before a file of these bytes; nothing where it is not installed.
    pub fn start(page: &[u8]) -> Result<Option<Nginx>, Failure> {
        if !Path::new(PROGRAM).exists() {
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let at = folder.path().display().to_string();
        let address = super::ports::free();
        std::fs::write(folder.path().join("metrics"), page)?;
        let config = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{}}\n\
             http {{ access_log off; default_type text/plain; gzip on; gzip_types *; keepalive_requests 1000000;\n\
             client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;\n\
             uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;\n\
             server {{ listen {address}; root {at}; }} }}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), config)?;
        let child = Command::new(PROGRAM).args(["-e", "stderr", "-p", &at, "-c", "nginx.conf"]).spawn()?;
        for _ in 0..100 {
            if std::net::TcpStream::connect(address).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Some(Nginx { child, url: format!("http://{address}/metrics"), _folder: folder }))
    }

    pub fn cpu(&self) -> Result<f64, Failure> {
        cpu_of(self.child.id())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
