//! Opening the file: which of new, whole, unfinished or damaged it is, and the checks before anything is served.
//!
//! Nothing is written to a file that is refused.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::row::{Summary, decode_row};
use super::slot::{DATA_START, FILE_FORMAT, Phase, SLOT_SIZE, Slot, SlotBytes};
use super::store::{EmbeddedOptions, OpenMode, Recovery};
use super::volume::Volume;
use crate::error::StoreError;

pub(super) const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");
pub(super) const STATE: TableDefinition<'static, u8, &[u8]> = TableDefinition::new("state");
/// The only key of [`STATE`].
pub(super) const STATE_KEY: u8 = 0;

/// A database that ends without a word: it is cut off from the file before it is dropped.
///
/// redb writes when it is dropped: a table that spares the next opening its recovery. But only a recovery
/// verifies pages before it believes them; without it damage shows as a panic at best. So redb never gets to
/// close cleanly, every opening is a recovery, and there is one way to open instead of two.
pub(super) struct Engine {
    database: Option<Database>,
    volume: Arc<Volume>,
    generation: u64,
    name: String,
}

impl Engine {
    /// Lets redb open its part of the file. `recovered` tells whether it verified all of it.
    fn open(
        volume: &Arc<Volume>,
        options: &EmbeddedOptions,
        recovered: &Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        let handle = volume.handle();
        let generation = handle.generation();
        let recovered = Arc::clone(recovered);
        let database = Builder::new()
            .set_cache_size(options.cache_bytes)
            .set_repair_callback(move |_| recovered.store(true, Ordering::Release))
            .create_with_backend(handle)
            .map_err(|error| engine_error(volume, options, "opening", &error))?;
        let (volume, name) = (Arc::clone(volume), options.name.clone());
        Ok(Self {
            database: Some(database),
            volume,
            generation,
            name,
        })
    }

    /// Returns the database.
    pub(super) fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| StoreError::Closed {
            store: self.name.clone(),
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.volume.retire(self.generation);
        let database = self.database.take();
        // Nothing depends on how it ends, and a panic must not take the process along.
        let _ = guarded(&self.name, "closing", move || {
            drop(database);
            Ok::<_, StoreError>(())
        });
    }
}

/// A database that has passed every check.
pub(super) struct Opened {
    pub(super) engine: Engine,
    pub(super) summary: Summary,
    pub(super) slot: Slot,
    pub(super) recovery: Recovery,
}

/// What the front of the file says.
enum Front {
    Empty,
    Unfinished,
    Ready(Slot),
}

/// Opens the file, or creates it where `options` allow that.
pub(super) fn open(volume: &Arc<Volume>, options: &EmbeddedOptions) -> Result<Opened, StoreError> {
    match (read_front(volume, options)?, options.mode) {
        (Front::Ready(slot), _) => open_existing(volume, options, slot),
        (Front::Empty, OpenMode::Existing) => Err(StoreError::Missing {
            store: options.name.clone(),
        }),
        (Front::Unfinished, OpenMode::Existing) => Err(StoreError::Unfinished {
            store: options.name.clone(),
        }),
        (Front::Empty | Front::Unfinished, OpenMode::CreateIfMissing) => create(volume, options),
    }
}

fn read_front(volume: &Volume, options: &EmbeddedOptions) -> Result<Front, StoreError> {
    let failed = |error| disk_error(volume, options, &error);
    let damaged = |detail: String| StoreError::Damaged {
        store: options.name.clone(),
        detail,
    };
    let len = volume.file_len().map_err(failed)?;
    if len == 0 {
        return Ok(Front::Empty);
    }
    let mut bytes = vec![0; len.min(DATA_START) as usize];
    volume.read_file(0, &mut bytes).map_err(failed)?;
    let (first, second) = bytes.split_at(bytes.len().min(SLOT_SIZE));
    let found = [Slot::decode(first, 0), Slot::decode(second, SLOT_SIZE as u64)];
    let mut newest: Option<Slot> = None;
    for bytes in found {
        match bytes {
            SlotBytes::Newer(found) => {
                let store = options.name.clone();
                return Err(StoreError::NewerFormat {
                    store,
                    found,
                    supported: FILE_FORMAT,
                });
            }
            SlotBytes::Valid(slot) if newest.is_none_or(|newest| slot.sequence > newest.sequence) => {
                newest = Some(slot);
            }
            SlotBytes::Valid(_) | SlotBytes::Empty | SlotBytes::Invalid => {}
        }
    }
    match newest {
        // The first write of a creation may have been lost; a database that was ever complete has more bytes.
        None if len <= DATA_START && found == [SlotBytes::Empty; 2] => Ok(Front::Unfinished),
        None => Err(damaged(
            "neither of the two slots at its front is valid".to_owned(),
        )),
        Some(Slot {
            phase: Phase::Creating,
            ..
        }) => Ok(Front::Unfinished),
        Some(_) if len <= DATA_START => Err(damaged(format!("the file is cut off at byte {len}"))),
        Some(slot) => Ok(Front::Ready(slot)),
    }
}

