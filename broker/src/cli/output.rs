//! Tables for people, JSON for programs.
//!
//! A row type says once what its columns are; JSON is its serde form. Invariant: text that came from the cluster
//! reaches a terminal with its control characters escaped.

use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use serde::Serialize;

use super::error::CliError;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A table.
    Table,
    /// A table with more columns.
    Wide,
    /// One JSON document.
    Json,
}

/// The argument of commands that print tables.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgs {
    /// How to print: table for people, wide for more columns, json for programs
    #[arg(short = 'o', long, value_enum, default_value_t = OutputFormat::Table, value_name = "FORMAT")]
    pub output: OutputFormat,
}

/// Which tables show a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// All.
    Always,
    /// Only `-o wide`.
    Wide,
}

/// A column: its heading, where it is shown, whether it holds numbers.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    heading: &'static str,
    shown: Shown,
    alignment: CellAlignment,
}

impl Column {
    /// A column of text.
    pub const fn text(heading: &'static str) -> Self {
        Self {
            heading,
            shown: Shown::Always,
            alignment: CellAlignment::Left,
        }
    }

    /// A column of numbers.
    pub const fn number(heading: &'static str) -> Self {
        Self {
            heading,
            shown: Shown::Always,
            alignment: CellAlignment::Right,
        }
    }

    /// The same column, in wide tables only.
    pub const fn wide(self) -> Self {
        Self {
            heading: self.heading,
            shown: Shown::Wide,
            alignment: self.alignment,
        }
    }
}

/// Something that is printed as a line of a table or as a JSON object.
pub trait Row: Serialize {
    /// The columns, in order.
    const COLUMNS: &'static [Column];

    /// The cells, one for each column.
    fn cells(&self) -> Vec<String>;
}

impl OutputArgs {
    /// Prints rows: a table with headings, or a JSON array.
    ///
    /// # Errors
    /// [`CliError::OutputClosed`], [`CliError::Io`].
    pub fn print<R: Row>(&self, rows: &[R]) -> Result<(), CliError> {
        match self.output {
            OutputFormat::Json => print_json(&rows),
            _ => self.print_table(rows),
        }
    }

    /// Prints rows as a table whatever the format, for commands that compose their JSON themselves.
    ///
    /// # Errors
    /// Those of [`OutputArgs::print`].
    pub fn print_table<R: Row>(&self, rows: &[R]) -> Result<(), CliError> {
        let wide = self.output == OutputFormat::Wide;
        write_stdout(table(rows, wide).as_bytes())
    }

    /// Reports whether the output is for a program.
    pub fn is_json(&self) -> bool {
        self.output == OutputFormat::Json
    }
}

/// Renders rows as a table without borders.
fn table<R: Row>(rows: &[R], wide: bool) -> String {
    let shown: Vec<usize> = (0..R::COLUMNS.len())
        .filter(|index| wide || R::COLUMNS[*index].shown == Shown::Always)
        .collect();
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(shown.iter().map(|index| R::COLUMNS[*index].heading));
    for row in rows {
        let cells = row.cells();
        let cell = |index: &usize| {
            let text = cells.get(*index).map(String::as_str).unwrap_or_default();
            Cell::new(printable(text)).set_alignment(R::COLUMNS[*index].alignment)
        };
        table.add_row(shown.iter().map(cell));
    }
    for (place, index) in shown.iter().enumerate() {
        if let Some(column) = table.column_mut(place) {
            column.set_padding((0, 2));
            column.set_cell_alignment(R::COLUMNS[*index].alignment);
        }
    }
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Prints one JSON document: indented on a terminal, one line otherwise.
///
/// # Errors
/// [`CliError::OutputClosed`], [`CliError::Io`].
pub fn print_json<T: Serialize + ?Sized>(value: &T) -> Result<(), CliError> {
    let rendered = if io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    let mut text =
        rendered.map_err(|error| CliError::Failed(format!("cannot write the result as JSON: {error}")))?;
    text.push('\n');
    write_stdout(text.as_bytes())
}

/// Prints a line of text.
///
/// # Errors
/// [`CliError::OutputClosed`], [`CliError::Io`].
pub fn print_line(text: &str) -> Result<(), CliError> {
    write_stdout(format!("{}\n", printable(text)).as_bytes())
}

/// Writes bytes to standard output and flushes them.
///
/// # Errors
/// [`CliError::OutputClosed`], [`CliError::Io`].
pub fn write_stdout(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(CliError::output)
}

/// Writes a line to standard error. Nobody reading it is no reason to stop.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(text));
}

/// Escapes control characters: names and messages come from others and must not drive the terminal.
pub fn printable(text: &str) -> String {
    let mut printed = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => printed.push('\n'),
            other if other.is_control() => printed.extend(other.escape_default()),
            other => printed.push(other),
        }
    }
    printed
}

/// Writes a number of bytes with a binary unit, as `1.5 GiB`.
pub fn size(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes.unsigned_abs() < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Writes a list as `1,2,3`.
pub fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
#[path = "output_test.rs"]
mod tests;
