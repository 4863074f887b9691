//! Every setting from each of its sources, so that no row needs a test of its own.

use std::collections::BTreeSet;
use std::ffi::OsString;

use fedimeter::cli::{self, Command};
use fedimeter::config::{
    Config, Description, Flags, Loaded, Shape, Sources, bridge_settings, docs, effective_yaml,
    target_settings,
};

fn all() -> impl Iterator<Item = (bool, Description)> {
    let of_bridge = bridge_settings().into_iter().map(|setting| (false, setting));
    let of_target = target_settings().into_iter().map(|setting| (true, setting));
    // Structures consist of other settings. Shards need two settings, which have their own
    // test.
    let is_alone = |setting: &Description| !["shard", "total_shards"].contains(&setting.key.name);
    let is_value =
        move |setting: &Description| !matches!(setting.shape, Shape::Structure(_)) && is_alone(setting);
    of_bridge.chain(of_target).filter(move |(_, setting)| is_value(setting) && setting.key.name != "url")
}

/// A valid value that is not the default.
fn sample(shape: &Shape, default: &str) -> String {
    match shape {
        Shape::Boolean => (default == "`false`").to_string(),
        Shape::Duration { max, .. } => format!("{}ms", max.as_millis()),
        Shape::Count { max, .. } | Shape::Size { max, .. } => max.to_string(),
        Shape::OneOf(names) => {
            let other = |(name, _): &&(&str, &str)| format!("`{name}`") != default;
            names.iter().find(other).unwrap().0.to_owned()
        }
        Shape::List { item, .. } => sample(item, ""),
        Shape::Map { value, .. } if value.bounds().is_some() => "{activity: 1h}".to_owned(),
        Shape::Map { kind, .. } if kind.contains("patterns") => "{exclude: ['*.rules']}".to_owned(),
        Shape::Map { .. } => "{team: social}".to_owned(),
        Shape::Text { kind, .. } => match *kind {
            "address" => "127.0.0.2:1",
            "host" => "b.example",
            "URL" => "https://c.example",
            "path" => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config/tokens/good"),
            "path of a list" => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config/lists/good.yaml"),
            "mode of a file" => "0600",
            "PEM file" => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config/ca.pem"),
            "variable name" => "TOKEN",
            "endpoint" => "peers",
            "account" | "hashtag" => "name",
            kind if kind.contains("levels") => "debug",
            kind => panic!("write a sample of {kind}"),
        }
        .to_owned(),
        Shape::Structure(_) => unreachable!("it is no value"),
    }
}

/// Invalid values.
fn wrong(shape: &Shape) -> Vec<String> {
    match shape {
        Shape::Boolean | Shape::OneOf(_) => vec!["perhaps".to_owned(), "2".to_owned()],
        Shape::Duration { min, max } => {
            let beyond = [min.as_millis() - 1, max.as_millis() + 1].map(|time| format!("{time}ms"));
            beyond.into_iter().chain(["5".to_owned(), "-5s".to_owned()]).collect()
        }
        Shape::Count { min, max } | Shape::Size { min, max } => {
            let below = min.checked_sub(1).map(|number| number.to_string());
            below.into_iter().chain([(max + 1).to_string(), "-1".to_owned(), "1.5".to_owned()]).collect()
        }
        Shape::List { item, .. } => wrong(item),
        // Paths, names of variables and contacts are checked later, or have their own
        // tests.
        _ => Vec::new(),
    }
}

/// Loads a command line with this variable.
fn load(args: &[&str], variable: Option<(&str, &str)>) -> Result<Loaded, String> {
    let args = ["fedimeter", "serve", "a.example"].iter().chain(args).map(OsString::from);
    let env = |name: &str| match variable {
        Some((known, value)) if known == name => Some(value.to_owned()),
        _ => (name == "TOKEN").then(|| "secret".to_owned()),
    };
    match cli::parse(args).map_err(|e| e.to_string())?.command {
        Command::Serve(args) => args.load_with_origins(&env).map_err(|e| e.to_string()),
        other => panic!("{other:?}"),
    }
}

