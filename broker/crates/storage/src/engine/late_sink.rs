//! The sink that logs hold before replay has made the real one.

use crate::disk::AlignedBuffer;
use crate::wal::ring::{RingReader, RingSink};
use crate::wal::{SealedGroup, SinkError, SinkLimits, Slot, WalLocation, WalSink, WalUsage};
use bytes::Bytes;
use std::fmt;
use std::sync::OnceLock;

/// A place for the sink; until it is set, only reads work.
pub(super) struct LateSink {
    sink: OnceLock<RingSink>,
    reader: RingReader,
}

impl fmt::Debug for LateSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.sink.get())
    }
}

impl LateSink {
    /// Reads through the opener's files meanwhile.
    pub(super) fn reading(reader: RingReader) -> Self {
        Self {
            sink: OnceLock::new(),
            reader,
        }
    }

    /// Puts the sink in its place; a second one is dropped.
    pub(super) fn set(&self, sink: RingSink) {
        let _ = self.sink.set(sink);
    }

    fn get(&self) -> Result<&RingSink, SinkError> {
        self.sink.get().ok_or(SinkError::Closed)
    }
}

impl WalSink for LateSink {
    fn limits(&self) -> SinkLimits {
        let unknown = SinkLimits {
            group_bytes_max: 0,
            group_bytes_hard_max: 0,
            groups_in_flight_max: 1,
        };
        self.get().map_or(unknown, WalSink::limits)
    }

    fn buffer(&self) -> AlignedBuffer {
        self.get().map(WalSink::buffer).unwrap_or_default()
    }

    fn submit(&self, group: SealedGroup) -> Result<WalLocation, SinkError> {
        self.get()?.submit(group)
    }

    fn wait_durable(&self) -> Result<Slot, SinkError> {
        self.get()?.wait_durable()
    }

    fn read(&self, location: WalLocation, len: usize) -> std::io::Result<Bytes> {
        match self.sink.get() {
            Some(sink) => sink.read(location, len),
            None => self.reader.read(location, len),
        }
    }

    fn trim(&self, through: Slot) {
        if let Ok(sink) = self.get() {
            sink.trim(through);
        }
    }

    fn usage(&self) -> WalUsage {
        self.get().map(WalSink::usage).unwrap_or_default()
    }

    fn end(&self) -> Option<WalLocation> {
        self.get().ok().and_then(WalSink::end)
    }

    fn prepare(&self) -> Result<(), SinkError> {
        self.get()?.prepare()
    }

    fn close(&self) {
        if let Ok(sink) = self.get() {
            sink.close();
        }
    }
}
