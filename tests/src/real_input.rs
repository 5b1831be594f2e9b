//! Real input: the package index of the machine, one record per package.
//!
//! The index is what `apt-cache dumpavail` prints: some 60,000 stanzas of 100 bytes to 20 KiB. The key is the package
//! name, the value the stanza as it stands, and five fields travel as headers.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use crate::process;

const TIMEOUT: Duration = Duration::from_secs(120);

/// The fields that travel as headers, in this order.
pub const HEADER_FIELDS: [&str; 5] = ["Architecture", "Priority", "Section", "Essential", "Origin"];

/// One package of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The package name; the key of its record.
    pub name: String,
    /// The stanza without the blank line that ends it; the value of its record.
    pub stanza: String,
    /// The values of [`HEADER_FIELDS`].
    pub headers: [String; 5],
}

/// Reads the package index of the machine.
///
/// # Errors
/// Says why there is none: no `apt-cache`, or an empty index.
pub fn packages() -> Result<Vec<Package>, String> {
    let program = crate::clients::in_path("apt-cache")?;
    let mut command = Command::new(program);
    command.arg("dumpavail");
    let index = process::run(command, b"", TIMEOUT).ok().stdout_text();
    let packages: Vec<Package> = index.split("\n\n").filter_map(parse).collect();
    if packages.len() < 1_000 {
        return Err(format!(
            "the package index has {} packages; run apt-get update",
            packages.len()
        ));
    }
    Ok(packages)
}

fn parse(stanza: &str) -> Option<Package> {
    let stanza = stanza.trim_matches('\n');
    let field = |name: &str| {
        stanza
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
    };
    let name = field("Package")?;
    // A field that a package does not have still makes a header, so that each record has five.
    let headers = HEADER_FIELDS.map(|name| field(name).unwrap_or_else(|| "none".to_owned()));
    Some(Package {
        name,
        stanza: stanza.to_owned(),
        headers,
    })
}

/// Groups packages by their headers, as a client needs it that sets headers per run and not per record.
pub fn by_headers(packages: &[Package]) -> BTreeMap<[String; 5], Vec<&Package>> {
    let mut groups: BTreeMap<[String; 5], Vec<&Package>> = BTreeMap::new();
    for package in packages {
        groups.entry(package.headers.clone()).or_default().push(package);
    }
    groups
}

#[cfg(test)]
#[path = "real_input_test.rs"]
mod tests;
