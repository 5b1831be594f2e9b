//! The mirror extension of Produce: operations of a mirror link on one partition, and their outcome.
//!
//! Thalweg's own, negotiated by the feature [`FEATURE`] in ApiVersions. An operation rides in the tagged field [`TAG`]
//! of a partition of a Produce request (version 9 and up, acks=all, no transactional id), at most one each; the batches
//! of [`Operation::Append`] are the partition's records. The answer's partition carries a [`Report`] in the same tag
//! whenever the partition is known, with an error as well, so that the service needs no state of its own.
//! Integers are big-endian as everywhere in Kafka's protocol; the first byte is the version of the layout.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thalweg_types::{LeaderEpoch, Offset};
use thiserror::Error;

/// Name of the feature in ApiVersions.
pub const FEATURE: &str = "thalweg.mirror";
/// Newest version of the feature: 1 has the layout of this module, 2 knows [`Operation::Seal`], [`Operation::Unseal`] and
/// topics that become mirrors after clients wrote to them.
pub const FEATURE_VERSION: i16 = 2;
/// Version of the feature from which on partitions can be sealed, and topics become mirrors.
pub const FEATURE_VERSION_SEAL: i16 = 2;
/// Number of the tagged field, far above what Kafka assigns.
pub const TAG: i32 = 10_000;
/// Version of the layout.
pub const VERSION: u8 = 1;
/// The longest claim a holder can have without renewing it, in milliseconds.
pub const LEASE_MS_MAX: i32 = 600_000;

/// Identity of a link: made once, kept in its configuration. All zero is no link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub [u8; 16]);

impl LinkId {
    /// No link.
    pub const NONE: Self = Self([0; 16]);
}

/// Who acts, and where it believes the log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The link.
    pub link: LinkId,
    /// The session that a claim has given; ignored by [`Operation::Inspect`] and [`Operation::Claim`].
    pub session: i64,
    /// The log end offset the holder believes in; [`Offset::UNKNOWN`] where the operation does not depend on it.
    pub expected_end: Offset,
}

/// What a link does to a partition. Every one but [`Operation::Inspect`] is durable when it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reports; changes nothing and needs no claim.
    Inspect,
    /// Takes the partition for a new session, one above the last. Refused while another holder's lease runs.
    Claim {
        /// How long the claim lasts without being renewed, in milliseconds; at most [`LEASE_MS_MAX`].
        lease_ms: i32,
    },
    /// Appends the partition's records, verbatim, and renews the lease.
    Append {
        /// The source's end (high watermark) as last seen, or unknown.
        source_end: Offset,
    },
    /// Moves the log end to an offset without records: a gap of the source, or its expired tail.
    AdvanceEnd {
        /// The new log end.
        to: Offset,
    },
    /// Moves the log start, which follows the source.
    SetLogStart {
        /// The new log start.
        to: Offset,
    },
    /// Cuts off records at and above an offset; the leader epoch rises.
    Truncate {
        /// The new log end.
        to: Offset,
    },
    /// Tells the source's end, so that a consumer that is ahead waits, and renews the lease.
    SetSourceEnd {
        /// The source's end.
        source_end: Offset,
    },
    /// Ends the link's ownership: open transactions are aborted, producers forgotten, the epoch rises, writes open.
    Promote {
        /// The new leader epoch is above this one, and above any this broker has announced.
        epoch_above: LeaderEpoch,
    },
    /// Gives up the claim; the partition stays the link's.
    Release,
    /// Ends a partition of clients for now: new records are refused with POLICY_VIOLATION, repeats of older ones are
    /// acknowledged, open transactions may end. Needs neither link nor claim; a partition that is sealed stays so.
    Seal {
        /// A partition whose leader epoch has reached this one was given to clients since whoever asks looked at it, and is
        /// left alone (FENCED_LEADER_EPOCH).
        epoch_below: LeaderEpoch,
    },
    /// Takes new records again after [`Operation::Seal`]; needs neither link nor claim.
    Unseal,
}

impl Operation {
    /// Reports whether it is about a partition of clients, so that no link's identity is asked for.
    #[must_use]
    pub const fn is_of_clients(&self) -> bool {
        matches!(self, Self::Seal { .. } | Self::Unseal)
    }
}

/// A fenced operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Who acts.
    pub fence: Fence,
    /// What is done.
    pub operation: Operation,
}

/// Who may write to the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Clients.
    Open,
    /// The link.
    Link,
    /// Nobody.
    Sealed,
}

/// A partition as it is after an operation, or after its refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The link that owns it; [`LinkId::NONE`] if none does.
    pub link: LinkId,
    /// The last session.
    pub session: i64,
    /// Log start offset.
    pub log_start: Offset,
    /// Log end offset.
    pub log_end: Offset,
    /// High watermark: what is durable.
    pub high_watermark: Offset,
    /// The source's end as last told, or unknown.
    pub source_end: Offset,
    /// The partition's leader epoch, as Metadata tells it.
    pub leader_epoch: LeaderEpoch,
    /// The leader epoch of the last batch, as the source wrote it; unknown for an empty log.
    pub last_epoch: LeaderEpoch,
    /// What is left of the holder's lease, in milliseconds.
    pub lease_left_ms: i32,
    /// Who may write.
    pub ownership: Ownership,
}

