//! A write-ahead log in memory that delays, reorders and loses its session: what an object store will do.
//!
//! Groups finish in any order but are reported durable in prefix order, several are under way at once. A test
//! decides when each finishes, or lets them finish at once.

use super::{
    Growth, Incarnation, ReplayEnd, ReplayRange, ReplayedGroup, SealedGroup, SinkError, SinkLimits, Slot,
    WalLocation, WalOpenError, WalOpener, WalReader, WalSink, WalUsage, group,
};
use crate::disk::AlignedBuffer;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// When a submitted group finishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// At once.
    AtOnce,
    /// When the test calls [`MemorySink::finish`].
    OnCall,
}

#[derive(Debug, Default)]
struct State {
    groups: BTreeMap<Slot, Bytes>,
    pending: BTreeMap<Slot, Bytes>,
    finished: BTreeSet<Slot>,
    next_durable: Slot,
    trimmed_to: Slot,
    lost: Option<Slot>,
    closed: bool,
}

/// A write-ahead log in memory; clones share it.
#[derive(Clone, Debug)]
pub struct MemorySink {
    state: Arc<(Mutex<State>, Condvar)>,
    limits: SinkLimits,
    finish: Finish,
}

impl MemorySink {
    /// Makes an empty log with room for `in_flight` groups under way.
    #[must_use]
    pub fn new(in_flight: usize, finish: Finish) -> Self {
        let limits = SinkLimits {
            group_bytes_max: 1 << 20,
            group_bytes_hard_max: 64 << 20,
            groups_in_flight_max: in_flight,
        };
        Self {
            state: Arc::default(),
            limits,
            finish,
        }
    }

    /// Finishes a group that is under way, in any order; `false` when it is not under way.
    pub fn finish(&self, slot: Slot) -> bool {
        let mut state = self.state.0.lock();
        let Some(bytes) = state.pending.remove(&slot) else {
            return false;
        };
        state.groups.insert(slot, bytes);
        state.finished.insert(slot);
        self.state.1.notify_all();
        true
    }

    /// Returns the slots under way.
    #[must_use]
    pub fn pending(&self) -> Vec<Slot> {
        self.state.0.lock().pending.keys().copied().collect()
    }

    /// Loses the session at a slot: it and all later ones never become durable.
    pub fn lose_session(&self, slot: Slot) {
        let mut state = self.state.0.lock();
        state.lost = Some(slot);
        state.pending.clear();
        state.groups.split_off(&slot);
        self.state.1.notify_all();
    }

    /// Fences the session and returns the next owner's: it has the longest prefix without a gap, the rest is gone.
    #[must_use]
    pub fn next_session(&self) -> Self {
        let mut state = self.state.0.lock();
        let mut end = state.trimmed_to;
        while state.groups.contains_key(&end) {
            end = end.next();
        }
        state.lost.get_or_insert(end);
        state.pending.clear();
        state.groups.split_off(&end);
        self.state.1.notify_all();
        let next = State {
            groups: state.groups.clone(),
            next_durable: end,
            trimmed_to: state.trimmed_to,
            ..State::default()
        };
        Self {
            state: Arc::new((Mutex::new(next), Condvar::new())),
            limits: self.limits,
            finish: self.finish,
        }
    }

    /// Reports whether nothing will become durable here any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let state = self.state.0.lock();
        state.closed || state.lost.is_some()
    }

    /// Gives the groups that the session started with to `visit`; returns what it leaves behind.
    ///
    /// # Errors
    /// The visitor's, or a named one for a group that does not decode.
    pub fn replay_groups(
        &self,
        (incarnation, from): (Incarnation, Slot),
        visit: &mut dyn FnMut(ReplayedGroup<'_>) -> Result<(), String>,
    ) -> Result<ReplayEnd, String> {
        let (groups, mut next_slot) = {
            let state = self.state.0.lock();
            let all = state.groups.iter();
            (
                all.map(|(slot, bytes)| (*slot, bytes.clone()))
                    .collect::<Vec<_>>(),
                state.trimmed_to,
            )
        };
        let (mut last_crc, mut count, mut len) = (0, 0, 0);
        for (slot, bytes) in groups {
            if slot != next_slot {
                break;
            }
            let header = group::decode_header(&bytes, incarnation).map_err(|e| e.to_string())?;
            let group = group::decode_body(&header, &bytes).map_err(|e| e.to_string())?;
            last_crc = group.header_crc;
            next_slot = slot.next();
            if slot < from {
                continue;
            }
            count += 1;
            len += bytes.len() as u64;
            let location = WalLocation {
                file: slot.0,
                position: 0,
            };
            visit(ReplayedGroup {
                slot,
                location,
                group,
            })?;
        }
        Ok(ReplayEnd {
            next_slot,
            last_crc,
            groups: count,
            bytes: len,
        })
    }
}

