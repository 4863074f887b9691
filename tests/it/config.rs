//! The configuration from file, flags and environment, and its generated pages.
//! `UPDATE_GOLDEN=1 cargo test --test it config` updates the expected files; review them
//! like code.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fedimeter::cli::{self, Command};
use fedimeter::config::{self, Config, ConfigErrors, Flags, LogFormat, Sources, docs, effective_yaml};
use fedimeter::endpoint::Endpoint;
use fedimeter::target::TokenOrigin;

/// The secret of all fixtures, which no output may contain.
const SECRET: &str = "hunter2";

fn golden(path: impl AsRef<Path>, actual: &str) {
    let path = path.as_ref();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        actual,
        expected,
        "{} is out of date: UPDATE_GOLDEN=1 cargo test --test it config, and review the change",
        path.display()
    );
}

fn environment(name: &str) -> Option<String> {
    (name == "GOOD_TOKEN").then(|| format!("{SECRET}-from-a-variable"))
}

fn load_file(path: &Path) -> Result<Config, ConfigErrors> {
    Config::load(&Sources {
        file: Some(path),
        text: None,
        targets: &[],
        flags: Flags::default(),
        env: &environment,
    })
}

/// Loads a command line with these variables.
#[allow(clippy::match_wildcard_for_single_variants, reason = "there are more with the simulator")]
fn load(line: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    let env = |name: &str| variables.get(name).map(|v| (*v).to_owned());
    let args = std::iter::once("fedimeter").chain(line.split_whitespace()).map(OsString::from);
    match cli::parse(args).map_err(|e| e.to_string())?.command {
        Command::Serve(args) => args.load(&env).map_err(|e| e.to_string()),
        Command::Check(args) => args.common.load(&env).map_err(|e| e.to_string()),
        Command::Once(args) => args.common.load(&env).map_err(|e| e.to_string()),
        other => Err(format!("{other:?}")),
    }
}

fn names(config: &Config) -> Vec<&str> {
    config.targets.iter().map(|target| &*target.name).collect()
}

fn write(directory: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn each_rule_has_its_message() {
    let directory = Path::new("tests/fixtures/config/bad");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    assert!(files.len() > 30);
    for file in files {
        let errors = load_file(&file).expect_err(&format!("{} is wrong", file.display()));
        let shown = format!("{errors}\n").replace("tests/fixtures/config/bad/", "");
        assert!(!shown.contains(SECRET) && !format!("{errors:?}").contains(SECRET), "{shown}");
        golden(file.with_extension("txt"), &shown);
    }
}

#[test]
fn a_full_file_is_read() {
    let mut config =
        load_file(Path::new("tests/fixtures/config/full.yaml")).unwrap_or_else(|e| panic!("{e}"));
    golden("tests/fixtures/config/full.effective.yaml", &masked(&config));
    assert_eq!(config.http.timeout, Duration::from_millis(7500));
    assert_eq!((config.log.level.to_string().as_str(), config.log.format), ("debug", LogFormat::Json));
    let last = config.targets.pop().unwrap();
    assert_eq!(&*last.token.unwrap().secret(), "hunter2-from-a-variable");
    let proxied = config.targets.pop().unwrap();
    assert_eq!(&*proxied.name, "social.example.net");
    assert_eq!(&*proxied.token.unwrap().secret(), "hunter2-from-a-file");
    assert_eq!(proxied.intervals[&Endpoint::Activity], Duration::from_secs(6 * 3600));
    assert_eq!(proxied.intervals[&Endpoint::Nodeinfo], Duration::from_secs(300));
    assert!(proxied.endpoints.contains(&Endpoint::Accounts));
    let accounts: Vec<&str> = proxied.accounts.iter().map(|a| &**a.label()).collect();
    assert_eq!(accounts, ["admin", "Gargron@mastodon.social", "1", "2"]);
}

/// The effective configuration without paths of this machine.
fn masked(config: &Config) -> String {
    effective_yaml(config).replace(&format!("{}/", std::env::current_dir().unwrap().display()), "")
}

#[test]
fn the_effective_configuration_loads_again() {
    let directory = tempfile::tempdir().unwrap();
    let minimal = load("a.example", &[]).unwrap();
    let mut full = load_file(Path::new("tests/fixtures/config/full.yaml")).unwrap();
    full.warnings.clear();
    let silent = load("--listen none [::1]:8443", &[]).unwrap();
    for config in [minimal, full, silent] {
        let text = effective_yaml(&config);
        let path = write(&directory, "effective.yaml", &text);
        let mut again = load_file(Path::new(&path)).unwrap_or_else(|e| panic!("{e}\n{text}"));
        again.warnings.clear();
        // The origins differ.
        again.file.clone_from(&config.file);
        assert_eq!(again, config, "{text}");
        assert_eq!(effective_yaml(&again), text);
    }
}

#[test]
fn secrets_never_show() {
    let mut config = load_file(Path::new("tests/fixtures/config/full.yaml")).unwrap();
    assert!(config.targets.iter().filter(|target| target.token.is_some()).count() == 2);
    assert!(!format!("{config:?} {config:#?}").contains(SECRET));
    assert!(!effective_yaml(&config).contains(SECRET));
    for target in &mut config.targets {
        target.token_origin = None;
    }
    let text = effective_yaml(&config);
    assert!(text.contains("token: <secret>") && !text.contains(SECRET), "{text}");
}

#[test]
fn targets_come_from_three_places() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(&directory, "f.yaml", "targets: [file.example]\n");
    let variables = [
        ("MASTODON_HOST", "https://seed.example/"),
        ("FEDIMETER_TARGETS", "a.example, b.example\nc.example"),
    ];
    for (line, variables, expected) in [
        ("a.example", &[][..], "a.example"),
        ("serve a.example", &[], "a.example"),
        ("once a.example b.example", &[], "a.example b.example"),
        ("check a.example", &[], "a.example"),
        ("", &[("MASTODON_HOST", "https://seed.example")], "seed.example"),
        ("", &[("MASTODON_HOST", "seed.example"), ("FEDIMETER_TARGETS", "")], "seed.example"),
        ("", &variables, "seed.example a.example b.example c.example"),
        ("once", &variables, "seed.example a.example b.example c.example"),
        ("x.example", &variables, "x.example"),
        (&format!("x.example --config {file}"), &variables, "x.example file.example"),
        (&format!("-c {file}"), &[], "file.example"),
    ] {
        let config = load(line, variables).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(names(&config).join(" "), expected, "{line}");
    }
    golden("tests/golden/no-target.txt", &(load("", &[]).unwrap_err() + "\n"));
}

