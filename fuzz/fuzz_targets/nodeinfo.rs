//! NodeInfo: where the discovery leads, and the documents of all kinds. It
//! never leads to another site, to a guarded address or away from https.
#![no_main]

use std::collections::BTreeMap;

use fedimeter::document::{Document, Top};
use fedimeter::api::nodeinfo;
use fedimeter::fetch::{follow, guard, public_url};
use fedimeter::snapshot::Nodeinfo;
use fedimeter::target::Target;
use libfuzzer_sys::fuzz_target;
use url::{Host, Url};

fn target(url: &str, host: Option<&str>, proto: Option<&str>) -> Target {
    let (host, proto) = (host.map(str::to_owned), proto.map(str::to_owned));
    Target::new(Url::parse(url).unwrap(), host, proto, &BTreeMap::new())
}

fn site(url: &Url) -> Option<String> {
    let name = url.domain()?.trim_end_matches('.').to_owned();
    psl::domain(name.as_bytes()).map(|d| String::from_utf8_lossy(d.as_bytes()).into_owned())
}

fn judge(target: &Target, doc: &mut Document) {
    let public = public_url(target);
    let base = public.join("/.well-known/nodeinfo").unwrap();
    let Some(link) = nodeinfo::href(doc, &base) else { return };
    let Ok(to) = follow(target, &base, &link) else { return };
    // Where the user said that the server is, anything goes.
    if to.host() == target.url.host() {
        return;
    }
    assert!(to.scheme() == "https" || public.scheme() == "http", "{link} leads away from https");
    match to.host().expect("a place on the web has a host") {
        Host::Ipv4(ip) => assert!(!guard::is_special(ip.into()), "{link}"),
        Host::Ipv6(ip) => assert!(!guard::is_special(ip.into()), "{link}"),
        Host::Domain(_) => {}
    }
    let same = site(&to).is_some() && (site(&to) == site(&public) || site(&to) == site(&target.url));
    assert!(same, "{link} leads from {public} to another site");
}

fn check(read: &Nodeinfo) {
    let counts = [
        read.users,
        read.active_month,
        read.active_half_year,
        read.active_week,
        read.local_posts,
        read.local_comments,
    ];
    assert!(counts.iter().flatten().all(|n| *n >= 0), "{read:?}");
    for text in [&read.software, &read.version].into_iter().flatten() {
        assert!(!text.trim().is_empty(), "{read:?}");
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(mut doc) = Document::parse(data, Top::Object) else { return };
    for target in [
        target("https://example.com", None, None),
        target("https://one.github.io", None, None),
        target("http://127.0.0.1:3000", Some("example.com"), Some("https")),
        target("http://art.localhost:3000", None, None),
    ] {
        judge(&target, &mut doc);
    }
    check(&nodeinfo::document(&mut doc));
    check(&nodeinfo::nodeinfo2(&mut doc));
    check(&nodeinfo::statistics(&mut doc));
});
