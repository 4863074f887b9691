//! Writes the first configuration file. It asks servers for every endpoint that needs
//! no list of its own, and notes what each offers.

use std::fmt::Write;

use crate::clean::one_line;
use crate::config::quote;
use crate::endpoint::{Endpoint, On};
use crate::metrics::uncounted::Figure;
use crate::outcome::Outcome;
use crate::snapshot::{Reading, Slot, View};
use crate::software::Software;
use crate::target::{Target, TokenOrigin};

/// The maximum length of a reason in a comment, in bytes.
const MAX_REASON: usize = 120;

/// Enables every endpoint of a target that only has to be named.
pub fn ask_for_all(target: &mut Target) {
    target.select_endpoints(&Endpoint::collected(On::OptIn).collect::<Vec<_>>());
}

/// Returns the file, with comments.
#[must_use]
pub fn file(view: &View) -> String {
    let mut out = HEAD.to_owned();
    for reading in view.readings() {
        target(&mut out, &reading);
    }
    out
}

const HEAD: &str = "\
# Configuration of fedimeter, written by `fedimeter init`.
#
#   fedimeter check --config FILE    shows every error, or what is in effect
#   fedimeter --config FILE          serves
#
# `fedimeter serve --help` explains the settings. For completion in an editor, run
# `fedimeter schema > fedimeter.schema.json` and begin this file with
# `# yaml-language-server: $schema=fedimeter.schema.json`.

# Where /metrics listens. 127.0.0.1 is this machine only.
listen: 127.0.0.1:9464

# A URL by which an administrator of a server can reach you.
# contact: https://example.org/fedimeter

# Settings of all targets.
# defaults:
#   attributes: {team: social}

targets:
";

fn target(out: &mut String, r: &Reading<'_>) {
    // Writing into memory cannot fail.
    let _ = writeln!(out, "  # {}", summary(r));
    let _ = writeln!(out, "  - url: {}", quote(r.target.url.as_str().trim_end_matches('/')));
    let slots = || r.snapshot.slots.iter().filter(|slot| slot.endpoint.on() == On::OptIn);
    let offered: Vec<&str> = slots().filter(|slot| slot.is_ok()).map(|slot| slot.endpoint.name()).collect();
    if offered.is_empty() {
        let all: Vec<&str> = slots().map(|slot| slot.endpoint.name()).collect();
        let _ = writeln!(out, "    # More endpoints:\n    # collect: [{}]", all.join(", "));
    } else {
        let _ = writeln!(out, "    # More endpoints, which the server offers. Remove what you do not need.");
        let _ = writeln!(out, "    collect: [{}]", offered.join(", "));
    }
    for slot in slots().filter(|slot| r.up() == Some(true) && !slot.is_ok()) {
        let _ = writeln!(out, "    # Omitted:  {}, {}.", slot.endpoint.name(), why(slot));
    }
    token(out, r.target);
    let accounts: Vec<String> = r.target.accounts.iter().map(|account| quote(account.label())).collect();
    let tags: Vec<String> = r.target.tags.iter().map(|tag| quote(tag)).collect();
    for (key, values, example) in [("accounts", accounts, "admin"), ("tags", tags, "introductions")] {
        let _ = if values.is_empty() {
            writeln!(out, "    # {key}: [{example}]")
        } else {
            writeln!(out, "    {key}: [{}]", values.join(", "))
        };
    }
}

fn token(out: &mut String, target: &Target) {
    let _ = match &target.token_origin {
        Some(TokenOrigin::File(path)) => {
            writeln!(out, "    token_file: {}", quote(&path.display().to_string()))
        }
        Some(TokenOrigin::Env(name)) => writeln!(out, "    token_env: {}", quote(name)),
        None => writeln!(
            out,
            "    # A token adds the administrator's metrics.\n    # token_file: {}.token",
            target.url.host_str().unwrap_or("server").trim_matches(['[', ']']).replace(':', "-")
        ),
    };
}

/// Describes the server in one line.
fn summary(r: &Reading<'_>) -> String {
    let software = Software::of(r);
    let name = match (software.name, software.version) {
        (Some(name), Some(version)) => format!("{name} {version}"),
        (Some(name), None) => name,
        (None, _) => "software unknown".to_owned(),
    };
    let documents = r.snapshot.slots.iter().filter(|slot| slot.endpoint.shows_up());
    match r.up() {
        Some(true) => {
            let users = Figure::Users.counted(r).or_else(|| Figure::V1Users.counted(r));
            let users = match users {
                Some(1) => ", 1 user".to_owned(),
                Some(users) => format!(", {users} users"),
                None => String::new(),
            };
            one_line(&format!("{name}{users}"))
        }
        Some(false) => {
            let reason = documents.into_iter().next().map(why).unwrap_or_default();
            format!("The server did not answer when this file was written: {reason}.")
        }
        None => "Whether the server is up is not known.".to_owned(),
    }
}

/// Returns why an endpoint returned nothing.
fn why(slot: &Slot) -> String {
    let outcome = slot.outcome().map_or("no answer", Outcome::name);
    match slot.reason() {
        Some(reason) => {
            let reason = one_line(reason);
            format!("{outcome}: {}", &reason[..reason.floor_char_boundary(MAX_REASON)])
        }
        None => outcome.to_owned(),
    }
}
