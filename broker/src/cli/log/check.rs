//! `thalweg log check`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use thalweg_types::Offset;

use super::files::{base_offset, expand, next_base_offset};
use super::quarantine::{DirectoryLock, move_aside};
use super::scan::{Depth, Findings, Frame, OffsetRange, scan};
use super::segment_reader::SegmentReader;
use crate::cli::confirm::ConfirmArgs;
use crate::cli::error::CliError;
use crate::cli::output::{OutputArgs, note, print_json, print_line};
use crate::cli::progress::{Progress, Unit};
use crate::storage::DurableSegment;

/// Files smaller than this are checked faster than a bar is seen.
const BAR_SIZE_MIN: u64 = 64 << 20;

/// Arguments of `log check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Segment files, partition directories or data directories
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Check headers, checksums and offsets only; do not read the records
    #[arg(long)]
    no_records: bool,
    /// Move damaged files aside to FILE.quarantined-N and list the lost offsets; the broker must be stopped
    #[arg(long)]
    quarantine: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct Report {
    file: String,
    #[serde(flatten)]
    findings: Findings,
    quarantined_to: Option<String>,
    lost_offsets: Option<OffsetRange>,
}

/// Checks segments and moves damaged ones aside if asked to.
///
/// # Errors
/// [`CliError::Reported`] if a file is damaged and still in its place; [`CliError::NotConfirmed`]; [`CliError::Io`].
pub fn run(args: &CheckArgs) -> Result<(), CliError> {
    let depth = if args.no_records {
        Depth::Batches
    } else {
        Depth::Records
    };
    let mut reports = Vec::new();
    let mut recovery_points = RecoveryPoints::default();
    for path in expand(&args.paths)? {
        let mut report = check(&path, depth)?;
        if let Some(durable) = recovery_points.of(&path) {
            report.compare_with(durable);
        }
        if !args.output.is_json() {
            print_findings(&report)?;
        }
        if args.quarantine && report.findings.damage_count > 0 {
            quarantine(&path, depth, args.confirm, &mut report)?;
            if !args.output.is_json() {
                print_quarantine(&report)?;
            }
        }
        reports.push(report);
    }
    if args.output.is_json() {
        print_json(&reports)?;
    }
    // What was moved aside on demand is done, as far as this command can do anything.
    let is_left = |report: &Report| report.findings.damage_count > 0 && report.quarantined_to.is_none();
    match reports.iter().any(is_left) {
        true => Err(CliError::Reported),
        false => Ok(()),
    }
}

impl Report {
    fn compare_with(&mut self, durable: DurableSegment) {
        self.findings
            .compare_with_durable(durable.size, durable.next_offset.get());
    }
}

/// What the recovery points say of the segments looked at, one partition at a time. Nothing while a broker runs: it
/// writes on, and tells damage itself.
#[derive(Default)]
struct RecoveryPoints {
    latest: Option<(PathBuf, BTreeMap<Offset, DurableSegment>)>,
}

impl RecoveryPoints {
    fn of(&mut self, segment: &Path) -> Option<DurableSegment> {
        let base = Offset(base_offset(segment)?);
        let directory = std::fs::canonicalize(segment).ok()?.parent()?.to_owned();
        if self.latest.as_ref().is_none_or(|(known, _)| *known != directory) {
            let _lock = DirectoryLock::of_segment(segment).ok()?;
            let found = DurableSegment::read_all(&directory).unwrap_or_else(|error| {
                note(&format!(
                    "{error}: files are not compared with their recovery points"
                ));
                None
            });
            self.latest = Some((directory, found.unwrap_or_default()));
        }
        self.latest.as_ref()?.1.get(&base).copied()
    }
}

fn check(path: &Path, depth: Depth) -> Result<Report, CliError> {
    let io = |source| CliError::Io {
        what: format!("read {}", path.display()),
        source,
    };
    let frame = Frame {
        base_offset: base_offset(path),
        next_base_offset: next_base_offset(path)?,
        depth,
    };
    let mut reader = SegmentReader::open(path).map_err(io)?;
    let name = path.display().to_string();
    let bar = (reader.size() >= BAR_SIZE_MIN).then(|| Progress::start(&name, reader.size(), Unit::Bytes));
    let findings = scan(&mut reader, frame, |position| {
        if let Some(bar) = &bar {
            bar.set(position);
        }
    });
    Ok(Report {
        file: name,
        findings: findings.map_err(io)?,
        quarantined_to: None,
        lost_offsets: None,
    })
}

