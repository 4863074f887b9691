use super::*;

fn counted(json: &str) -> (Option<i64>, Vec<String>) {
    let mut doc = Document::parse(json.as_bytes(), Top::Object).unwrap();
    let n = doc.fields().count("a.b");
    (n, doc.into_problems())
}

#[test]
fn counts_come_in_many_shapes() {
    for (json, expected) in [
        (r#"{"a":{"b":7}}"#, Some(7)),
        (r#"{"a":{"b":0}}"#, Some(0)),
        (r#"{"a":{"b":7.0}}"#, Some(7)),
        (r#"{"a":{"b":1e3}}"#, Some(1000)),
        (r#"{"a":{"b":"29662653"}}"#, Some(29_662_653)),
        (r#"{"a":{"b":9223372036854775807}}"#, Some(i64::MAX)),
        (r#"{"a":{"b":null}}"#, None),
        (r#"{"a":{}}"#, None),
        (r#"{"a":[]}"#, None),
        (r#"{"a":null}"#, None),
        (r"{}", None),
    ] {
        let (n, problems) = counted(json);
        assert_eq!(n, expected, "{json}");
        assert!(problems.is_empty(), "{json}: {problems:?}");
    }
}

#[test]
fn a_field_that_no_program_can_hold_hides_no_other() {
    for (json, problems) in [
        (br#"{"a":{"b":7},"c":1e999}"#.as_slice(), 0),
        (br#"{"a":{"b":7,"c":1e999}}"#, 1),
        (br#"{"a":{"b":7},"title":"\ud83d"}"#, 0),
        (b"{\"a\":{\"b\":7},\"title\":\"\xff\"}", 0),
    ] {
        let mut doc = Document::parse(json, Top::Object).unwrap();
        let mut fields = doc.fields();
        assert_eq!(fields.count("a.b"), Some(7));
        assert_eq!(fields.count("a.c"), None);
        assert_eq!(doc.into_problems().len(), problems);
    }
}

#[test]
fn what_nobody_asks_for_may_be_of_any_depth() {
    let json = format!(r#"{{"a":{{"b":7}},"deep":{}1{}}}"#, "[".repeat(130), "]".repeat(130));
    assert_eq!(counted(&json), (Some(7), vec![]));
}

#[test]
fn words_of_the_server_are_clean_and_show_no_secret() {
    let parse = |json: &'static str, top| {
        Document::parse_with(json.as_bytes(), top, Cleaner::hiding(["s3cret".to_owned()]))
    };
    let mut doc = parse(
        r#"{"v":"4.6\u001b[31m\n\u202e5","t":"s3cr\u200bet-s3cret!","a\nb s3cret":[3],"n":-5}"#,
        Top::Object,
    )
    .unwrap();
    let mut fields = doc.fields();
    assert_eq!(fields.text("v").as_deref(), Some("4.6 [31m 5"));
    assert_eq!(fields.text("t").as_deref(), Some("***-***!"));
    fields.flag("a\nb s3cret");
    assert_eq!(doc.into_problems(), ["a b *** is an array"]);
    let error = parse(r#"{"error":"no s3cret\r\n, no entry"}"#, Top::Object).unwrap_err();
    assert_eq!(error.to_string(), "the server says: no ***  , no entry");
}

#[test]
fn a_problem_names_its_place_in_few_words() {
    let json = format!(r#"{{"list":[{{}},{{"of":[{{"n":{}}}]}}]}}"#, "7".repeat(1000));
    let mut doc = Document::parse(json.as_bytes(), Top::Object).unwrap();
    doc.fields().each_in("list", |f| f.each_in("of", |f| f.count("n")));
    let problems = doc.into_problems();
    assert_eq!(problems, [format!("list[1].of[0].n is the number {}", "7".repeat(40))]);
    let key = "k".repeat(60_000);
    let json = format!(r#"{{"{key}":"x"}}"#);
    let mut doc = Document::parse(json.as_bytes(), Top::Object).unwrap();
    assert_eq!(doc.fields().count(&key), None);
    assert_eq!(doc.into_problems(), [format!("{} is a string", "k".repeat(120))]);
}

#[test]
fn one_wrong_object_is_one_problem() {
    let mut doc = Document::parse(br#"{"a":"x","d":1.5}"#, Top::Object).unwrap();
    let mut fields = doc.fields();
    assert_eq!((fields.count("a.b"), fields.count("d"), fields.flag("a.c")), (None, None, None));
    assert_eq!(doc.into_problems(), ["a is a string", "d is the number 1.5"]);
}

#[test]
fn what_is_no_count_is_named() {
    for (json, expected) in [
        (r#"{"a":{"b":-1}}"#, "a.b is the number -1"),
        (r#"{"a":{"b":1.5}}"#, "a.b is the number 1.5"),
        (r#"{"a":{"b":9223372036854775808}}"#, "a.b is the number 9223372036854775808"),
        (r#"{"a":{"b":18446744073709551616}}"#, "a.b is the number 18446744073709551616"),
        (r#"{"a":{"b":1e-400}}"#, "a.b is the number 1e-400"),
        (r#"{"a":{"b":1000.00000000000000001}}"#, "a.b is the number 1000.00000000000000001"),
        (r#"{"a":{"b":"many"}}"#, "a.b is a string"),
        (r#"{"a":{"b":""}}"#, "a.b is a string"),
        (r#"{"a":{"b":true}}"#, "a.b is a boolean"),
        (r#"{"a":{"b":{}}}"#, "a.b is an object"),
        (r#"{"a":[1]}"#, "a is an array"),
        (r#"{"a":"x"}"#, "a is a string"),
    ] {
        let (n, problems) = counted(json);
        assert_eq!(n, None, "{json}");
        assert_eq!(problems, [expected], "{json}");
    }
}

#[test]
fn the_top_level_decides() {
    let error = |json: &str, top| Document::parse(json.as_bytes(), top).unwrap_err().to_string();
    assert_eq!(error("", Top::Object), "the body is not JSON (it is empty)");
    assert_eq!(error("<html>", Top::Object), "the body is not JSON (it looks like a web page)");
    assert_eq!(error("[]", Top::Object), "expected an object, found an array");
    assert_eq!(error(r#"{"error":"Gone"}"#, Top::Array), "the server says: Gone");
    assert!(Document::parse(br#"{"error":null}"#, Top::Object).is_ok());
}

#[test]
fn hidden_and_nested_counts() {
    let mut doc = Document::parse(br#"{"f":-1,"g":-2,"p":{"all":3,"direct":1}}"#, Top::Object).unwrap();
    let mut fields = doc.fields();
    assert_eq!(fields.count_or_hidden("f"), None);
    assert_eq!(fields.count_or_hidden("g"), None);
    assert_eq!(fields.count_or_all("p"), Some(3));
    assert_eq!(doc.into_problems(), ["g is the number -2"]);
}
