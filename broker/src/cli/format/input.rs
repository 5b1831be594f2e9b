//! Cuts records out of a stream by a template.
//!
//! A field is either sized (its size was given by an earlier `%K`, `%V`, …) or ends where the template's next text
//! begins. Invariant: one field never takes more than [`FIELD_SIZE_MAX`] bytes of memory.

use std::io::{self, BufRead, Read};

use super::number::NumberFormat;
use super::scanner::{Scanner, TemplateError};
use super::text::TextFormat;

/// Largest field, in bytes: more than any broker takes as a record.
pub const FIELD_SIZE_MAX: usize = 256 * 1024 * 1024;
/// Largest number of headers of one record.
const HEADER_COUNT_MAX: i64 = 10_000;

/// A record as read; what the template does not name is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputRecord {
    /// Its topic.
    pub topic: Option<String>,
    /// Its partition.
    pub partition: Option<i32>,
    /// Its timestamp, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputTemplate {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Text that must stand there.
    Literal(Vec<u8>),
    /// Bytes of a field.
    Text(TextField, Decoding),
    /// The size of a field that follows.
    Size(TextField, SizeFormat),
    /// The number of headers that follow.
    HeaderCount(SizeFormat),
    /// Headers, each by the inner template.
    Headers(Vec<Piece>),
    Partition(NumberFormat),
    Timestamp(NumberFormat),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextField {
    Topic,
    Key,
    Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Decoding {
    Text(TextFormat),
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SizeFormat {
    Fixed(usize),
    Read(NumberFormat),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Record,
    Header,
}

/// Sizes read and not yet used.
#[derive(Default)]
struct Sizes {
    topic: Option<usize>,
    key: Option<usize>,
    value: Option<usize>,
    headers: Option<usize>,
}

impl Sizes {
    fn of(&mut self, field: TextField) -> &mut Option<usize> {
        match field {
            TextField::Topic => &mut self.topic,
            TextField::Key => &mut self.key,
            TextField::Value => &mut self.value,
        }
    }
}

impl InputTemplate {
    /// Parses a template.
    ///
    /// # Errors
    /// [`TemplateError`] with the place of what is not understood, or where a field has neither size nor end.
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        let mut scanner = Scanner::new(template);
        let pieces = pieces(&mut scanner, Level::Record)?;
        check_ends(&pieces, &scanner)?;
        if !pieces.iter().any(|piece| !matches!(piece, Piece::Literal(_))) {
            return Err(scanner.fail("the format names no field"));
        }
        Ok(Self { pieces })
    }

    /// Reads the next record. `None` at the end of the input, if it ends between two records.
    ///
    /// A missing last newline is forgiven.
    /// # Errors
    /// `InvalidData` with what does not match, `UnexpectedEof` for a cut record, or the reader's error.
    pub fn read(&self, reader: &mut impl BufRead) -> io::Result<Option<InputRecord>> {
        if reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut record = InputRecord::default();
        let mut sizes = Sizes::default();
        let mut index = 0;
        while let Some(piece) = self.pieces.get(index) {
            index += 1;
            match piece {
                Piece::Headers(inner) => read_headers(inner, &mut sizes, &mut record, reader)?,
                Piece::HeaderCount(format) => {
                    sizes.headers = Some(read_size(*format, reader, HEADER_COUNT_MAX)?);
                }
                piece => {
                    let (value, used) = read_piece(piece, self.pieces.get(index), &mut sizes, reader)?;
                    index += used;
                    store(value, &mut record)?;
                }
            }
        }
        Ok(Some(record))
    }
}

/// What one piece of a template read.
enum Read1 {
    Nothing,
    Text(TextField, Vec<u8>),
    Partition(i64),
    Timestamp(i64),
}

fn store(value: Read1, record: &mut InputRecord) -> io::Result<()> {
    match value {
        Read1::Nothing => {}
        Read1::Text(TextField::Topic, bytes) => {
            record.topic =
                Some(String::from_utf8(bytes).map_err(|_| mismatch("a topic's name is not UTF-8"))?);
        }
        Read1::Text(TextField::Key, bytes) => record.key = Some(bytes),
        Read1::Text(TextField::Value, bytes) => record.value = Some(bytes),
        Read1::Partition(number) => {
            record.partition =
                Some(i32::try_from(number).map_err(|_| mismatch("a partition is out of range"))?);
        }
        Read1::Timestamp(number) => record.timestamp_ms = Some(number),
    }
    Ok(())
}

fn read_headers(
    inner: &[Piece],
    sizes: &mut Sizes,
    record: &mut InputRecord,
    reader: &mut impl BufRead,
) -> io::Result<()> {
    let count = sizes
        .headers
        .take()
        .ok_or_else(|| mismatch("%h needs %H before it"))?;
    for _ in 0..count {
        let mut header = InputRecord::default();
        let mut header_sizes = Sizes::default();
        let mut index = 0;
        while let Some(piece) = inner.get(index) {
            index += 1;
            let (value, used) = read_piece(piece, inner.get(index), &mut header_sizes, reader)?;
            index += used;
            store(value, &mut header)?;
        }
        record
            .headers
            .push((header.key.unwrap_or_default(), header.value.unwrap_or_default()));
    }
    Ok(())
}

/// Reads one piece. Returns how many following pieces it has used up (its delimiter).
fn read_piece(
    piece: &Piece,
    next: Option<&Piece>,
    sizes: &mut Sizes,
    reader: &mut impl BufRead,
) -> io::Result<(Read1, usize)> {
    match piece {
        Piece::Literal(expected) => expect(expected, reader).map(|()| (Read1::Nothing, 0)),
        Piece::Size(field, format) => {
            let limit = i64::try_from(FIELD_SIZE_MAX).unwrap_or(i64::MAX);
            *sizes.of(*field) = Some(read_size(*format, reader, limit)?);
            Ok((Read1::Nothing, 0))
        }
        Piece::Text(field, decoding) => {
            let (bytes, used) = match (sizes.of(*field).take(), next) {
                (Some(size), _) => (read_exactly(size, reader)?, 0),
                (None, Some(Piece::Literal(delimiter))) => (read_until(delimiter, reader)?, 1),
                (None, _) => (read_rest(reader)?, 0),
            };
            Ok((Read1::Text(*field, decode(decoding, bytes)?), used))
        }
        Piece::Partition(format) => Ok((Read1::Partition(read_number(*format, reader)?), 0)),
        Piece::Timestamp(format) => Ok((Read1::Timestamp(read_number(*format, reader)?), 0)),
        Piece::Headers(_) | Piece::HeaderCount(_) => Err(mismatch("headers inside headers")),
    }
}

fn decode(decoding: &Decoding, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    match decoding {
        Decoding::Text(format) => format
            .read(bytes)
            .ok_or_else(|| mismatch("a field is not encoded as {hex} or {base64} says")),
        Decoding::Json => {
            let text = String::from_utf8(bytes).map_err(|_| mismatch("a JSON field is not UTF-8"))?;
            let checked: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&text);
            checked.map_err(|error| mismatch(format!("a field is not JSON: {error}")))?;
            Ok(compact_json(&text).into_bytes())
        }
    }
}

