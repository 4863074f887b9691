//! The real program on a terminal: colours, the width of tables, and the log level.

use std::fs::File;
use std::io::Read;

use crate::support::program::{fedimeter, run};
use fedimeter::simulator::{Fault, Settings, Simulator};
use tokio::runtime::Runtime;

/// An address at which nothing listens.
const DEAD: &str = "http://127.0.0.1:1";

/// A simulator, and its runtime.
fn simulator() -> (Runtime, Simulator) {
    let runtime = Runtime::new().unwrap();
    let simulator = Simulator::start(Settings::default(), ([127, 0, 0, 1], 0).into());
    let simulator = runtime.block_on(simulator).unwrap();
    (runtime, simulator)
}

/// Only terminals get colours, unless the user disables them.
#[test]
fn colours() {
    let (_runtime, simulator) = simulator();
    let url = simulator.url(0);
    let coloured = |env: &[(&str, &str)]| on_terminal(&["once", &url, DEAD], env).contains("\x1b[");
    assert!(coloured(&[]));
    for env in [("NO_COLOR", "1"), ("TERM", "dumb"), ("FEDIMETER_COLOR", "never")] {
        assert!(!coloured(&[env]), "{env:?}");
    }
    assert!(coloured(&[("NO_COLOR", "")]));
    assert!(!on_terminal(&["once", "--color=never", &url], &[]).contains("\x1b["));
    assert!(on_terminal(&["once", "--color=always", &url], &[("NO_COLOR", "1")]).contains("\x1b["));
    let term = [("TERM", "xterm")];
    assert!(on_terminal(&["once", "--nonsense"], &term).contains("\x1b["));
    assert!(!on_terminal(&["--color", "never", "once", "--nonsense"], &term).contains("\x1b["));
    let ran = run(&["once", "-q", &url, DEAD], &[]);
    assert!(!ran.out.contains('\x1b') && ran.err.contains("is down") && !ran.err.contains('\x1b'), "{ran:?}");
    let ran = run(&["--color", "always", "once", "-q", &url, DEAD], &[]);
    assert!(ran.out.contains('\x1b') && ran.err.contains('\x1b'), "into pipes, too: {ran:?}");
}

/// On a terminal, lines are no longer than its width, by default 80 columns. In a pipe they
/// are not cut.
#[test]
fn the_table_fits_a_terminal() {
    let (_runtime, simulator) = simulator();
    simulator.set_fault(0, "/api/v1/instance/activity", Some(Fault::StatusHtml(500)));
    let url = simulator.url(0);
    let args =
        ["once", "--collect=health,peers,domain_blocks", "--account=admin", "--tag=introductions", &url];
    let piped = run(&args, &[]).out;
    let shown = on_terminal(&args, &[("NO_COLOR", "1")]).replace("\r\n", "\n");
    let longest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest(&shown) <= 80 && longest(&shown) > 70, "{shown}");
    assert!(shown.contains("  mastodon.account.last_status.timestamp{acct=admin} "), "{shown}");
    let whole = "  mastodon.account.last_status.timestamp{mastodon.account.acct=admin} ";
    assert!(piped.contains(whole), "{piped}");
    assert!(longest(&piped) > 80, "{piped}");
    // The values of a target are aligned.
    let is_number = |line: &&str| line.starts_with("  mastodon.") && !line.ends_with('Z');
    let unit = |line: &str| {
        let number = line.rfind(|c: char| c.is_ascii_digit()).unwrap();
        line[..number].chars().count()
    };
    for text in [&piped, &shown] {
        let ends: std::collections::BTreeSet<usize> = text.lines().filter(is_number).map(unit).collect();
        assert_eq!(ends.len(), 1, "{ends:?}\n{text}");
    }
}

/// `-v` and `-q` set log levels, and `--log-level` takes precedence. `once` logs nothing
/// about servers by default.
#[test]
fn how_much_is_logged() {
    let (_runtime, simulator) = simulator();
    let url = simulator.url(0);
    let level = |args: &[&str]| {
        let ran = run(&[&["check", "a.example"], args].concat(), &[]);
        let line = ran.out.lines().find(|line| line.starts_with("log_level: ")).unwrap_or_default();
        line.trim_start_matches("log_level: ").to_owned()
    };
    for (args, expected) in [
        (&[][..], "info  # default"),
        (&["-v"], "debug  # -v"),
        (&["-vv"], "trace  # -vv"),
        (&["-v", "--verbose", "-v"], "trace  # -vv"),
        (&["-q"], "warn  # -q"),
        (&["-qq"], "error  # -qq"),
        (&["-qqq"], "off  # -qqq"),
        (&["-v", "--log-level", "error"], "error  # --log-level"),
    ] {
        assert_eq!(level(args), expected, "{args:?}");
    }
    assert_eq!(run(&["check", "-v", "-q", "a.example"], &[]).status, Some(2));
    assert_eq!(run(&["once", &url, DEAD], &[]).err, "");
    assert!(run(&["-v", "once", &url], &[]).err.contains("DEBUG"));
    assert!(run(&["once", DEAD], &[("FEDIMETER_LOG_LEVEL", "warn")]).err.contains("is down"));
    let misspelt = run(&["once", &url], &[("FEDIMETER_TARGET", "x")]);
    assert!(misspelt.err.contains("FEDIMETER_TARGETS"), "{}", misspelt.err);
}

/// The output of the program on a terminal, for standard output and error.
fn on_terminal(args: &[&str], env: &[(&str, &str)]) -> String {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    let mut command = fedimeter();
    command.args(args).envs(env.iter().copied());
    let mut child = command.stdout(terminal.try_clone().unwrap()).stderr(terminal).spawn().unwrap();
    // The command would keep the terminal open.
    drop(command);
    let mut written = Vec::new();
    // When nobody has the terminal open any more, reading is an error.
    let _ = File::from(controller).read_to_end(&mut written);
    child.wait().unwrap();
    String::from_utf8(written).unwrap()
}
