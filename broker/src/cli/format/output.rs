//! Renders records by a template.

use bytes::Bytes;

use super::number::NumberFormat;
use super::scanner::{Scanner, TemplateError};
use super::text::TextFormat;
use super::timestamp;

/// A record with everything a template may name.
#[derive(Debug, Clone, Copy)]
pub struct FormatRecord<'a> {
    /// Name of the topic.
    pub topic: &'a str,
    /// Number of the partition.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// Leader epoch of its batch.
    pub leader_epoch: i32,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// 0 if the producer set the timestamp, 1 if the broker did.
    pub timestamp_type: i64,
    /// Number of the batch's codec.
    pub codec: u8,
    /// Name of the batch's codec.
    pub codec_name: &'static str,
    /// Whether the batch belongs to a transaction.
    pub is_transactional: bool,
    /// Whether the batch is a marker.
    pub is_control: bool,
    /// Id of the producer, or -1.
    pub producer_id: i64,
    /// Epoch of the producer, or -1.
    pub producer_epoch: i16,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: &'a [(Bytes, Option<Bytes>)],
    /// The partition's first kept offset.
    pub log_start_offset: i64,
    /// The partition's last stable offset.
    pub last_stable_offset: i64,
    /// The partition's high watermark.
    pub high_watermark: i64,
    /// Number of the record in this output, from 1.
    pub index: u64,
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputTemplate {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Text(TextField, TextFormat),
    Number(NumberField, NumberFormat),
    Timestamp(TimestampFormat),
    /// The codec by name.
    CodecName,
    Headers(Vec<Piece>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextField {
    Topic,
    Key,
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberField {
    TopicLength,
    KeyLength,
    ValueLength,
    HeaderCount,
    Partition,
    Offset,
    LeaderEpoch,
    ProducerId,
    ProducerEpoch,
    LogStartOffset,
    LastStableOffset,
    HighWatermark,
    Index,
    Codec,
    TimestampType,
    TransactionalBit,
    ControlBit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TimestampFormat {
    Number(NumberFormat),
    Strftime(String),
    Go(String),
}

/// Where a template ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// At the end of the text.
    Record,
    /// At the closing brace of `%h{…}`.
    Header,
}

impl OutputTemplate {
    /// Parses a template.
    ///
    /// # Errors
    /// [`TemplateError`] with the place of what is not understood.
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        let mut scanner = Scanner::new(template);
        Ok(Self {
            pieces: pieces(&mut scanner, Level::Record)?,
        })
    }

    /// Reports whether the template shows anything of key, value or headers.
    pub fn shows_content(&self) -> bool {
        use NumberField::{HeaderCount, KeyLength, ValueLength};
        self.pieces.iter().any(|piece| match piece {
            Piece::Text(field, _) => *field != TextField::Topic,
            Piece::Number(field, _) => matches!(field, KeyLength | ValueLength | HeaderCount),
            Piece::Headers(_) => true,
            _ => false,
        })
    }

    /// Appends the rendered record to `output`.
    pub fn render(&self, record: &FormatRecord<'_>, output: &mut Vec<u8>) {
        render(&self.pieces, record, output);
    }
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
        b'T' => number(scanner, NumberField::TopicLength),
        b'K' => number(scanner, NumberField::KeyLength),
        b'V' => number(scanner, NumberField::ValueLength),
        b'H' => number(scanner, NumberField::HeaderCount),
        b'p' => number(scanner, NumberField::Partition),
        b'o' => number(scanner, NumberField::Offset),
        b'e' => number(scanner, NumberField::LeaderEpoch),
        b'x' => number(scanner, NumberField::ProducerId),
        b'y' => number(scanner, NumberField::ProducerEpoch),
        b'[' => number(scanner, NumberField::LogStartOffset),
        b'|' => number(scanner, NumberField::LastStableOffset),
        b']' => number(scanner, NumberField::HighWatermark),
        b'i' => number(scanner, NumberField::Index),
        b'd' => date(scanner),
        b'a' => attribute(scanner),
        b'h' if scanner.take(b'{') => Ok(Piece::Headers(pieces(scanner, Level::Header)?)),
        // Kcat's plain %h: all headers as key=value, separated by commas in rendering.
        b'h' => Ok(Piece::Headers(Vec::new())),
        other => Err(scanner.fail(format!("there is no verb %{}", char::from(other)))),
    }
}

fn text(scanner: &mut Scanner<'_>, field: TextField) -> Result<Piece, TemplateError> {
    if let Some(steps) = scanner.wrapped("unpack")? {
        let format = TextFormat::parse_unpack(steps).map_err(|reason| scanner.fail(reason))?;
        return Ok(Piece::Text(field, format));
    }
    let format = match scanner.modifier()? {
        None => TextFormat::Raw,
        Some(name) => TextFormat::parse(name).ok_or_else(|| {
            scanner.fail(format!(
                "text is hex, base64, base64raw or unpack[...], not '{name}'"
            ))
        })?,
    };
    Ok(Piece::Text(field, format))
}

fn number(scanner: &mut Scanner<'_>, field: NumberField) -> Result<Piece, TemplateError> {
    Ok(Piece::Number(field, number_format(scanner)?))
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

fn date(scanner: &mut Scanner<'_>) -> Result<Piece, TemplateError> {
    if let Some(pattern) = scanner.wrapped("strftime")? {
        return Ok(Piece::Timestamp(TimestampFormat::Strftime(pattern.to_owned())));
    }
    if let Some(layout) = scanner.wrapped("go")? {
        return Ok(Piece::Timestamp(TimestampFormat::Go(layout.to_owned())));
    }
    Ok(Piece::Timestamp(TimestampFormat::Number(number_format(scanner)?)))
}

fn attribute(scanner: &mut Scanner<'_>) -> Result<Piece, TemplateError> {
    const NAMES: &str = "%a needs {compression}, {timestamp-type}, {transactional-bit} or {control-bit}";
    let modifier = scanner.modifier()?.ok_or_else(|| scanner.fail(NAMES))?;
    let (name, format) = match modifier.split_once(';') {
        Some((name, format)) => {
            let parsed = NumberFormat::parse(format);
            (
                name,
                Some(parsed.ok_or_else(|| scanner.fail(format!("'{format}' is no number format")))?),
            )
        }
        None => (modifier, None),
    };
    let field = match (name, format) {
        ("compression", None) => return Ok(Piece::CodecName),
        ("compression", Some(_)) => NumberField::Codec,
        ("timestamp-type", _) => NumberField::TimestampType,
        ("transactional-bit", _) => NumberField::TransactionalBit,
        ("control-bit", _) => NumberField::ControlBit,
        _ => return Err(scanner.fail(NAMES)),
    };
    Ok(Piece::Number(field, format.unwrap_or(NumberFormat::Ascii)))
}

fn render(pieces: &[Piece], record: &FormatRecord<'_>, output: &mut Vec<u8>) {
    for piece in pieces {
        match piece {
            Piece::Literal(bytes) => output.extend_from_slice(bytes),
            Piece::Text(field, format) => {
                let bytes = match field {
                    TextField::Topic => record.topic.as_bytes(),
                    TextField::Key => record.key.unwrap_or_default(),
                    TextField::Value => record.value.unwrap_or_default(),
                };
                format.write(bytes, output);
            }
            Piece::Number(field, format) => format.write(value(*field, record), output),
            Piece::Timestamp(TimestampFormat::Number(format)) => format.write(record.timestamp_ms, output),
            Piece::Timestamp(TimestampFormat::Strftime(pattern)) => {
                output.extend_from_slice(timestamp::strftime(pattern, record.timestamp_ms).as_bytes());
            }
            Piece::Timestamp(TimestampFormat::Go(layout)) => {
                output.extend_from_slice(timestamp::go(layout, record.timestamp_ms).as_bytes());
            }
            Piece::CodecName => output.extend_from_slice(record.codec_name.as_bytes()),
            Piece::Headers(inner) => headers(inner, record, output),
        }
    }
}

fn headers(inner: &[Piece], record: &FormatRecord<'_>, output: &mut Vec<u8>) {
    for (index, (key, value)) in record.headers.iter().enumerate() {
        if inner.is_empty() {
            if index > 0 {
                output.push(b',');
            }
            output.extend_from_slice(key);
            output.push(b'=');
            output.extend_from_slice(value.as_deref().unwrap_or_default());
        } else {
            let header = FormatRecord {
                key: Some(key),
                value: value.as_deref(),
                ..*record
            };
            render(inner, &header, output);
        }
    }
}

fn value(field: NumberField, record: &FormatRecord<'_>) -> i64 {
    let length = |bytes: &[u8]| i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    match field {
        NumberField::TopicLength => length(record.topic.as_bytes()),
        NumberField::KeyLength => length(record.key.unwrap_or_default()),
        NumberField::ValueLength => length(record.value.unwrap_or_default()),
        NumberField::HeaderCount => i64::try_from(record.headers.len()).unwrap_or(i64::MAX),
        NumberField::Partition => record.partition.into(),
        NumberField::Offset => record.offset,
        NumberField::LeaderEpoch => record.leader_epoch.into(),
        NumberField::ProducerId => record.producer_id,
        NumberField::ProducerEpoch => record.producer_epoch.into(),
        NumberField::LogStartOffset => record.log_start_offset,
        NumberField::LastStableOffset => record.last_stable_offset,
        NumberField::HighWatermark => record.high_watermark,
        NumberField::Index => i64::try_from(record.index).unwrap_or(i64::MAX),
        NumberField::Codec => record.codec.into(),
        NumberField::TimestampType => record.timestamp_type,
        NumberField::TransactionalBit => record.is_transactional.into(),
        NumberField::ControlBit => record.is_control.into(),
    }
}