impl WalReader for MemorySink {
    fn read(&self, location: WalLocation, len: usize) -> io::Result<Bytes> {
        WalSink::read(self, location, len)
    }
}

/// A session's log, to be replayed.
#[derive(Debug)]
pub struct MemoryOpener {
    /// The session.
    pub session: MemorySink,
    /// Identity of the log.
    pub incarnation: Incarnation,
}

impl WalOpener for MemoryOpener {
    fn reader(&self) -> Arc<dyn WalReader> {
        Arc::new(self.session.clone())
    }

    fn replay(
        self: Box<Self>,
        range: ReplayRange,
        visit: &mut dyn FnMut(ReplayedGroup<'_>) -> Result<(), String>,
    ) -> Result<(Arc<dyn WalSink>, ReplayEnd), WalOpenError> {
        let replayed = self.session.replay_groups((self.incarnation, range.from), visit);
        let end = replayed.map_err(|what| WalOpenError::Refused {
            slot: range.from,
            what,
        })?;
        if let Some(expected) = range.durable_before.filter(|expected| end.next_slot < *expected) {
            return Err(WalOpenError::Short {
                path: "memory".into(),
                found: end.next_slot,
                expected,
                evidence: "the metadata names the end of the log",
            });
        }
        Ok((Arc::new(self.session), end))
    }
}

impl WalSink for MemorySink {
    fn limits(&self) -> SinkLimits {
        self.limits
    }

    fn buffer(&self) -> AlignedBuffer {
        AlignedBuffer::default()
    }

    fn submit(&self, group: SealedGroup) -> Result<WalLocation, SinkError> {
        let mut state = self.state.0.lock();
        if let Some(slot) = state.lost {
            return Err(SinkError::SessionLost {
                slot,
                what: "fenced by the test".into(),
            });
        }
        let bytes = Bytes::copy_from_slice(group.buffer.as_slice());
        match self.finish {
            Finish::AtOnce => {
                state.groups.insert(group.slot, bytes);
                state.finished.insert(group.slot);
            }
            Finish::OnCall => {
                state.pending.insert(group.slot, bytes);
            }
        }
        self.state.1.notify_all();
        Ok(WalLocation {
            file: group.slot.0,
            position: 0,
        })
    }

    fn wait_durable(&self) -> Result<Slot, SinkError> {
        let mut state = self.state.0.lock();
        loop {
            let next = state.next_durable;
            if state.lost.is_some_and(|lost| next >= lost) {
                return Err(SinkError::SessionLost {
                    slot: next,
                    what: "fenced by the test".into(),
                });
            }
            if state.finished.remove(&next) {
                state.next_durable = next.next();
                return Ok(next);
            }
            if state.closed {
                return Err(SinkError::Closed);
            }
            self.state.1.wait(&mut state);
        }
    }

    fn read(&self, location: WalLocation, len: usize) -> io::Result<Bytes> {
        let state = self.state.0.lock();
        let bytes = state
            .groups
            .get(&Slot(location.file))
            .ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(location.position).map_err(io::Error::other)?;
        let end = start.checked_add(len).filter(|end| *end <= bytes.len());
        end.map(|end| bytes.slice(start..end))
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn trim(&self, through: Slot) {
        let mut state = self.state.0.lock();
        state.trimmed_to = state.trimmed_to.max(through.next());
        let keep = state.groups.split_off(&through.next());
        state.groups = keep;
    }

    fn usage(&self) -> WalUsage {
        let state = self.state.0.lock();
        let used = state.groups.values().map(|bytes| bytes.len() as u64).sum();
        WalUsage {
            used,
            capacity: u64::MAX / 4,
            free: u64::MAX / 4 - used,
            first_slot: state.trimmed_to,
            oldest_file_last_slot: state.groups.keys().next().copied(),
            growth: Growth::Possible,
            rolls: 0,
        }
    }

    fn end(&self) -> Option<WalLocation> {
        None
    }

    fn close(&self) {
        self.state.0.lock().closed = true;
        self.state.1.notify_all();
    }
}
