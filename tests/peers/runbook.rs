//! The runbook: its queries have results, and its commands work.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::panels::{answer, holds, labelled, scene};
use crate::support::trial::{always, program, trial};
use crate::support::{ports, promql, rule_files};

pub fn trials() -> Vec<Trial> {
    let openssl = Command::new("openssl").arg("version").output();
    let openssl = openssl.map(|_| ()).map_err(|e| format!("openssl: {e}"));
    vec![
        trial("questions_have_answers", program("promtool"), |()| questions_have_answers()),
        trial("each_certificate_is_shown", openssl, |()| each_certificate_is_shown()),
        always("commands_have_their_flags", commands_have_their_flags),
    ]
}

fn runbook() -> String {
    fs::read_to_string(rule_files::root().join("docs/runbook.md")).unwrap()
}

/// The code blocks of a language.
fn blocks<'a>(runbook: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    runbook.split(begin.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Each line of PromQL in the runbook has a result, with series that exist from the
/// beginning.
fn questions_have_answers() -> Result<(), Failed> {
    let runbook = runbook();
    let labels = "server_address=\"a.example\",job=\"fedimeter\",instance=\"b:9464\"";
    let mut cases = Vec::new();
    for line in
        blocks(&runbook, "promql").into_iter().flat_map(str::lines).filter(|line| !line.contains(" unless "))
    {
        let expression = line.replace("SERVER", "a.example").replace("BRIDGE", "b");
        let value = if expression.contains("== 0") { "0x60" } else { "1x60" };
        let more = ",error_type=\"unauthorized\",fedimeter_endpoint_name=\"timelines\"";
        let metrics: BTreeSet<String> =
            promql::selectors(&expression)?.into_iter().map(|s| s.metric).collect();
        let input: Vec<Value> =
            metrics.iter().map(|metric| labelled(metric, &format!("{labels}{more}"), value)).collect();
        cases.push(scene("1m", &input, &[answer(&format!("count({expression}) > bool 0"), "1h", "{}", 1.0)]));
    }
    assert!(cases.len() > 10, "{}", cases.len());
    holds(&cases)
}

/// A server with two certificates in its chain: both are printed with their ends.
fn each_certificate_is_shown() -> Result<(), Failed> {
    let runbook = runbook();
    let shows = blocks(&runbook, "sh").into_iter().find(|block| block.contains("s_client")).unwrap();
    let directory = tempfile::tempdir()?;
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(&directory).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    for arguments in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 90 -subj /CN=authority",
        "req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=localhost",
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem -days 5",
    ] {
        assert!(openssl(arguments).status()?.success(), "openssl {arguments}");
    }
    let address = ports::free();
    let serve = format!("s_server -accept {address} -cert leaf.pem -key leaf.key -cert_chain ca.pem -quiet");
    let _server = Running(openssl(&serve).spawn()?);
    let command = shows.replace("SERVER:443", &address.to_string()).replace("SERVER", "localhost");
    let began = Instant::now();
    loop {
        let output = Command::new("sh").args(["-c", &command]).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = ["localhost", "authority"];
        let is_there = |name: &&str| said.lines().any(|l| l.starts_with("subject") && l.ends_with(*name));
        if names.iter().all(is_there) && said.matches("notAfter=").count() == 2 {
            return Ok(());
        }
        if began.elapsed() > Duration::from_secs(60) {
            return Err(format!("{command}\n{said}").into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A process that is ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Each command of fedimeter in the runbook exists, with its flags.
fn commands_have_their_flags() {
    let runbook = runbook();
    let parts = runbook.lines().flat_map(|line| line.split(['`', ';', '|', '#']));
    let commands: Vec<(&str, &str)> = parts
        .filter_map(|part| part.rsplit_once("fedimeter ")?.1.split_once(' '))
        .filter(|(name, rest)| name.chars().all(|c| c.is_ascii_lowercase()) && rest.starts_with('-'))
        .collect();
    assert!(commands.len() > 5, "{commands:?}");
    for (name, rest) in commands {
        let help = rule_files::root().join(format!("tests/golden/help-{name}.txt"));
        let help = fs::read_to_string(&help).unwrap_or_else(|e| panic!("fedimeter {name} {rest}: {e}"));
        let words: BTreeSet<&str> = help.split([' ', '\n', ',']).collect();
        for flag in rest.split_whitespace().filter(|word| word.starts_with('-')) {
            assert!(words.contains(flag), "fedimeter {name} {rest}: there is no {flag}");
        }
    }
}
