//! Which module of the broker may use which: network → api → {topics, partition, groups, transactions} → crates.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

use crate::report;
use crate::sources::{self, Source, marks_test};

/// The part of a path that decides: up to `api::produce`.
const SEGMENTS: usize = 3;

/// A module of the broker, and the modules of the broker it may not use.
const FORBIDDEN: [(&str, &[&str]); 9] = [
    (
        "network",
        &[
            "server",
            "cli",
            "admin",
            "topics",
            "partition",
            "groups",
            "transactions",
        ],
    ),
    ("api", &["server", "cli", "admin", "network"]),
    ("topics", &["server", "cli", "admin", "network", "api"]),
    (
        "partition",
        &[
            "server",
            "cli",
            "admin",
            "network",
            "api",
            "groups",
            "transactions",
        ],
    ),
    (
        "coordinator_log",
        &[
            "server",
            "cli",
            "admin",
            "network",
            "api",
            "groups",
            "transactions",
        ],
    ),
    (
        "groups",
        &["server", "cli", "admin", "network", "api", "transactions"],
    ),
    ("transactions", &["server", "cli", "admin", "network", "api"]),
    ("admin", &["server", "cli", "network", "api"]),
    (
        "cli",
        &[
            "admin",
            "network",
            "api",
            "topics",
            "partition",
            "groups",
            "transactions",
        ],
    ),
];

/// The APIs by the names of their files, in the order of their keys. What else stands in `api/` is there for all of them.
#[rustfmt::skip]
const HANDLERS: [&str; 70] = [
    "produce", "fetch", "list_offsets", "metadata", "offset_commit", "offset_fetch", "find_coordinator",
    "join_group", "heartbeat", "leave_group", "sync_group", "describe_groups", "list_groups",
    "sasl_handshake", "api_versions", "create_topics", "delete_topics", "delete_records",
    "init_producer_id", "offset_for_leader_epoch", "add_partitions_to_txn", "add_offsets_to_txn",
    "end_txn", "write_txn_markers", "txn_offset_commit", "describe_acls", "create_acls", "delete_acls",
    "describe_configs", "alter_configs", "alter_replica_log_dirs", "describe_log_dirs",
    "sasl_authenticate", "create_partitions", "create_delegation_token", "renew_delegation_token",
    "expire_delegation_token", "describe_delegation_token", "delete_groups", "elect_leaders",
    "incremental_alter_configs", "alter_partition_reassignments", "list_partition_reassignments",
    "offset_delete", "describe_client_quotas", "alter_client_quotas", "describe_user_scram_credentials",
    "alter_user_scram_credentials", "describe_quorum", "update_features", "describe_cluster",
    "describe_producers", "unregister_broker", "describe_transactions", "list_transactions",
    "consumer_group_heartbeat", "consumer_group_describe", "get_telemetry_subscriptions", "push_telemetry",
    "list_config_resources", "describe_topic_partitions", "share_group_heartbeat", "share_group_describe",
    "share_fetch", "share_acknowledge", "streams_group_heartbeat", "streams_group_describe",
    "describe_share_group_offsets", "alter_share_group_offsets", "delete_share_group_offsets",
];

/// Files in `api/` that see all handlers: they list them.
const LISTS_IN_API: [&str; 2] = ["mod", "table"];

/// The module that a file of a package holds: `src/api/fetch.rs` is `["api", "fetch"]`.
fn module_of(file: &str) -> Vec<String> {
    let mut parts: Vec<String> = file
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if parts
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        parts.pop();
    }
    parts
}

/// The paths into its own crate that a file uses, resolved from `crate`, `self` and `super`, with their lines.
fn uses(tree: &syn::File, module: &[String]) -> BTreeSet<(Vec<String>, usize)> {
    let mut finder = Paths {
        module: module.to_vec(),
        found: BTreeSet::new(),
    };
    finder.visit_file(tree);
    finder.found
}

struct Paths {
    module: Vec<String>,
    found: BTreeSet<(Vec<String>, usize)>,
}

impl Paths {
    fn note(&mut self, words: &[String], line: usize) {
        let Some(first) = words.first() else { return };
        let mut resolved = match first.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.module.clone(),
            _ => return,
        };
        for word in words {
            match word.as_str() {
                "crate" | "self" => {}
                "super" => {
                    resolved.pop();
                }
                name => resolved.push(name.to_owned()),
            }
        }
        resolved.truncate(SEGMENTS);
        self.found.insert((resolved, line));
    }

    fn tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let mut words = prefix.to_vec();
        match tree {
            syn::UseTree::Path(path) => {
                words.push(path.ident.to_string());
                self.tree(&words, &path.tree);
            }
            syn::UseTree::Name(name) => {
                let line = name.ident.span().start().line;
                words.push(name.ident.to_string());
                self.note(&words, line);
            }
            syn::UseTree::Rename(rename) => {
                let line = rename.ident.span().start().line;
                words.push(rename.ident.to_string());
                self.note(&words, line);
            }
            syn::UseTree::Glob(glob) => self.note(&words, glob.star_token.spans[0].start().line),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(prefix, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        let line = path
            .segments
            .first()
            .map(|segment| segment.ident.span().start().line);
        // A single word is a local name, not a path into the crate.
        if words.len() > 1 {
            self.note(&words, line.unwrap_or(0));
        }
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if marks_test(&item.attrs) {
            return;
        }
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }
}

