//! Work on many files by a few threads: what waits for the disk waits together.
//!
//! Results come in the order of the items, whatever the order in which they were made.

use std::num::NonZeroUsize;

/// Applies `work` to every item, by `threads` threads at most; with one, in order and in the caller's.
pub(super) fn map<T: Sync, R: Send>(
    items: &[T],
    threads: NonZeroUsize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let share = items.len().div_ceil(threads.get()).max(1);
    let Some((first, others)) = items
        .split_at_checked(share)
        .filter(|(_, others)| !others.is_empty())
    else {
        return items.iter().map(work).collect();
    };
    std::thread::scope(|scope| {
        let work = &work;
        let share_of = |items| move || Vec::from_iter(<[T]>::iter(items).map(work));
        let spawned: Vec<_> = others
            .chunks(share)
            .map(|items| {
                (
                    items,
                    std::thread::Builder::new().spawn_scoped(scope, share_of(items)),
                )
            })
            .collect();
        let mut results: Vec<R> = first.iter().map(work).collect();
        for (items, thread) in spawned {
            results.extend(match thread.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(results)) => results,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                // No thread was given: this one does it.
                Err(_) => items.iter().map(work).collect(),
            });
        }
        results
    })
}

#[cfg(test)]
#[path = "parallel_test.rs"]
mod tests;
