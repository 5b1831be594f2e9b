//! Says where records were written.

use serde::Serialize;
use thalweg_types::TimestampMs;

use super::ProduceArgs;
use super::batches::{Keep, Kept};
use super::send::Written;
use crate::cli::error::CliError;
use crate::cli::format::{FormatRecord, OutputTemplate};
use crate::cli::output::write_stdout;

enum Style {
    Nothing,
    Json,
    Template(OutputTemplate),
}

/// Prints a line, or what else the arguments say, for each record.
pub struct Reporter {
    style: Style,
    reported: u64,
}

#[derive(Serialize)]
struct JsonReport<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: i64,
}

impl Reporter {
    /// Prepares to report.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a template that is not understood.
    pub fn new(args: &ProduceArgs) -> Result<Self, CliError> {
        let style = match args.output_format.as_str() {
            "" => Style::Nothing,
            _ if args.quiet => Style::Nothing,
            "json" => Style::Json,
            template => Style::Template(
                OutputTemplate::parse(template).map_err(|error| CliError::Usage(error.to_string()))?,
            ),
        };
        Ok(Self { style, reported: 0 })
    }

    /// Returns what has to be kept of each record for the report.
    pub fn keep(&self) -> Keep {
        match &self.style {
            Style::Nothing => Keep::Nothing,
            Style::Template(template) if template.shows_content() => Keep::Content,
            Style::Json | Style::Template(_) => Keep::Timestamp,
        }
    }

    /// Prints what was written, in the order of the offsets of each partition.
    ///
    /// # Errors
    /// [`CliError::OutputClosed`], [`CliError::Io`].
    pub fn report(&mut self, written: Vec<Written>) -> Result<(), CliError> {
        let mut text = Vec::new();
        for batch in &written {
            for (delta, kept) in (0i64..).zip(&batch.batch.kept) {
                self.reported = self.reported.saturating_add(1);
                self.render(batch, delta, kept, &mut text)?;
            }
        }
        if text.is_empty() {
            Ok(())
        } else {
            write_stdout(&text)
        }
    }

    fn render(&self, written: &Written, delta: i64, kept: &Kept, text: &mut Vec<u8>) -> Result<(), CliError> {
        let partition = &written.batch.partition;
        let base = written.ack.base_offset.get();
        // A duplicate's place may be unknown.
        let offset = if base < 0 {
            base
        } else {
            base.saturating_add(delta)
        };
        let stamped = written.ack.log_append_time;
        let timestamp = if stamped == TimestampMs::NONE {
            kept.timestamp_ms
        } else {
            stamped.get()
        };
        match &self.style {
            Style::Nothing => {}
            Style::Json => {
                let report = JsonReport {
                    topic: &partition.topic,
                    partition: partition.partition.get(),
                    offset,
                    timestamp,
                };
                serde_json::to_writer(&mut *text, &report)
                    .map_err(|error| CliError::Failed(format!("cannot write the result as JSON: {error}")))?;
                text.push(b'\n');
            }
            Style::Template(template) => template.render(
                &FormatRecord {
                    topic: &partition.topic,
                    partition: partition.partition.get(),
                    offset,
                    leader_epoch: -1,
                    timestamp_ms: timestamp,
                    timestamp_type: i64::from(stamped != TimestampMs::NONE),
                    codec: written.batch.compression.id(),
                    codec_name: written.batch.compression.name(),
                    is_transactional: false,
                    is_control: false,
                    producer_id: written.batch.producer.map_or(-1, |producer| producer.id.get()),
                    producer_epoch: written.batch.producer.map_or(-1, |producer| producer.epoch.get()),
                    key: kept.key.as_deref(),
                    value: kept.value.as_deref(),
                    headers: &kept.headers,
                    log_start_offset: written.ack.log_start_offset.get(),
                    last_stable_offset: -1,
                    high_watermark: -1,
                    index: self.reported,
                },
                text,
            ),
        }
        Ok(())
    }
}
