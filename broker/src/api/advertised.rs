//! Which address a client is told: the advertised one of the listener it came in on.

use std::net::IpAddr;
use std::sync::OnceLock;

use thalweg_settings::Settings;

/// Where Linux keeps the name of the machine.
const HOST_NAME_FILE: &str = "/proc/sys/kernel/hostname";

/// Returns host and port for clients of a listener.
///
/// A listener on every address of the machine (empty, `0.0.0.0`, `::`) without an advertised one is told by the name
/// of the machine, as Kafka does. A port of 0 is told as the bound one, which the settings hold once it is known. An
/// unknown listener name gets the first listener's address.
pub(crate) fn advertised(settings: &Settings, listener: &str) -> (String, i32) {
    // The settings were checked when they were built.
    let listeners = settings.advertised_addresses().unwrap_or_default();
    let found = listeners
        .iter()
        .find(|other| other.name.eq_ignore_ascii_case(listener))
        .or_else(|| listeners.first());
    match found {
        Some(found) if is_every_address(&found.host) => (machine_name().to_owned(), i32::from(found.port)),
        Some(found) => (found.host.clone(), i32::from(found.port)),
        None => ("127.0.0.1".to_owned(), 9092),
    }
}

fn is_every_address(host: &str) -> bool {
    host.is_empty()
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_unspecified())
}

/// The name of the machine, or the loopback address if it has none. Read once.
fn machine_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = std::fs::read_to_string(HOST_NAME_FILE).unwrap_or_default();
        let name = name.trim();
        if name.is_empty() || name == "(none)" {
            "127.0.0.1".to_owned()
        } else {
            name.to_owned()
        }
    })
}

#[cfg(test)]
#[path = "advertised_test.rs"]
mod tests;
