//! The names at the top of the checkout.

use thalweg_tests::places;

use crate::report;

const FOLDERS_AND_FILES: [&str; 13] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "NOTICE",
    "README.md",
    "bench",
    "broker",
    "mirror",
    "partition-router",
    "rust-toolchain.toml",
    "tests",
    // Not kept in git: build output, and the data of `thalweg dev`.
    "target",
    "thalweg-data",
];

#[test]
fn the_top_level_holds_the_agreed_names_only() {
    let entries = std::fs::read_dir(places::repository()).expect("the checkout is readable");
    let names = entries.map(|entry| {
        entry
            .expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned()
    });
    let strange: Vec<String> = names
        .filter(|name| !name.starts_with('.') && !FOLDERS_AND_FILES.contains(&name.as_str()))
        .collect();
    report(
        "names at the top level (a tool's own file may be a dot-file)",
        &strange,
    );
}
