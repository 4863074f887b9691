//! A real systemd starts, watches, restarts and reloads the bridge with the units of
//! deploy/systemd, and passes sockets. curl sends requests over a Unix socket.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use fedimeter::simulator::{Settings, Simulator};
use tempfile::TempDir;

use crate::bench::{PATIENCE, RUNTIME, TICK, eventually, free_address, get};
use crate::programs::root;
use crate::support::program::{Serving, signal};

/// The directories of a user's manager, in a new namespace.
const RUNTIME_DIRECTORY: &str = "/run/user/0";

/// Prepares a namespace for a user's manager, because systemd did not start the system.
const ROOM: &str = "umount /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 cgroup2 /sys/fs/cgroup && \
    mount -t tmpfs tmpfs /run && mkdir -p -m 700 /run/systemd/system /run/user/0 && \
    mkdir /sys/fs/cgroup/fedimeter-e2e-$$";

/// The manager, if one can be started here.
pub fn manager() -> Result<PathBuf, String> {
    let place = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"].into_iter().map(PathBuf::from);
    let program = place.into_iter().find(|path| path.exists()).ok_or("systemd is not installed")?;
    let room = format!("{ROOM} && rmdir /sys/fs/cgroup/fedimeter-e2e-$$");
    let made = Command::new("unshare").args(["--mount", "sh", "-c", &room]).output();
    let made = made.map_err(|e| format!("unshare: {e}"))?;
    let said = String::from_utf8_lossy(&made.stderr);
    if made.status.success() { Ok(program) } else { Err(format!("no room for a systemd: {}", said.trim())) }
}

/// A user's systemd with its own units, until it is dropped.
struct Manager {
    systemd: Child,
    folder: TempDir,
}

impl Manager {
    fn start(program: &Path, units: &[(&str, String)]) -> Manager {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("config/systemd/user");
        fs::create_dir_all(&directory).unwrap();
        fs::create_dir(folder.path().join("tokens")).unwrap();
        for (name, text) in units {
            let text = text.replace("/etc/fedimeter", &folder.path().display().to_string());
            fs::write(directory.join(name), text).unwrap();
        }
        let script =
            format!("{ROOM} && echo $$ >/sys/fs/cgroup/fedimeter-e2e-$$/cgroup.procs && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh"]).arg(program).arg("--user");
        command.env("XDG_CONFIG_HOME", folder.path().join("config")).env("HOME", folder.path());
        command.env("XDG_RUNTIME_DIR", RUNTIME_DIRECTORY).env("SYSTEMD_LOG_TARGET", "console");
        let systemd = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let manager = Manager { systemd, folder };
        eventually("systemd answers", || manager.ctl(&["list-units"]));
        manager
    }

    /// The output of `systemctl`.
    fn ctl(&self, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.systemd.id().to_string()]);
        command.args(["systemctl", "--user", "--no-pager"]).args(args);
        let output = command.env("XDG_RUNTIME_DIR", RUNTIME_DIRECTORY).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn must(&self, args: &[&str]) -> String {
        self.ctl(args).unwrap_or_else(|e| panic!("systemctl {args:?}: {e}"))
    }

    /// A property of the service.
    fn property(&self, name: &str) -> String {
        self.must(&["show", "--value", "--property", name, "fedimeter.service"])
    }

    fn configure(&self, text: &str) {
        fs::write(self.folder.path().join("fedimeter.yaml"), text).unwrap();
    }

    /// Waits until a property has this value.
    fn wait_for(&self, name: &str, wanted: impl Fn(&str) -> bool) -> String {
        eventually(name, || {
            let value = self.property(name);
            if wanted(&value) { Ok(value) } else { Err(value) }
        })
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.ctl(&["exit"]);
        let began = Instant::now();
        while began.elapsed() < PATIENCE && matches!(self.systemd.try_wait(), Ok(None)) {
            std::thread::sleep(TICK);
        }
        let _ = self.systemd.kill();
        let _ = self.systemd.wait();
        let group = format!("/sys/fs/cgroup/fedimeter-e2e-{}", self.systemd.id());
        let remove = format!(
            "{ROOM}; find {group} /sys/fs/cgroup/fedimeter-e2e-$$ -depth -type d -exec rmdir {{}} \\;"
        );
        let _ = Command::new("unshare").args(["--mount", "sh", "-c", &remove]).output();
    }
}

