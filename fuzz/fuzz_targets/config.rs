//! The configuration file. What is accepted is within its bounds and prints as
//! a file that says the same; what is not has errors with lines of the file.
//! The token never shows.
#![no_main]

use std::time::Duration;

use fedimeter::config::effective_yaml;
use fedimeter::fuzzing::load_config;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "hush-hush-4711";

fn environment(name: &str) -> Option<String> {
    (name == "TOKEN").then(|| SECRET.to_owned())
}

fuzz_target!(|text: &str| {
    // No file of this machine is read: it might be a device that never ends.
    if text.contains("token_file") || text.contains('\\') || text.contains(SECRET) {
        return;
    }
    let config = match load_config(text, &environment) {
        Ok(config) => config,
        Err(errors) => {
            assert!(errors.iter().count() > 0, "refused without a reason");
            for error in errors.iter() {
                assert!(!error.message.is_empty());
                if let Some((_, line)) = &error.place.file {
                    assert!((1..=text.split(['\n', '\r']).count() + 1).contains(line), "{error}");
                }
            }
            assert!(!errors.to_string().contains(SECRET), "{errors}");
            return;
        }
    };
    let times = Duration::from_millis(100)..=Duration::from_secs(300);
    for time in [config.deadline, config.http.timeout, config.http.connect_timeout] {
        assert!(times.contains(&time), "{time:?}");
    }
    assert!((1..=65_536).contains(&config.http.max_requests));
    assert!((1..=65_536).contains(&config.http.max_requests_per_host));
    assert!((1 << 10..=64 << 20).contains(&config.http.max_body));
    assert!(!config.targets.is_empty());
    for (i, target) in config.targets.iter().enumerate() {
        assert!(matches!(target.url.scheme(), "http" | "https") && target.url.path() == "/");
        assert!(target.identity.is_sorted_by(|a, b| a.0 < b.0), "{:?}", target.identity);
        let week = Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);
        assert!(target.intervals.values().all(|time| week.contains(time)));
        assert!(config.targets[..i].iter().all(|other| other.identity != target.identity), "given twice");
    }
    let printed = effective_yaml(&config);
    assert!(!printed.contains(SECRET), "{printed}");
    match load_config(&printed, &environment) {
        Ok(mut again) => {
            again.warnings.clone_from(&config.warnings);
            assert_eq!(config, again, "{printed}");
        }
        Err(errors) => panic!("what was printed does not load: {errors}\n{printed}"),
    }
});
