//! Prints records: as JSON objects or by a template.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use thalweg_client::{FetchedRecords, TopicPartition};
use thalweg_wire::batch::{BatchHeader, TimestampType};
use thalweg_wire::records::OwnedRecord;

use super::ConsumeArgs;
use super::decode::Markers;
use crate::cli::error::CliError;
use crate::cli::format::{FormatRecord, OutputTemplate};

/// Bytes collected before they are written.
const BUFFER_SIZE: usize = 64 * 1024;

enum Style {
    Json { pretty: bool, meta_only: bool },
    Template(OutputTemplate),
}

/// Writes records to standard output and counts them.
pub struct Printer {
    style: Style,
    output: BufWriter<Stdout>,
    buffer: Vec<u8>,
    printed: u64,
    printed_max: Option<u64>,
    markers: Markers,
}

/// Where a record comes from.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// Its partition.
    pub partition: &'a TopicPartition,
    /// The answer it came in.
    pub fetched: &'a FetchedRecords,
    /// Its batch.
    pub header: &'a BatchHeader,
}

#[derive(Serialize)]
struct JsonRecord<'a> {
    topic: &'a str,
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_size: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<JsonHeader<'a>>,
    timestamp: i64,
    partition: i32,
    offset: i64,
}

#[derive(Serialize)]
struct JsonHeader<'a> {
    key: std::borrow::Cow<'a, str>,
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

impl Printer {
    /// Prepares to print as the arguments say.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a template that is not understood.
    pub fn new(args: &ConsumeArgs) -> Result<Self, CliError> {
        let style = match args.format.as_str() {
            "json" => {
                let pretty = args.pretty_print.unwrap_or_else(|| io::stdout().is_terminal());
                Style::Json {
                    pretty,
                    meta_only: args.meta_only,
                }
            }
            template => Style::Template(
                OutputTemplate::parse(template).map_err(|error| CliError::Usage(error.to_string()))?,
            ),
        };
        Ok(Self {
            style,
            output: BufWriter::with_capacity(BUFFER_SIZE, io::stdout()),
            buffer: Vec::new(),
            printed: 0,
            printed_max: (args.num > 0).then_some(args.num),
            markers: if args.print_control_records {
                Markers::Show
            } else {
                Markers::Hide
            },
        })
    }

    /// Reports whether as many records were printed as were asked for.
    pub fn is_done(&self) -> bool {
        self.printed_max.is_some_and(|max| self.printed >= max)
    }

    /// Returns whether markers are printed.
    pub fn markers(&self) -> Markers {
        self.markers
    }

    /// Prints one record.
    ///
    /// # Errors
    /// [`CliError::OutputClosed`], [`CliError::Io`].
    pub fn print(&mut self, origin: Origin<'_>, record: &OwnedRecord) -> Result<(), CliError> {
        self.printed = self.printed.saturating_add(1);
        self.buffer.clear();
        match &self.style {
            Style::Json { pretty, meta_only } => {
                let json = json_record(origin.partition, record, *meta_only);
                let written = match pretty {
                    true => serde_json::to_writer_pretty(&mut self.buffer, &json),
                    false => serde_json::to_writer(&mut self.buffer, &json),
                };
                written
                    .map_err(|error| CliError::Failed(format!("cannot write a record as JSON: {error}")))?;
                self.buffer.push(b'\n');
            }
            Style::Template(template) => {
                let view = format_record(origin, record, self.printed);
                template.render(&view, &mut self.buffer);
            }
        }
        self.output.write_all(&self.buffer).map_err(CliError::output)
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// [`CliError::OutputClosed`], [`CliError::Io`].
    pub fn flush(&mut self) -> Result<(), CliError> {
        self.output.flush().map_err(CliError::output)
    }
}

fn format_record<'a>(origin: Origin<'a>, record: &'a OwnedRecord, index: u64) -> FormatRecord<'a> {
    let header = origin.header;
    let codec = header.compression().ok();
    FormatRecord {
        topic: &origin.partition.topic,
        partition: origin.partition.partition.get(),
        offset: record.offset.get(),
        leader_epoch: header.leader_epoch.get(),
        timestamp_ms: record.timestamp.get(),
        timestamp_type: i64::from(header.timestamp_type() == TimestampType::LogAppendTime),
        codec: codec.map_or(u8::MAX, |codec| codec.id()),
        codec_name: codec.map_or("unknown", |codec| codec.name()),
        is_transactional: header.is_transactional(),
        is_control: header.is_control(),
        producer_id: header.producer_id.get(),
        producer_epoch: header.producer_epoch.get(),
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &record.headers,
        log_start_offset: origin.fetched.log_start_offset.get(),
        last_stable_offset: origin.fetched.last_stable_offset.get(),
        high_watermark: origin.fetched.high_watermark.get(),
        index,
    }
}

/// Text as it is; bytes that are no text in base64, under another name, so that nothing is lost.
fn text_or_base64(bytes: Option<&[u8]>) -> (Option<&str>, Option<String>) {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => (None, None),
        Some((Ok(text), _)) => (Some(text), None),
        Some((Err(_), bytes)) => (None, Some(STANDARD.encode(bytes))),
    }
}

fn json_record<'a>(
    partition: &'a TopicPartition,
    record: &'a OwnedRecord,
    meta_only: bool,
) -> JsonRecord<'a> {
    let (key, key_base64) = text_or_base64(record.key.as_deref());
    let (value, value_base64) = text_or_base64(record.value.as_deref());
    let headers = record.headers.iter().map(|(key, value)| {
        let (text, base64) = text_or_base64(value.as_deref());
        JsonHeader {
            key: String::from_utf8_lossy(key),
            value: text,
            value_base64: base64,
        }
    });
    JsonRecord {
        topic: &partition.topic,
        key,
        key_base64,
        value: (!meta_only && value_base64.is_none()).then_some(value),
        value_base64: value_base64.filter(|_| !meta_only),
        value_size: meta_only.then(|| record.value.as_ref().map_or(0, bytes::Bytes::len)),
        headers: headers.collect(),
        timestamp: record.timestamp.get(),
        partition: partition.partition.get(),
        offset: record.offset.get(),
    }
}

#[cfg(test)]
#[path = "print_test.rs"]
mod tests;