/// Makes a new database. Until the last slot is flushed an interruption leaves a file that counts as unfinished;
/// nothing can have been acknowledged in it.
fn create(volume: &Arc<Volume>, options: &EmbeddedOptions) -> Result<Opened, StoreError> {
    let failed = |error| disk_error(volume, options, &error);
    volume.clear_file().map_err(failed)?;
    let creating = Slot {
        phase: Phase::Creating,
        sequence: 1,
        summary: Summary::default(),
    };
    volume.write_slot(&creating).map_err(failed)?;
    volume.begin_staging().map_err(failed)?;
    let created = guarded(&options.name, "creation", || {
        let created = Engine::open(volume, options, &Arc::default())?;
        let engine = |error: redb::Error| engine_error(volume, options, "creation", &error);
        let mut write = created
            .database()?
            .begin_write()
            .map_err(|error| engine(error.into()))?;
        write
            .set_durability(Durability::Immediate)
            .map_err(|error| engine(error.into()))?;
        write.open_table(ROWS).map_err(|error| engine(error.into()))?;
        let summary = Summary::default().encode();
        let mut state = write.open_table(STATE).map_err(|error| engine(error.into()))?;
        state
            .insert(STATE_KEY, summary.as_slice())
            .map_err(|error| engine(error.into()))?;
        drop(state);
        write.commit().map_err(|error| engine(error.into()))?;
        Ok(created)
    });
    let engine = accept(volume, created, options)?;
    volume.top_up().map_err(failed)?;
    // Both slots, so that no single damaged one takes the file back to "unfinished".
    let first = creating.next(Summary::default());
    let slot = first.next(Summary::default());
    volume
        .write_slot(&first)
        .and_then(|()| volume.write_slot(&slot))
        .map_err(failed)?;
    Ok(Opened {
        engine,
        summary: Summary::default(),
        slot,
        recovery: Recovery::Created,
    })
}

fn open_existing(volume: &Arc<Volume>, options: &EmbeddedOptions, slot: Slot) -> Result<Opened, StoreError> {
    volume
        .begin_staging()
        .map_err(|error| disk_error(volume, options, &error))?;
    let checked = guarded(&options.name, "opening", || {
        let recovered = Arc::new(AtomicBool::new(false));
        let mut engine = Engine::open(volume, options, &recovered)?;
        if !recovered.load(Ordering::Acquire)
            && let Some(database) = &mut engine.database
        {
            // Somebody closed it cleanly, against our habit. Then nothing is verified yet.
            database
                .check_integrity()
                .map_err(|error| engine_error(volume, options, "the integrity check", &error))?;
        }
        let (recorded, counted) = summarize(volume, options, engine.database()?)?;
        compare(options, recorded, counted, &slot)?;
        Ok((engine, recorded))
    });
    let mut summary = slot.summary;
    let engine = accept(
        volume,
        checked.map(|(engine, recorded)| {
            summary = recorded;
            engine
        }),
        options,
    )?;
    volume
        .top_up()
        .map_err(|error| disk_error(volume, options, &error))?;
    if summary.revision == slot.summary.revision {
        return Ok(Opened {
            engine,
            summary,
            slot,
            recovery: Recovery::Acknowledged,
        });
    }
    // A commit that was flushed but not acknowledged before the crash. From now on it is served, so it must
    // not be lost unnoticed either.
    let slot = slot.next(summary);
    volume
        .write_slot(&slot)
        .map_err(|error| disk_error(volume, options, &error))?;
    Ok(Opened {
        engine,
        summary,
        slot,
        recovery: Recovery::OneAhead,
    })
}

