//! Rows that only their owner understands: storage keeps its recovery points here.
//!
//! They are versioned, checksummed and durable like all others, but no part of the image, and nobody watches
//! them, so that thousands can be written in one transaction.

use std::ops::ControlFlow;

use crate::error::{MetadataError, StoreError};
use crate::keys;
use crate::store::{MetadataStore, Revision, Row, Transaction};

/// One opaque row: its key (without the store's prefix) and its value.
pub type OpaqueRow = (Vec<u8>, Vec<u8>);

/// Writes and deletes opaque rows, durably, in one transaction: all or nothing. Blocks.
///
/// A key may appear once in `puts` and `deletes` together. Without any, nothing is written.
///
/// # Errors
/// Failures of the store; [`crate::CommitError::TooLarge`] beyond 256 MiB in all, 16 MiB per value or 4 KiB per
/// key in the embedded store.
pub fn put_many(
    store: &dyn MetadataStore,
    puts: impl IntoIterator<Item = OpaqueRow>,
    deletes: impl IntoIterator<Item = Vec<u8>>,
) -> Result<Revision, MetadataError> {
    let transaction = puts.into_iter().fold(Transaction::new(), |all, (key, value)| {
        all.put(keys::join(keys::OPAQUE, &key), value)
    });
    let transaction = deletes
        .into_iter()
        .fold(transaction, |all, key| all.delete(keys::join(keys::OPAQUE, &key)));
    Ok(store.commit(transaction)?)
}

/// Shows every opaque row whose key starts with `prefix`, in key order, of one snapshot. Blocks.
///
/// The rows' keys are shown without the store's own prefix. Returns the snapshot's commit.
///
/// # Errors
/// Failures of the store; a damaged row ends the scan with an error.
pub fn scan_opaque(
    store: &dyn MetadataStore,
    prefix: &[u8],
    visit: &mut dyn FnMut(Row<'_>) -> ControlFlow<()>,
) -> Result<Revision, StoreError> {
    store.scan(&keys::join(keys::OPAQUE, prefix), &mut |row| {
        let key = row.key.get(keys::OPAQUE.len()..).unwrap_or_default();
        visit(Row { key, ..row })
    })
}

#[cfg(test)]
#[path = "opaque_test.rs"]
mod tests;
