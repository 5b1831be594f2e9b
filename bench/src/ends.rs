//! What a signal leaves behind: nothing. Brokers and generators are killed by id, their directories removed.
//!
//! An ordinary end and a panic need none of this: each process and directory is owned by a value that cleans up.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal};

use crate::procfs;

static DIRECTORIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Takes note of a directory to remove on a signal.
pub fn remember(directory: &Path) {
    let mut directories = DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner);
    directories.push(directory.to_path_buf());
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
        clean_up();
        std::process::exit(130);
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)?;
    Ok(())
}

fn clean_up() {
    for pid in procfs::children() {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
    let directories = DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner);
    for directory in directories.iter() {
        let _ = std::fs::remove_dir_all(directory);
    }
}