/// Bytes that are no such message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MirrorError {
    /// Another version.
    #[error("layout version {0} of the mirror extension; this program knows {VERSION}")]
    Version(u8),
    /// Too few or too many bytes.
    #[error("{what} of the mirror extension: {len} bytes do not fit its layout")]
    Length {
        /// Which message.
        what: &'static str,
        /// Bytes found.
        len: usize,
    },
    /// An unknown number.
    #[error("{what} {value} of the mirror extension is not known")]
    Unknown {
        /// What the number stands for.
        what: &'static str,
        /// The number.
        value: u8,
    },
}

const COMMAND_LEN: usize = 1 + 1 + 16 + 8 + 8 + 8;
const REPORT_LEN: usize = 1 + 16 + 8 * 5 + 4 * 3 + 1;

impl Command {
    /// Returns the bytes of the tagged field.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let (number, argument) = match self.operation {
            Operation::Inspect => (0, 0),
            Operation::Claim { lease_ms } => (1, i64::from(lease_ms)),
            Operation::Append { source_end } => (2, source_end.0),
            Operation::AdvanceEnd { to } => (3, to.0),
            Operation::SetLogStart { to } => (4, to.0),
            Operation::Truncate { to } => (5, to.0),
            Operation::SetSourceEnd { source_end } => (6, source_end.0),
            Operation::Promote { epoch_above } => (7, i64::from(epoch_above.0)),
            Operation::Release => (8, 0),
            Operation::Seal { epoch_below } => (9, i64::from(epoch_below.0)),
            Operation::Unseal => (10, 0),
        };
        let mut bytes = BytesMut::with_capacity(COMMAND_LEN);
        bytes.put_u8(VERSION);
        bytes.put_u8(number);
        bytes.put_slice(&self.fence.link.0);
        bytes.put_i64(self.fence.session);
        bytes.put_i64(self.fence.expected_end.0);
        bytes.put_i64(argument);
        bytes.freeze()
    }

    /// Reads the bytes of the tagged field.
    ///
    /// # Errors
    /// [`MirrorError`] when they are none, or an argument is out of its range.
    pub fn decode(bytes: &[u8]) -> Result<Self, MirrorError> {
        let mut rest = checked(bytes, "a command", COMMAND_LEN)?;
        let number = rest.get_u8();
        let link = link(&mut rest);
        let session = rest.get_i64();
        let expected_end = Offset(rest.get_i64());
        let argument = rest.get_i64();
        let to = Offset(argument);
        let narrow = |what| i32::try_from(argument).map_err(|_| MirrorError::Unknown { what, value: number });
        let operation = match number {
            0 => Operation::Inspect,
            1 => Operation::Claim {
                lease_ms: narrow("a lease of command")?,
            },
            2 => Operation::Append { source_end: to },
            3 => Operation::AdvanceEnd { to },
            4 => Operation::SetLogStart { to },
            5 => Operation::Truncate { to },
            6 => Operation::SetSourceEnd { source_end: to },
            7 => Operation::Promote {
                epoch_above: LeaderEpoch(narrow("an epoch of command")?),
            },
            8 => Operation::Release,
            9 => Operation::Seal {
                epoch_below: LeaderEpoch(narrow("an epoch of command")?),
            },
            10 => Operation::Unseal,
            value => {
                return Err(MirrorError::Unknown {
                    what: "command",
                    value,
                });
            }
        };
        Ok(Self {
            fence: Fence {
                link,
                session,
                expected_end,
            },
            operation,
        })
    }
}

impl Report {
    /// Returns the bytes of the tagged field.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(REPORT_LEN);
        bytes.put_u8(VERSION);
        bytes.put_slice(&self.link.0);
        bytes.put_i64(self.session);
        bytes.put_i64(self.log_start.0);
        bytes.put_i64(self.log_end.0);
        bytes.put_i64(self.high_watermark.0);
        bytes.put_i64(self.source_end.0);
        bytes.put_i32(self.leader_epoch.0);
        bytes.put_i32(self.last_epoch.0);
        bytes.put_i32(self.lease_left_ms);
        bytes.put_u8(match self.ownership {
            Ownership::Open => 0,
            Ownership::Link => 1,
            Ownership::Sealed => 2,
        });
        bytes.freeze()
    }

    /// Reads the bytes of the tagged field.
    ///
    /// # Errors
    /// [`MirrorError`] when they are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, MirrorError> {
        let mut rest = checked(bytes, "a report", REPORT_LEN)?;
        Ok(Self {
            link: link(&mut rest),
            session: rest.get_i64(),
            log_start: Offset(rest.get_i64()),
            log_end: Offset(rest.get_i64()),
            high_watermark: Offset(rest.get_i64()),
            source_end: Offset(rest.get_i64()),
            leader_epoch: LeaderEpoch(rest.get_i32()),
            last_epoch: LeaderEpoch(rest.get_i32()),
            lease_left_ms: rest.get_i32(),
            ownership: match rest.get_u8() {
                0 => Ownership::Open,
                1 => Ownership::Link,
                2 => Ownership::Sealed,
                value => {
                    return Err(MirrorError::Unknown {
                        what: "write state",
                        value,
                    });
                }
            },
        })
    }
}

/// Checks version and length, and returns what follows the version.
fn checked<'a>(bytes: &'a [u8], what: &'static str, len: usize) -> Result<&'a [u8], MirrorError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) if bytes.len() == len => Ok(rest),
        Some((&version, _)) if version != VERSION => Err(MirrorError::Version(version)),
        _ => Err(MirrorError::Length {
            what,
            len: bytes.len(),
        }),
    }
}

fn link(rest: &mut &[u8]) -> LinkId {
    let mut id = [0; 16];
    rest.copy_to_slice(&mut id);
    LinkId(id)
}

#[cfg(test)]
#[path = "mirror_test.rs"]
mod tests;