/// Takes the blanks out of a JSON text, outside its strings, without touching numbers or the order of keys.
fn compact_json(text: &str) -> String {
    let mut compact = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in text.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character == '"' {
            in_string = true;
        } else if character.is_ascii_whitespace() {
            continue;
        }
        compact.push(character);
    }
    compact
}

fn mismatch(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the input ends inside a record")
}

fn expect(expected: &[u8], reader: &mut impl BufRead) -> io::Result<()> {
    for byte in expected {
        match next_byte(reader)? {
            Some(found) if found == *byte => {}
            Some(found) => {
                let (byte, found) = (char::from(*byte), char::from(found));
                return Err(mismatch(format!(
                    "the format has {byte:?} where the input has {found:?}"
                )));
            }
            // A last line without its newline.
            None if expected == b"\n" => {}
            None => return Err(cut()),
        }
    }
    Ok(())
}

fn next_byte(reader: &mut impl BufRead) -> io::Result<Option<u8>> {
    let byte = reader.fill_buf()?.first().copied();
    if byte.is_some() {
        reader.consume(1);
    }
    Ok(byte)
}

fn read_exactly(size: usize, reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(size).unwrap_or(u64::MAX);
    // Grows with what arrives: the size is the input's own claim.
    reader.by_ref().take(limit).read_to_end(&mut bytes)?;
    if bytes.len() < size { Err(cut()) } else { Ok(bytes) }
}

