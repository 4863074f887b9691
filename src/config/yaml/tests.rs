use super::*;

fn errors(text: &str) -> String {
    let errors = Errors::default();
    let document = Document::parse(Path::new("x.yaml"), text, &errors);
    if let Some(entries) = document.root().and_then(|root| root.entries("a map")) {
        for (_, node) in entries {
            node.boolean();
        }
    }
    errors.none_or(()).err().map(|errors| errors.to_string()).unwrap_or_default()
}

#[test]
fn depth_is_bounded() {
    for text in [
        "- ".repeat(100_000),
        "? ".repeat(100_000),
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        (0..5000).fold(String::new(), |text, i| text + &" ".repeat(i) + "a:\n"),
        (0..5000).fold(String::new(), |text, i| text + &" ".repeat(i) + "a:\r"),
        (0..5000).fold(String::new(), |text, i| text + &" ".repeat(i) + "a:\r\n"),
        "- &a ".repeat(100_000),
        "- !t ".repeat(100_000),
        "- &a !t ".repeat(100_000),
        "a: ".repeat(100_000),
    ] {
        assert!(errors(&text).starts_with("x.yaml:"), "{}", &text[..20]);
    }
}

#[test]
fn every_line_break_of_yaml_counts() {
    for text in ["a: true\nb: 1.10", "a: true\r\nb: 1.10", "a: true\rb: 1.10"] {
        assert_eq!(errors(text), "x.yaml:2: b: expected true or false, found a number", "{text:?}");
        let unread = Errors::default();
        let document = Document::parse(Path::new("x.yaml"), text, &unread);
        let entries = document.root().unwrap().entries("a map").unwrap();
        assert_eq!(entries[1].1.scalar("text").as_deref(), Some("1.10"), "{text:?}");
    }
}

#[test]
fn aliases_are_bounded() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..20 {
        let alias = format!("*a{}, ", i - 1);
        text.extend([format!("a{i}: &a{i} [{}]\n", alias.repeat(10))]);
    }
    assert!(errors(&text).contains("alias expansion exceeded"), "{}", errors(&text));
}

#[test]
fn numbers_stay_as_written() {
    let text = "[1.10, 007, &n 7, *n, -1, 1e3, {a: 2.50}, '1.0']";
    let unread = Errors::default();
    let document = Document::parse(Path::new("x.yaml"), text, &unread);
    let items = document.root().unwrap().items("a list").unwrap();
    let written: Vec<_> =
        items.iter().filter(|i| i.yaml.data.is_value()).filter_map(|i| i.scalar("text")).collect();
    assert_eq!(written, ["1.10", "007", "7", "7", "-1", "1e3", "1.0"]);
}

#[test]
fn quoted_text_reads_back() {
    for text in [
        "a",
        "1",
        "true",
        "null",
        "~",
        "",
        " a ",
        "a: b",
        "a:",
        "#x",
        "- a",
        "[",
        "'",
        "\"",
        "\\",
        "1e5",
        "0x1f",
        ".inf",
        "é",
        "日本",
        "a\nb",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "*a",
        "&a",
        "!a",
        "%",
        "@a",
        "`",
        "/run/x",
        "https://a.example/b",
        "\t",
        "yes",
        "1.10",
    ] {
        let yaml = format!("x: {}\ny: [{}]", quote(text), quote(text));
        let docs = saphyr::Yaml::load_from_str(&yaml).unwrap();
        assert_eq!(docs[0]["x"].as_str(), Some(text), "{yaml}");
        assert_eq!(docs[0]["y"][0].as_str(), Some(text), "{yaml}");
    }
}
