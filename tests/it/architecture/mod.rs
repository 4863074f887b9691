//! The layers of modules: which names the files of `src/` may use, and why.

mod source;

use std::collections::{BTreeMap, BTreeSet};

use source::{File, files};

/// The modules from the bottom. A module uses only modules of lower layers, and earlier
/// ones of its own layer, so there are no circles of modules.
const FLOORS: &[(&str, &[&str])] = &[
    (
        "closed sets and small things that need nothing",
        &["endpoint", "outcome", "clock", "log_once", "log_queue", "clean", "tls"],
    ),
    ("plain data", &["target", "snapshot"]),
    ("reading what others write, and what the system says", &["json", "document", "process", "software"]),
    ("the table", &["metrics"]),
    ("asking servers", &["fetch", "api"]),
    ("when to ask", &["refresh"]),
    ("the table as instruments", &["instruments", "on_demand"]),
    ("leaving the process", &["export"]),
    ("what the user said", &["config"]),
    (
        "the program",
        &[
            "logging",
            "descriptors",
            "runtime",
            "identity",
            "exposure",
            "stamp",
            "token_files",
            "notify",
            "catalogue",
            "listing",
            "init",
            "bridge",
            "probe",
            "reload",
            "server",
            "serve",
            "healthcheck",
            "cli",
        ],
    ),
    ("the entry points", &["fuzzing", "lib", "main"]),
];

/// A path that only some modules may use.
struct Rule {
    /// The path, or its beginning.
    name: &'static str,
    /// The modules that may use it, including the modules below them.
    only: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        name: "reqwest",
        only: &["fetch", "export::otlp"],
        why: "one place knows how servers are asked and one how points are sent, with their limits",
    },
    Rule {
        name: "hyper_util::client",
        only: &["fetch", "export::otlp", "fuzzing"],
        why: "connections to servers are made and kept in one place, with its guard and its limits",
    },
    Rule {
        name: "hyper::client",
        only: &["fetch", "export::otlp", "healthcheck::direct"],
        why: "connections to servers are made in one place; only the health check reaches its own bridge \
              where no URL leads",
    },
    Rule {
        name: "opentelemetry_sdk",
        only: &["instruments", "export", "bridge", "serve", "config::otel"],
        why: "the SDK changes often, and its changes must not spread; the bridge, the process and the \
              settings only pass its data on",
    },
    Rule {
        name: "opentelemetry_sdk::metrics::SdkMeterProvider",
        only: &["export"],
        why: "only exporters have pipelines of the SDK",
    },
    Rule {
        name: "std::time::SystemTime",
        only: &["clock", "export", "fetch", "server", "stamp", "fuzzing"],
        why: "time comes from the clock, or tests would have to sleep",
    },
    Rule {
        name: "std::time::Instant",
        only: &["clock", "fetch", "export", "bridge", "probe", "server", "process", "log_queue"],
        why: "lifetimes are measured by the clock, which tests advance; these measure waits of their own",
    },
    Rule {
        name: "tokio::time::Instant",
        only: &["fetch", "refresh", "export", "bridge", "probe", "server", "serve"],
        why: "only what waits on the runtime needs its deadlines",
    },
    Rule {
        name: "std::env",
        only: &["config", "fetch::proxy", "logging", "main", "cli", "notify", "process"],
        why: "what the environment says is a setting, with an origin that `check` shows",
    },
    Rule {
        name: "clap",
        only: &["cli", "main", "config"],
        why: "an application that embeds the library must not compile a command line",
    },
];

/// Pure modules, without I/O, clocks and threads.
const PURE: &[&str] =
    &["metrics", "snapshot", "json", "document", "endpoint", "outcome", "refresh::schedule"];
/// Paths that pure modules must not use.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
    "tracing",
];

/// Files with tables that rustfmt must format. rustfmt skips an expression with a longer
/// line, and with it the whole table.
const TABLES: &[&str] = &["metrics", "config/bridge.rs", "config/probe.rs", "config/target.rs"];
/// `max_width` in rustfmt.toml.
const MAX_WIDTH: usize = 110;

fn floor(room: &str) -> Option<(usize, usize)> {
    FLOORS.iter().enumerate().find_map(|(floor, (_, rooms))| {
        rooms.iter().position(|candidate| *candidate == room).map(|place| (floor, place))
    })
}

/// Uses of higher layers, one sentence for each.
fn upward(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let Some(own) = floor(file.room()) else {
            found.push(format!("src/{}: give the module `{}` a floor", file.path, file.room()));
            continue;
        };
        let above = |room: &&str| floor(room).is_some_and(|other| other > own);
        for room in file.rooms().into_iter().filter(above) {
            let (here, there) = (FLOORS[own.0].0, FLOORS[floor(room).unwrap().0].0);
            found.push(format!(
                "src/{} names `{room}` ({there}), which stands above `{}` ({here})",
                file.path,
                file.room()
            ));
        }
    }
    found
}

/// Whether a path equals another one or is below it.
fn within(path: &str, of: &str) -> bool {
    path == of || path.strip_prefix(of).is_some_and(|rest| rest.starts_with("::"))
}