fn read_rest(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(FIELD_SIZE_MAX).unwrap_or(u64::MAX);
    reader
        .by_ref()
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() > FIELD_SIZE_MAX {
        Err(too_long())
    } else {
        Ok(bytes)
    }
}

fn too_long() -> io::Error {
    mismatch(format!(
        "a field is longer than {FIELD_SIZE_MAX} bytes: its end was not found"
    ))
}

/// Reads up to a delimiter and takes the delimiter.
fn read_until(delimiter: &[u8], reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let Some(last) = delimiter.last() else {
        return Ok(Vec::new());
    };
    let mut bytes = Vec::new();
    loop {
        let left = FIELD_SIZE_MAX.saturating_sub(bytes.len());
        if left == 0 {
            return Err(too_long());
        }
        let limit = u64::try_from(left).unwrap_or(u64::MAX);
        let read = reader.by_ref().take(limit).read_until(*last, &mut bytes)?;
        if bytes.ends_with(delimiter) {
            bytes.truncate(bytes.len().saturating_sub(delimiter.len()));
            return Ok(bytes);
        }
        if read == 0 {
            // A last line without its newline.
            return if delimiter == b"\n" { Ok(bytes) } else { Err(cut()) };
        }
    }
}

fn read_size(format: SizeFormat, reader: &mut impl BufRead, limit: i64) -> io::Result<usize> {
    let size = match format {
        SizeFormat::Fixed(size) => return Ok(size),
        SizeFormat::Read(format) => read_number(format, reader)?,
    };
    if size > limit {
        return Err(mismatch(format!(
            "a size of {size} is beyond the limit of {limit}"
        )));
    }
    usize::try_from(size).map_err(|_| mismatch("a size is negative"))
}

fn read_number(format: NumberFormat, reader: &mut impl BufRead) -> io::Result<i64> {
    let bytes = match format.encoded_size() {
        Some(size) => read_exactly(size, reader)?,
        None => read_characters(format, reader)?,
    };
    let read = format.read(&bytes);
    read.ok_or_else(|| {
        mismatch(format!(
            "a number was expected, not '{}'",
            String::from_utf8_lossy(&bytes)
        ))
    })
}

/// Takes the characters a decimal number or a boolean may consist of.
fn read_characters(format: NumberFormat, reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < 20 {
        let Some(byte) = reader.fill_buf()?.first().copied() else {
            break;
        };
        let fits = match format {
            NumberFormat::Bool => byte.is_ascii_lowercase(),
            _ => byte.is_ascii_digit() || (byte == b'-' && bytes.is_empty()),
        };
        if !fits {
            break;
        }
        reader.consume(1);
        bytes.push(byte);
    }
    Ok(bytes)
}

