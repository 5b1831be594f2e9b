//! `thalweg log dump`.

use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::Serialize;
use thalweg_wire::batch::TimestampType;
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::{OwnedRecord, decode_records};

use super::files::expand;
use super::segment_reader::{Fault, RawBatch, SegmentReader};
use crate::cli::error::CliError;
use crate::cli::output::{OutputArgs, note, printable};
use crate::cli::time::rfc3339;

/// Arguments of `log dump`.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// Segment files, partition directories or data directories
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print the records too
    #[arg(short, long)]
    records: bool,
    /// Begin with the batch that holds this offset
    #[arg(long, value_name = "OFFSET")]
    from: Option<i64>,
    /// Stop after so many batches of each file; 0 is no limit
    #[arg(short, long, default_value_t = 0, value_name = "N")]
    num: u64,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct BatchLine<'a> {
    file: &'a str,
    position: u64,
    size_bytes: usize,
    base_offset: i64,
    last_offset: i64,
    record_count: i32,
    compression: &'static str,
    crc: u32,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    leader_epoch: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    timestamp_type: &'static str,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    transactional: bool,
    control: bool,
    delete_horizon: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<RecordLine>>,
}

#[derive(Debug, Serialize)]
struct RecordLine {
    offset: i64,
    timestamp: i64,
    key: Option<Text>,
    value: Option<Text>,
    headers: Vec<(Text, Option<Text>)>,
}

/// Text as it is, other bytes in base64.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Binary { base64: String },
}

impl Text {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Plain(text.to_owned()),
            Err(_) => Self::Binary {
                base64: STANDARD.encode(bytes),
            },
        }
    }
}

/// Prints batches as they are read, so that any size of file can be dumped.
///
/// # Errors
/// [`CliError::Reported`] if a file does not end with a whole batch or a batch is damaged; [`CliError::Io`].
pub fn run(args: &DumpArgs) -> Result<(), CliError> {
    let mut output = BufWriter::with_capacity(64 * 1024, io::stdout());
    let mut whole = true;
    for path in expand(&args.paths)? {
        whole &= dump(&path, args, &mut output)?;
    }
    output.flush().map_err(CliError::output)?;
    if whole { Ok(()) } else { Err(CliError::Reported) }
}

/// Dumps one file. False if something in it is damaged.
fn dump(path: &Path, args: &DumpArgs, output: &mut BufWriter<Stdout>) -> Result<bool, CliError> {
    let io = |source| CliError::Io {
        what: format!("read {}", path.display()),
        source,
    };
    let name = path.display().to_string();
    if !args.output.is_json() {
        writeln!(output, "{}\n{}", printable(&name), heading()).map_err(CliError::output)?;
    }
    let mut reader = SegmentReader::open(path).map_err(io)?;
    let (mut whole, mut printed) = (true, 0);
    loop {
        let position = reader.position();
        let batch = match reader.next_batch().map_err(io)? {
            None => return Ok(whole),
            Some(Ok(batch)) => batch,
            Some(Err(fault)) => {
                output.flush().map_err(CliError::output)?;
                note(&format!(
                    "{name}: no batch at byte {position}: {}; `thalweg log check` says what is lost",
                    fault_text(&fault)
                ));
                return Ok(false);
            }
        };
        if args
            .from
            .is_some_and(|from| batch.header.last_offset().get() < from)
        {
            continue;
        }
        whole &= print(&name, &batch, args, output)?;
        printed += 1;
        if args.num > 0 && printed >= args.num {
            return Ok(whole);
        }
    }
}

fn fault_text(fault: &Fault) -> String {
    match fault {
        Fault::Cut { expected, found } => format!("{expected} bytes expected, {found} are left"),
        Fault::NoBatch(error) => error.to_string(),
        Fault::TooLong { found } => format!("a length of {found} bytes"),
    }
}