/// Moves a damaged file aside, unless the broker mends the damage when it starts: what lies behind the recovery point is
/// in its write-ahead log.
fn quarantine(path: &Path, depth: Depth, confirm: ConfirmArgs, report: &mut Report) -> Result<(), CliError> {
    let _lock = DirectoryLock::of_segment(path)?;
    // A broker may have written until the lock was taken.
    *report = check(path, depth)?;
    let durable = durable(path)?;
    if let Some(durable) = durable {
        report.compare_with(durable);
    }
    if report.findings.damage_count == 0 {
        return Ok(());
    }
    if is_mended_by_the_broker(&report.findings, durable, next_base_offset(path)?) {
        note(&format!(
            "{}: not moved: the damage is behind what the recovery point covers; the broker cuts it off when it starts \
             and takes the records from its write-ahead log",
            report.file
        ));
        return Ok(());
    }
    let lost = lost_offsets(path, &report.findings, durable)?;
    let named = lost.map_or_else(|| "its records".to_owned(), |range| format!("offsets {range}"));
    confirm.ask_blocking(&format!(
        "move {} aside, after which {named} cannot be read",
        report.file
    ))?;
    report.quarantined_to = Some(move_aside(path)?.display().to_string());
    report.lost_offsets = lost;
    Ok(())
}

/// Reads what the recovery point of a segment covers, if it lies in a data directory of ours.
fn durable(path: &Path) -> Result<Option<DurableSegment>, CliError> {
    let whole = std::fs::canonicalize(path).map_err(|source| CliError::Io {
        what: format!("find the directory of {}", path.display()),
        source,
    })?;
    match (whole.parent(), base_offset(path)) {
        (Some(directory), Some(base)) => {
            DurableSegment::read(directory, Offset(base)).map_err(CliError::Failed)
        }
        _ => Ok(None),
    }
}

/// Without a recovery point (another broker's directory), only a cut end of the newest segment is what a crash leaves.
fn is_mended_by_the_broker(
    findings: &Findings,
    durable: Option<DurableSegment>,
    next_base_offset: Option<i64>,
) -> bool {
    match durable {
        Some(durable) => findings.is_whole_up_to(durable.size),
        None => next_base_offset.is_none() && findings.only_tail_is_cut(),
    }
}

/// The whole file goes, with what is still readable in it.
fn lost_offsets(
    path: &Path,
    findings: &Findings,
    durable: Option<DurableSegment>,
) -> Result<Option<OffsetRange>, CliError> {
    let next = match (next_base_offset(path)?, durable) {
        (None, Some(durable)) => Some(durable.next_offset.get()),
        (next, _) => next,
    };
    Ok(lost_range(base_offset(path), next, findings))
}

fn lost_range(
    base_offset: Option<i64>,
    next_base_offset: Option<i64>,
    findings: &Findings,
) -> Option<OffsetRange> {
    let first = base_offset.or(findings.first_offset)?;
    let damaged = || findings.damages.iter().filter_map(|damage| damage.offsets);
    let last = match next_base_offset {
        Some(next) => Some(next.saturating_sub(1)),
        // Nothing says how far a damaged end went.
        None if damaged().any(|range| range.last.is_none()) => None,
        None => damaged()
            .filter_map(|range| range.last)
            .chain(findings.last_offset)
            .max(),
    };
    Some(OffsetRange { first, last })
}

fn print_findings(report: &Report) -> Result<(), CliError> {
    let Findings {
        batches,
        records,
        damage_count,
        ..
    } = report.findings;
    let state = if damage_count == 0 { "ok" } else { "DAMAGED" };
    let span = match (report.findings.first_offset, report.findings.last_offset) {
        (Some(first), Some(last)) => format!(", offsets {first} to {last}"),
        _ => String::new(),
    };
    print_line(&format!(
        "{}: {state}: {batches} batches, {records} records{span}",
        report.file
    ))?;
    for damage in &report.findings.damages {
        let lost = damage
            .offsets
            .map_or_else(String::new, |range| format!("; offsets {range}"));
        print_line(&format!(
            "  at byte {}: expected {}, found {}{lost}",
            damage.position, damage.expected, damage.found
        ))?;
    }
    let shown = u64::try_from(report.findings.damages.len()).unwrap_or(u64::MAX);
    if damage_count > shown {
        print_line(&format!(
            "  and {} more places",
            damage_count.saturating_sub(shown)
        ))?;
    }
    Ok(())
}

fn print_quarantine(report: &Report) -> Result<(), CliError> {
    if let Some(to) = &report.quarantined_to {
        print_line(&format!("  moved to {to}"))?;
        let lost = report
            .lost_offsets
            .map_or_else(|| "unknown".to_owned(), |range| range.to_string());
        print_line(&format!(
            "  lost offsets: {lost}; `thalweg log dump --records` still prints what is readable"
        ))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "check_test.rs"]
mod tests;
