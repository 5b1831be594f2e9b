//! The Fetch request: what a reader asks for.
//!
//! Owns the parse of versions 4–18. Numbers are taken as they come: what they may be is for the handler to say.

use thalweg_types::{BrokerId, LeaderEpoch, Offset, PartitionIndex};

use super::{KEY, REPLICA_STATE_FROM, encoding, naming};
use crate::cursor::{Cursor, Problem};
use crate::guard::{self, Direction, GuardError, GuardLimits};
use crate::schema::Encoding;
use crate::topology::TopicKey;
use crate::walk;

/// Which records a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum IsolationLevel {
    /// All records up to the high watermark.
    #[default]
    ReadUncommitted,
    /// Records up to the last stable offset, with the list of aborted transactions (KIP-98).
    ReadCommitted,
}

impl IsolationLevel {
    /// Returns the level that Fetch and ListOffsets write as this number, or `None` if it has no meaning.
    #[must_use]
    pub const fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::ReadUncommitted),
            1 => Some(Self::ReadCommitted),
            _ => None,
        }
    }
}

/// A Fetch request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// −1 for a consumer; a broker that copies the partition gives its id.
    pub replica_id: BrokerId,
    /// The start of that broker it comes from, or −1; from v15 on.
    pub replica_epoch: i64,
    /// The cluster the sender thinks it talks to; from v12 on.
    pub cluster_id: Option<String>,
    /// How long to wait for `min_bytes`, in milliseconds; may be any number.
    pub max_wait_ms: i32,
    /// How much to wait for, in bytes; may be any number.
    pub min_bytes: i32,
    /// How much to return, in bytes; the first batch is returned even if it is larger (KIP-74). May be any number.
    pub max_bytes: i32,
    /// Which records the reader may see.
    pub isolation_level: IsolationLevel,
    /// The fetch session, 0 for none; from v7 on.
    pub session_id: i32,
    /// The next request number of the session; −1: no session, 0: open one. From v7 on.
    pub session_epoch: i32,
    /// What to read; in a session, what changed.
    pub topics: Vec<FetchTopic>,
    /// What to take out of the session; from v7 on.
    pub forgotten_topics: Vec<ForgottenTopic>,
    /// The reader's rack, empty if it has none; from v11 on.
    pub rack_id: String,
}

/// The part of a request for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTopic {
    /// Name up to v12, id from v13 on.
    pub topic: TopicKey,
    /// What to read from its partitions.
    pub partitions: Vec<FetchPartition>,
}

/// The part of a request for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// The partition; not checked, may be negative.
    pub index: PartitionIndex,
    /// The epoch the reader knows, or [`LeaderEpoch::UNKNOWN`]; from v9 on.
    pub current_leader_epoch: LeaderEpoch,
    /// Where to start.
    pub fetch_offset: Offset,
    /// The epoch of the last record the reader has, or [`LeaderEpoch::UNKNOWN`]; from v12 on.
    pub last_fetched_epoch: LeaderEpoch,
    /// The replica's own first offset, or [`Offset::UNKNOWN`] from a consumer; from v5 on.
    pub log_start_offset: Offset,
    /// How much to return from this partition, in bytes; may be any number.
    pub max_bytes: i32,
    /// The replica's directory, or zero; from v17 on.
    pub replica_directory_id: [u8; 16],
    /// The high watermark the replica knows, [`Offset::UNKNOWN`] if none, [`i64::MAX`] if it does not say; from v18 on.
    pub high_watermark: Offset,
}

/// Partitions to take out of a fetch session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgottenTopic {
    /// Name up to v12, id from v13 on.
    pub topic: TopicKey,
    /// Its partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// Parses the body of a Fetch request (the bytes after the request header).
///
/// Fields that the version does not have get the value Kafka gives them.
///
/// # Errors
/// [`GuardError`] as [`guard::check_request`], if a string is not UTF-8 or the isolation level unknown.
pub fn parse_fetch_request(
    version: i16,
    body: &[u8],
    limits: &GuardLimits,
) -> Result<FetchRequest, GuardError> {
    let schema = guard::message(Direction::Request, KEY, version)?;
    walk::check(schema, version, body, limits)?;
    let mut reader = Reader {
        cursor: Cursor::new(body),
        version,
        encoding: encoding(version),
    };
    reader.request().map_err(|(path, problem)| GuardError::Malformed {
        name: schema.name,
        version,
        path: path.to_owned(),
        position: reader.cursor.position(),
        problem,
    })
}

