//! Small file systems of their own for a broker's data: loop-mounted images and memory, unmounted when dropped.
//!
//! Needs root and a kernel with loop devices; without them [`Volume::ext4`] and [`Volume::tmpfs`] say why not.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{places, process, wait, watchdog};

const COMMAND: Duration = Duration::from_secs(60);
/// How long an image of some gigabytes may take to be copied or compared on a busy machine.
const COPY: Duration = Duration::from_secs(600);
const UNMOUNT: Duration = Duration::from_secs(20);

/// A mounted file system.
#[derive(Debug)]
pub struct Volume {
    /// Holds image and mount point.
    directory: TempDir,
}

impl Volume {
    /// An ext4 of so many bytes in an image file.
    ///
    /// # Errors
    /// Why this machine cannot do that.
    pub fn ext4(bytes: u64) -> Result<Volume, String> {
        let volume = Volume::prepare()?;
        let image = volume.image();
        let sized = File::create(&image).and_then(|file| file.set_len(bytes));
        sized.map_err(|error| format!("make {}: {error}", image.display()))?;
        let mut format = Command::new("mkfs.ext4");
        format.args(["-q", "-F", "-m", "0"]).arg(&image);
        finish(format)?;
        volume.mount_image()
    }

    /// The file system in a copied image, as after a power cut: the journal is replayed.
    ///
    /// # Errors
    /// Why it cannot be mounted.
    pub fn from_image(image: &Path) -> Result<Volume, String> {
        let volume = Volume::prepare()?;
        let moved = std::fs::rename(image, volume.image());
        moved.map_err(|error| format!("move {}: {error}", image.display()))?;
        volume.mount_image()
    }

    /// A tmpfs of so many bytes.
    ///
    /// # Errors
    /// Why this machine cannot do that.
    pub fn tmpfs(bytes: u64) -> Result<Volume, String> {
        let volume = Volume::prepare()?;
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "none"])
            .arg(volume.path());
        finish(mount)?;
        Ok(volume)
    }

    fn prepare() -> Result<Volume, String> {
        watchdog::begin();
        if !rustix::process::geteuid().is_root() {
            return Err("mounting a file system needs root".to_owned());
        }
        let directory = tempfile::Builder::new()
            .prefix(&format!("{}-volume-", places::test_name()))
            .tempdir_in(places::runs())
            .map_err(|error| format!("make a directory in {}: {error}", places::runs().display()))?;
        let volume = Volume { directory };
        std::fs::create_dir(volume.path())
            .map_err(|error| format!("make {}: {error}", volume.path().display()))?;
        Ok(volume)
    }

    fn mount_image(self) -> Result<Volume, String> {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(self.image()).arg(self.path());
        finish(mount)?;
        Ok(self)
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("mounted")
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    /// Copies the image until two copies are equal, and returns the copy. Nothing may write to the volume but the
    /// kernel, which may still be bringing out what was written before.
    ///
    /// # Panics
    /// When the image keeps changing.
    #[track_caller]
    pub fn copy_image(&self) -> PathBuf {
        let (copy, again) = (
            self.directory.path().join("copy"),
            self.directory.path().join("again"),
        );
        self.copy_to(&copy);
        for _ in 0..20 {
            self.copy_to(&again);
            let mut compare = Command::new("cmp");
            compare.arg("-s").arg(&copy).arg(&again);
            if process::run(compare, b"", COPY).status.success() {
                let _ = std::fs::remove_file(&again);
                return copy;
            }
            std::fs::rename(&again, &copy).expect("a copy can be renamed");
        }
        panic!("{} keeps changing", self.image().display());
    }

    fn copy_to(&self, target: &Path) {
        let mut copy = Command::new("cp");
        copy.args(["--sparse=always"]).arg(self.image()).arg(target);
        process::run(copy, b"", COPY).ok();
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let path = self.path();
        let unmount = |lazily: &[&str]| {
            let mut command = Command::new("umount");
            command.args(lazily).arg(&path);
            watchdog::succeeds(command, UNMOUNT)
        };
        let unmounted = wait::poll(UNMOUNT, || unmount(&[]).then_some(()));
        if unmounted.is_none() {
            // Not mounted at all, or a process that a failed test left holds it: it goes with that process.
            let _ = unmount(&["-l"]);
        }
    }
}

fn finish(command: Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    if which(&name).is_none() {
        return Err(format!("{name} is not installed"));
    }
    let finished = process::run(command, b"", COMMAND);
    if finished.status.success() {
        Ok(())
    } else {
        Err(finished.describe())
    }
}

fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}
