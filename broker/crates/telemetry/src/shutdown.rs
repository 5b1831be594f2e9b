//! The one way a process is told to stop.
//!
//! Two steps: [`Phase::Graceful`] (finish what is in flight, take nothing new) and [`Phase::Fast`] (stop now;
//! what is acknowledged is durable anyway). A phase never goes back. Tasks hold a [`Shutdown`] and wait on
//! it; only the owner of the [`ShutdownTrigger`] moves it.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How far the process is on its way out; ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Normal service.
    #[default]
    Running,
    /// Nothing new is taken; what is in flight is finished within each owner's bound.
    Graceful,
    /// Nothing is waited for.
    Fast,
}

/// Watches the phase; cheap to clone, one for each task.
#[derive(Clone, Debug)]
pub struct Shutdown {
    phase: watch::Receiver<Phase>,
}

/// Moves the phase. Clones move the same phase; when all are gone without a call, the phase stays as it is.
#[derive(Clone, Debug)]
pub struct ShutdownTrigger {
    phase: Arc<watch::Sender<Phase>>,
}

/// Returns a trigger and a first watcher, in [`Phase::Running`].
#[must_use]
pub fn shutdown_channel() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(Phase::Running);
    (
        ShutdownTrigger {
            phase: Arc::new(sender),
        },
        Shutdown { phase: receiver },
    )
}

impl Shutdown {
    /// Returns the phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Reports whether nothing new should be started.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.phase() >= Phase::Graceful
    }

    /// Waits until the stop is at least graceful. Long polls and idle loops race against this.
    ///
    /// Cancel safe.
    pub async fn requested(&self) {
        self.reached(Phase::Graceful).await;
    }

    /// Waits until the stop is fast: drop what you do.
    ///
    /// Cancel safe.
    pub async fn forced(&self) {
        self.reached(Phase::Fast).await;
    }

    async fn reached(&self, wanted: Phase) {
        let mut phase = self.phase.clone();
        if phase.wait_for(|now| *now >= wanted).await.is_err() {
            // Every trigger is gone, so the phase can never move again: the caller waits for his other
            // events.
            std::future::pending::<()>().await;
        }
    }
}

impl ShutdownTrigger {
    /// Returns a watcher of this trigger's phase.
    #[must_use]
    pub fn watcher(&self) -> Shutdown {
        Shutdown {
            phase: self.phase.subscribe(),
        }
    }

    /// Asks for a graceful stop. Does nothing if a stop was asked for before.
    pub fn request(&self) {
        self.raise(Phase::Graceful);
    }

    /// Asks for a fast stop.
    pub fn force(&self) {
        self.raise(Phase::Fast);
    }

    fn raise(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let raised = *phase < to;
            *phase = (*phase).max(to);
            raised
        });
    }

    /// Binds the phase to SIGTERM and SIGINT: the first asks for a graceful stop, the second for a fast one.
    ///
    /// Must be called inside a tokio runtime with the I/O driver on. The task ends after the second signal; a
    /// third one is then still caught and ignored, since the process is already on the fastest way out.
    ///
    /// # Errors
    /// The error of the operating system when a handler cannot be installed.
    pub fn on_signals(&self) -> io::Result<JoinHandle<()>> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let trigger = self.clone();
        Ok(tokio::spawn(async move {
            let name = next_signal(&mut terminate, &mut interrupt).await;
            tracing::info!(
                signal = name,
                "stopping: finishing what is in flight (a second signal stops at once)"
            );
            trigger.request();
            let name = next_signal(&mut terminate, &mut interrupt).await;
            tracing::warn!(signal = name, "stopping at once");
            trigger.force();
        }))
    }
}

/// Waits for the next of the two signals and names it. Cancel safe: `recv` loses no signal.
async fn next_signal(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

#[cfg(test)]
#[path = "shutdown_test.rs"]
mod tests;