/// Prints one batch. False if it is damaged.
fn print(
    file: &str,
    batch: &RawBatch,
    args: &DumpArgs,
    output: &mut BufWriter<Stdout>,
) -> Result<bool, CliError> {
    // Records of a batch with a wrong checksum may be anything.
    let decoded = match (&batch.checksum, args.records) {
        (Err(error), _) => Err(error.to_string()),
        (Ok(()), false) => Ok(None),
        (Ok(()), true) => decode_records(&batch.bytes, &CompressionLimits::default())
            .map(Some)
            .map_err(|error| error.to_string()),
    };
    let (records, error) = match decoded {
        Ok(records) => (records, None),
        Err(error) => (None, Some(error)),
    };
    let valid = error.is_none();
    if args.output.is_json() {
        let line = batch_line(file, batch, records, error);
        serde_json::to_writer(&mut *output, &line)
            .map_err(|error| CliError::output(io::Error::from(error)))?;
        output.write_all(b"\n").map_err(CliError::output)?;
    } else {
        writeln!(output, "{}", table_line(batch, valid)).map_err(CliError::output)?;
        if let Some(error) = error {
            writeln!(output, "  {}", printable(&error)).map_err(CliError::output)?;
        }
        for record in records.iter().flatten() {
            writeln!(output, "  {}", record_text(record)).map_err(CliError::output)?;
        }
    }
    Ok(valid)
}

fn heading() -> String {
    format!(
        "{:>12} {:>10} {:>12} {:>12} {:>7} {:<6} {:<10} {:<5} {:<24} {:>6} {:>19} {:>7} {:>10} {}",
        "POSITION",
        "SIZE",
        "BASE-OFFSET",
        "LAST-OFFSET",
        "RECORDS",
        "CODEC",
        "CRC",
        "VALID",
        "MAX-TIMESTAMP",
        "EPOCH",
        "PRODUCER-ID",
        "P-EPOCH",
        "SEQUENCE",
        "FLAGS"
    )
}

fn table_line(batch: &RawBatch, valid: bool) -> String {
    let header = &batch.header;
    let mut flags = Vec::new();
    for (is_set, name) in [
        (header.is_transactional(), "transactional"),
        (header.is_control(), "control"),
        (header.has_delete_horizon(), "delete-horizon"),
        (
            header.timestamp_type() == TimestampType::LogAppendTime,
            "log-append-time",
        ),
    ] {
        if is_set {
            flags.push(name);
        }
    }
    let line = format!(
        "{:>12} {:>10} {:>12} {:>12} {:>7} {:<6} {:#010x} {:<5} {:<24} {:>6} {:>19} {:>7} {:>10} {}",
        batch.position,
        batch.bytes.len(),
        header.base_offset,
        header.last_offset(),
        header.record_count,
        header.compression().map_or("?", |codec| codec.name()),
        header.crc,
        if valid { "yes" } else { "NO" },
        rfc3339(header.max_timestamp.get()),
        header.leader_epoch,
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        flags.join(",")
    );
    line.trim_end().to_owned()
}

fn record_text(record: &OwnedRecord) -> String {
    let text = |bytes: Option<&[u8]>| match bytes {
        None => "null".to_owned(),
        Some(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
    };
    let headers: Vec<String> = record
        .headers
        .iter()
        .map(|(key, value)| format!("{}={}", text(Some(key)), text(value.as_deref())))
        .collect();
    format!(
        "offset {} at {} key {} value {} headers [{}]",
        record.offset,
        rfc3339(record.timestamp.get()),
        text(record.key.as_deref()),
        text(record.value.as_deref()),
        headers.join(", ")
    )
}

fn batch_line<'a>(
    file: &'a str,
    batch: &RawBatch,
    records: Option<Vec<OwnedRecord>>,
    error: Option<String>,
) -> BatchLine<'a> {
    let header = &batch.header;
    BatchLine {
        file,
        position: batch.position,
        size_bytes: batch.bytes.len(),
        base_offset: header.base_offset.get(),
        last_offset: header.last_offset().get(),
        record_count: header.record_count,
        compression: header.compression().map_or("unknown", |codec| codec.name()),
        crc: header.crc,
        valid: error.is_none(),
        error,
        leader_epoch: header.leader_epoch.get(),
        base_timestamp: header.base_timestamp.get(),
        max_timestamp: header.max_timestamp.get(),
        timestamp_type: match header.timestamp_type() {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        },
        producer_id: header.producer_id.get(),
        producer_epoch: header.producer_epoch.get(),
        base_sequence: header.base_sequence,
        transactional: header.is_transactional(),
        control: header.is_control(),
        delete_horizon: header.has_delete_horizon(),
        records: records.map(|records| records.iter().map(record_line).collect()),
    }
}

fn record_line(record: &OwnedRecord) -> RecordLine {
    RecordLine {
        offset: record.offset.get(),
        timestamp: record.timestamp.get(),
        key: record.key.as_deref().map(Text::of),
        value: record.value.as_deref().map(Text::of),
        headers: record
            .headers
            .iter()
            .map(|(key, value)| (Text::of(key), value.as_deref().map(Text::of)))
            .collect(),
    }
}
