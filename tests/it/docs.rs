//! Generated pages are up to date, and links lead to existing files. `UPDATE_GOLDEN=1 cargo
//! test --test it docs` updates the pages.

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_page_of_metrics_is_the_table() {
    let path = root().join("docs/metrics.md");
    let page = fedimeter::catalogue::markdown(&fedimeter::catalogue::without(
        &std::collections::BTreeSet::default(),
    ));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, page,
        "docs/metrics.md is out of date: UPDATE_GOLDEN=1 cargo test --test it docs, and review the change"
    );
}

/// The generated part of docs/servers.md.
#[test]
fn what_is_left_out_is_the_table_of_uncounted_numbers() {
    let path = root().join("docs/servers.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("--test it docs -->\n").expect("where it begins");
    let (_, after) = rest.split_once("<!-- /Generated -->").expect("where it ends");
    let expected = format!(
        "{before}--test it docs -->\n{}<!-- /Generated -->{after}",
        fedimeter::metrics::uncounted::markdown()
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(page == expected, "docs/servers.md is out of date: UPDATE_GOLDEN=1 cargo test --test it docs");
}

/// Every link to a file of the project, in every page.
#[test]
fn links_lead_somewhere() {
    let folders = ["", "docs", "docs/guides", "deploy", "otel-collector", "dashboards"];
    let pages = folders.into_iter().flat_map(|folder| {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|e| e == "md")).collect::<Vec<PathBuf>>()
    });
    let mut read = 0;
    for page in pages {
        read += 1;
        let text = std::fs::read_to_string(&page).unwrap();
        // Git writes these marks at conflicts, and does not prevent a commit with them.
        let unmerged = text.lines().any(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "));
        assert!(!unmerged, "{}: contains marks of an unfinished merge", page.display());
        for link in links(&text) {
            let file = link.split('#').next().unwrap_or_default();
            let elsewhere = file.is_empty() || link.contains("://") || link.starts_with("mailto:");
            let there = page.parent().unwrap().join(file).exists();
            assert!(elsewhere || there, "{}: {link} leads nowhere", page.display());
        }
    }
    assert!(read >= 15, "{read} pages");
}

/// The targets of `[text](target)` outside code blocks.
fn links(text: &str) -> Vec<&str> {
    let mut code = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    });
    lines.flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())).collect()
}

#[test]
fn links_are_found() {
    let text = "[a](b.md), ![c](d.png \"title\") and [e](https://f)\n```\n[g](h)\n```\n[i](#j)";
    assert_eq!(links(text), ["b.md", "d.png", "https://f", "#j"]);
}
