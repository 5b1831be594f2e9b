//! Names of directories and files, as Kafka gives them.

use std::path::{Path, PathBuf};
use thalweg_types::{Offset, PartitionIndex};

/// Suffix of a partition directory that waits for its removal.
pub const DELETED_DIRECTORY_SUFFIX: &str = "-delete";
/// Suffix of a file that compaction writes: it counts once a row says so, and then loses the suffix.
pub const CLEANED_FILE_SUFFIX: &str = ".cleaned";
/// Suffix of a file that waits for its removal.
pub const DELETED_FILE_SUFFIX: &str = ".deleted";
/// Longest topic name, in bytes.
pub const TOPIC_NAME_LEN_MAX: usize = 249;

/// Kinds of files that belong to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Record batches.
    Log,
    /// Offset to position.
    OffsetIndex,
    /// Timestamp to offset.
    TimeIndex,
    /// Aborted transactions.
    TransactionIndex,
    /// Producer state at the segment's start.
    ProducerSnapshot,
}

impl FileKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Log,
        Self::OffsetIndex,
        Self::TimeIndex,
        Self::TransactionIndex,
        Self::ProducerSnapshot,
    ];

    /// Those that compaction writes anew.
    pub const CLEANED: [Self; 4] = [
        Self::Log,
        Self::OffsetIndex,
        Self::TimeIndex,
        Self::TransactionIndex,
    ];

    /// Returns the ending of the file's name, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::OffsetIndex => "index",
            Self::TimeIndex => "timeindex",
            Self::TransactionIndex => "txnindex",
            Self::ProducerSnapshot => "snapshot",
        }
    }
}

/// Returns the directory name of a partition.
#[must_use]
pub fn partition_directory(topic: &str, partition: PartitionIndex) -> String {
    format!("{topic}-{partition}")
}

/// Returns the directory name of a partition that waits for its removal. The id keeps it apart from others of
/// the same name; a long topic name is cut as Kafka cuts it, so that the name stays within 255 bytes.
#[must_use]
pub fn doomed_directory(topic: &str, partition: PartitionIndex, id: &str) -> String {
    let tail = format!("-{partition}.{id}{DELETED_DIRECTORY_SUFFIX}");
    let room = 255usize.saturating_sub(tail.len()).min(topic.len());
    format!("{}{tail}", topic.get(..room).unwrap_or(topic))
}

/// Returns the path of a segment's file.
#[must_use]
pub fn segment_file(directory: &Path, base_offset: Offset, kind: FileKind) -> PathBuf {
    directory.join(format!("{:020}.{}", base_offset.0, kind.extension()))
}

/// Returns the path of a file that compaction writes to take the place of a segment's.
#[must_use]
pub fn cleaned_file(directory: &Path, base_offset: Offset, kind: FileKind) -> PathBuf {
    let mut name = segment_file(directory, base_offset, kind).into_os_string();
    name.push(CLEANED_FILE_SUFFIX);
    PathBuf::from(name)
}

/// Reads a segment file's name.
#[must_use]
pub fn parse_segment_file(name: &str) -> Option<(Offset, FileKind)> {
    let (digits, extension) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kind = FileKind::ALL
        .into_iter()
        .find(|kind| kind.extension() == extension)?;
    Some((Offset(digits.parse().ok()?), kind))
}
