//! Checks the dependencies between the modules of this crate.
//!
//! Modules that use each other in a circle can only be read, tested and changed
//! together. It matters most for `truth`, which is plain data from a seed and the
//! clock: lower modules (`truth`, `reply`, `state`) must not depend on higher ones
//! (endpoints, routes, faults). A child may use its parent's types, because they belong
//! together.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// The names on the path from the crate's root to a module or an item.
type Names = Vec<String>;

/// The uses between sibling modules: for each parent, which module uses which, with an
/// example.
type Siblings = BTreeMap<Names, BTreeMap<String, BTreeMap<String, String>>>;

/// A module, in its own file or inline.
#[derive(Default)]
struct Module {
    children: BTreeSet<String>,
    /// The names that `use` imports, and their paths.
    imports: HashMap<String, Names>,
    /// The paths that the module mentions.
    mentions: BTreeSet<Names>,
}

/// Reads modules, starting with a file.
struct Reader {
    modules: BTreeMap<Names, Module>,
    /// The current module, and the folder of its children.
    at: Names,
    folder: PathBuf,
}

impl Reader {
    fn read(root: &Path) -> BTreeMap<Names, Module> {
        let mut reader = Reader::at(root.parent().unwrap());
        reader.file(root);
        reader.modules
    }

    fn at(folder: &Path) -> Reader {
        Reader { modules: BTreeMap::new(), at: Names::new(), folder: folder.to_owned() }
    }

    fn file(&mut self, file: &Path) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.visit_file(&parsed);
    }

    /// Reads the items of a module: its children and imports first, so that paths can
    /// be resolved.
    fn items(&mut self, items: &[syn::Item]) {
        let (imports, others): (Vec<_>, Vec<_>) =
            items.iter().filter(|item| !is_test(item)).partition(|item| matches!(item, syn::Item::Use(_)));
        let children = others.iter().filter_map(|item| match item {
            syn::Item::Mod(item) => Some(item.ident.to_string()),
            _ => None,
        });
        self.module().children.extend(children);
        for item in imports.into_iter().chain(others) {
            self.visit_item(item);
        }
    }

    fn module(&mut self) -> &mut Module {
        self.modules.entry(self.at.clone()).or_default()
    }

    /// Returns the absolute path of names, if it leads into this crate.
    fn absolute(&mut self, names: &[String]) -> Option<Names> {
        let mut absolute = match names.first()?.as_str() {
            "crate" => Names::new(),
            "self" | "super" => self.at.clone(),
            name => {
                let module = self.module();
                if !module.children.contains(name) && !module.imports.contains_key(name) {
                    return None;
                }
                self.at.clone()
            }
        };
        for name in names {
            match name.as_str() {
                "crate" | "self" => {}
                "super" => drop(absolute.pop()),
                name => absolute.push(name.to_owned()),
            }
        }
        Some(absolute)
    }

    fn mention(&mut self, names: &[String]) {
        if let Some(absolute) = self.absolute(names) {
            self.module().mentions.insert(absolute);
        }
    }

    fn import(&mut self, tree: &syn::UseTree, before: &Names) {
        let with = |name: &syn::Ident| [before.as_slice(), &[name.to_string()]].concat();
        let (names, called) = match tree {
            syn::UseTree::Path(path) => return self.import(&path.tree, &with(&path.ident)),
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(tree, before));
            }
            syn::UseTree::Name(name) if name.ident == "self" => (before.clone(), before.last().cloned()),
            syn::UseTree::Name(name) => (with(&name.ident), Some(name.ident.to_string())),
            syn::UseTree::Rename(rename) => (with(&rename.ident), Some(rename.rename.to_string())),
            syn::UseTree::Glob(_) => (before.clone(), None),
        };
        if let Some(absolute) = self.absolute(&names) {
            self.module().mentions.insert(absolute.clone());
            self.module().imports.extend(called.map(|called| (called, absolute)));
        }
    }

    /// Paths among the tokens of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut names = Names::new();
        let mut joined = false;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if !joined {
                        self.mention(&std::mem::take(&mut names));
                    }
                    names.push(name.to_string());
                    joined = false;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => joined = true,
                other => {
                    self.mention(&std::mem::take(&mut names));
                    joined = false;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.mention(&names);
    }
}