/// The units with other paths and times, and without the confinement, which only a system's
/// manager supports.
fn units(address: &str) -> [(&'static str, String); 2] {
    let read = |name: &str| fs::read_to_string(root().join("deploy/systemd").join(name)).unwrap();
    let changed = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "no {from}");
        text.replace(from, to)
    };
    let service = read("fedimeter.service");
    let (before, confined) = service.split_once("DynamicUser=yes").unwrap();
    let (_, after) = confined.split_once("[Install]").unwrap();
    let mut service = format!("{before}[Install]{after}");
    for (from, to) in [
        ("/usr/local/bin/fedimeter", env!("CARGO_BIN_EXE_fedimeter")),
        ("WatchdogSec=60s", "WatchdogSec=3s"),
        ("RestartSec=5s", "RestartSec=200ms"),
        ("[Service]", "StartLimitIntervalSec=0\n[Service]"),
    ] {
        service = changed(service, from, to);
    }
    let socket = changed(read("fedimeter.socket"), "127.0.0.1:9464", address);
    [("fedimeter.service", service), ("fedimeter.socket", socket)]
}

/// Sends a request on a new connection, and waits for the whole response.
fn ask(address: &str) -> Result<(), String> {
    let mut stream = TcpStream::connect(address).map_err(|e| format!("connecting: {e}"))?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).map_err(|e| format!("asking: {e}"))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| format!("reading: {e}"))?;
    if answer.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(answer) }
}

/// The whole life of the service.
pub fn supervises(program: &Path) {
    let simulator =
        RUNTIME.block_on(Simulator::start(Settings::default(), ([127, 0, 0, 1], 0).into())).unwrap();
    let address = free_address();
    let manager = Manager::start(program, &units(&address));
    let right = format!("listen: {address}\ntargets: ['{}']\n", simulator.url(0));
    let ready = || get(&format!("http://{address}/-/ready"));

    manager.configure(&right);
    manager.must(&["start", "fedimeter.service"]);
    ready().expect("it is ready as soon as systemd says that it has started");
    manager.wait_for("StatusText", |text| text == format!("1 target, 1 up; http://{address}/metrics"));
    let first = manager.property("MainPID");
    manager.configure(&right.replace("targets: [", "targets: ['http://127.0.0.1:1', "));
    manager.must(&["reload", "fedimeter.service"]);
    manager.wait_for("StatusText", |text| text.starts_with("2 targets, 1 up; "));
    assert_eq!(manager.property("MainPID"), first, "a reload restarts nothing");
    manager.configure(&right);
    ready().unwrap();

    // The bridge hangs, and sends no signs of life.
    assert!(first.parse::<u32>().unwrap() > 1, "{first}");
    signal(first.parse().unwrap(), "STOP");
    manager.wait_for("NRestarts", |restarts| restarts == "1");
    let second = manager.wait_for("MainPID", |pid| pid != first && pid != "0");
    assert_ne!(second, first);
    eventually("it is there again", ready);
    manager.must(&["stop", "fedimeter.service"]);
    assert_eq!((&*manager.property("Result"), &*manager.property("ActiveState")), ("success", "inactive"));

    // An address in use is tried again until it is free.
    let taken = TcpListener::bind(&address).unwrap();
    manager.must(&["start", "--no-block", "fedimeter.service"]);
    manager.wait_for("NRestarts", |restarts| restarts.parse::<u32>().unwrap() >= 2);
    manager.wait_for("ExecMainStatus", |status| status == "3");
    drop(taken);
    eventually("the address is free", ready);
    manager.must(&["stop", "fedimeter.service"]);

    // A wrong configuration is not tried again.
    manager.configure(&format!("{right}nonsense: 1\n"));
    assert!(manager.ctl(&["start", "fedimeter.service"]).is_err());
    for (property, value) in [("ExecMainStatus", "2"), ("ActiveState", "failed"), ("NRestarts", "0")] {
        assert_eq!(manager.property(property), value, "{property}");
    }
    manager.configure(&right);
    RUNTIME.block_on(simulator.shutdown());
}

