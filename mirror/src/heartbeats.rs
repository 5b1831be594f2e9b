//! MirrorMaker 2's heartbeats: a record each second in the source's topic `heartbeats`, which is mirrored like any other.
//!
//! Owns the records. Who reads `ALIAS.heartbeats` at the target sees that the whole way works and how long it takes, and
//! `MirrorClient` finds there which clusters lie upstream and how many hops away. Heartbeats that cannot be written are
//! given up: the next one says as much.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};
use thalweg_client::Cluster;

use crate::checkpoints::put_text;
use crate::config::LinkConfig;
use crate::ledger::Ledger;

/// The topic at the source, MirrorMaker's name for it.
pub const TOPIC: &str = "heartbeats";
const SETTINGS: &[(&str, &str)] = &[("cleanup.policy", "compact")];
/// MirrorMaker's interval.
const INTERVAL: Duration = Duration::from_secs(1);
/// Version of the value.
const VERSION: i16 = 0;

/// Reports whether a topic holds heartbeats, of this cluster or of one upstream.
#[must_use]
pub fn is_heartbeats(topic: &str) -> bool {
    topic == TOPIC || topic.ends_with(".heartbeats")
}

/// Writes heartbeats for ever; at once done when the link wants none.
pub async fn run(link: LinkConfig, source: Cluster) {
    if !link.heartbeats {
        return;
    }
    let mut ledger = Ledger::new(source, TOPIC);
    let mut is_failing = false;
    loop {
        let sent = async {
            ledger.make(SETTINGS).await?;
            let beat = (key(&link.source_alias, &link.target_alias), Some(value(now_ms())));
            ledger.append(&[beat]).await
        };
        match sent.await {
            Ok(()) => is_failing = false,
            Err(error) if !is_failing => {
                tracing::warn!(link = link.name, %error, "heartbeats cannot be written at the source");
                is_failing = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn key(source_alias: &str, target_alias: &str) -> Bytes {
    let mut key = BytesMut::new();
    put_text(&mut key, source_alias);
    put_text(&mut key, target_alias);
    key.freeze()
}

fn value(timestamp_ms: i64) -> Bytes {
    let mut value = BytesMut::new();
    value.put_i16(VERSION);
    value.put_i64(timestamp_ms);
    value.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_has_mirrormakers_bytes() {
        assert_eq!(key("A", "B").as_ref(), b"\x00\x01A\x00\x01B");
        assert_eq!(value(5).as_ref(), b"\0\0\0\0\0\0\0\0\0\x05");
    }

    #[test]
    fn heartbeats_are_told_by_their_name() {
        assert!(is_heartbeats("heartbeats") && is_heartbeats("a.b.heartbeats"));
        assert!(!is_heartbeats("my-heartbeats") && !is_heartbeats("heartbeats.of"));
    }
}
