//! Newtypes for ids, offsets and times. Sentinels have names, so that `-1` never appears alone.

use std::fmt;
use std::str::FromStr;

macro_rules! newtype {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl $name {
            /// Returns the bare number, for the wire and the disk.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

newtype!(
    /// Number of a record in one partition log (not a byte position).
    Offset(i64)
);
newtype!(
    /// Number of a leadership term of a partition (KIP-101). Never decreases.
    LeaderEpoch(i32)
);
newtype!(
    /// Id of an idempotent or transactional producer (KIP-98).
    ProducerId(i64)
);
newtype!(
    /// Generation of a producer id; a newer one fences the older (KIP-98, KIP-360).
    ProducerEpoch(i16)
);
newtype!(
    /// Index of a partition inside its topic, from 0.
    PartitionIndex(i32)
);
newtype!(
    /// Milliseconds since 1970-01-01T00:00:00Z.
    TimestampMs(i64)
);
newtype!(
    /// Id of a broker in its cluster (`node.id`).
    BrokerId(i32)
);

impl Offset {
    /// The first offset of a new log.
    pub const ZERO: Self = Self(0);
    /// "No offset", as Kafka writes it.
    pub const UNKNOWN: Self = Self(-1);

    /// Returns the offset `count` records later, or `None` past the largest offset.
    #[must_use]
    pub const fn checked_add(self, count: i64) -> Option<Self> {
        match self.0.checked_add(count) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Returns the offset after this one.
    ///
    /// Saturates at the largest offset, which no batch may reach (appends check it).
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl LeaderEpoch {
    /// "No epoch": the sender does not know one, or asks that it is not checked.
    pub const UNKNOWN: Self = Self(-1);
}

impl ProducerId {
    /// The batch comes from a producer without idempotence.
    pub const NONE: Self = Self(-1);
}

impl ProducerEpoch {
    /// The batch comes from a producer without idempotence.
    pub const NONE: Self = Self(-1);
}

impl TimestampMs {
    /// "No timestamp".
    pub const NONE: Self = Self(-1);
}

/// Random id of a topic (KIP-516): a name can be used again, an id never is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TopicId(pub [u8; 16]);

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl TopicId {
    /// The null id: the request names its topics instead.
    pub const ZERO: Self = Self([0; 16]);

    /// Reports whether this is the null id.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for TopicId {
    /// Writes the id as Kafka's tools do: 22 characters of URL-safe base64 (RFC 4648 §5) without padding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        for index in 0..22 {
            // 22 × 6 = 132 bits: the last character carries the low 2 bits, shifted up by 4.
            let six = if index == 21 {
                (bits << 4) & 0x3f
            } else {
                (bits >> (122 - 6 * index)) & 0x3f
            };
            write!(f, "{}", BASE64_URL[six as usize] as char)?;
        }
        Ok(())
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicId({self})")
    }
}

/// The text is not a topic id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicIdParseError;

impl fmt::Display for TopicIdParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a topic id is 22 characters of URL-safe base64, as `thalweg topic describe` prints it")
    }
}

impl std::error::Error for TopicIdParseError {}

impl FromStr for TopicId {
    type Err = TopicIdParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 22 {
            return Err(TopicIdParseError);
        }
        let mut bits: u128 = 0;
        for (index, byte) in text.bytes().enumerate() {
            let six = BASE64_URL
                .iter()
                .position(|c| *c == byte)
                .ok_or(TopicIdParseError)? as u128;
            if index == 21 {
                if six & 0x0f != 0 {
                    return Err(TopicIdParseError);
                }
                bits = (bits << 2) | (six >> 4);
            } else {
                bits = (bits << 6) | six;
            }
        }
        Ok(Self(bits.to_be_bytes()))
    }
}

/// One partition of one topic, by id: the key of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartitionId {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition inside it.
    pub partition: PartitionIndex,
}

impl fmt::Display for TopicPartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic_id, self.partition)
    }
}

#[cfg(test)]
#[path = "ids_test.rs"]
mod tests;