impl<'a> Visit<'a> for Reader {
    fn visit_file(&mut self, file: &'a syn::File) {
        self.items(&file.items);
    }

    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        let name = item.ident.to_string();
        let folder = self.folder.join(&name);
        let parent = std::mem::replace(&mut self.folder, folder);
        self.at.push(name.clone());
        match &item.content {
            Some((_, items)) => self.items(items),
            None => self.file(&parent.join(format!("{name}.rs"))),
        }
        self.at.pop();
        self.folder = parent;
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.import(&item.tree, &Names::new());
    }

    /// A visibility is not a use.
    fn visit_visibility(&mut self, _: &'a syn::Visibility) {}

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names: Names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.mention(&names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.tokens(call.tokens.clone());
    }
}

/// Tests may use any module.
fn is_test(item: &syn::Item) -> bool {
    let (syn::Item::Mod(syn::ItemMod { attrs, .. })
    | syn::Item::Use(syn::ItemUse { attrs, .. })
    | syn::Item::Fn(syn::ItemFn { attrs, .. })) = item
    else {
        return false;
    };
    attrs.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

/// Resolves a path to its module, through the imports of modules.
fn module_of(modules: &BTreeMap<Names, Module>, path: &[String]) -> Names {
    let mut at = Names::new();
    for (n, name) in path.iter().enumerate() {
        let module = &modules[&at];
        if module.children.contains(name) {
            at.push(name.clone());
        } else if let Some(import) = module.imports.get(name).filter(|import| import.as_slice() != path) {
            return module_of(modules, &[import, &path[n + 1..]].concat());
        } else {
            break;
        }
    }
    at
}

fn siblings(modules: &BTreeMap<Names, Module>) -> Siblings {
    let mut siblings = Siblings::new();
    for (user, module) in modules {
        for mention in &module.mentions {
            let used = module_of(modules, mention);
            let common = user.iter().zip(&used).take_while(|(a, b)| a == b).count();
            if let (Some(a), Some(b)) = (user.get(common), used.get(common)) {
                let how = format!("{} uses {}", user.join("::"), used.join("::"));
                let users = siblings.entry(user[..common].to_vec()).or_default();
                users.entry(a.clone()).or_default().insert(b.clone(), how);
            }
        }
    }
    siblings
}

/// Returns the shortest chain on which a module uses itself through its siblings.
fn circle(uses: &BTreeMap<String, BTreeMap<String, String>>, start: &str) -> Option<Vec<String>> {
    let mut ways = VecDeque::from([(start, Vec::new())]);
    let mut seen = BTreeSet::new();
    while let Some((at, way)) = ways.pop_front() {
        for (next, how) in uses.get(at).into_iter().flatten() {
            let way = [way.as_slice(), std::slice::from_ref(how)].concat();
            if next == start {
                return Some(way);
            }
            if seen.insert(next) {
                ways.push_back((next, way));
            }
        }
    }
    None
}

fn circles(modules: &BTreeMap<Names, Module>) -> Vec<String> {
    let mut found = Vec::new();
    for uses in siblings(modules).values() {
        let ways = uses.keys().filter_map(|start| circle(uses, start));
        found.extend(ways.min_by_key(Vec::len).map(|way| way.join(", ")));
    }
    found
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let modules = Reader::read(&root);
    assert!(modules.len() > 30, "all modules are read, not {:?}", modules.keys());
    let found = circles(&modules);
    assert!(found.is_empty(), "take what both need out into a module below both:\n{}", found.join("\n"));
}

#[test]
fn a_circle_is_seen_whatever_way_it_goes() {
    let found = |text: &str| {
        let mut reader = Reader::at(Path::new(""));
        reader.visit_file(&syn::parse_file(text).unwrap());
        circles(&reader.modules)
    };
    for b in [
        "use super::a::X;",
        "use crate::{a::{self as other}, c};",
        "fn f() { g(super::a::h()) }",
        "pub(super) fn f(x: &crate::a::X) {}",
        "fn f() { println!(\"{}\", [super::a::X]) }",
        // Through re-exports of the root.
        "use crate::X;",
    ] {
        let text = format!("pub use a::X; mod a {{ use super::b::Y; }} mod b {{ {b} }} mod c {{}}");
        assert_eq!(found(&text), ["a uses b, b uses a"], "{b}");
    }
    let deeper = "mod a { pub use c::Y; mod c { use crate::b::Z; } } mod b { use super::a::Y; }";
    assert_eq!(found(deeper), ["a::c uses b, b uses a::c"]);
    for fine in [
        "mod a { use super::b::Y; } mod b { pub(in super::a) fn f() {} #[cfg(test)] mod tests { use crate::a::X; } }",
        "mod a { use b::Y; mod b { use super::X; } }",
    ] {
        assert_eq!(found(fine), [""; 0], "{fine}");
    }
}
