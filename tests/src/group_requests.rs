//! Requests of classic groups as bytes, and what of their answers tests look at: for groups of a thousand members, for
//! which a thousand real clients would be too many.
//!
//! The versions are the newest without tagged fields; layouts as <https://kafka.apache.org/protocol> lists them. Shares
//! no code with the broker.

use crate::raw::{HeaderForm, request};

/// The error code of success.
pub const NONE: i16 = 0;
/// REBALANCE_IN_PROGRESS.
pub const REBALANCE_IN_PROGRESS: i16 = 27;
/// FindCoordinator (version 0); the first of a cluster makes the internal topic.
pub fn find(group: &str) -> Vec<u8> {
    let mut body = Body::default();
    body.text(group);
    body.request(10, 0)
}

/// JoinGroup (version 3: the first answer is already the member's). An empty member id asks for one.
pub fn join(group: &str, member: &str, session_ms: i32, rebalance_ms: i32) -> Vec<u8> {
    let mut body = Body::default();
    body.text(group).int(session_ms).int(rebalance_ms).text(member);
    body.text("consumer").int(1).text("range").blob(&subscription());
    body.request(11, 3)
}

/// What a consumer says of itself: version 0 of its subscription, to one topic, without data of its own.
///
/// Kafka reads it: a group of consumers whose leader's bytes are none is never formed.
fn subscription() -> Vec<u8> {
    let mut body = Body(vec![0, 0]);
    body.int(1).text("shared").int(-1);
    body.0
}

/// What a member learns by joining.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The error code.
    pub error: i16,
    /// The generation.
    pub generation: i32,
    /// The leader's member id.
    pub leader: String,
    /// The member's own id.
    pub member: String,
    /// The ids of all members, for the leader alone.
    pub members: Vec<String>,
}

/// Reads the answer to [`join`]; `None` if it is none.
pub fn read_join(answer: &[u8]) -> Option<Joined> {
    let mut rest = Answer(answer.get(8..)?);
    let error = rest.short()?;
    let generation = rest.int()?;
    rest.text()?;
    let (leader, member) = (rest.text()?, rest.text()?);
    let mut members = Vec::new();
    for _ in 0..rest.int()? {
        members.push(rest.text()?);
        rest.blob()?;
    }
    Some(Joined {
        error,
        generation,
        leader,
        member,
        members,
    })
}

/// SyncGroup (version 2), with the assignments of all members if the leader sends it.
pub fn sync(group: &str, generation: i32, member: &str, assignments: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut body = Body::default();
    body.text(group).int(generation).text(member);
    body.int(i32::try_from(assignments.len()).unwrap_or(i32::MAX));
    for (member, assignment) in assignments {
        body.text(member).blob(assignment);
    }
    body.request(14, 2)
}

/// Error code and assignment in the answer to [`sync`]; `None` if it is none.
pub fn read_sync(answer: &[u8]) -> Option<(i16, Vec<u8>)> {
    let mut rest = Answer(answer.get(8..)?);
    Some((rest.short()?, rest.blob()?))
}

/// Heartbeat (version 2).
pub fn heartbeat(group: &str, generation: i32, member: &str) -> Vec<u8> {
    let mut body = Body::default();
    body.text(group).int(generation).text(member);
    body.request(12, 2)
}

/// LeaveGroup (version 2).
pub fn leave(group: &str, member: &str) -> Vec<u8> {
    let mut body = Body::default();
    body.text(group).text(member);
    body.request(13, 2)
}

/// The error code in an answer to [`heartbeat`] or [`leave`]; `None` if it is none.
pub fn read_error(answer: &[u8]) -> Option<i16> {
    Answer(answer.get(8..)?).short()
}

/// The error code in an answer to [`find`]; `None` if it is none.
pub fn read_find(answer: &[u8]) -> Option<i16> {
    Answer(answer.get(4..)?).short()
}

/// OffsetCommit (version 5) of one partition; generation −1 and no member for a client that only commits.
pub fn commit(
    group: &str,
    (generation, member): (i32, &str),
    (topic, partition): (&str, i32),
    offset: i64,
) -> Vec<u8> {
    let mut body = Body::default();
    body.text(group).int(generation).text(member);
    body.int(1)
        .text(topic)
        .int(1)
        .int(partition)
        .long(offset)
        .text("");
    body.request(8, 5)
}

/// The error code of the one partition in an answer to [`commit`]; `None` if it is none.
pub fn read_commit(answer: &[u8]) -> Option<i16> {
    let mut rest = Answer(answer.get(8..)?);
    rest.int()?;
    rest.text()?;
    rest.int()?;
    rest.int()?;
    rest.short()
}

/// OffsetFetch (version 3) of one partition.
pub fn committed(group: &str, topic: &str, partition: i32) -> Vec<u8> {
    let mut body = Body::default();
    body.text(group).int(1).text(topic).int(1).int(partition);
    body.request(9, 3)
}

/// Error code of the group and the offset of the one partition in an answer to [`committed`]; `None` if it is none.
pub fn read_committed(answer: &[u8]) -> Option<(i16, i64)> {
    let mut rest = Answer(answer.get(8..)?);
    if rest.int()? == 0 {
        return Some((rest.short()?, -1));
    }
    rest.text()?;
    rest.int()?;
    rest.int()?;
    let offset = rest.long()?;
    rest.text()?;
    rest.short()?;
    Some((rest.short()?, offset))
}

/// ListGroups (version 2).
pub fn list() -> Vec<u8> {
    Body::default().request(16, 2)
}

/// Error code and number of groups in the answer to [`list`]; `None` if it is none.
pub fn read_list(answer: &[u8]) -> Option<(i16, i32)> {
    let mut rest = Answer(answer.get(8..)?);
    Some((rest.short()?, rest.int()?))
}

#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn int(&mut self, number: i32) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn long(&mut self, number: i64) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.0
            .extend(i16::try_from(text.len()).unwrap_or(i16::MAX).to_be_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    fn blob(&mut self, bytes: &[u8]) -> &mut Self {
        self.int(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.0.extend(bytes);
        self
    }

    fn request(&self, api_key: i16, version: i16) -> Vec<u8> {
        request((api_key, version), 1, HeaderForm::Plain, &self.0)
    }
}

/// What is left of an answer.
struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<i16> {
        self.take(2)?.try_into().ok().map(i16::from_be_bytes)
    }

    fn int(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    fn long(&mut self) -> Option<i64> {
        self.take(8)?.try_into().ok().map(i64::from_be_bytes)
    }

    /// A string; null as an empty one.
    fn text(&mut self) -> Option<String> {
        let length = self.short()?;
        let bytes = self.take(usize::try_from(length).unwrap_or(0))?;
        String::from_utf8(bytes.to_vec()).ok()
    }

    fn blob(&mut self) -> Option<Vec<u8>> {
        let length = self.int()?;
        self.take(usize::try_from(length).unwrap_or(0))
            .map(<[u8]>::to_vec)
    }
}
