//! The broker's disk: the real one, or for tests of recovery one that ends the process at a named crash point.

use std::sync::Arc;

use thalweg_storage::disk::{CrashPlan, CrashingDisk, Disk, RealDisk, UnknownCrashPoint};

/// `NAME` or `NAME:COUNT`: the process ends with SIGKILL the COUNT-th time that it reaches the crash point. For tests
/// of recovery only; the names are those of [`thalweg_storage::disk::CrashPoint`].
pub const CRASH_POINT_VARIABLE: &str = "THALWEG_CRASH_POINT";

/// Returns the disk to run on.
///
/// # Errors
/// [`UnknownCrashPoint`], with the names there are.
pub fn disk() -> Result<Arc<dyn Disk>, UnknownCrashPoint> {
    let real: Arc<dyn Disk> = Arc::new(RealDisk);
    let Ok(text) = std::env::var(CRASH_POINT_VARIABLE) else {
        return Ok(real);
    };
    let plan: CrashPlan = text.parse()?;
    tracing::warn!(point = %plan.point, count = plan.count, "{CRASH_POINT_VARIABLE} is set: the process will end itself");
    Ok(Arc::new(CrashingDisk::new(real, plan)))
}