fn broker_sources() -> Vec<(Source, Vec<String>)> {
    let broker = sources::all().into_iter().filter(|source| !source.is_test);
    let of_broker = broker.filter_map(|source| {
        let module = module_of(source.path.strip_prefix("broker/src/")?);
        Some((source, module))
    });
    of_broker.collect()
}

fn breaks_layers(from: &[String], to: &[String]) -> bool {
    let (Some(from), Some(to)) = (from.first(), to.first()) else {
        return false;
    };
    FORBIDDEN
        .iter()
        .any(|(module, forbidden)| module == from && forbidden.contains(&to.as_str()))
}

fn breaks_handlers(from: &[String], to: &[String]) -> bool {
    let [api, handler, ..] = from else { return false };
    let [target_api, target, ..] = to else {
        return false;
    };
    api == "api"
        && target_api == "api"
        && target != handler
        && HANDLERS.contains(&target.as_str())
        && !LISTS_IN_API.contains(&handler.as_str())
}

#[test]
fn modules_of_the_broker_depend_in_one_direction() {
    let mut breaches = Vec::new();
    for (source, module) in broker_sources() {
        for (target, line) in uses(&source.tree, &module) {
            if breaks_layers(&module, &target) {
                breaches.push(format!(
                    "{}:{line}: uses crate::{}",
                    source.path,
                    target.join("::")
                ));
            }
        }
    }
    report(
        "network → api → {topics, partition, groups, transactions} → crates",
        &breaches,
    );
}

#[test]
fn no_api_uses_another_api() {
    let mut breaches = Vec::new();
    for (source, module) in broker_sources() {
        for (target, line) in uses(&source.tree, &module) {
            if breaks_handlers(&module, &target) {
                breaches.push(format!(
                    "{}:{line}: uses crate::{}",
                    source.path,
                    target.join("::")
                ));
            }
        }
    }
    report(
        "a handler in api/ uses no other handler; shared checks stand below api/",
        &breaches,
    );
}

/// What the two rules above find in a piece of source that stands in `module`.
fn judge(module: &str, text: &str) -> Vec<String> {
    let module: Vec<String> = module.split("::").map(str::to_owned).collect();
    let tree = syn::parse_file(text).expect("the sample parses");
    let found = uses(&tree, &module);
    let bad = found
        .into_iter()
        .filter(|(target, _)| breaks_layers(&module, target) || breaks_handlers(&module, target));
    bad.map(|(target, _)| target.join("::")).collect()
}

#[test]
fn the_rules_see_every_way_to_name_a_module() {
    assert_eq!(
        judge("api::fetch", "use crate::api::{produce::check, errors};"),
        ["api::produce::check"]
    );
    assert_eq!(
        judge("api::fetch", "use super::produce::check;"),
        ["api::produce::check"]
    );
    assert_eq!(
        judge("api::fetch", "fn f() { super::produce::check() }"),
        ["api::produce::check"]
    );
    assert_eq!(
        judge("api::fetch::session", "use super::super::produce;"),
        ["api::produce"]
    );
    assert_eq!(
        judge("partition::append", "fn f(_: crate::network::Frame) {}"),
        ["network::Frame"]
    );
    assert_eq!(judge("groups", "use crate::{api, partition};"), ["api"]);
    assert_eq!(
        judge("network::connection", "use crate::groups::Groups as G;"),
        ["groups::Groups"]
    );
}

#[test]
fn the_rules_leave_allowed_uses_alone() {
    assert!(
        judge(
            "api::fetch",
            "use super::{context::Context, errors, codec::respond};"
        )
        .is_empty()
    );
    assert!(
        judge(
            "api::fetch",
            "use super::Handler; use self::session::Slot; use crate::partition::read;"
        )
        .is_empty()
    );
    assert!(judge("api::table", "use super::{fetch, produce};").is_empty());
    assert!(
        judge(
            "api::fetch",
            "#[cfg(test)] mod tests { use crate::api::produce; }"
        )
        .is_empty()
    );
    assert!(judge("network::connection", "use crate::api::table; use std::io;").is_empty());
}
