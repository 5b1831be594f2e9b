//! Leases: who is alive and may act under a name.
//!
//! A lease is no lock: it can be lost while its owner is not looking, so every act that relies on it is a
//! compare-and-set. The embedded store gives every lease to the process, which holds the data directory's lock.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::error::StoreError;

/// Whether a lease still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// The owner has it, as far as this process knows.
    Held,
    /// It is gone for good; take a new one.
    Lost,
}

/// A lease that was taken. Dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    name: String,
    owner: String,
    state: watch::Receiver<LeaseState>,
    leases: Arc<Mutex<HashMap<String, Held>>>,
}

#[derive(Debug)]
struct Held {
    owner: String,
    state: watch::Sender<LeaseState>,
}

impl Lease {
    /// Returns the lease's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the owner it was taken for.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Returns whether the lease stands.
    #[must_use]
    pub fn state(&self) -> LeaseState {
        *self.state.borrow()
    }

    /// Waits until the lease is lost. Safe to drop while waiting.
    pub async fn lost(&mut self) {
        // An error means that the store is gone, and the lease with it.
        let _ = self.state.wait_for(|state| *state == LeaseState::Lost).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut leases = self.leases.lock();
        // After a loss somebody else may have it by now: give back only what is still ours.
        if self.state() == LeaseState::Held {
            leases.remove(&self.name);
        }
    }
}

/// The leases of one process.
#[derive(Default)]
pub(crate) struct Leases {
    leases: Arc<Mutex<HashMap<String, Held>>>,
}

impl Leases {
    /// Takes a lease unless a part of this process has it.
    pub(crate) fn take(&self, name: &str, owner: &str) -> Result<Lease, StoreError> {
        let mut leases = self.leases.lock();
        if let Some(held) = leases.get(name) {
            return Err(StoreError::LeaseHeld {
                name: name.to_owned(),
                owner: held.owner.clone(),
            });
        }
        let (sender, receiver) = watch::channel(LeaseState::Held);
        leases.insert(
            name.to_owned(),
            Held {
                owner: owner.to_owned(),
                state: sender,
            },
        );
        Ok(Lease {
            name: name.to_owned(),
            owner: owner.to_owned(),
            state: receiver,
            leases: Arc::clone(&self.leases),
        })
    }

    /// Declares all leases lost.
    pub(crate) fn lose_all(&self) {
        for (_, held) in self.leases.lock().drain() {
            held.state.send_replace(LeaseState::Lost);
        }
    }
}

#[cfg(test)]
#[path = "lease_test.rs"]
mod tests;