#[test]
fn errors_outside_a_file_name_their_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(&directory, "f.yaml", "targets: [file.example]\n");
    for (line, variables, expected) in [
        (
            "a.example https://A.example/",
            &[][..],
            "target 2 of the command line: a.example is given twice, first as target 1 of the command line",
        ),
        (
            &format!("file.example -c {file}"),
            &[],
            "f.yaml:1: targets[0]: file.example is given twice, first as target 1",
        ),
        ("", &[("FEDIMETER_TARGETS", "a.example b.example/x")], "FEDIMETER_TARGETS[1]: has a path"),
        ("", &[("MASTODON_HOST", "a.example,b.example")], "MASTODON_HOST: is not a host"),
        ("a.example once", &[], "`once` is a command; write it first"),
        ("--token-file t a.example b.example", &[], "a token belongs to one server"),
        ("--token-file tests/none a.example", &[], "--token-file: cannot read tests/none"),
        ("--token-env NO_SUCH a.example", &[], "--token-env: there is no environment variable `NO_SUCH`"),
        (&format!("-c {file} --account x"), &[], "--account: is about targets given as arguments"),
        ("-c /no/such.yaml", &[], "/no/such.yaml: cannot read the configuration: No such file"),
        ("--timeout 5 a.example", &[], "is not a duration; write a number with its unit"),
        ("--collect zebra a.example", &[], "no endpoint `zebra`; known are `health`"),
        ("--compat dada a.example b.example", &[], "--compat: dada has no label"),
        ("--nonsense", &[], "unexpected argument '--nonsense'"),
    ] {
        let errors = load(line, variables).expect_err(line);
        assert!(errors.contains(expected), "{line}: {errors}");
    }
}

