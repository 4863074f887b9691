use super::*;

/// Leaks the text, so that each test needs only one line.
fn doc(value: &serde_json::Value) -> Document<'static> {
    Document::parse(value.to_string().leak().as_bytes(), Top::Array).unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn measures_are_matched_by_their_date() {
    // Both formats of dates, with and without the last day.
    for dates in [
        ["2026-08-01T00:00:00Z", "2026-08-02T00:00:00Z", "2026-08-03T00:00:00Z"],
        ["2026-08-01", "2026-08-02", "2026-08-03"],
        ["2026-08-01T00:00:00.000+00:00", "2026-08-02T00:00:00.000+00:00", "2026-08-03T00:00:00.000+00:00"],
    ] {
        for days in [2, 3] {
            let data: Vec<_> = dates
                .iter()
                .take(days)
                .enumerate()
                .map(|(i, d)| json!({"date": d, "value": (i * 7).to_string()}))
                .collect();
            let answer = json!([
                {"key": "new_users", "total": "99", "data": data},
                {"key": "who_knows", "data": data},
                {"key": "interactions", "data": []},
            ]);
            let read = read_measures(&mut doc(&answer), day("2026-08-02"));
            assert_eq!(read.today, [None, Some(7), None, None, None]);
            assert_eq!(read.yesterday, [None, Some(0), None, None, None]);
            assert_eq!(read.day, 20_667);
        }
    }
}

#[test]
fn reports_are_counted_and_nothing_else_is_kept() {
    let answer = json!([
        {"category": "spam", "assigned_account": null, "created_at": "2026-08-01T10:00:00.000Z",
         "account": {"email": "somebody@example.org", "ip": "192.0.2.7"}},
        {"category": "spam", "assigned_account": {"id": "1"}, "created_at": "2026-07-01T10:00:00.000Z"},
        {"category": "new kind", "created_at": "2026-08-02T10:00:00.000Z"},
        {"created_at": 7},
    ]);
    let mut reports = Reports { open: Tally::of(&CATEGORIES), ..Reports::default() };
    let mut answer = doc(&answer);
    read_reports(&mut answer, &mut reports);
    assert_eq!(reports.open.0, [("spam", 2), ("legal", 0), ("violation", 0), ("other", 0), (OTHER, 2)]);
    assert_eq!(reports.unassigned, 3);
    assert_eq!(reports.oldest, Some(1_782_900_000.0));
    assert_eq!(answer.into_problems(), ["[3].created_at is the number 7"]);
    assert!(!format!("{reports:?}").contains("example.org"));
}

#[test]
fn retention_is_the_month_after_of_the_month_before_last() {
    let cohorts = json!([
        {"period": "2026-06-01T00:00:00Z", "frequency": "month", "data": [
            {"date": "2026-06-01T00:00:00Z", "rate": 1.0, "value": "40"},
            {"date": "2026-07-01T00:00:00Z", "rate": 0.25, "value": "10"}]},
        {"period": "2026-07-01T00:00:00Z", "frequency": "month", "data": [
            {"date": "2026-07-01T00:00:00Z", "rate": 0.9, "value": "9"}]},
    ]);
    assert_eq!(read_retention(&mut doc(&cohorts), day("2026-06-01"), day("2026-07-01")), Some(0.25));
    assert_eq!(read_retention(&mut doc(&cohorts), day("2026-05-01"), day("2026-06-01")), None);
    let empty = json!([{"period": "2026-06-01", "data": [
        {"date": "2026-06-01", "rate": 0, "value": "0"}, {"date": "2026-07-01", "rate": 0, "value": "0"}]}]);
    assert_eq!(read_retention(&mut doc(&empty), day("2026-06-01"), day("2026-07-01")), None);
    let daily = json!([{"period": "2026-06-01", "frequency": "day", "data": [
        {"date": "2026-07-01", "rate": 0.5, "value": "1"}]}]);
    assert_eq!(read_retention(&mut doc(&daily), day("2026-06-01"), day("2026-07-01")), None);
    let beyond =
        json!([{"period": "2026-06-01", "data": [{"date": "2026-07-01", "rate": 1.5, "value": "0"}]}]);
    assert_eq!(read_retention(&mut doc(&beyond), day("2026-06-01"), day("2026-07-01")), None);
}

#[test]
fn languages_are_a_closed_set_of_ten() {
    let data: Vec<_> =
        ["en", "pt-BR", "pt-PT", "de", "klingon", "fr", "es", "it", "nl", "pl", "sv", "da", "fi"]
            .iter()
            .enumerate()
            .map(|(i, key)| json!({"key": key, "human_key": "x", "value": (100 - i).to_string()}))
            .collect();
    let read = read_languages(&mut doc(&json!([{"key": "languages", "data": data}])));
    assert_eq!(read.0.len(), 10);
    assert_eq!(read.0[0], ("pt", 99 + 98));
    assert!(read.0.contains(&(OTHER, 96)));
    assert!(!read.0.iter().any(|(code, _)| *code == "fi"));
}
