//! `service.instance.id` of the real program.

use crate::support::program::run;
use crate::support::samples::{named, samples};

/// Targets that refuse connections.
const TARGETS: [&str; 2] = ["http://127.0.0.1:1", "http://127.0.0.2:1"];

fn id(args: &[&str], env: &[(&str, &str)]) -> String {
    let ran = run(&[&["once", "--format", "prometheus"], args].concat(), env);
    let shown = samples(&ran.out);
    let info = named(&shown, "target_info");
    assert_eq!(info.len(), 1, "{}", ran.err);
    info[0].labels["service_instance_id"].clone()
}

#[test]
fn it_is_the_same_from_start_to_start_and_differs_between_bridges() {
    let [one, two] = TARGETS;
    let first = id(&[one], &[]);
    assert_eq!(uuid::Uuid::parse_str(&first).unwrap().get_version_num(), 5);
    assert_eq!(id(&[one], &[]), first);
    let both = id(&[one, two], &[]);
    assert_ne!(both, first, "the same first target");
    assert_eq!(id(&[], &[("FEDIMETER_TARGETS", &TARGETS.join(","))]), both, "however they are given");
    assert_eq!(id(&[one], &[("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=mine")]), "mine");

    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, targets: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, format!("targets: [{targets}]\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let a = file("a.yaml", one);
    let of_file = id(&["--config", &a], &[]);
    assert_ne!(of_file, first);
    assert_ne!(id(&["--config", &file("b.yaml", one)], &[]), of_file);
    file("a.yaml", &TARGETS.join(", "));
    assert_eq!(id(&["--config", &a], &[]), of_file, "its targets may change");
}