#[test]
fn flags_win_over_the_file_and_the_file_over_otel_variables() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(
        &directory,
        "f.yaml",
        "targets: [{url: a.example, endpoint_details: true}]\nlisten: 127.0.0.2\ntimeout: 7s\nmax_requests: 7\n",
    );
    let otel = [("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0"), ("OTEL_EXPORTER_PROMETHEUS_PORT", "1234")];
    let config = load(&format!("-c {file} --timeout 8s --no-endpoint-details"), &otel).unwrap();
    assert_eq!(config.http.timeout, Duration::from_secs(8));
    assert_eq!(config.http.max_requests, 7);
    assert!(!config.targets[0].endpoint_details);
    for (line, variables, expected) in [
        ("a.example", &[][..], "[127.0.0.1:9464]"),
        ("a.example --compat dada", &[], "[127.0.0.1:9410]"),
        ("a.example --compat dada --listen 0.0.0.0", &[], "[0.0.0.0:9410]"),
        ("a.example --compat systemli", &[], "[127.0.0.1:9464]"),
        ("a.example", &otel, "[0.0.0.0:1234]"),
        ("a.example --compat dada", &otel[..1], "[0.0.0.0:9410]"),
        ("a.example --listen none", &otel, "[]"),
        (
            "a.example --listen 127.0.0.1:1,[::1]:1 -l localhost:2",
            &otel,
            "[127.0.0.1:1, [::1]:1, 127.0.0.1:2]",
        ),
        ("once a.example", &otel, "[]"),
        (&format!("-c {file}"), &otel, "[127.0.0.2:9464]"),
        (&format!("-c {file} -l :1"), &otel, "[0.0.0.0:1]"),
    ] {
        let config = load(line, variables).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(shown(&config), expected, "{line}");
        assert!(config.warnings.is_empty());
    }
    let odd = [("OTEL_EXPORTER_PROMETHEUS_HOST", "web"), ("OTEL_EXPORTER_PROMETHEUS_PORT", "x")];
    let config = load("a.example", &odd).unwrap();
    assert_eq!(shown(&config), "[127.0.0.1:9464]");
}

/// The addresses as text.
fn shown(config: &Config) -> String {
    let addresses: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    format!("[{}]", addresses.join(", "))
}

#[test]
fn variables_stand_for_flags() {
    for (name, value, expected) in [
        ("FEDIMETER_LISTEN", "127.0.0.1:1,[::1]:1", "listen: [127.0.0.1:1, \"[::1]:1\"]"),
        ("FEDIMETER_LISTEN", "", "listen: [127.0.0.1:9464]"),
        ("FEDIMETER_LISTEN", "nowhere", "FEDIMETER_LISTEN=nowhere: is not an address"),
        ("FEDIMETER_COMPAT", "", "scope_labels: true"),
        ("FEDIMETER_TIMEOUT", "7s", "\ntimeout: 7s"),
        ("FEDIMETER_ACCOUNTS", "one,two", "accounts: [one, two]"),
        ("FEDIMETER_NO_ENDPOINT_DETAILS", "1", "endpoint_details: false"),
        ("FEDIMETER_NO_ENDPOINT_DETAILS", "false", "endpoint_details: true"),
        ("FEDIMETER_NO_ENDPOINT_DETAILS", "", "endpoint_details: true"),
        ("FEDIMETER_WITHOUT_SCOPE_LABELS", "true", "scope_labels: false"),
        ("FEDIMETER_TARGETS", "b.example", "url: https://a.example"),
        ("MASTODON_HOST", "b.example", "url: https://a.example"),
    ] {
        let shown = match load("a.example", &[(name, value)]) {
            Ok(config) => effective_yaml(&config),
            Err(error) => error,
        };
        assert!(shown.contains(expected), "{name}={value}: {shown}");
        assert!(!shown.contains("b.example\n"), "{name}={value}: {shown}");
    }
}

#[test]
fn settings_of_given_targets_stay_with_them() {
    let directory = tempfile::tempdir().unwrap();
    let token = write(&directory, "token", "hunter2");
    let file = write(&directory, "f.yaml", "targets: [b.example]\ndefaults: {attributes: {team: x}}\n");
    let line = format!("a.example -c {file} --account one,@two@c.example --token-file {token}");
    let config = load(&line, &[]).unwrap();
    let [given, in_file] = &config.targets[..] else { panic!("{:?}", names(&config)) };
    assert_eq!(given.accounts.len(), 2);
    assert_eq!(given.token_origin, Some(TokenOrigin::File(token.into())));
    assert!(in_file.accounts.is_empty() && in_file.token.is_none());
    for target in [given, in_file] {
        assert_eq!(target.attributes().collect::<Vec<_>>(), [("team", "x")]);
    }
}

