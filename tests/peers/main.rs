//! Tests with data or programs of others: recorded answers of real servers, parsers,
//! linters and a Mastodon mock. A test whose requirement is missing is ignored, and the
//! reason is printed.

#[path = "../support/mod.rs"]
mod support;

mod admin_samples;
mod chart;
mod conformance;
mod deploy;
mod disk;
mod exposition_peers;
mod guides;
mod mastodon_mock;
mod memory;
mod names;
mod panels;
mod release;
mod rules;
mod runbook;
mod threads;
mod units;

use libtest_mimic::{Arguments, Trial};

/// A module, and the function that creates its tests, which may start a program.
type Module = (&'static str, fn() -> Vec<Trial>);

const MODULES: &[Module] = &[
    ("admin_samples", admin_samples::trials),
    ("chart", chart::trials),
    ("conformance", conformance::trials),
    ("deploy", deploy::trials),
    ("disk", disk::trials),
    ("exposition_peers", exposition_peers::trials),
    ("guides", guides::trials),
    ("mastodon_mock", mastodon_mock::trials),
    ("memory", memory::trials),
    ("names", names::trials),
    ("panels", panels::trials),
    ("release", release::trials),
    ("rules", rules::trials),
    ("runbook", runbook::trials),
    ("threads", threads::trials),
    ("units", units::trials),
];

fn main() {
    let mut arguments = Arguments::from_args();
    let wanted = module_wanted(&mut arguments);
    let modules = MODULES.iter().filter(|(module, _)| wanted.as_deref().is_none_or(|w| w == *module));
    let trials = modules.flat_map(|(module, trials)| trials().into_iter().map(move |t| t.with_kind(*module)));
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// Removes the module from a filter such as `deploy::` or `deploy::hadolint`, so that
/// programs of other modules are not started.
fn module_wanted(arguments: &mut Arguments) -> Option<String> {
    let filter = arguments.filter.take()?;
    let (module, rest) = match filter.split_once("::") {
        Some((module, rest)) => (Some(module.to_owned()), rest.to_owned()),
        None => (None, filter),
    };
    arguments.filter = Some(rest).filter(|rest| !rest.is_empty());
    module
}
