//! The clients that the tests drive. Each has a `find()` that says why it is not there; see [`crate::require_client`].

pub mod java;
pub mod kcat;
pub mod librdkafka;
pub mod python;

use std::path::PathBuf;

/// Looks for an executable in `PATH`.
///
/// # Errors
/// Says which program is missing and what brings it.
pub fn in_path(program: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file());
    found.ok_or_else(|| format!("{program} is not in PATH; tests/clients/install brings it"))
}
