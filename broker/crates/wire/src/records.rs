//! The records inside a batch: walking, checking, searching, decoding and building them,
//! and leaving some of them out.
//!
//! Owns the record encoding of format v2 (varints, deltas, headers). Leaves the 61-byte header and the
//! checksum to [`crate::batch`], the codecs to [`crate::compression`]. None of the functions verifies the
//! checksum: that is [`crate::batch::verify_crc`], once, where the bytes come in.
//!
//! A record is: its own length, attributes (1 byte, unused), timestamp delta, offset delta, key, value,
//! headers. All numbers are zigzag varints; length −1 is null. Records of one batch are compressed together.
//!
//! Invariant: every length is checked against what is left of the record before it is used, and a record,
//! like a batch, must be consumed exactly. Sources: KIP-98 (format), KIP-82 (headers).

mod build;
mod check;
mod decode;
mod marker;
mod payload;
mod recompress;
mod retain;
mod search;
mod varint;
mod view;

pub use build::{BatchBuilder, BatchContent, BatchOptions, ProducerStamp, Transactionality};
pub use check::{BatchFacts, Coverage, KEYLESS_INDEXES_MAX, Walk, check_batch, check_client_header};
pub use decode::{OwnedRecord, decode_records};
pub use marker::{EndTransactionMarker, TransactionOutcome};
pub use payload::{Payload, open_records};
pub use recompress::recompress;
pub use retain::{retain, retain_none};
pub use search::{first_record_at_or_after, first_record_at_or_after_from, offset_of_max_timestamp};
pub use view::{HeadersIter, RecordIter, RecordView};

#[cfg(test)]
mod golden_test;
#[cfg(test)]
#[path = "records/sample_test.rs"]
mod sample;