type At = (&'static str, Problem);

fn at(path: &'static str) -> impl Fn(Problem) -> At {
    move |problem| (path, problem)
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    version: i16,
    encoding: Encoding,
}

impl Reader<'_> {
    fn request(&mut self) -> Result<FetchRequest, At> {
        let mut replica_id = BrokerId(-1);
        if self.version < REPLICA_STATE_FROM {
            replica_id = BrokerId(self.cursor.i32().map_err(at("replica_id"))?);
        }
        let max_wait_ms = self.cursor.i32().map_err(at("max_wait_ms"))?;
        let min_bytes = self.cursor.i32().map_err(at("min_bytes"))?;
        let max_bytes = self.cursor.i32().map_err(at("max_bytes"))?;
        let isolation_level = self.isolation_level().map_err(at("isolation_level"))?;
        let (mut session_id, mut session_epoch) = (0, -1);
        if self.version >= 7 {
            session_id = self.cursor.i32().map_err(at("session_id"))?;
            session_epoch = self.cursor.i32().map_err(at("session_epoch"))?;
        }
        let topics = self.topics()?;
        let mut forgotten_topics = Vec::new();
        if self.version >= 7 {
            forgotten_topics = self.forgotten_topics()?;
        }
        let mut rack_id = String::new();
        if self.version >= 11 {
            rack_id = self
                .cursor
                .string(self.encoding)
                .map_err(at("rack_id"))?
                .to_owned();
        }
        let mut request = FetchRequest {
            replica_id,
            replica_epoch: -1,
            cluster_id: None,
            max_wait_ms,
            min_bytes,
            max_bytes,
            isolation_level,
            session_id,
            session_epoch,
            topics,
            forgotten_topics,
            rack_id,
        };
        let encoding = self.encoding;
        self.cursor
            .each_tagged(encoding, |tag, value| {
                match tag {
                    0 => request.cluster_id = value.nullable_string(encoding)?.map(str::to_owned),
                    1 => {
                        request.replica_id = BrokerId(value.i32()?);
                        request.replica_epoch = value.i64()?;
                    }
                    _ => {}
                }
                Ok(())
            })
            .map_err(at("(tagged fields)"))?;
        Ok(request)
    }

    fn isolation_level(&mut self) -> Result<IsolationLevel, Problem> {
        let position = self.cursor.position();
        let code = self.cursor.i8()?;
        IsolationLevel::from_code(code).ok_or_else(|| {
            self.cursor.rewind_to(position);
            Problem::UnknownValue(i64::from(code))
        })
    }

    fn topics(&mut self) -> Result<Vec<FetchTopic>, At> {
        let count = self
            .cursor
            .bounded_count(self.encoding, 3)
            .map_err(at("topics"))?;
        let mut topics = Vec::with_capacity(count);
        for _ in 0..count {
            let topic = naming(self.version)
                .read(&mut self.cursor, self.encoding)
                .map_err(at("topics.topic"))?;
            let count = self
                .cursor
                .bounded_count(self.encoding, 16)
                .map_err(at("topics.partitions"))?;
            let mut partitions = Vec::with_capacity(count);
            for _ in 0..count {
                partitions.push(self.partition().map_err(at("topics.partitions"))?);
            }
            self.cursor.skip_tagged(self.encoding).map_err(at("topics"))?;
            topics.push(FetchTopic { topic, partitions });
        }
        Ok(topics)
    }

    fn partition(&mut self) -> Result<FetchPartition, Problem> {
        let version = self.version;
        let cursor = &mut self.cursor;
        let index = PartitionIndex(cursor.i32()?);
        let current_leader_epoch = if version >= 9 {
            LeaderEpoch(cursor.i32()?)
        } else {
            LeaderEpoch::UNKNOWN
        };
        let fetch_offset = Offset(cursor.i64()?);
        let last_fetched_epoch = if version >= 12 {
            LeaderEpoch(cursor.i32()?)
        } else {
            LeaderEpoch::UNKNOWN
        };
        let log_start_offset = if version >= 5 {
            Offset(cursor.i64()?)
        } else {
            Offset::UNKNOWN
        };
        let mut partition = FetchPartition {
            index,
            current_leader_epoch,
            fetch_offset,
            last_fetched_epoch,
            log_start_offset,
            max_bytes: cursor.i32()?,
            replica_directory_id: [0; 16],
            high_watermark: Offset(i64::MAX),
        };
        cursor.each_tagged(self.encoding, |tag, value| {
            match tag {
                0 => partition.replica_directory_id = value.uuid()?,
                1 => partition.high_watermark = Offset(value.i64()?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(partition)
    }

    fn forgotten_topics(&mut self) -> Result<Vec<ForgottenTopic>, At> {
        let path = "forgotten_topics_data";
        let count = self.cursor.bounded_count(self.encoding, 3).map_err(at(path))?;
        let mut topics = Vec::with_capacity(count);
        for _ in 0..count {
            let topic = naming(self.version)
                .read(&mut self.cursor, self.encoding)
                .map_err(at(path))?;
            let count = self.cursor.bounded_count(self.encoding, 4).map_err(at(path))?;
            let mut partitions = Vec::with_capacity(count);
            for _ in 0..count {
                partitions.push(PartitionIndex(self.cursor.i32().map_err(at(path))?));
            }
            self.cursor.skip_tagged(self.encoding).map_err(at(path))?;
            topics.push(ForgottenTopic { topic, partitions });
        }
        Ok(topics)
    }
}
