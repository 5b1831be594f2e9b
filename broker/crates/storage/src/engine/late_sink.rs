//! The sink that logs hold before replay has made the real one.

use crate::disk::AlignedBuffer;
use crate::wal::{SealedGroup, SinkError, SinkLimits, Slot, WalLocation, WalReader, WalSink, WalUsage};
use bytes::Bytes;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A place for the sink; until it is set, only reads work.
pub(super) struct LateSink {
    sink: OnceLock<Arc<dyn WalSink>>,
    reader: Arc<dyn WalReader>,
}

impl fmt::Debug for LateSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.sink.get())
    }
}

impl LateSink {
    /// Reads through the opener's files meanwhile.
    pub(super) fn reading(reader: Arc<dyn WalReader>) -> Self {
        Self {
            sink: OnceLock::new(),
            reader,
        }
    }

    /// Puts the sink in its place; a second one is dropped.
    pub(super) fn set(&self, sink: Arc<dyn WalSink>) {
        let _ = self.sink.set(sink);
    }

    fn get(&self) -> Result<&dyn WalSink, SinkError> {
        self.sink.get().map(AsRef::as_ref).ok_or(SinkError::Closed)
    }
}

impl WalSink for LateSink {
    fn limits(&self) -> SinkLimits {
        let unknown = SinkLimits {
            group_bytes_max: 0,
            group_bytes_hard_max: 0,
            groups_in_flight_max: 1,
        };
        self.get().map_or(unknown, |sink| sink.limits())
    }

    fn buffer(&self) -> AlignedBuffer {
        self.get().map(|sink| sink.buffer()).unwrap_or_default()
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
        self.get().map(|sink| sink.usage()).unwrap_or_default()
    }

    fn end(&self) -> Option<WalLocation> {
        self.get().ok().and_then(|sink| sink.end())
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