/// Reads the summary that the newest commit left, and makes one from the rows themselves.
fn summarize(
    volume: &Volume,
    options: &EmbeddedOptions,
    database: &Database,
) -> Result<(Summary, Summary), StoreError> {
    let engine = |error: redb::Error| engine_error(volume, options, "reading every row", &error);
    let read = database.begin_read().map_err(|error| engine(error.into()))?;
    let state = read.open_table(STATE).map_err(|error| engine(error.into()))?;
    let recorded = match state.get(STATE_KEY).map_err(|error| engine(error.into()))? {
        Some(bytes) => Summary::decode(bytes.value()),
        None => Err("the state row is missing".to_owned()),
    };
    let recorded = recorded.map_err(|detail| StoreError::Damaged {
        store: options.name.clone(),
        detail,
    })?;
    let mut counted = Summary {
        revision: recorded.revision,
        ..Summary::default()
    };
    let rows = read.open_table(ROWS).map_err(|error| engine(error.into()))?;
    for entry in rows.iter().map_err(|error| engine(error.into()))? {
        let (key, bytes) = entry.map_err(|error| engine(error.into()))?;
        let row = decode_row(key.value(), bytes.value());
        counted.add(
            row.map_err(|mismatch| mismatch.into_error(&options.name, key.value()))?
                .digest(),
        );
    }
    Ok((recorded, counted))
}

fn compare(
    options: &EmbeddedOptions,
    recorded: Summary,
    counted: Summary,
    slot: &Slot,
) -> Result<(), StoreError> {
    let store = options.name.clone();
    let mismatch = |expected: Summary, found: Summary| StoreError::ContentMismatch {
        store: options.name.clone(),
        expected_rows: expected.rows,
        expected_digest: expected.digest,
        found_rows: found.rows,
        found_digest: found.digest,
    };
    if recorded != counted {
        return Err(mismatch(recorded, counted));
    }
    let acknowledged = slot.summary.revision.0;
    match recorded.revision.0.checked_sub(acknowledged) {
        None => Err(StoreError::LostCommit {
            store,
            acknowledged,
            found: recorded.revision.0,
        }),
        Some(0) if recorded != slot.summary => Err(mismatch(slot.summary, recorded)),
        Some(0 | 1) => Ok(()),
        Some(_) => Err(StoreError::Damaged {
            store,
            detail: format!(
                "its last commit is {}, but only {acknowledged} was acknowledged; at most one commit can be ahead",
                recorded.revision
            ),
        }),
    }
}

/// Lets the writes of a database that was made or checked through to the disk, or forgets those of one that was
/// refused.
fn accept(
    volume: &Arc<Volume>,
    engine: Result<Engine, StoreError>,
    options: &EmbeddedOptions,
) -> Result<Engine, StoreError> {
    match engine {
        Ok(engine) => match volume.apply_staging() {
            Ok(()) => Ok(engine),
            Err(error) => Err(disk_error(volume, options, &error)),
        },
        Err(error) => {
            volume.detach();
            volume.discard_staging();
            Err(error)
        }
    }
}

/// Runs redb code; turns a panic into an error.
pub(super) fn guarded<T, E: From<StoreError>>(
    store: &str,
    operation: &str,
    act: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(result) => result,
        Err(payload) => Err(E::from(StoreError::Panicked {
            store: store.to_owned(),
            operation: operation.to_owned(),
            message: panic_message(&*payload),
        })),
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}

/// Names an error of redb: by the disk's failure behind it if there is one.
pub(super) fn engine_error(
    volume: &Volume,
    options: &EmbeddedOptions,
    operation: &str,
    error: &dyn Display,
) -> StoreError {
    match volume.failure() {
        Some(failure) => failure.into_error(&options.name),
        None => StoreError::Damaged {
            store: options.name.clone(),
            detail: format!("{operation}: {error}"),
        },
    }
}

/// Names an error of the disk.
pub(super) fn disk_error(volume: &Volume, options: &EmbeddedOptions, error: &std::io::Error) -> StoreError {
    match volume.failure() {
        Some(failure) => failure.into_error(&options.name),
        None => StoreError::Io {
            store: options.name.clone(),
            operation: "using the file".to_owned(),
            message: error.to_string(),
        },
    }
}
