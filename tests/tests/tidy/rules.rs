//! The rules of client compatibility, numbered 1 to 22 (`broker/src/api/rules_test.rs` has the core of them): each has a
//! test named `rule_NN_…`, or stands here with the reason why it has none yet.

use std::collections::BTreeMap;

use syn::visit::{self, Visit};

use crate::report;
use crate::sources::{self, marks_test};

/// How many rules there are.
const RULES: u8 = 22;

/// Rules that have no test, and why.
const WAITING: &[(u8, &str)] = &[];

/// Rules whose tests cover a part, and what the rest waits for.
const PARTLY: &[(u8, &str)] = &[(
    21,
    "the newer group protocols and the SCRAM APIs do not exist yet",
)];

/// The number of tests of each rule.
fn tests_by_rule() -> BTreeMap<u8, usize> {
    let mut finder = RuleTests::default();
    for source in sources::all() {
        finder.visit_file(&source.tree);
    }
    finder.found
}

#[derive(Default)]
struct RuleTests {
    found: BTreeMap<u8, usize>,
}

impl<'ast> Visit<'ast> for RuleTests {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if marks_test(&item.attrs)
            && let Some(rule) = rule_of(&item.sig.ident.to_string())
        {
            *self.found.entry(rule).or_default() += 1;
        }
        visit::visit_item_fn(self, item);
    }
}

/// The rule that a test's name begins with.
fn rule_of(name: &str) -> Option<u8> {
    let (number, what) = name.strip_prefix("rule_")?.split_once('_')?;
    (number.len() == 2 && !what.is_empty())
        .then(|| number.parse().ok())
        .flatten()
}

#[test]
fn every_rule_of_compatibility_has_a_test_named_after_it() {
    let found = tests_by_rule();
    let waiting: BTreeMap<u8, &str> = WAITING.iter().copied().collect();
    let mut breaches = Vec::new();
    for rule in 1..=RULES {
        match (found.contains_key(&rule), waiting.get(&rule)) {
            (true, None) | (false, Some(_)) => {}
            (false, None) => breaches.push(format!("rule {rule:02}: no test is named rule_{rule:02}_…")),
            (true, Some(_)) => breaches.push(format!("rule {rule:02}: has a test; take it off WAITING")),
        }
    }
    for rule in found.keys().filter(|rule| !(1..=RULES).contains(*rule)) {
        breaches.push(format!("rule_{rule:02}_…: there is no such rule"));
    }
    for (rule, _) in PARTLY.iter().filter(|(rule, _)| !found.contains_key(rule)) {
        breaches.push(format!(
            "rule {rule:02}: PARTLY needs a test of the part there is"
        ));
    }
    for (rule, why) in WAITING.iter().chain(PARTLY).filter(|(_, why)| why.len() < 15) {
        breaches.push(format!("rule {rule:02}: {why:?} is no reason"));
    }
    report("each rule of client compatibility has a test", &breaches);
}

#[test]
fn a_rule_is_read_from_the_front_of_a_name() {
    assert_eq!(rule_of("rule_07_every_fetch_is_answered"), Some(7));
    for name in ["rule_7_x", "a_rule_07_x", "rule_07", "rule_07_", "rule_ab_x"] {
        assert_eq!(rule_of(name), None, "{name}");
    }
}
