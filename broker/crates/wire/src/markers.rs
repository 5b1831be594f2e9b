//! WriteTxnMarkers (API key 27) v1–2: the request, parsed into plain values.
//!
//! The message types of `kafka-protocol` stop at v1; v2 says of each marker which protocol its transaction speaks
//! (KIP-1228). Owns the layout of the request only: the response is the same in both versions.

use thalweg_types::{PartitionIndex, ProducerEpoch, ProducerId};

use crate::guard::{GuardError, GuardLimits};
use crate::reader::{At, Reader, parse};

/// API key of WriteTxnMarkers.
pub const MARKERS_KEY: i16 = 27;

/// One producer's markers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritableMarker {
    /// The producer.
    pub producer_id: ProducerId,
    /// The epoch of the markers.
    pub producer_epoch: ProducerEpoch,
    /// Whether the transaction is committed.
    pub is_commit: bool,
    /// Where its markers go.
    pub topics: Vec<MarkerTopic>,
    /// Epoch of the coordinator that wants them.
    pub coordinator_epoch: i32,
    /// 2 and above: the transaction ends with a raised epoch (KIP-890); not checked. 0 before v2.
    pub transaction_version: i8,
}

/// Partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkerTopic {
    /// The topic.
    pub name: String,
    /// Its partitions; not checked, may be negative.
    pub partitions: Vec<PartitionIndex>,
}

/// Parses the body of a WriteTxnMarkers request (the bytes after the request header).
///
/// # Errors
/// [`GuardError`] as [`crate::guard::check_request`], or if a string is not UTF-8.
pub fn parse_write_txn_markers_request(
    version: i16,
    body: &[u8],
    limits: &GuardLimits,
) -> Result<Vec<WritableMarker>, GuardError> {
    parse((MARKERS_KEY, version), body, limits, |reader| {
        let markers = reader.array(("markers", 17), marker)?;
        reader.end_of_structure("(tagged fields)")?;
        Ok(markers)
    })
}

fn marker(reader: &mut Reader<'_>) -> Result<WritableMarker, At> {
    let producer_id = ProducerId(reader.i64("markers.producer_id")?);
    let producer_epoch = ProducerEpoch(reader.i16("markers.producer_epoch")?);
    let is_commit = reader.i8("markers.transaction_result")? != 0;
    let topics = reader.array(("markers.topics", 3), topic)?;
    let coordinator_epoch = reader.i32("markers.coordinator_epoch")?;
    let transaction_version = match reader.version {
        ..=1 => 0,
        _ => reader.i8("markers.transaction_version")?,
    };
    reader.end_of_structure("markers")?;
    Ok(WritableMarker {
        producer_id,
        producer_epoch,
        is_commit,
        topics,
        coordinator_epoch,
        transaction_version,
    })
}

fn topic(reader: &mut Reader<'_>) -> Result<MarkerTopic, At> {
    let name = reader.string("markers.topics.name")?;
    let partitions = reader.array(("markers.topics.partition_indexes", 4), |reader| {
        let index = reader.i32("markers.topics.partition_indexes")?;
        Ok(PartitionIndex(index))
    })?;
    reader.end_of_structure("markers.topics")?;
    Ok(MarkerTopic { name, partitions })
}

#[cfg(test)]
#[path = "markers_test.rs"]
mod tests;
