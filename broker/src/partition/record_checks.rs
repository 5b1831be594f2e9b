//! Where clients' batches are checked, so that no check holds up other connections: short work at once, long work on
//! a blocking thread, as many at a time as the machine has cores. Also counts what is refused.
//!
//! Who waits for a check waits in stage 1 of his request, so the effects of a connection stay in arrival order and a
//! connection has at most one batch here. Memory: one decompressed batch for each core, and its recompressed form.

use std::panic::resume_unwind;
use std::sync::Arc;

use bytes::BytesMut;
use prometheus::{IntCounter, IntCounterVec};
use thalweg_storage::log::AppendError;
use thalweg_telemetry::{Family, FamilySpec, Metrics, MetricsError};
use thalweg_types::TimestampMs;
use thalweg_wire::compression::CompressionLimits;
use tokio::sync::Semaphore;

use super::append::ProduceError;
use super::validation::{ValidRecords, Work, validate, work};
use crate::topics::TopicView;

/// Series of the refusals: more than [`ProduceError::reason`] has words.
const REASONS_MAX: usize = 16;

/// The one place for all connections.
#[derive(Debug)]
pub struct RecordChecks {
    /// One permit for each long check that may run.
    cores: Arc<Semaphore>,
    refused: Family<IntCounterVec>,
}

impl RecordChecks {
    /// Registers the metrics; nothing is checked yet.
    ///
    /// # Errors
    /// [`MetricsError::Refused`] if they are registered already.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let refused = metrics.counter_family(FamilySpec {
            name: "thalweg_produce_batches_refused_total",
            help: "Batches of clients that a partition refused, by why.",
            labels: &["reason"],
            series_max: REASONS_MAX,
        })?;
        // A series that is there from the start is 0 until the first refusal, not unknown.
        for reason in ProduceError::REASONS {
            let _: Option<_> = refused.with(&[reason]);
        }
        Ok(Self {
            cores: Arc::new(Semaphore::new(cores)),
            refused,
        })
    }

    /// Checks one batch as [`validate`] does. A caller that goes away leaves work behind that ends by itself and
    /// changes nothing.
    ///
    /// # Errors
    /// Those of [`validate`]; as for a closed log when the broker stops meanwhile.
    ///
    /// # Panics
    /// If the check does, which is a mistake of ours.
    pub async fn check(
        &self,
        records: BytesMut,
        topic: &Arc<TopicView>,
        now: TimestampMs,
        inflate: CompressionLimits,
    ) -> Result<ValidRecords, ProduceError> {
        if work(&records, topic) == Work::Short {
            return validate(records, topic, now, &inflate);
        }
        let Ok(core) = Arc::clone(&self.cores).acquire_owned().await else {
            return Err(AppendError::Closed.into());
        };
        let topic = Arc::clone(topic);
        let checking = tokio::task::spawn_blocking(move || {
            let checked = validate(records, &topic, now, &inflate);
            // Only here: the thread is busy until now, whether or not somebody still waits.
            drop(core);
            checked
        });
        match checking.await {
            Ok(checked) => checked,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_stopping) => Err(AppendError::Closed.into()),
            },
        }
    }

    /// Counts a refusal.
    pub fn note_refused(&self, error: &ProduceError) {
        self.refused.with(&[error.reason()]).inspect(IntCounter::inc);
    }

    /// Takes all cores, so that a test decides when long checks go on.
    #[cfg(test)]
    pub(crate) async fn take_all_cores(&self) -> tokio::sync::OwnedSemaphorePermit {
        let all = u32::try_from(self.cores.available_permits()).expect("few cores");
        let taken = Arc::clone(&self.cores).acquire_many_owned(all).await;
        taken.expect("open")
    }
}
