//! Who this cluster and this data directory are, and in which format the directory is written.
//!
//! The same stamp is written into the metadata, the write-ahead log and every directory. Invariant: what
//! carries different stamps is never used together.

use std::fmt;
use std::str::FromStr;

use thalweg_types::TopicId;

use crate::codec::{Decoder, Encoder};
use crate::error::{MetadataError, RecordError};
use crate::keys;
use crate::store::{MetadataStore, Transaction};

/// Newest format of a data directory this release reads and writes.
pub const FORMAT_VERSION: u32 = 1;

const STAMP_FORMAT: u8 = 1;

/// The text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cluster or directory id is 22 characters of URL-safe base64")]
pub struct IdParseError;

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Shown as Kafka's tools show it: 22 characters of URL-safe base64 (RFC 4648 §5) without padding.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Kafka shows all its 16-byte ids alike.
                fmt::Display::fmt(&TopicId(self.0), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdParseError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse::<TopicId>().map(|id| Self(id.0)).map_err(|_| IdParseError)
            }
        }
    };
}

random_id!(
    /// Random id of a cluster.
    ClusterId
);
random_id!(
    /// Random id of a data directory (KIP-858).
    DirectoryId
);

/// What the metadata, the write-ahead log and every directory must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The data directory.
    pub directory_id: DirectoryId,
    /// Format of everything in it.
    pub format_version: u32,
}

/// Two places that belong together do not agree, or a place is newer than this release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StampMismatch {
    /// They belong to two clusters.
    #[error(
        "{place} belongs to cluster {found}, the metadata to {expected}. Put the files of one data directory together again"
    )]
    Cluster {
        /// Where the other stamp was found.
        place: String,
        /// The metadata's cluster.
        expected: ClusterId,
        /// The other cluster.
        found: ClusterId,
    },
    /// They belong to two directories of one cluster.
    #[error(
        "{place} belongs to data directory {found}, the metadata to {expected}. Put the files of one data directory together again"
    )]
    Directory {
        /// Where the other stamp was found.
        place: String,
        /// The metadata's directory.
        expected: DirectoryId,
        /// The other directory.
        found: DirectoryId,
    },
    /// They were written in two formats.
    #[error(
        "{place} has format {found}, the metadata {expected}. Put the files of one data directory together again"
    )]
    Format {
        /// Where the other stamp was found.
        place: String,
        /// The metadata's format.
        expected: u32,
        /// The other format.
        found: u32,
    },
    /// A newer release wrote it.
    #[error(
        "{place} has format {found}, newer than this release reads ({supported}). Start the newer release"
    )]
    Newer {
        /// Where it was found.
        place: String,
        /// Its format.
        found: u32,
        /// Newest format this release reads.
        supported: u32,
    },
}

impl Stamp {
    /// Returns the stamp of a new directory, in this release's format.
    #[must_use]
    pub const fn new(cluster_id: ClusterId, directory_id: DirectoryId) -> Self {
        Self {
            cluster_id,
            directory_id,
            format_version: FORMAT_VERSION,
        }
    }

    /// Checks that this release can read what carries the stamp.
    ///
    /// # Errors
    /// [`StampMismatch::Newer`], naming `place`.
    pub fn check_supported(&self, place: &str) -> Result<(), StampMismatch> {
        if self.format_version > FORMAT_VERSION {
            return Err(StampMismatch::Newer {
                place: place.to_owned(),
                found: self.format_version,
                supported: FORMAT_VERSION,
            });
        }
        Ok(())
    }

    /// Checks that the stamp `other`, found at `place`, belongs to this one, the metadata's.
    ///
    /// # Errors
    /// The first disagreement.
    pub fn check_agrees(&self, other: &Self, place: &str) -> Result<(), StampMismatch> {
        other.check_supported(place)?;
        let place = place.to_owned();
        if self.cluster_id != other.cluster_id {
            return Err(StampMismatch::Cluster {
                place,
                expected: self.cluster_id,
                found: other.cluster_id,
            });
        }
        if self.directory_id != other.directory_id {
            return Err(StampMismatch::Directory {
                place,
                expected: self.directory_id,
                found: other.directory_id,
            });
        }
        if self.format_version != other.format_version {
            return Err(StampMismatch::Format {
                place,
                expected: self.format_version,
                found: other.format_version,
            });
        }
        Ok(())
    }

    /// Returns the stamp's bytes, without a checksum: whoever writes them brings his own.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::new(STAMP_FORMAT)
            .raw(&self.cluster_id.0)
            .raw(&self.directory_id.0)
            .u32(self.format_version)
            .finish()
    }

    /// Reads a stamp's bytes.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut decoder = Decoder::new("stamp", bytes, STAMP_FORMAT)?;
        let stamp = Self {
            cluster_id: ClusterId(decoder.array()?),
            directory_id: DirectoryId(decoder.array()?),
            format_version: decoder.u32()?,
        };
        decoder.finish()?;
        Ok(stamp)
    }
}

/// Reads the stamp of the metadata; `None` if the store is new. Blocks.
///
/// # Errors
/// [`MetadataError`]; a stamp of a newer release is refused.
pub fn read_stamp(store: &dyn MetadataStore) -> Result<Option<Stamp>, MetadataError> {
    let Some(row) = store.get(keys::STAMP)? else {
        return Ok(None);
    };
    let stamp = Stamp::decode(&row.value).map_err(|source| MetadataError::record(keys::STAMP, source))?;
    stamp.check_supported("the metadata")?;
    Ok(Some(stamp))
}

/// Writes the stamp of a new store, durably. Blocks.
///
/// # Errors
/// [`MetadataError::Commit`] with a conflict if the store has a stamp: it never changes.
pub fn create_stamp(store: &dyn MetadataStore, stamp: &Stamp) -> Result<(), MetadataError> {
    store.commit(
        Transaction::new()
            .require_absent(keys::STAMP)
            .put(keys::STAMP, stamp.encode()),
    )?;
    Ok(())
}

#[cfg(test)]
#[path = "cluster_test.rs"]
mod tests;