/// The socket unit keeps the socket, so no client is refused.
pub fn keeps_the_socket(program: &Path) {
    let address = free_address();
    let manager = Manager::start(program, &units(&address));
    // The passed socket replaces this address.
    manager.configure("listen: 192.0.2.1:9464\ntargets: ['http://127.0.0.1:1']\n");
    manager.must(&["start", "fedimeter.socket"]);
    assert_eq!(manager.property("ActiveState"), "inactive");
    ask(&address).expect("the first client starts the service, and waits for it");
    manager.wait_for("ActiveState", |state| state == "active");

    let is_over = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut asked = 0_u32;
                    while !is_over.load(SeqCst) {
                        ask(&address).unwrap_or_else(|e| panic!("{e} after {asked}"));
                        asked += 1;
                    }
                    asked
                })
            })
            .collect();
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(100));
            manager.must(&["restart", "fedimeter.service"]);
        }
        is_over.store(true, SeqCst);
        clients.into_iter().map(|client| client.join().unwrap()).sum::<u32>()
    });
    assert!(asked > 10, "{asked}");
    manager.must(&["stop", "fedimeter.socket", "fedimeter.service"]);
    assert!(TcpStream::connect(&address).is_err());
}

/// `systemd-socket-activate` passes two sockets, with names.
pub fn hands_sockets_over(program: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let (address, path) = (free_address(), folder.path().join("fedimeter.sock"));
    let mut command = Command::new(program);
    command.args(["--listen", &address, "--listen", path.to_str().unwrap(), "--fdname=port:path"]);
    command.arg(env!("CARGO_BIN_EXE_fedimeter")).args(["--listen", "192.0.2.1:9464", "http://127.0.0.1:1"]);
    let bridge = Serving::with(command.stdin(Stdio::null()));
    // The program starts with the first connection, which waits.
    eventually("somebody listens", || ask(&address));
    bridge.line(|line| {
        line.contains(&format!("{address} is passed by the service manager (port)")).then_some(())
    });
    let unix = format!("unix:{} is passed by the service manager (path)", path.display());
    bridge.line(|line| line.contains(&unix).then_some(()));
    assert_eq!(bridge.end("TERM").0, Some(0));
}

/// curl sends requests over a Unix socket, with HTTP/1.1 and HTTP/2.
pub fn curl_over_a_unix_socket(curl: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fedimeter.sock");
    let bridge = Serving::start(&["demo", "--listen", &format!("unix:{}", path.display())], &[]);
    let asked = |more: &[&str], url: &str| {
        let mut command = Command::new(curl);
        command.args(["--silent", "--show-error", "--fail", "--unix-socket"]).arg(&path).args(more).arg(url);
        let output = command.output().map_err(|e| e.to_string())?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    };
    eventually("it is ready", || asked(&[], "http://localhost/-/ready"));
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        // With any host name of the client.
        let metrics = asked(&[version], "http://fedimeter/metrics").unwrap();
        assert!(metrics.contains("fedimeter_target_up") && metrics.contains("mastodon_instance_users"));
        let page = asked(&[version, "--compressed"], "http://localhost/").unwrap();
        assert!(page.contains("books.localhost"), "{page}");
    }
    assert_eq!(bridge.end("TERM").0, Some(0));
    assert!(!path.exists());
}
