//! Loading: one record of the log after the other becomes state again.

use std::collections::BTreeMap;

use thalweg_types::Offset;

use super::error::TransactionReplayError;
use super::id::TransactionalId;
use super::metadata::TransactionMetadata;
use super::state::TransactionState;
use crate::record::{DecodeError, TransactionLogKey, TransactionLogValue};

/// What a replayed record was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionReplayed {
    /// The state of an id.
    Stored,
    /// The removal of an id.
    Removed,
    /// Something that this program does not know.
    Skipped,
}

/// Applies one record. On an error nothing has changed.
pub(crate) fn replay(
    transactions: &mut BTreeMap<TransactionalId, TransactionMetadata>,
    key: &[u8],
    value: Option<&[u8]>,
    offset: Offset,
) -> Result<TransactionReplayed, TransactionReplayError> {
    let malformed = |part: &'static str| {
        move |cause: DecodeError| TransactionReplayError::Malformed { offset, part, cause }
    };
    let id = match TransactionLogKey::decode(key).map_err(malformed("key"))? {
        TransactionLogKey::TransactionalId(id) => TransactionalId::from(id),
        TransactionLogKey::Other { .. } => return Ok(TransactionReplayed::Skipped),
    };
    let Some(value) = value else {
        transactions.remove(&id);
        return Ok(TransactionReplayed::Removed);
    };
    let value = TransactionLogValue::decode(value).map_err(malformed("value"))?;
    let number = value.status;
    let state = TransactionState::from_number(number)
        .ok_or(TransactionReplayError::UnknownState { offset, number })?;
    transactions.insert(id, TransactionMetadata::from_value(value, state));
    Ok(TransactionReplayed::Stored)
}
