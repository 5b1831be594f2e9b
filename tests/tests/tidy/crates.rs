//! Which crate may depend on which.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use thalweg_tests::places;

use crate::report;

/// The leaf crates; the programs may use all of them.
const LEAVES: [&str; 11] = [
    "types",
    "wire",
    "settings",
    "storage",
    "coordinator",
    "metadata",
    "security",
    "client",
    "avro",
    "tables",
    "telemetry",
];

/// A package and the packages of this workspace that it may depend on, names without `thalweg-`.
fn allowed(package: &str) -> Option<Vec<&'static str>> {
    let named: &[&str] = match package {
        "types" => &[],
        "wire" | "settings" | "security" | "avro" | "telemetry" => &["types"],
        "tables" => &["types", "avro"],
        "storage" | "coordinator" | "metadata" => &["types", "wire"],
        "client" => &["types", "wire", "security"],
        "broker" | "mirror" | "router" => &LEAVES,
        "hostile" => &LEAVES,
        "tests" => return Some([&LEAVES[..], &["broker", "mirror", "router", "hostile"]].concat()),
        // It starts brokers and clients with the tests' harness.
        "bench" => return Some([&LEAVES[..], &["broker", "mirror", "router", "tests"]].concat()),
        _ => return None,
    };
    Some(named.to_vec())
}

/// Crates that pure code may not see: what would bring time, chance, threads or sockets into it.
const IMPURE: [&str; 5] = ["tokio", "rand", "rustix", "libc", "mio"];

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(places::repository()).args([
        "metadata",
        "--format-version=1",
        "--no-deps",
        "--offline",
    ]);
    let output = command.output().expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

struct Dependency {
    name: String,
    for_tests_only: bool,
}

struct Package {
    name: String,
    manifest: String,
    dependencies: Vec<Dependency>,
}

fn packages() -> Vec<Package> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages is a list");
    let read = |package: &Value| Package {
        name: text(package, "name"),
        manifest: text(package, "manifest_path"),
        dependencies: package["dependencies"]
            .as_array()
            .into_iter()
            .flatten()
            .map(read_dependency)
            .collect(),
    };
    packages.iter().map(read).collect()
}

fn read_dependency(dependency: &Value) -> Dependency {
    Dependency {
        name: dependency["name"].as_str().unwrap_or_default().to_owned(),
        for_tests_only: dependency["kind"].as_str() == Some("dev"),
    }
}

#[test]
fn crates_depend_in_one_direction() {
    let mut breaches = Vec::new();
    for package in packages() {
        let short = package.name.strip_prefix("thalweg-").unwrap_or(&package.name);
        let Some(allowed) = allowed(short) else {
            breaches.push(format!(
                "{}: unknown package; give it a row in tests/tests/tidy/crates.rs",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let Some(target) = dependency.name.strip_prefix("thalweg-") else {
                continue;
            };
            // A crate's own tests may look at any leaf, never at a program.
            let tolerated = dependency.for_tests_only && LEAVES.contains(&target);
            if !allowed.contains(&target) && !tolerated {
                breaches.push(format!("{} may not depend on {}", package.name, dependency.name));
            }
        }
    }
    report("the direction of crates (see broker/ARCHITECTURE.md)", &breaches);
}

#[test]
fn the_coordinator_gets_time_and_chance_as_arguments() {
    let mut breaches = Vec::new();
    for package in packages()
        .iter()
        .filter(|package| package.name == "thalweg-coordinator")
    {
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| !dependency.for_tests_only)
        {
            if IMPURE.contains(&dependency.name.as_str()) {
                breaches.push(format!("{} depends on {}", package.name, dependency.name));
            }
        }
    }
    report(
        "pure state machines see no clock, no random source, no socket",
        &breaches,
    );
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    let mut breaches = Vec::new();
    for package in packages() {
        let manifest = std::fs::read_to_string(Path::new(&package.manifest)).expect("a manifest is readable");
        if !manifest.contains("[lints]\nworkspace = true") {
            breaches.push(format!("{}: no `[lints] workspace = true`", package.manifest));
        }
    }
    report("lints stand once, in the workspace's Cargo.toml", &breaches);
}
