//! Small files of a partition directory as Kafka writes them, so that Kafka's tools read the directory. They are
//! renderings: nothing here is read back to decide what is true, except that a topic id in
//! `partition.metadata` must agree with the metadata.

use super::names::{FileKind, segment_file};
use crate::disk::{Disk, OpenMode, read_file, replace_file};
use crate::log::epochs::Epochs;
use crate::log::producers::{NO_COORDINATOR_EPOCH, Producers};
use crate::log::transactions::Transactions;
use std::io;
use std::path::Path;
use thalweg_types::{Offset, TopicId};

const PARTITION_METADATA: &str = "partition.metadata";
const EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
const PARTITION_METADATA_BYTES_MAX: u64 = 4096;

/// Writes `partition.metadata` when it is not there.
///
/// # Errors
/// As the disk says.
pub fn partition_metadata(disk: &dyn Disk, directory: &Path, topic_id: TopicId) -> io::Result<()> {
    let path = directory.join(PARTITION_METADATA);
    if disk.file_len(&path)?.is_some() {
        return Ok(());
    }
    replace_file(
        disk,
        &path,
        format!("version: 0\ntopic_id: {topic_id}\n").as_bytes(),
    )
}

/// Reads the topic id of a partition directory; `None` when the file is not there or says nothing.
///
/// # Errors
/// As the disk says.
pub fn read_partition_metadata(disk: &dyn Disk, directory: &Path) -> io::Result<Option<TopicId>> {
    let path = directory.join(PARTITION_METADATA);
    if disk.file_len(&path)?.is_none() {
        return Ok(None);
    }
    let content = read_file(disk, &path, PARTITION_METADATA_BYTES_MAX)?;
    let text = String::from_utf8_lossy(&content);
    Ok(text
        .lines()
        .find_map(|line| line.strip_prefix("topic_id: ")?.trim().parse().ok()))
}

/// Writes `leader-epoch-checkpoint`: version, count, then one line `epoch start-offset` each.
///
/// # Errors
/// As the disk says.
pub fn epoch_checkpoint(disk: &dyn Disk, directory: &Path, epochs: &Epochs) -> io::Result<()> {
    let mut text = format!("0\n{}\n", epochs.entries().len());
    for (epoch, start) in epochs.entries() {
        text.push_str(&format!("{epoch} {start}\n"));
    }
    rewrite(disk, &directory.join(EPOCH_CHECKPOINT), text.as_bytes())
}

/// Writes `<offset>.snapshot`: the last batch of each producer (Kafka keeps one, we keep five elsewhere), and its open
/// transaction.
///
/// # Errors
/// As the disk says.
pub fn producer_snapshot(
    disk: &dyn Disk,
    directory: &Path,
    offset: Offset,
    (producers, transactions): (&Producers, &Transactions),
) -> io::Result<()> {
    let mut rows = Vec::new();
    let mut count: i32 = 0;
    for (id, entry) in producers.entries() {
        let open = transactions.of_producer(id);
        let last = entry.batches.back();
        if last.is_none() && open.is_none() && entry.coordinator_epoch == NO_COORDINATOR_EPOCH {
            continue;
        }
        count += 1;
        let delta = last.map_or(0, |last| last.last_offset.0.saturating_sub(last.base_offset.0));
        let timestamp = last.map_or(entry.last_seen, |last| last.timestamp);
        rows.extend_from_slice(&id.0.to_be_bytes());
        rows.extend_from_slice(&entry.epoch.0.to_be_bytes());
        rows.extend_from_slice(&last.map_or(-1, |last| last.last_sequence).to_be_bytes());
        rows.extend_from_slice(&last.map_or(-1, |last| last.last_offset.0).to_be_bytes());
        rows.extend_from_slice(&i32::try_from(delta).unwrap_or(i32::MAX).to_be_bytes());
        rows.extend_from_slice(&timestamp.0.to_be_bytes());
        rows.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        rows.extend_from_slice(&open.map_or(-1, |open| open.first_offset.0).to_be_bytes());
    }
    let mut body = count.to_be_bytes().to_vec();
    body.extend_from_slice(&rows);
    let mut content = 1i16.to_be_bytes().to_vec();
    content.extend_from_slice(&thalweg_wire::batch::crc32c(&body).to_be_bytes());
    content.extend_from_slice(&body);
    rewrite(
        disk,
        &segment_file(directory, offset, FileKind::ProducerSnapshot),
        &content,
    )
}

/// Writes a file without making it durable: it is only a rendering.
fn rewrite(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    let file = disk.open(path, OpenMode::Create)?;
    file.set_len(0)?;
    file.write_all_at(content, 0)
}
