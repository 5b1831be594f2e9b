//! Names of groups, members, instances and topics, and the source of the random part of member ids.
//!
//! Every name is shared text that is cheap to clone. The wire is the only place where a bare string is one.

use std::fmt;

use crate::names::name;

pub use crate::names::TopicName;

name!(
    /// Name of a consumer group (`group.id`). Empty is legal for offset commits only, for old clients.
    GroupId
);
name!(
    /// Id of one member of a group, made by the coordinator. Empty in a request means "I have none yet".
    MemberId
);
name!(
    /// Name a static member keeps over its restarts (`group.instance.id`, KIP-345).
    InstanceId
);
impl MemberId {
    /// Returns the id a member sends before it has one.
    #[must_use]
    pub fn unknown() -> Self {
        Self::from("")
    }

    /// Reports whether this is [`MemberId::unknown`].
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.is_empty()
    }
}

/// Number of a membership of a group; every completed rebalance makes a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GenerationId(pub i32);

impl GenerationId {
    /// "Not a member of a generation": a consumer that assigns its own partitions, or an admin client.
    pub const NONE: Self = Self(-1);
    /// The generation of a group before its first rebalance.
    pub const ZERO: Self = Self(0);

    /// Returns the bare number, for the wire and the disk.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    /// Returns the generation after this one; after the largest number it starts again at 1, because a negative
    /// one would read as [`GenerationId::NONE`].
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.checked_add(1) {
            Some(next) if next > 0 => Self(next),
            _ => Self(1),
        }
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Where the random part of new member ids comes from; a seeded one makes a test repeatable.
pub trait IdSource {
    /// Returns 16 fresh random bytes. They must be hard to guess: who knows a member's id can speak for it.
    fn random_bytes(&mut self) -> [u8; 16];
}

/// Formats random bytes as a version 4 UUID (RFC 9562 §5.4).
pub(crate) fn uuid_text(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let bits = u128::from_be_bytes(bytes);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        bits >> 96,
        (bits >> 80) & 0xffff,
        (bits >> 64) & 0xffff,
        (bits >> 48) & 0xffff,
        bits & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
#[path = "ids_test.rs"]
mod tests;
