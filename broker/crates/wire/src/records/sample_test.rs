//! Batches for the tests of this crate: described by values, built by the code under test or by hand.

use proptest::prelude::*;
use thalweg_types::TimestampMs;

use super::recompress::assemble;
use super::{BatchBuilder, BatchOptions};
use crate::batch::{BatchHeader, HEADER_LEN};
use crate::compression::CompressionLimits;

pub(crate) const LIMITS: CompressionLimits = CompressionLimits {
    output_bytes_max: 16 * 1024 * 1024,
    ratio_max: 1_000,
};

/// What goes into a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Spec {
    pub(crate) fn at(timestamp: i64) -> Self {
        Self {
            timestamp,
            key: Some(b"key".to_vec()),
            value: Some(b"value".to_vec()),
            headers: Vec::new(),
        }
    }
}

pub(crate) fn build(options: BatchOptions, specs: &[Spec]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for spec in specs {
        let headers: Vec<_> = spec
            .headers
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
            .collect();
        let timestamp = TimestampMs(spec.timestamp);
        builder
            .push(timestamp, spec.key.as_deref(), spec.value.as_deref(), &headers)
            .unwrap();
    }
    builder.build().unwrap().to_vec()
}

/// An uncompressed batch with one record at each of these times.
pub(crate) fn at_times(times: &[i64]) -> Vec<u8> {
    build(
        BatchOptions::default(),
        &times.iter().copied().map(Spec::at).collect::<Vec<_>>(),
    )
}

/// Changes the header and signs the batch again; length and checksum follow the record bytes.
pub(crate) fn with_header(batch: &[u8], change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    with_records(batch, &batch[HEADER_LEN..], change)
}

/// Puts other record bytes under a changed header.
pub(crate) fn with_records(batch: &[u8], records: &[u8], change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let mut header = BatchHeader::parse(batch).unwrap();
    change(&mut header);
    assemble(header, records).unwrap().to_vec()
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::collection::vec(any::<u8>(), 60..70),
        1 => prop::collection::vec(0u8..3, 0..9_000),
    ]
}

pub(crate) fn any_specs() -> impl Strategy<Value = Vec<Spec>> {
    let header = (any_bytes(), prop::option::of(any_bytes()));
    let time = prop_oneof![4 => 1_700_000_000_000i64..1_700_000_001_000, 1 => 0i64..1 << 42, 1 => Just(-1)];
    let spec = (
        time,
        prop::option::of(any_bytes()),
        prop::option::of(any_bytes()),
        prop::collection::vec(header, 0..4),
    );
    let spec = spec.prop_map(|(timestamp, key, value, headers)| Spec {
        timestamp,
        key,
        value,
        headers,
    });
    prop::collection::vec(spec, 1..30)
}
