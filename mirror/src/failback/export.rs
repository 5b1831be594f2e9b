//! The tail that one side has beyond the cut, as a file: batches as they are, in the layout of a segment file, so that
//! `thalweg log dump --records` reads it, and a small JSON file beside it that says what it is.
//!
//! `DIR/TOPIC-PARTITION/FIRST-OFFSET.log` and `.json`. Written under another name, flushed, then renamed, so that a file with
//! its name is whole. One that is there already and differs is never written over.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::json;
use thalweg_client::TopicPartition;
use thalweg_types::Offset;

/// A range of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The partition.
    pub partition: TopicPartition,
    /// First offset.
    pub from: Offset,
    /// The offset after the last.
    pub to: Offset,
}

/// What was written of a tail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// The file.
    pub path: PathBuf,
    /// Its batches.
    pub batches: u64,
    /// Records in them, control records included.
    pub records: u64,
    /// Its size.
    pub size_bytes: u64,
}

/// A file that is being written.
pub(super) struct Export {
    file: File,
    partial: PathBuf,
    done: Exported,
}

impl Export {
    /// Begins the file of a tail.
    pub(super) fn begin(directory: &Path, tail: &Tail) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let topic = &tail.partition.topic;
        if topic.is_empty() || !topic.chars().all(is_plain) {
            return Err(format!("'{topic}' is no name of a topic"));
        }
        // With a hyphen and a number behind it no name is `..`.
        let folder = directory.join(tail.partition.to_string());
        std::fs::create_dir_all(&folder).map_err(|error| at(&folder, &error))?;
        let path = folder.join(format!("{:020}.log", tail.from.get()));
        let partial = path.with_extension("partial");
        let file = File::create(&partial).map_err(|error| at(&partial, &error))?;
        let done = Exported {
            path,
            ..Exported::default()
        };
        Ok(Self { file, partial, done })
    }

    /// Adds whole batches.
    pub(super) fn write(&mut self, run: &Bytes, batches: u64, records: u64) -> Result<(), String> {
        self.file
            .write_all(run)
            .map_err(|error| at(&self.partial, &error))?;
        self.done.batches += batches;
        self.done.records += records;
        self.done.size_bytes += run.len() as u64;
        Ok(())
    }

    /// Makes the file durable and gives it its name.
    pub(super) fn finish(self, tail: &Tail, cluster_id: &str) -> Result<Exported, String> {
        let (partial, path) = (&self.partial, &self.done.path);
        self.file.sync_all().map_err(|error| at(partial, &error))?;
        if path.exists() {
            if !is_same(partial, path).map_err(|error| at(path, &error))? {
                return Err(format!(
                    "{} holds another export; choose another folder with --export",
                    path.display()
                ));
            }
            std::fs::remove_file(partial).map_err(|error| at(partial, &error))?;
        } else {
            std::fs::rename(partial, path).map_err(|error| at(path, &error))?;
        }
        let description = json!({
            "cluster_id": cluster_id,
            "topic": tail.partition.topic,
            "partition": tail.partition.partition.get(),
            "first_offset": tail.from.get(),
            "end_offset": tail.to.get(),
            "batches": self.done.batches,
            "records": self.done.records,
            "size_bytes": self.done.size_bytes,
        });
        let beside = path.with_extension("json");
        let mut file = File::create(&beside).map_err(|error| at(&beside, &error))?;
        writeln!(file, "{description:#}").map_err(|error| at(&beside, &error))?;
        file.sync_all().map_err(|error| at(&beside, &error))?;
        // Names are durable when their folders are.
        for folder in path
            .ancestors()
            .skip(1)
            .take(3)
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|error| at(folder, &error))?;
        }
        Ok(self.done)
    }
}

fn is_same(one: &Path, other: &Path) -> std::io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut here, mut there) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let read = one.read(&mut here)?;
        if read == 0 {
            return Ok(true);
        }
        let (Some(part), Some(same)) = (here.get(..read), there.get_mut(..read)) else {
            return Ok(false);
        };
        other.read_exact(same)?;
        if part != same {
            return Ok(false);
        }
    }
}

fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
#[path = "export_test.rs"]
mod tests;
