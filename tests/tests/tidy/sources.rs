//! Every Rust file of the workspace, parsed, and the rules that look at one file at a time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use thalweg_tests::places;

use crate::report;

/// Module names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "helpers", "helper", "misc", "common"];

/// One parsed file.
pub struct Source {
    /// The path from the top of the checkout, with `/`.
    pub path: String,
    pub text: String,
    pub tree: syn::File,
    /// True for a file that is compiled for tests only.
    pub is_test: bool,
}

/// Parses every Rust file of the workspace.
pub fn all() -> Vec<Source> {
    let top = places::repository();
    let mut paths = Vec::new();
    for folder in ["broker", "mirror", "partition-router", "tests", "bench"] {
        collect(&top.join(folder), &mut paths);
    }
    paths.sort();
    assert!(
        paths.len() > 10,
        "only {} Rust files found under {}",
        paths.len(),
        top.display()
    );
    let mut sources: Vec<Source> = paths.iter().map(|path| parse(&top, path)).collect();
    let for_tests: BTreeSet<String> = sources.iter().flat_map(modules_for_tests).collect();
    for source in &mut sources {
        source.is_test |= for_tests.contains(&source.path);
    }
    sources
}

/// The files that a file takes in as modules under `#[cfg(test)]`.
fn modules_for_tests(source: &Source) -> Vec<String> {
    let directory = source
        .path
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory);
    let own = source.path.trim_end_matches(".rs");
    let owns_directory = ["/mod", "/lib", "/main"].iter().any(|name| own.ends_with(name));
    let beside = if owns_directory { directory } else { own };
    let mut files = Vec::new();
    for item in &source.tree.items {
        let syn::Item::Mod(module) = item else { continue };
        if module.content.is_some() || !marks_test(&module.attrs) {
            continue;
        }
        match named_path(&module.attrs) {
            Some(path) => files.push(format!("{directory}/{path}")),
            None => {
                files.push(format!("{beside}/{}.rs", module.ident));
                files.push(format!("{beside}/{}/mod.rs", module.ident));
            }
        }
    }
    files
}

/// The value of `#[path = "…"]`.
fn named_path(attributes: &[syn::Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let value = &attribute.meta.require_name_value().ok()?.value;
        let syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(path),
            ..
        }) = value
        else {
            return None;
        };
        attribute.path().is_ident("path").then(|| path.value())
    })
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn parse(top: &Path, path: &Path) -> Source {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    let tree = syn::parse_file(&text).unwrap_or_else(|error| panic!("parse {}: {error}", path.display()));
    let path = path
        .strip_prefix(top)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/");
    let in_test_tree = ["tests/", "bench/"].iter().any(|top| path.starts_with(top))
        || ["/tests/", "/benches/"].iter().any(|part| path.contains(part));
    let is_test = in_test_tree || path.ends_with("_test.rs") || marks_test(&tree.attrs);
    Source {
        path,
        text,
        tree,
        is_test,
    }
}

/// True for `#[cfg(test)]` and anything else that names `test` in a `cfg`, and for `#[test]`.
pub fn marks_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let is_test = path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "test");
        let is_cfg_test = path.is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| {
                list.tokens
                    .clone()
                    .into_iter()
                    .any(|token| token.to_string() == "test")
            });
        is_test || is_cfg_test
    })
}

#[test]
fn every_file_says_what_it_owns() {
    let lacking = all()
        .into_iter()
        .filter(|source| !source.path.ends_with("_test.rs") && !source.text.trim_start().starts_with("//!"));
    let breaches: Vec<String> = lacking.map(|source| source.path).collect();
    report(
        "a file opens with `//!`: what it owns, what it does not, the invariant",
        &breaches,
    );
}

#[test]
fn module_names_say_what_is_inside() {
    let empty = |path: &str| path.split(['/', '.']).any(|part| EMPTY_NAMES.contains(&part));
    let breaches: Vec<String> = all()
        .into_iter()
        .map(|source| source.path)
        .filter(|path| empty(path))
        .collect();
    report("no modules named utils, helpers, misc or common", &breaches);
}

#[test]
fn nothing_is_left_undone() {
    let mut breaches = Vec::new();
    for source in all() {
        let mut finder = Undone {
            test: source.is_test,
            found: Vec::new(),
        };
        finder.visit_file(&source.tree);
        breaches.extend(
            finder
                .found
                .into_iter()
                .map(|(line, what)| format!("{}:{line}: {what}", source.path)),
        );
    }
    report(
        "no ignored test, no todo!, no unimplemented!, no unwrap() outside tests",
        &breaches,
    );
}

/// Looks for what is unfinished.
struct Undone {
    test: bool,
    found: Vec<(usize, &'static str)>,
}

impl Undone {
    fn note(&mut self, span: proc_macro2::Span, what: &'static str) {
        self.found.push((span.start().line, what));
    }

    /// Runs `inside` with the test mark set if `attributes` set it.
    fn within(&mut self, attributes: &[syn::Attribute], inside: impl FnOnce(&mut Self)) {
        let outer = self.test;
        self.test |= marks_test(attributes);
        inside(self);
        self.test = outer;
    }

    /// The tokens of a macro call are not parsed: look for `.unwrap` in them.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut after_dot = false;
        for token in tokens {
            match &token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(ident) if after_dot && !self.test && ident == "unwrap" => {
                    self.note(ident.span(), "unwrap() outside tests");
                }
                _ => {}
            }
            after_dot = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '.');
        }
    }
}

impl<'ast> Visit<'ast> for Undone {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("ignore") {
            self.note(attribute.pound_token.span, "an ignored test");
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.within(&item.attrs, |finder| visit::visit_item_fn(finder, item));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.within(&item.attrs, |finder| visit::visit_item_mod(finder, item));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.within(&item.attrs, |finder| visit::visit_item_impl(finder, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.within(&item.attrs, |finder| visit::visit_impl_item_fn(finder, item));
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if !self.test && call.method == "unwrap" && call.args.is_empty() {
            self.note(call.method.span(), "unwrap() outside tests");
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = call.path.segments.last().map(|segment| &segment.ident);
        if let Some(name) = name.filter(|name| {
            ["todo", "unimplemented", "dbg"]
                .iter()
                .any(|banned| name == banned)
        }) {
            self.note(name.span(), "todo!, unimplemented! or dbg!");
        }
        self.tokens(call.tokens.clone());
    }
}