#[test]
fn odd_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let large = write(&directory, "large.yaml", &"# a comment line\n".repeat(1 << 20));
    assert!(load(&format!("-c {large}"), &[]).unwrap_err().contains("larger than 16 MiB"));
    let binary = directory.path().join("binary.yaml");
    std::fs::write(&binary, b"targets:\n  - \xff\n").unwrap();
    let message = load(&format!("-c {}", binary.display()), &[]).unwrap_err();
    assert!(message.contains("is not UTF-8 at line 2"), "{message}");
}

#[test]
fn a_fleet_loads_quickly_enough() {
    let directory = tempfile::tempdir().unwrap();
    let targets = (0..30_000).map(|i| format!("  - {{url: t{i}.example, attributes: {{n: {i}}}}}"));
    let targets = targets.collect::<Vec<_>>().join("\n");
    let file = write(&directory, "fleet.yaml", &format!("targets:\n{targets}"));
    assert_eq!(load(&format!("-c {file}"), &[]).unwrap().targets.len(), 30_000);
}

#[test]
fn docs_are_up_to_date() {
    golden("docs/config.md", &docs::markdown());
}

#[test]
fn every_flag_has_its_variable() {
    fn check(command: &clap::Command, seen: &mut BTreeMap<String, String>) {
        // -v and -q set --log-level, which has a variable. A required argument has none.
        let others = ["help", "version", "verbose", "quiet", "shell"];
        for arg in command.get_arguments().filter(|arg| !others.contains(&arg.get_id().as_str())) {
            let name = arg.get_long().map_or("TARGET".to_owned(), |long| format!("--{long}"));
            let env = arg.get_env().and_then(|e| e.to_str()).unwrap_or_default();
            assert!(env.starts_with("FEDIMETER_"), "{} {name}: {env:?}", command.get_name());
            assert!(arg.is_hide_env_values_set(), "{name} would show the value of {env}");
            seen.insert(env.to_owned(), name);
        }
        command.get_subcommands().for_each(|command| check(command, seen));
    }
    cli::command().debug_assert();
    let mut seen = BTreeMap::new();
    check(&cli::command(), &mut seen);
    assert_eq!(seen["FEDIMETER_TARGETS"], "TARGET");
    for setting in config::bridge_settings().into_iter().chain(config::target_settings()) {
        if let (Some(flag), Some(variable)) = (setting.key.flag_name(), setting.key.variable()) {
            assert_eq!(seen.get(&variable), Some(&flag), "{}", setting.key.name);
        }
    }
}

#[cfg(feature = "simulator")]
#[test]
fn help_is_up_to_date() {
    let mut command = cli::command().term_width(100);
    command.build();
    golden("tests/golden/help.txt", &command.render_long_help().to_string());
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        let text = sub.render_long_help().to_string();
        assert!(text.contains("Example"), "{}", sub.get_name());
        golden(format!("tests/golden/help-{}.txt", sub.get_name()), &text);
    }
}

#[test]
fn the_default_command_is_serve() {
    let command = |line: &str| {
        let args = std::iter::once("fedimeter").chain(line.split_whitespace()).map(OsString::from);
        cli::parse(args).map(|cli| cli.command)
    };
    for line in ["", "a.example", "serve a.example", "--listen :1", "-c f", "-- once"] {
        assert!(matches!(command(line), Ok(Command::Serve(_))), "{line}");
    }
    for line in ["-v a.example", "--color never a.example", "-q -c f", "-vv", "--color=always --listen :1"] {
        assert!(matches!(command(line), Ok(Command::Serve(_))), "{line}");
    }
    for line in
        ["-v metrics", "--color never metrics", "metrics -q", "-qq --color=auto metrics --format json"]
    {
        assert!(matches!(command(line), Ok(Command::Metrics(_))), "{line}");
    }
    #[cfg(feature = "simulator")]
    {
        assert!(matches!(command("demo"), Ok(Command::Demo(_))));
        assert!(matches!(
            command("simulate --instances 3 --fault delay --fault hang"),
            Ok(Command::Simulate(_))
        ));
    }
    for line in ["--help", "-V", "help once", "a.example --help"] {
        assert!(!command(line).unwrap_err().use_stderr(), "{line}");
    }
    assert_eq!(command("once --format xml a.example").unwrap_err().exit_code(), 2);
}
