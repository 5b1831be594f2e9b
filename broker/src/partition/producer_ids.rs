//! Producer ids, in durable blocks: an id is never given twice, restarts included.

use std::ops::Range;
use std::sync::Arc;

use rand::Rng;
use thalweg_metadata::{Metadata, MetadataError, take_producer_id_block};
use thalweg_types::ProducerId;
use thiserror::Error;
use tokio::sync::Mutex;

/// Ids per durable block; a restart forgets what is left of one.
const BLOCK_SIZE: u32 = 1000;

/// Gives out producer ids.
pub struct ProducerIds {
    metadata: Arc<Metadata>,
    block: Mutex<Range<i64>>,
}

/// Why there is no id.
#[derive(Clone, Debug, Error)]
#[error("no producer id: {0}")]
pub struct ProducerIdError(String);

impl From<MetadataError> for ProducerIdError {
    fn from(error: MetadataError) -> Self {
        Self(error.to_string())
    }
}

impl ProducerIds {
    /// Starts without a block.
    #[must_use]
    pub fn new(metadata: Arc<Metadata>) -> Self {
        Self {
            metadata,
            block: Mutex::new(0..0),
        }
    }

    /// Returns an id that was never given before.
    ///
    /// # Errors
    /// When a new block is needed and cannot be made durable.
    pub async fn next(&self) -> Result<ProducerId, ProducerIdError> {
        let mut block = self.block.lock().await;
        if block.is_empty() {
            let metadata = Arc::clone(&self.metadata);
            // High and random: ids of another cluster, or of this one before it lost its metadata, do not come
            // again.
            let base = ProducerId(rand::rng().random_range(1..1i64 << 40) << 20);
            let taken = tokio::task::spawn_blocking(move || {
                take_producer_id_block(&**metadata.store(), BLOCK_SIZE, base)
            });
            *block = taken
                .await
                .map_err(|error| ProducerIdError(error.to_string()))??;
        }
        block
            .next()
            .map(ProducerId)
            .ok_or_else(|| ProducerIdError("an empty block".into()))
    }
}
