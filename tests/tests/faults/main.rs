//! Faults from outside: the real broker is killed, paused, starved of disk, cut from power and talked to by clients that
//! are slow, gone or hostile. Real clients work meanwhile, and a history judges what they were told.
//!
//! Seeds are printed; `THALWEG_SEED` repeats the choices of a run. `THALWEG_KILLS` and `THALWEG_LONG` set its length,
//! and `tests/run-long` runs it for hours.

mod bad_clients;
mod compaction;
mod company;
mod connect;
mod copier;
mod crash_points;
mod disk_full;
mod hostile;
mod kill_loop;
mod large_groups;
mod pause;
#[cfg(feature = "planted-faults")]
mod planted;
mod power_cut;
mod programs;
mod streams;
mod transaction_crashes;
mod transactions;
mod witnesses;
