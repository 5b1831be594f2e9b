//! Functions past one screen and files that want to be two. What is too long today stands in `tests/tidy-ratchet.txt`
//! with a reason; it may shrink and not grow, and leaves the list when it is short enough.

use std::collections::BTreeMap;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use thalweg_tests::places;

use crate::report;
use crate::sources::{self, marks_test};

const FUNCTION_LINES_MAX: usize = 80;
const FILE_LINES_MAX: usize = 800;
const LIST: &str = "tests/tidy-ratchet.txt";

/// The length in lines of everything that is too long: `path` for a file, `path name` for a function.
fn too_long() -> BTreeMap<String, usize> {
    let mut long = BTreeMap::new();
    for source in sources::all() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            long.insert(source.path.clone(), lines);
        }
        // A test may be one long table.
        if source.is_test {
            continue;
        }
        let mut functions = Functions::default();
        functions.visit_file(&source.tree);
        for (name, lines) in functions.found {
            if lines > FUNCTION_LINES_MAX {
                long.insert(format!("{} {name}", source.path), lines);
            }
        }
    }
    long
}

#[derive(Default)]
struct Functions {
    found: BTreeMap<String, usize>,
}

impl Functions {
    fn note(&mut self, name: &syn::Ident, block: &syn::Block) {
        let span = block.span();
        let lines = span.end().line - span.start().line + 1;
        let longest = self.found.entry(name.to_string()).or_default();
        *longest = lines.max(*longest);
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !marks_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.note(&item.sig.ident, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.sig.ident, &item.block);
        visit::visit_impl_item_fn(self, item);
    }
}

/// The list: what, its greatest length, the reason.
fn tolerated() -> BTreeMap<String, usize> {
    let path = places::repository().join(LIST);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {LIST}: {error}"));
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(read_line).collect()
}

fn read_line(line: &str) -> (String, usize) {
    let mut parts = line.splitn(3, " | ").map(str::trim);
    let (what, length, reason) = (parts.next(), parts.next(), parts.next());
    let length = length.and_then(|length| length.parse().ok());
    match (what, length, reason) {
        (Some(what), Some(length), Some(reason)) if reason.len() >= 15 => (what.to_owned(), length),
        _ => panic!("{LIST}: not `what | lines | reason`: {line}"),
    }
}

#[test]
fn what_is_too_long_does_not_grow() {
    let tolerated = tolerated();
    let long = too_long();
    let mut breaches = Vec::new();
    for (what, lines) in &long {
        match tolerated.get(what) {
            Some(most) if lines <= most => {}
            Some(most) => breaches.push(format!("{what}: {lines} lines, {most} are tolerated")),
            None => breaches.push(format!(
                "{what}: {lines} lines; split it, or list it in {LIST} with a reason"
            )),
        }
    }
    for what in tolerated.keys().filter(|what| !long.contains_key(*what)) {
        breaches.push(format!("{what}: short enough now; take it off {LIST}"));
    }
    let rule = format!("functions up to {FUNCTION_LINES_MAX} lines, files up to {FILE_LINES_MAX}");
    report(&rule, &breaches);
}
