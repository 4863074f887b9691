//! The files of `src/`, parsed by syn: every path that they use, including those in
//! expressions, except in code for tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use syn::punctuated::Punctuated;
use syn::token::Comma;
use syn::visit::{self, Visit};

/// A file, and the paths that it uses.
pub struct File {
    /// The path below `src/`, such as `fetch/guard.rs`.
    pub path: String,
    /// The path of the module, such as `fetch::guard`.
    pub module: String,
    /// Every used path, with `crate`, `self` and `super` resolved: `crate::fetch::Client`,
    /// `std::env::var`.
    pub names: BTreeSet<String>,
}

impl File {
    /// Reads a file.
    pub fn parse(path: &str, text: &str) -> File {
        let module = path.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut named = Named { module: module.clone(), names: BTreeSet::new() };
        named.visit_file(&syntax);
        File { path: path.to_owned(), module, names: named.names }
    }

    /// The top-level module of the file, such as `fetch`.
    pub fn room(&self) -> &str {
        self.module.split("::").next().unwrap_or_default()
    }

    /// The other top-level modules of this crate that the file uses.
    pub fn rooms(&self) -> BTreeSet<&str> {
        let inside = self.names.iter().filter_map(|name| name.strip_prefix("crate::"));
        let rooms = inside.filter_map(|name| name.split("::").next());
        rooms.filter(|room| *room != self.room()).collect()
    }
}

/// All files of `src/`, sorted. They are parsed once for all tests.
pub fn files() -> &'static [File] {
    static FILES: LazyLock<Vec<File>> = LazyLock::new(parse_all);
    &FILES
}

fn parse_all() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    assert!(paths.len() > 50, "these are all files: {paths:?}");
    let name = |path: &PathBuf| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| File::parse(&name(path), &std::fs::read_to_string(path).unwrap())).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|e| e == "rs")
            // A module of tests in its own file.
            && path.file_stem().is_some_and(|stem| stem != "tests")
            && !path.parent().unwrap().ends_with("tests")
        {
            paths.push(path);
        }
    }
}

struct Named {
    module: String,
    names: BTreeSet<String>,
}

impl Named {
    fn add(&mut self, segments: &[String]) {
        let mut module: Vec<&str> = self.module.split("::").collect();
        let mut rest = segments;
        let inside = match rest.first().map(String::as_str) {
            Some("crate") => {
                module.clear();
                rest = &rest[1..];
                true
            }
            Some("self" | "super") => true,
            _ => false,
        };
        while let Some("self" | "super") = rest.first().map(String::as_str) {
            if rest[0] == "super" {
                module.pop();
            }
            rest = &rest[1..];
        }
        let name = if inside {
            let all = std::iter::once("crate").chain(module).chain(rest.iter().map(String::as_str));
            all.collect::<Vec<_>>().join("::")
        } else {
            rest.join("::")
        };
        self.names.insert(name);
    }

    fn add_use(&mut self, tree: &syn::UseTree, before: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_use(&path.tree, before);
                before.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_use(tree, before)),
            syn::UseTree::Name(syn::UseName { ident })
            | syn::UseTree::Rename(syn::UseRename { ident, .. }) => {
                let mut all = before.clone();
                if ident != "self" {
                    all.push(ident.to_string());
                }
                self.add(&all);
            }
            syn::UseTree::Glob(_) => self.add(before),
        }
    }
}

/// Whether an item is compiled only for tests: `#[cfg(test)]`, or `test` as a member of
/// `#[cfg(all(…))]`.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    let is_test = |condition: syn::Meta| match condition {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) if list.path.is_ident("all") => {
            let members = list.parse_args_with(Punctuated::<syn::Meta, Comma>::parse_terminated);
            members.is_ok_and(|all| all.iter().any(|member| member.path().is_ident("test")))
        }
        _ => false,
    };
    let mut conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions.any(|attribute| attribute.parse_args().is_ok_and(is_test))
}

impl<'ast> Visit<'ast> for Named {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.add_use(&item.tree, &mut Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.add(&segments);
        visit::visit_path(self, path);
    }

    /// Arguments of macros are tokens, most of them expressions.
    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let expressions =
            mac.parse_body_with(syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated);
        for expression in expressions.into_iter().flatten() {
            self.visit_expr(&expression);
        }
        self.visit_path(&mac.path);
    }
}

#[test]
fn every_path_of_a_file_is_found() {
    let text = "
        use std::{env, time::Instant as Now};
        use super::guard::{self, Guarded};
        pub(crate) use crate::api::*;
        fn f() -> Option<crate::clock::Moment> {
            let x = reqwest::Client::new();
            format!(\"{}\", self::inner::g(tokio::time::sleep(1)));
            None
        }
        #[cfg(test)]
        mod tests { use crate::simulator::Simulator; }
        #[cfg(all(test, feature = \"program\"))]
        mod more_tests { use crate::simulator::Truth; }
    ";
    let file = File::parse("fetch/site.rs", text);
    let expected = [
        "None",
        "Option",
        "crate::api",
        "crate::clock::Moment",
        "crate::fetch::guard",
        "crate::fetch::guard::Guarded",
        "crate::fetch::site::inner::g",
        "format",
        "reqwest::Client::new",
        "std::env",
        "std::time::Instant",
        "tokio::time::sleep",
    ];
    assert_eq!(file.names, expected.map(str::to_owned).into());
    assert_eq!(file.rooms(), ["api", "clock"].into());
}
