//! Bounded waits. Every wait of the tests goes through here, so that no test hangs.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::watchdog;

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

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for the answer to an admin call of a client.
///
/// # Panics
/// When it does not come within [`PATIENCE`]: the client's own timeouts are far below.
#[track_caller]
pub fn answer<T>(call: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut call = pin!(call);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
            return answer;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            panic!(
                "a client's call has no answer after {PATIENCE:?}\n{}",
                watchdog::describe()
            );
        }
        std::thread::park_timeout(left);
    }
}
