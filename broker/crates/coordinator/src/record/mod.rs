//! Keys and values of `__consumer_offsets` and `__transaction_state` records, in Kafka's formats.
//!
//! In `__consumer_offsets` every key starts with a version that also says what the record is: 0 and 1 an offset, 2 a classic group, higher
//! ones the newer group protocols. Values carry their own version. Written are offset keys 1, offset values 3 (1
//! when the commit has its own expiry time, which no later version carries), group keys 2 and group values 3: the
//! newest ones that Kafka's tools of every supported release, and others that read the topic, understand. (Kafka 4.3
//! itself writes offset values 4.) Read are all versions that Kafka 4.3 knows of these two.

mod codec;
mod group_metadata;
mod key;
mod offset_commit;
mod transaction_log;

pub(crate) use codec::Reader;
pub use codec::{DecodeError, STRING_BYTES_MAX};
pub use group_metadata::{GroupMetadataValue, MemberMetadata};
pub use key::RecordKey;
pub use offset_commit::OffsetCommitValue;
pub use transaction_log::{TransactionLogKey, TransactionLogValue, TransactionPartitions};

#[cfg(test)]
#[path = "hex_test.rs"]
pub(crate) mod hex;
