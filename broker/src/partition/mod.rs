//! What handlers do with one partition: check and append batches, read within a fetch's limits; and what all
//! partitions share: the place for checks, producer ids, fetch sessions, the gate that closes on a full disk, the one that
//! asks the transaction coordinator; and what mirror links do.

mod append;
mod disk_gate;
mod fetch_sessions;
mod mirror;
mod producer_ids;
mod record_checks;
mod transaction_gate;
mod validation;

pub use append::{ProduceError, Produced, RecordError, append_error_code, append_from_client};
pub use disk_gate::{DiskGate, DiskMarks};
pub use fetch_sessions::{FetchSessionCounts, FetchSessions, SessionFetch, SessionPartition};
pub use mirror::{
    MirrorAnswer, MirrorCounters, MirrorOperationError, MirrorProgress, MirrorRequest, RefusalReason,
};
pub use producer_ids::{ProducerIdError, ProducerIds};
pub use record_checks::RecordChecks;
pub use transaction_gate::{
    Admission, AdmissionRequest, Admitted, NoTransactions, TransactionGate, TransactionalBatch, admit,
};
pub use validation::{ValidRecords, validate};
