//! Bounded waits. Every wait of the tests goes through here, so that no test hangs.

use std::time::{Duration, Instant};

/// The pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a test waits for something that normally takes well under a second.
///
/// Generous, because the machine may be shared with compilers; a wait that ends early costs nothing.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Calls `look` until it returns a value or `within` has passed.
///
/// Looks at least once, and once more after the deadline, so that a long pause of the machine does not fail a test.
pub fn poll<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        let last = Instant::now() >= deadline;
        if let Some(found) = look() {
            return Some(found);
        }
        if last {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Waits until `holds` returns true and panics with `what` if it does not within [`PATIENCE`].
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    if poll(PATIENCE, || holds().then_some(())).is_none() {
        panic!("waited {PATIENCE:?} in vain until {what}");
    }
}