fn load_file(text: &str) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yaml");
    std::fs::write(&file, text).unwrap();
    let env = |name: &str| (name == "TOKEN").then(|| "secret".to_owned());
    let sources = Sources { file: Some(&file), text: None, targets: &[], flags: Flags::default(), env: &env };
    Config::load_with_origins(&sources).map_err(|e| e.to_string().replace(&file.display().to_string(), "f"))
}

/// A file with this value of a key.
fn file_with(of_target: bool, name: &str, value: &str) -> String {
    if of_target {
        format!("targets:\n  - url: a.example\n    {name}: {value}\n")
    } else {
        format!("targets: [a.example]\n\n{name}: {value}\n")
    }
}

/// The lines of a setting, with the origin of its value.
fn shown(loaded: &Loaded, of_target: bool, name: &str) -> (String, Vec<String>) {
    let origins = if of_target { &loaded.targets[0] } else { &loaded.bridge };
    let origins = origins.of(name).iter().map(|place| place.to_string().replace(":3: targets[0].", ":3: "));
    (effective_yaml(&loaded.config), origins.collect())
}

#[test]
fn every_setting_is_read_from_each_of_its_sources() {
    let untouched = effective_yaml(&load(&[], None).unwrap().config);
    for (of_target, Description { key, shape, default }) in all() {
        let name = key.name;
        let value = sample(&shape, &default);
        let list = if matches!(shape, Shape::List { .. }) { format!("[{value}]") } else { value.clone() };
        let loaded = load_file(&file_with(of_target, name, &list)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (in_file, origins) = shown(&loaded, of_target, name);
        assert_ne!(in_file, untouched, "{name}: {value}");
        assert!(origins[0].ends_with(name) && origins[0].contains(".yaml:3: "), "{origins:?}");

        let (Some(flag), Some(variable)) = (key.flag_name(), key.variable()) else { continue };
        let is_switch = key.flag.unwrap().is_switch();
        let args = if is_switch { vec![&*flag] } else { vec![&*flag, &*value] };
        let loaded = load(&args, None).unwrap_or_else(|e| panic!("{flag}: {e}"));
        assert_eq!(shown(&loaded, of_target, name), (in_file.clone(), vec![flag]));
        let value = if is_switch { "true" } else { &*value };
        let loaded = load(&[], Some((&variable, value))).unwrap_or_else(|e| panic!("{variable}: {e}"));
        assert_eq!(shown(&loaded, of_target, name), (in_file, vec![variable.clone()]));
        let loaded = load(&[], Some((&variable, ""))).unwrap();
        assert_eq!(shown(&loaded, of_target, name), (untouched.clone(), Vec::new()), "{variable} is empty");
    }
}

/// The lines of the effective configuration that a value changes.
fn changed(before: &str, after: &str) -> Vec<String> {
    let before: BTreeSet<&str> = before.lines().collect();
    after.lines().filter(|line| !before.contains(line)).map(str::to_owned).collect()
}

#[test]
fn a_limit_changes_nothing_but_itself() {
    let untouched = effective_yaml(&load(&[], None).unwrap().config);
    let mut limits = 0;
    for (of_target, Description { key, shape, default }) in all() {
        if of_target || shape.bounds().is_none() {
            continue;
        }
        limits += 1;
        let loaded = load_file(&file_with(false, key.name, &sample(&shape, &default))).unwrap();
        let lines = changed(&untouched, &effective_yaml(&loaded.config));
        let [line] = &lines[..] else { panic!("{}: {lines:?}", key.name) };
        assert!(line.starts_with(&format!("{}: ", key.name)), "{line}");
    }
    assert!(limits >= 10, "{limits}");
}

#[test]
fn every_setting_is_on_the_page_in_help_and_in_the_effective_configuration() {
    let page = docs::markdown();
    let Err(help) = cli::parse(["fedimeter", "serve", "--help"].map(OsString::from)) else {
        panic!("no help")
    };
    let help = help.to_string();
    for (of_target, Description { key, shape, default }) in all() {
        let name = key.name;
        let is_row = |line: &&str| line.starts_with(&format!("| `{name}` |")) && line.contains(key.summary);
        let row = page.lines().find(is_row).unwrap_or_else(|| panic!("{name} is not on the page"));
        for given in [key.flag_name(), key.variable()].into_iter().flatten() {
            assert!(row.contains(&format!("`{given}`")) && help.contains(&given), "{given}");
        }
        let value = sample(&shape, &default);
        let value = if matches!(shape, Shape::List { .. }) { format!("[{value}]") } else { value };
        let effective = effective_yaml(&load_file(&file_with(of_target, name, &value)).unwrap().config);
        let is_shown = |line: &str| line.trim_start_matches([' ', '-']).starts_with(&format!("{name}:"));
        assert!(effective.lines().any(is_shown), "{name}: {effective}");
    }
}

#[test]
fn a_wrong_value_is_told_under_the_name_of_its_source() {
    let mut told = 0;
    for (of_target, Description { key, shape, .. }) in all() {
        for value in wrong(&shape) {
            told += 1;
            let refused = |loaded: Result<Loaded, String>| match loaded {
                Ok(_) => panic!("{} takes {value}", key.name),
                Err(message) => message,
            };
            let list = if matches!(shape, Shape::List { .. }) { format!("[{value}]") } else { value.clone() };
            let message = refused(load_file(&file_with(of_target, key.name, &list)));
            let path = if of_target { "f:3: targets[0]." } else { "f:3: " };
            assert!(message.starts_with(&format!("{path}{}", key.name)), "{message}");
            let (Some(flag), Some(variable)) = (key.flag_name(), key.variable()) else { continue };
            let message = refused(load(&[], Some((&variable, &value))));
            assert!(message.starts_with(&format!("{variable}={value}: ")), "{message}");
            if !key.flag.unwrap().is_switch() {
                let message = refused(load(&[&format!("{flag}={value}")], None));
                assert!(message.starts_with(&format!("{flag}={value}: ")), "{message}");
            }
        }
    }
    assert!(told > 20, "{told}");
}

#[test]
fn names_are_unique() {
    let mut names = BTreeSet::new();
    for setting in bridge_settings().iter().chain(&target_settings()) {
        for name in [setting.key.flag_name(), setting.key.variable()].into_iter().flatten() {
            assert!(names.insert(name), "{}", setting.key.name);
        }
    }
}

#[test]
fn errors_of_all_sources_come_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yaml");
    std::fs::write(&file, "targets: [b.example/x]\nmax_body: 1\ntimeout: 1\n").unwrap();
    let file = file.display().to_string();
    let args = ["--config", &file, "--timeout", "2", "--collect", "peers,health,zebra", "--max-requests=0"];
    let message = load(&args, Some(("FEDIMETER_DEADLINE", "3"))).unwrap_err();
    let places: Vec<&str> = message.lines().map(|line| line.split(": ").next().unwrap()).collect();
    let (first, second, third) = (format!("{file}:1"), format!("{file}:2"), format!("{file}:3"));
    let expected = [
        "FEDIMETER_DEADLINE=3",
        "--timeout=2",
        "--max-requests=0",
        "--collect[2]=zebra",
        &first,
        &second,
        &third,
    ];
    assert_eq!(places, expected, "{message}");
}

#[test]
fn an_error_repeats_no_value_that_may_be_a_secret() {
    for value in ["https://me:hunter2@example.org", "me:hunter2@example.org", &"hunter2".repeat(5)] {
        let message = load(&[], Some(("FEDIMETER_CONTACT", value))).unwrap_err();
        assert!(message.starts_with("FEDIMETER_CONTACT: is not a contact"), "{message}");
    }
}
