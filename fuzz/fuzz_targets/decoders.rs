//! The decoders of the JSON answers. The first byte chooses one, the rest is
//! the body. Whatever it is: no panic, no negative count, no member outside a
//! closed set, and a problem names a place, never a value.
#![no_main]

use fedimeter::document::{Document, Fields, Top};
use fedimeter::api::{account, admin, instance, lists, tag, timeline};
use fedimeter::snapshot::{Reports, Tally};
use jiff::civil::date;
use libfuzzer_sys::fuzz_target;

const OTHER: &str = "_OTHER";

fn counts(all: &[Option<i64>]) {
    assert!(all.iter().flatten().all(|n| *n >= 0), "a negative count: {all:?}");
}

fn closed(tally: &Tally, set: &[&str]) {
    for (member, n) in &tally.0 {
        assert!(set.contains(member) || *member == OTHER, "{member} is in no closed set");
        assert!(*n >= 0, "{member}: {n}");
    }
    let mut members: Vec<_> = tally.0.iter().map(|(m, _)| m).collect();
    members.sort();
    members.dedup();
    assert_eq!(members.len(), tally.0.len(), "a member stands twice");
}

fn text(text: Option<&str>) {
    if let Some(text) = text {
        assert!(!text.trim().is_empty() && text.len() <= 200);
    }
}

fn account(f: &mut Fields<'_>) {
    let read = account::account(f);
    counts(&[read.followers, read.following, read.statuses]);
    assert!(read.last_status.is_none_or(|at| at.rem_euclid(86_400) == 0));
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let top = if matches!(choice % 10, 0 | 1 | 3 | 4) { Top::Object } else { Top::Array };
    let mut doc = match Document::parse(body, top) {
        Ok(doc) => doc,
        Err(e) => {
            let said = e.to_string();
            assert!(said.len() < 300 && !said.contains('\n'), "{said:?}");
            return;
        }
    };
    match choice % 10 {
        0 => {
            let v2 = instance::v2(&mut doc);
            counts(&[v2.active_month, v2.api_version, v2.rules, v2.status_characters, v2.media_attachments]);
            for said in [&v2.domain, &v2.version, &v2.source_url, &v2.streaming] {
                text(said.as_deref());
            }
        }
        1 => {
            let v1 = instance::v1(&mut doc);
            counts(&[
                v1.users,
                v1.statuses,
                v1.domains,
                v1.rules,
                v1.status_characters,
                v1.media_attachments,
            ]);
            for said in [&v1.uri, &v1.version, &v1.streaming] {
                text(said.as_deref());
            }
        }
        2 => {
            let rows = instance::activity(&mut doc);
            assert!(rows.is_sorted_by(|a, b| a.week >= b.week), "newest first");
            for row in rows {
                counts(&[Some(row.week), row.statuses, row.logins, row.registrations]);
            }
        }
        3 => account(&mut doc.fields()),
        4 => {
            if let Some(day) = tag::newest_day(&mut doc) {
                counts(&[Some(day.day), day.uses, day.accounts]);
            }
        }
        5 => assert!(timeline::newest_post(&mut doc, timeline::Origin::Any, 2e9).is_none_or(|at| at <= 2e9)),
        6 => {
            let mut reports = Reports::default();
            let _ = admin::read_reports(&mut doc, &mut reports);
            closed(&reports.open, &["spam", "legal", "violation", "other"]);
            let open: i64 = reports.open.0.iter().map(|(_, n)| n).sum();
            assert!((0..=open).contains(&reports.unassigned));
            assert!(reports.oldest.is_none_or(f64::is_finite));
        }
        7 => {
            let measures = admin::read_measures(&mut doc, date(2026, 8, 1));
            counts(&measures.today);
            counts(&measures.yesterday);
        }
        8 => {
            let languages = admin::read_languages(&mut doc);
            assert!(languages.0.len() <= 10 && languages.0.is_sorted_by(|a, b| a.1 >= b.1));
            for (code, n) in languages.0 {
                let short = code.len() <= 3 && code.bytes().all(|b| b.is_ascii_lowercase());
                assert!((short || code == OTHER) && n >= 0, "{code} {n}");
            }
        }
        _ => {
            let rate = admin::read_retention(&mut doc, date(2026, 6, 1), date(2026, 7, 1));
            assert!(rate.is_none_or(|rate| (0.0..=1.0).contains(&rate)), "{rate:?}");
            if let Some(tally) = lists::by_severity(&mut doc, &["silence", "suspend"], "_OTHER") {
                closed(&tally, &["silence", "suspend"]);
            }
        }
    }
    for problem in doc.into_problems() {
        assert!(problem.contains(" is "), "{problem}");
    }
});
