//! What a recovery point says of one segment, for tools that look at a data directory while no broker runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use thalweg_metadata::{EmbeddedOptions, EmbeddedStore, MetadataStore, OpenMode};
use thalweg_storage::disk::RealDisk;
use thalweg_storage::log::rows::{RecoveryStore, Row, decode};
use thalweg_storage::segment::render::read_partition_metadata;
use thalweg_types::{Offset, PartitionIndex, TopicPartitionId};

use super::backend::DiskBackend;
use super::data_directory::METADATA_FILE;
use super::recovery_rows::RecoveryRows;

/// The part of a segment file that must be there. What lies behind it a start cuts off and takes from the
/// write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurableSegment {
    /// Bytes of the file.
    pub size: u64,
    /// Offset after the last record in them.
    pub next_offset: Offset,
}

impl DurableSegment {
    /// Reads the recovery point of the segment with this base offset in a partition's directory.
    ///
    /// `None` if the directory is not part of a data directory of ours. A segment that no recovery point names counts
    /// zero bytes. The caller holds the data directory's lock. Blocks.
    ///
    /// # Errors
    /// Why the metadata cannot be read, with the file.
    pub fn read(partition_directory: &Path, base_offset: Offset) -> Result<Option<Self>, String> {
        let unknown = Self {
            size: 0,
            next_offset: base_offset,
        };
        let all = Self::read_all(partition_directory)?;
        Ok(all.map(|all| all.get(&base_offset).copied().unwrap_or(unknown)))
    }

    /// Reads the recovery points of all segments of a partition, as [`DurableSegment::read`] does for one.
    ///
    /// # Errors
    /// Why the metadata cannot be read, with the file.
    pub fn read_all(partition_directory: &Path) -> Result<Option<BTreeMap<Offset, Self>>, String> {
        let Some(metadata) = partition_directory
            .parent()
            .map(|directory| directory.join(METADATA_FILE))
            .filter(|path| path.is_file())
        else {
            return Ok(None);
        };
        let failed = |what: &dyn std::fmt::Display| format!("cannot read {}: {what}", metadata.display());
        let Some(id) = partition_id(partition_directory).map_err(|error| failed(&error))? else {
            return Ok(None);
        };
        let backend = DiskBackend::open(&RealDisk, &metadata).map_err(|error| failed(&error))?;
        let options = EmbeddedOptions::new(metadata.display().to_string(), OpenMode::Existing);
        let (store, _) = EmbeddedStore::open(backend, options).map_err(|error| failed(&error))?;
        let store: Arc<dyn MetadataStore> = Arc::new(store);
        let mut durable = BTreeMap::new();
        RecoveryRows { store }
            .load(&mut |key, value| {
                if let Row::Segment(of, segment) = decode(key, value)?
                    && of == id
                {
                    let found = Self {
                        size: segment.size,
                        next_offset: segment.next_offset,
                    };
                    durable.insert(segment.base_offset, found);
                }
                Ok(())
            })
            .map_err(|error| failed(&error))?;
        Ok(Some(durable))
    }
}

/// The topic's id stands in the directory, the partition's number in its name.
fn partition_id(directory: &Path) -> std::io::Result<Option<TopicPartitionId>> {
    let number = directory
        .file_name()
        .and_then(|name| name.to_str()?.rsplit_once('-')?.1.parse().ok());
    let topic_id = read_partition_metadata(&RealDisk, directory)?;
    Ok(number.zip(topic_id).map(|(number, topic_id)| TopicPartitionId {
        topic_id,
        partition: PartitionIndex(number),
    }))
}