/// Uses of impure paths by pure modules, one sentence for each.
fn impure(files: &[File]) -> Vec<String> {
    let pure = files.iter().filter(|file| PURE.iter().any(|module| within(&file.module, module)));
    pure.flat_map(|file| {
        let names = file.names.iter().filter(|name| IMPURE.iter().any(|path| within(name, path)));
        names.map(|name| format!("src/{} names {name}, but only computes: hand it in", file.path))
    })
    .collect()
}

/// Uses of paths that are reserved for other modules, one sentence for each.
fn trespassing(files: &[File], rules: &[Rule]) -> Vec<String> {
    let mut found = Vec::new();
    for rule in rules {
        for file in files.iter().filter(|file| !rule.only.iter().any(|may| within(&file.module, may))) {
            for name in file.names.iter().filter(|name| within(name, rule.name)) {
                found.push(format!(
                    "src/{} names {name}, which is for {}: {}",
                    file.path,
                    rule.only.join(", "),
                    rule.why
                ));
            }
        }
    }
    found
}

/// Circles of files, except between parents and files below them, which count as one
/// module.
fn circles(files: &[File]) -> Vec<Vec<String>> {
    let modules: BTreeSet<&str> = files.iter().map(|file| file.module.as_str()).collect();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in files {
        for name in file.names.iter().filter_map(|name| name.strip_prefix("crate::")) {
            // The longest beginning of the name that is a module.
            let mut path = name;
            let module = loop {
                if let Some(module) = modules.get(path) {
                    break Some(*module);
                }
                match path.rsplit_once("::") {
                    Some((parent, _)) => path = parent,
                    None => break None,
                }
            };
            let Some(module) = module else { continue };
            let related = |a: &str, b: &str| a.starts_with(&format!("{b}::"));
            if module != file.module && !related(module, &file.module) && !related(&file.module, module) {
                edges.entry(&file.module).or_default().insert(module);
            }
        }
    }
    let reaches = |from: &str, to: &str| {
        let (mut seen, mut stack) = (BTreeSet::new(), vec![from]);
        while let Some(at) = stack.pop() {
            for next in edges.get(at).into_iter().flatten() {
                if *next == to {
                    return true;
                }
                if seen.insert(*next) {
                    stack.push(next);
                }
            }
        }
        false
    };
    let mut found: Vec<Vec<String>> = Vec::new();
    for module in &modules {
        if reaches(module, module) && !found.iter().any(|circle| circle.iter().any(|m| m == module)) {
            let circle = modules.iter().filter(|other| reaches(module, other) && reaches(other, module));
            found.push(circle.map(|module| (*module).to_owned()).collect());
        }
    }
    found
}

#[test]
fn files_name_what_is_on_their_floor_or_below() {
    assert_eq!(upward(files()), [""; 0]);
}

#[test]
fn what_is_for_few_is_named_by_few() {
    assert_eq!(trespassing(files(), RULES), [""; 0]);
}

#[test]
fn pure_modules_only_compute() {
    assert_eq!(impure(files()), [""; 0]);
}

#[test]
fn rustfmt_reaches_the_tables() {
    let of_tables = |file: &&File| TABLES.iter().any(|table| file.path.starts_with(table));
    let tables: Vec<&File> = files().iter().filter(of_tables).collect();
    assert!(tables.len() > 10, "these are all tables");
    for file in tables {
        let text = std::fs::read_to_string(format!("{}/src/{}", env!("CARGO_MANIFEST_DIR"), file.path));
        for (number, line) in text.unwrap().lines().enumerate() {
            let length = line.chars().count();
            assert!(length <= MAX_WIDTH, "src/{}:{}: {length} characters; wrap it", file.path, number + 1);
        }
    }
}

#[test]
fn no_files_name_each_other_in_a_circle() {
    assert_eq!(circles(files()), [[""; 0]; 0]);
}

#[test]
fn each_rule_is_seen_to_fail() {
    let file = |path: &str, text: &str| File::parse(path, text);
    assert_eq!(
        upward(&[file("fetch.rs", "use crate::config::Http;"), file("shed.rs", "")]),
        [
            "src/fetch.rs names `config` (what the user said), which stands above `fetch` (asking servers)",
            "src/shed.rs: give the module `shed` a floor",
        ]
    );
    for rule in RULES {
        let text = format!("fn f() {{ g({}::x()) }}", rule.name);
        let found = trespassing(&[file("software.rs", &text)], std::slice::from_ref(rule));
        assert_eq!(found.len(), 1, "{}: {found:?}", rule.name);
        let allowed = format!("{}.rs", rule.only[0].replace("::", "/"));
        assert_eq!(trespassing(&[file(&allowed, &text)], std::slice::from_ref(rule)), [""; 0]);
    }
    let impure = impure(&[
        file("metrics/row.rs", "fn f() { std::fs::read(x) }"),
        file("refresh/schedule.rs", "use tokio::time::sleep;"),
        file("refresh/run.rs", "use tokio::time::sleep;"),
    ]);
    assert_eq!(
        impure,
        [
            "src/metrics/row.rs names std::fs::read, but only computes: hand it in",
            "src/refresh/schedule.rs names tokio::time::sleep, but only computes: hand it in",
        ]
    );
    let circle = [
        file("a/b.rs", "use crate::a::c::X;"),
        file("a/c.rs", "fn f() -> super::d::Y {}"),
        file("a/d.rs", "use super::b::Z;"),
        file("a.rs", "use b::Z;"),
    ];
    assert_eq!(circles(&circle), [["a::b", "a::c", "a::d"]]);
}
