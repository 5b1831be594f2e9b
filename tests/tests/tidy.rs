//! The house rules as tests: who may use whom, what every file carries, and a list of what is too long.
//!
//! Reads `cargo metadata` and parses every Rust file of the workspace. A breach names the file, the line and the rule.
//! Formatting and lints are the business of rustfmt and clippy.

#[path = "tidy/crates.rs"]
mod crates;
#[path = "tidy/modules.rs"]
mod modules;
#[path = "tidy/ratchet.rs"]
mod ratchet;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/top_level.rs"]
mod top_level;

/// Fails the test with all breaches at once.
#[track_caller]
fn report(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}\n  {}", breaches.join("\n  "));
}
