//! What handlers do with one partition: check and append batches, read within a fetch's limits; and what all
//! partitions share: producer ids, fetch sessions, the gate that closes on a full disk, the one that asks the
//! transaction coordinator; and what mirror links do.

mod append;
mod disk_gate;
mod fetch_sessions;
mod mirror;
mod producer_ids;
mod transaction_gate;

pub use append::{ClientBatch, ProduceError, Produced, RecordError, append_error_code, append_from_client};
pub use disk_gate::{DiskGate, DiskMarks};
pub use fetch_sessions::{FetchSessionCounts, FetchSessions, SessionFetch, SessionPartition};
pub use mirror::{
    MirrorAnswer, MirrorCounters, MirrorOperationError, MirrorProgress, MirrorRequest, RefusalReason,
};
pub use producer_ids::{ProducerIdError, ProducerIds};
pub use transaction_gate::{
    Admission, AdmissionRequest, Admitted, NoTransactions, TransactionGate, TransactionalBatch, admit,
};
