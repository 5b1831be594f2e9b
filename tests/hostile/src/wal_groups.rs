//! One commit group of the write-ahead log.

use crate::input::Input;
use crate::memory;
use bytes::Bytes;
use thalweg_storage::wal::Incarnation;
use thalweg_storage::wal::group::{
    DecodedGroup, EncodeRun, HEADER_LEN, Run, RunContent, decode_body, decode_header, encode, encoded_len,
};

/// The log that the groups of the fuzz targets belong to.
pub const INCARNATION: Incarnation = Incarnation([9; 16]);

/// Byte 0: which checksums are put right first; then header, payload and footer.
///
/// Beyond "no panic": every run's batches lie in the payload; memory is bounded by the bytes that are there, not by what
/// they claim; a decoded group encodes to one that decodes to the same runs.
pub fn wal_group(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.u8();
    let mut bytes = input.rest().to_vec();
    if choice & 1 == 1 {
        sign(&mut bytes);
    }
    let Ok(header) = decode_header(&bytes, INCARNATION) else {
        return;
    };
    assert!(header.total_len >= HEADER_LEN);
    let group = memory::within(2 * bytes.len(), "a commit group", || decode_body(&header, &bytes));
    let Ok(group) = group else { return };
    assert_eq!(group.bytes.len(), header.total_len);
    for run in &group.runs {
        if let RunContent::Batches(batches) = &run.content {
            assert_eq!(group.batches(batches).len(), batches.len as usize, "{run:?}");
        }
    }
    encode_again(&group);
}

/// Puts the body's and the header's checksum right, as far as the header's lengths allow.
pub fn sign(bytes: &mut [u8]) {
    if bytes.len() < HEADER_LEN {
        return;
    }
    let number =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize;
    let total = encoded_len(number(40), number(44)).clamp(HEADER_LEN, bytes.len());
    let body = crc32fast::hash(&bytes[HEADER_LEN..total]);
    bytes[48..52].copy_from_slice(&body.to_le_bytes());
    let header = crc32fast::hash(&bytes[..HEADER_LEN - 4]);
    bytes[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&header.to_le_bytes());
}

fn encode_again(group: &DecodedGroup<'_>) {
    let parts: Vec<Bytes> = group.runs.iter().map(|run| batches(group, run)).collect();
    let payload: usize = parts.iter().map(Bytes::len).sum();
    // Runs may overlap, so that a small group could ask for a large copy.
    if payload > 4 << 20 {
        return;
    }
    let runs: Vec<EncodeRun<'_>> = group
        .runs
        .iter()
        .zip(&parts)
        .map(|(run, part)| EncodeRun {
            run: *run,
            parts: std::slice::from_ref(part),
        })
        .collect();
    let mut out = vec![0; encoded_len(payload, runs.len())];
    let (placed, header_crc) = encode(&group.header, &runs, &mut out);
    let header = decode_header(&out, INCARNATION).unwrap_or_else(|error| panic!("own header: {error}"));
    let again = decode_body(&header, &out).unwrap_or_else(|error| panic!("own body: {error}"));
    assert_eq!((again.header, again.header_crc), (group.header, header_crc));
    assert_eq!(again.runs, placed);
    for ((before, after), part) in group.runs.iter().zip(&again.runs).zip(&parts) {
        assert_eq!(without_place(before), without_place(after));
        assert_eq!(batches(&again, after), part);
    }
}

fn batches(group: &DecodedGroup<'_>, run: &Run) -> Bytes {
    match &run.content {
        RunContent::Batches(batches) => Bytes::copy_from_slice(group.batches(batches)),
        RunContent::Event(_) => Bytes::new(),
    }
}

fn without_place(run: &Run) -> Run {
    let mut run = *run;
    if let RunContent::Batches(batches) = &mut run.content {
        batches.position = 0;
    }
    run
}
