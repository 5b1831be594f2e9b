//! The bytes of a row inside redb, and the digest over all rows.
//!
//! Row: CRC-32 (4 bytes) · version (8) · value. The CRC covers the key's length, the key, the version and the
//! value. State: format (1) · revision (8) · rows (8) · digest (8) · CRC-32 (4). Integers are big-endian.

use crate::error::{KeyText, StoreError};
use crate::store::Revision;

const CRC_SIZE: usize = 4;
const VERSION_SIZE: usize = 8;
const STATE_FORMAT: u8 = 1;
const STATE_SIZE: usize = 1 + 8 + 8 + 8 + CRC_SIZE;

/// Bytes a row takes beyond its value.
pub(super) const ROW_OVERHEAD: usize = CRC_SIZE + VERSION_SIZE;

/// A row whose checksum was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CheckedRow<'a> {
    pub(super) value: &'a [u8],
    pub(super) version: Revision,
    crc: u32,
}

/// A row does not match its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowMismatch {
    stored: u32,
    computed: u32,
}

impl RowMismatch {
    pub(super) fn into_error(self, store: &str, key: &[u8]) -> StoreError {
        StoreError::CorruptRow {
            store: store.to_owned(),
            key: KeyText::from(key),
            stored: self.stored,
            computed: self.computed,
        }
    }
}

fn row_crc(key: &[u8], version: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    // The length keeps a byte from moving between key and version unnoticed.
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(version);
    hasher.update(value);
    hasher.finalize()
}

/// Returns a row's bytes and its share of the digest.
pub(super) fn encode_row(key: &[u8], value: &[u8], version: Revision) -> (Vec<u8>, RowDigest) {
    let version_bytes = version.0.to_be_bytes();
    let crc = row_crc(key, &version_bytes, value);
    let mut bytes = Vec::with_capacity(ROW_OVERHEAD.saturating_add(value.len()));
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes.extend_from_slice(&version_bytes);
    bytes.extend_from_slice(value);
    (bytes, RowDigest::new(crc, version))
}

/// Checks a row's bytes and takes them apart.
pub(super) fn decode_row<'a>(key: &[u8], bytes: &'a [u8]) -> Result<CheckedRow<'a>, RowMismatch> {
    let short = RowMismatch {
        stored: 0,
        computed: crc32fast::hash(bytes),
    };
    let (stored, rest) = bytes.split_first_chunk::<CRC_SIZE>().ok_or(short)?;
    let (version, value) = rest.split_first_chunk::<VERSION_SIZE>().ok_or(short)?;
    let stored = u32::from_be_bytes(*stored);
    let computed = row_crc(key, version, value);
    if stored != computed {
        return Err(RowMismatch { stored, computed });
    }
    Ok(CheckedRow {
        value,
        version: Revision(u64::from_be_bytes(*version)),
        crc: stored,
    })
}

impl CheckedRow<'_> {
    pub(super) fn digest(&self) -> RowDigest {
        RowDigest::new(self.crc, self.version)
    }
}

/// One row's share of the digest over all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowDigest(u64);

impl RowDigest {
    /// The mix is a bijection of 64 bits, so that two versions of one row never share a digest, and the sum over
    /// many rows is as good as random.
    fn new(crc: u32, version: Revision) -> Self {
        let mut x = (version.0 << 32) ^ (version.0 >> 32) ^ u64::from(crc);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(x ^ (x >> 31))
    }
}

/// Summary of everything up to one commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// The commit.
    pub(super) revision: Revision,
    /// How many rows exist after it.
    pub(super) rows: u64,
    /// Sum of the rows' digests, modulo 2^64: order does not matter, so it is kept up by addition.
    pub(super) digest: u64,
}

impl Summary {
    pub(super) fn add(&mut self, row: RowDigest) {
        self.rows = self.rows.wrapping_add(1);
        self.digest = self.digest.wrapping_add(row.0);
    }

    pub(super) fn remove(&mut self, row: RowDigest) {
        self.rows = self.rows.wrapping_sub(1);
        self.digest = self.digest.wrapping_sub(row.0);
    }

    pub(super) fn encode(&self) -> [u8; STATE_SIZE] {
        let mut bytes = [0; STATE_SIZE];
        bytes[0] = STATE_FORMAT;
        bytes[1..9].copy_from_slice(&self.revision.0.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.rows.to_be_bytes());
        bytes[17..25].copy_from_slice(&self.digest.to_be_bytes());
        let crc = crc32fast::hash(&bytes[..25]);
        bytes[25..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Takes a state row apart; the error says what is wrong with it.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let bytes: &[u8; STATE_SIZE] = bytes
            .try_into()
            .map_err(|_| format!("the state row has {} bytes, not {STATE_SIZE}", bytes.len()))?;
        let stored = be_u32(bytes, 25);
        let computed = crc32fast::hash(&bytes[..25]);
        if stored != computed {
            return Err(format!(
                "the state row's checksum is {stored:08x}, {computed:08x} computed"
            ));
        }
        if bytes[0] != STATE_FORMAT {
            return Err(format!(
                "the state row has format {}, not {STATE_FORMAT}",
                bytes[0]
            ));
        }
        Ok(Self {
            revision: Revision(be_u64(bytes, 1)),
            rows: be_u64(bytes, 9),
            digest: be_u64(bytes, 17),
        })
    }
}

/// Reads a number at a fixed place of a fixed-size record; zero beyond its end, which no caller asks for.
pub(super) fn be_u64(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u64::from_be_bytes(*chunk))
}

/// As [`be_u64`], with four bytes.
pub(super) fn be_u32(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u32::from_be_bytes(*chunk))
}

#[cfg(test)]
#[path = "row_test.rs"]
mod tests;
