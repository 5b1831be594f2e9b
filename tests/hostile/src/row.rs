//! Rows of recovery points.

use crate::input::Input;
use crate::memory;
use thalweg_storage::log::cleaning_row::{cleaning_key, encode_cleaning};
use thalweg_storage::log::rows::{
    Row, decode, encode_partition, encode_segment, encode_wal, partition_key, segment_key, wal_key,
};

/// Byte 0: length of the key; then key and value.
///
/// Beyond "no panic": memory is bounded by the bytes that are there; a decoded row encodes to one that decodes to the same.
pub fn rows(data: &[u8]) {
    let mut input = Input::new(data);
    let key_len = usize::from(input.u8());
    let key = input.take(key_len);
    let value = input.rest();
    // A producer of 19 bytes becomes an entry with room for its batches.
    let decoded = memory::within(64 * value.len(), "a row", || decode(key, value));
    let Ok(row) = decoded else { return };
    let (again_key, again) = match &row {
        Row::Wal(wal) => (wal_key(), encode_wal(wal)),
        Row::Partition(id, partition) => (partition_key(*id), encode_partition(partition)),
        Row::Cleaning(id, cleaning) => (cleaning_key(*id), encode_cleaning(cleaning)),
        Row::Segment(id, segment) => (segment_key(*id, segment.base_offset), encode_segment(segment)),
    };
    assert_eq!(again_key, key);
    assert_eq!(decode(&again_key, &again), Ok(row));
}
