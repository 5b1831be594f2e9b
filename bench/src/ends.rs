//! What a signal leaves behind: nothing. Brokers and generators are killed by id, their directories removed.
//!
//! An ordinary end and a panic need none of this: each process and directory is owned by a value that cleans up.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use thalweg_tests::places;

use crate::procfs;

static DIRECTORIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Makes a directory for a run, on the disk of the build output; it is removed with its owner, or on a signal.
///
/// # Errors
/// When it cannot be made.
pub fn directory(prefix: &str) -> std::io::Result<TempDir> {
    let mut directories = DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(places::runs())?;
    directories.push(directory.path().to_path_buf());
    Ok(directory)
}

/// Starts a thread that waits for SIGINT or SIGTERM, cleans up and ends the program with status 130.
///
/// # Errors
/// When the thread or the signal handlers cannot be set up.
pub fn watch() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut terminate = {
        let _inside = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?
    };
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                // Both may be dropped: the program ends.
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        });
        let _held = clean_up();
        std::process::exit(130);
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)?;
    Ok(())
}

/// Returns what must be held until the program ends: the rest of it, which goes on meanwhile, then starts nothing new.
fn clean_up() -> MutexGuard<'static, Vec<PathBuf>> {
    let directories = DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner);
    kill_children();
    for directory in directories.iter() {
        let _ = std::fs::remove_dir_all(directory);
    }
    // A load that was started between the two.
    kill_children();
    directories
}

fn kill_children() {
    for pid in procfs::children() {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}
