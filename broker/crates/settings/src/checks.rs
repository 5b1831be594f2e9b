//! Rules that span several broker keys. Each message names every key it is about.

use crate::error::SettingError;
use crate::listener::SecurityProtocol;
use crate::settings::Settings;

/// Checks a snapshot whose single values are all right. Returns remarks for the log.
///
/// # Errors
/// Every rule that is broken.
pub(crate) fn check(settings: &Settings) -> Result<Vec<String>, Vec<SettingError>> {
    let mut errors = Vec::new();
    let mut notices = Vec::new();
    identity(settings, &mut errors);
    listeners(settings, &mut errors, &mut notices);
    sizes(settings, &mut errors);
    times(settings, &mut errors);
    if errors.is_empty() {
        Ok(notices)
    } else {
        Err(errors.into_iter().map(SettingError::Conflict).collect())
    }
}

fn identity(settings: &Settings, errors: &mut Vec<String>) {
    let (node, broker) = (settings.node_id(), settings.broker_id());
    if node != broker {
        errors.push(format!(
            "node.id ({node}) and broker.id ({broker}) differ; set node.id only"
        ));
    }
    if node.get() < 0 {
        errors.push(format!("broker.id ({node}) must be at least 0; set node.id"));
    }
    for (key, entries) in [
        ("log.dirs", settings.log_dirs()),
        ("log.dir", Some(settings.log_dir())),
    ] {
        let Some(entries) = entries else { continue };
        if entries.len() > 1 {
            errors.push(format!(
                "{key} has {} entries ({}), and this broker keeps its data in one directory, because one \
                 write-ahead log serves all partitions; name one, on a volume that is large enough",
                entries.len(),
                crate::error::shown(&entries.join(","))
            ));
        }
    }
    if !settings.process_roles().iter().any(|role| role == "broker") {
        errors.push(
            "process.roles must have broker: this program is no controller, and a broker here needs none"
                .to_owned(),
        );
    }
}

fn listeners(settings: &Settings, errors: &mut Vec<String>, notices: &mut Vec<String>) {
    let own = match settings.listen_addresses() {
        Ok(own) => own,
        Err(error) => return errors.push(error.to_string()),
    };
    if own.is_empty() {
        errors.push(
            "listeners has only names of controller.listener.names; add one for clients, as in \
             PLAINTEXT://:9092"
                .to_owned(),
        );
    }
    for listener in &own {
        if listener.protocol != SecurityProtocol::Plaintext {
            errors.push(format!(
                "listeners: {}://{}:{} needs {}, which this version does not have; it has PLAINTEXT only",
                listener.name,
                listener.host,
                listener.port,
                listener.protocol.name()
            ));
        }
    }
    for name in settings.controller_listener_names() {
        notices.push(format!(
            "the controller listener {name} is not opened: a broker needs no controller here"
        ));
    }
    match settings.advertised_as_written() {
        Err(error) => errors.push(error.to_string()),
        Ok(advertised) => {
            for listener in advertised {
                if !own.iter().any(|other| other.name == listener.name) {
                    errors.push(format!(
                        "advertised.listeners names {}, which is not in listeners; add it there",
                        listener.name
                    ));
                }
                if matches!(listener.host.as_str(), "0.0.0.0" | "::") {
                    errors.push(format!(
                        "advertised.listeners: clients cannot connect to {}; name a host or address they reach",
                        listener.host
                    ));
                }
            }
        }
    }
}

fn sizes(settings: &Settings, errors: &mut Vec<String>) {
    let message = u64::from(settings.message_max_bytes());
    let request = u64::from(settings.socket_request_max_bytes());
    at_most(
        errors,
        ("message.max.bytes", message),
        ("half of wal.file.bytes", settings.batch_bytes_max()),
    );
    at_most(
        errors,
        ("message.max.bytes", message),
        ("socket.request.max.bytes", request),
    );
    at_most(
        errors,
        ("socket.request.max.bytes", request),
        memory_budget(settings),
    );
    at_most(
        errors,
        (
            "fetch.response.total.bytes.max",
            settings.fetch_response_total_bytes_max(),
        ),
        memory_budget(settings),
    );
    at_most(
        errors,
        (
            "twice wal.file.bytes",
            settings.wal_file_bytes().saturating_mul(2),
        ),
        ("wal.max.bytes", settings.wal_max_bytes()),
    );
    at_most(
        errors,
        ("wal.group.max.bytes", settings.wal_group_max_bytes()),
        ("wal.file.bytes", settings.wal_file_bytes()),
    );
    let (low, high) = (settings.disk_use_low_percent(), settings.disk_use_high_percent());
    if low >= high {
        errors.push(format!(
            "disk.use.low.percent ({low}) must be below disk.use.high.percent ({high})"
        ));
    }
}

fn memory_budget(settings: &Settings) -> (&'static str, u64) {
    ("memory.budget.bytes", settings.memory_budget_bytes())
}

fn times(settings: &Settings, errors: &mut Vec<String>) {
    let least = settings.group_min_session_timeout_ms();
    let most = settings.group_max_session_timeout_ms();
    if least > most {
        errors.push(format!(
            "group.min.session.timeout.ms ({least}) must be at most group.max.session.timeout.ms ({most})"
        ));
    }
    at_most(
        errors,
        (
            "log.cleaner.min.compaction.lag.ms",
            settings.log_cleaner_min_compaction_lag_ms(),
        ),
        (
            "log.cleaner.max.compaction.lag.ms",
            settings.log_cleaner_max_compaction_lag_ms(),
        ),
    );
    // Kafka refuses 0 here too: nothing could ever be read. A topic may still say retention.ms=0.
    let zero = [
        ("log.retention.ms", settings.log_retention_ms() == Some(0)),
        (
            "log.retention.minutes",
            settings.log_retention_minutes() == Some(0),
        ),
        ("log.retention.hours", settings.log_retention_hours() == 0),
    ];
    for (key, _) in zero.into_iter().filter(|(_, is_zero)| *is_zero) {
        errors.push(format!("{key} must not be 0; -1 keeps records for ever"));
    }
}

fn at_most(errors: &mut Vec<String>, value: (&str, u64), limit: (&str, u64)) {
    if value.1 > limit.1 {
        errors.push(format!(
            "{} ({}) must be at most {} ({})",
            value.0, value.1, limit.0, limit.1
        ));
    }
}

#[cfg(test)]
#[path = "checks_test.rs"]
mod tests;
