//! How much memory a call takes at its height.
//!
//! The counting allocator serves the whole program that links this crate; a measurement is right when nothing else
//! allocates meanwhile. Memory that C libraries take (zstd's window) is not counted.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Room for what a call may take beside what is measured: messages of errors, a first table of a library.
pub const SLACK_BYTES: usize = 64 << 10;

/// Runs `call` and returns its result and the bytes it held at its height beyond those held before.
pub fn measure<T>(call: impl FnOnce() -> T) -> (T, usize) {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let result = call();
    (result, ALLOCATOR.peak_usage().saturating_sub(before))
}

/// Runs `call`; panics when it took more than `bytes_max` and [`SLACK_BYTES`].
#[track_caller]
pub fn within<T>(bytes_max: usize, what: &str, call: impl FnOnce() -> T) -> T {
    let (result, bytes) = measure(call);
    assert!(
        bytes <= bytes_max.saturating_add(SLACK_BYTES),
        "{what} took {bytes} bytes of memory, {bytes_max} are allowed"
    );
    result
}