fn pieces(scanner: &mut Scanner<'_>, level: Level) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut literal = Vec::new();
    loop {
        match scanner.next() {
            None if level == Level::Record => break,
            None => return Err(scanner.fail("%h{ is not closed")),
            Some(b'}') if level == Level::Header => break,
            Some(b'\\') => literal.push(scanner.escape()?),
            Some(b'%') => match scanner.peek() {
                Some(byte @ (b'%' | b'{' | b'}')) => {
                    scanner.next();
                    literal.push(byte);
                }
                _ => {
                    let piece = verb(scanner, level)?;
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(piece);
                }
            },
            Some(byte) => literal.push(byte),
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

fn verb(scanner: &mut Scanner<'_>, level: Level) -> Result<Piece, TemplateError> {
    let Some(letter) = scanner.next() else {
        return Err(scanner.fail("a verb is missing after %"));
    };
    if level == Level::Header && !matches!(letter, b'k' | b'v' | b'K' | b'V') {
        return Err(scanner.fail("headers have %k, %v, %K and %V only"));
    }
    match letter {
        b't' => text(scanner, TextField::Topic),
        b'k' => text(scanner, TextField::Key),
        b'v' => text(scanner, TextField::Value),
        b'T' => Ok(Piece::Size(TextField::Topic, size_format(scanner)?)),
        b'K' => Ok(Piece::Size(TextField::Key, size_format(scanner)?)),
        b'V' => Ok(Piece::Size(TextField::Value, size_format(scanner)?)),
        b'H' => Ok(Piece::HeaderCount(size_format(scanner)?)),
        b'p' => Ok(Piece::Partition(number_format(scanner)?)),
        b'd' => Ok(Piece::Timestamp(number_format(scanner)?)),
        b'h' if scanner.take(b'{') => {
            let inner = pieces(scanner, Level::Header)?;
            check_ends(&inner, scanner)?;
            Ok(Piece::Headers(inner))
        }
        b'h' => Err(scanner.fail("%h needs the header's format in braces, as %h{%k=%v }")),
        other => Err(scanner.fail(format!("there is no verb %{} for input", char::from(other)))),
    }
}

fn text(scanner: &mut Scanner<'_>, field: TextField) -> Result<Piece, TemplateError> {
    let decoding = match scanner.modifier()? {
        None => Decoding::Text(TextFormat::Raw),
        Some("json") => Decoding::Json,
        Some(name) => match TextFormat::parse(name) {
            Some(format) => Decoding::Text(format),
            None => {
                return Err(scanner.fail(format!("input is hex, base64, base64raw or json, not '{name}'")));
            }
        },
    };
    Ok(Piece::Text(field, decoding))
}

fn number_format(scanner: &mut Scanner<'_>) -> Result<NumberFormat, TemplateError> {
    match scanner.modifier()? {
        None => Ok(NumberFormat::Ascii),
        Some(name) => NumberFormat::parse(name).ok_or_else(|| {
            scanner.fail(format!(
                "numbers are ascii, hex32, big32, little32, ..., not '{name}'"
            ))
        }),
    }
}

fn size_format(scanner: &mut Scanner<'_>) -> Result<SizeFormat, TemplateError> {
    let Some(name) = scanner.modifier()? else {
        return Ok(SizeFormat::Read(NumberFormat::Ascii));
    };
    if let Ok(size) = name.parse::<usize>() {
        if size > FIELD_SIZE_MAX {
            return Err(scanner.fail(format!("{size} is beyond the limit of {FIELD_SIZE_MAX}")));
        }
        return Ok(SizeFormat::Fixed(size));
    }
    NumberFormat::parse(name).map(SizeFormat::Read).ok_or_else(|| {
        scanner.fail(format!(
            "sizes are a number, ascii, big32, little32, ..., not '{name}'"
        ))
    })
}

/// Refuses a field that has neither a size before it nor text behind it, unless it is the last of all.
fn check_ends(pieces: &[Piece], scanner: &Scanner<'_>) -> Result<(), TemplateError> {
    for (index, piece) in pieces.iter().enumerate() {
        let before = pieces.get(..index).unwrap_or_default();
        match piece {
            Piece::Text(field, _) => {
                let sized = before
                    .iter()
                    .any(|other| matches!(other, Piece::Size(of, _) if of == field));
                let ends = matches!(pieces.get(index + 1), None | Some(Piece::Literal(_)));
                if !sized && !ends {
                    return Err(scanner.fail("a field needs a size before it or some text behind it"));
                }
            }
            Piece::Headers(_) if !before.iter().any(|other| matches!(other, Piece::HeaderCount(_))) => {
                return Err(scanner.fail("%h needs the number of headers, %H, before it"));
            }
            _ => {}
        }
    }
    Ok(())
}
