//! The one thing the coordinator reads from a member's metadata: which topics a consumer subscribes to.
//!
//! The metadata of protocol type `consumer` starts, in every version, with a version number and a list of topics
//! (KIP-429); what follows is left alone. Everything else in it belongs to the members.

use crate::record::Reader;

/// The protocol type whose metadata this module understands.
pub(crate) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Calls `found` for each topic of a consumer's subscription; returns `None` if the bytes are not one.
pub(crate) fn for_each_topic(metadata: &[u8], mut found: impl FnMut(&str)) -> Option<()> {
    let mut reader = Reader::new(metadata);
    let _version = reader.int16().ok()?;
    let count = reader.int32().ok()?;
    if count < 0 {
        return None;
    }
    // No reservation by `count`: the loop ends with the bytes.
    for _ in 0..count {
        found(reader.string().ok()?);
    }
    Some(())
}

#[cfg(test)]
#[path = "subscription_test.rs"]
mod tests;
