//! Recovery points of the logs, kept as opaque rows of the metadata store.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use thalweg_metadata::{CommitError, MetadataError, MetadataStore, StoreError, put_many, scan_opaque};
use thalweg_storage::log::rows::{RecoveryStore, RecoveryStoreError, RowChange, RowVisitor};

/// Adapts the store.
pub(super) struct RecoveryRows {
    pub(super) store: Arc<dyn MetadataStore>,
}

impl fmt::Debug for RecoveryRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryRows")
    }
}

impl RecoveryStore for RecoveryRows {
    fn load(&self, visit: &mut RowVisitor<'_>) -> Result<(), String> {
        let mut refused = None;
        scan_opaque(&*self.store, &[], &mut |row| match visit(row.key, row.value) {
            Ok(()) => ControlFlow::Continue(()),
            Err(what) => {
                refused = Some(what);
                ControlFlow::Break(())
            }
        })
        .map_err(|error| error.to_string())?;
        refused.map_or(Ok(()), Err)
    }

    fn commit(&self, changes: Vec<RowChange>) -> Result<(), RecoveryStoreError> {
        let (mut puts, mut deletes) = (Vec::new(), Vec::new());
        for change in changes {
            match change.value {
                Some(value) => puts.push((change.key, value)),
                None => deletes.push(change.key),
            }
        }
        match put_many(&*self.store, puts, deletes) {
            Ok(_) => Ok(()),
            Err(error) if is_no_space(&error) => Err(RecoveryStoreError::Full(error.to_string())),
            Err(error) => Err(RecoveryStoreError::Failed(error.to_string())),
        }
    }
}

/// Reports whether a failure of the metadata store means that the disk is full, which passes.
pub(crate) fn is_no_space(error: &MetadataError) -> bool {
    matches!(
        error,
        MetadataError::Store(StoreError::NoSpace { .. })
            | MetadataError::Commit(
                CommitError::NoSpace { .. } | CommitError::Store(StoreError::NoSpace { .. })
            )
    )
}
