//! Where things lie: the checkout, the build output, the clients, the working directory of a test.

use std::path::{Path, PathBuf};

/// The top of the checkout.
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// The build output of the running test, such as `target/debug`.
///
/// A test executable lies in `<output>/deps/`.
pub fn build_output() -> PathBuf {
    let test = std::env::current_exe().expect("a running test knows its own path");
    let directory = test.parent().expect("an executable lies in a directory");
    match directory.file_name() {
        Some(name) if name == "deps" => directory.parent().unwrap_or(directory).to_path_buf(),
        _ => directory.to_path_buf(),
    }
}

/// The folder that holds all build output, `target` unless `CARGO_TARGET_DIR` names another.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => repository().join("target"),
    }
}

/// Where `tests/clients/install` puts jars and Python environments.
pub fn clients() -> PathBuf {
    target().join("test-clients")
}

/// Where tests keep the data of their processes while they run, and where a failed test leaves it.
pub fn runs() -> PathBuf {
    let directory = target().join("test-runs");
    std::fs::create_dir_all(&directory)
        .unwrap_or_else(|error| panic!("create {}: {error}", directory.display()));
    directory
}

/// The name of the running test in a form that a file name can carry.
pub fn test_name() -> String {
    let thread = std::thread::current();
    thread
        .name()
        .unwrap_or("test")
        .replace("::", ".")
        .replace(['/', ' '], "_")
}
