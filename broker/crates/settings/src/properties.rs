//! Java's `.properties` format (`java.util.Properties.load`), in UTF-8.
//!
//! Logical lines, comments with `#` or `!`, key and value apart by `=`, `:` or white space, `\` escapes and
//! continuation as Java reads them. Two differences, both refusals: bytes that are not UTF-8 (Java reads them as
//! Latin-1, where a value silently becomes another), and `\u` escapes that leave half a surrogate pair.

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Line on which the key begins, from 1.
    pub line: u32,
    /// The key, unescaped.
    pub key: String,
    /// The value, unescaped; leading white space is gone, trailing is kept as Java does.
    pub value: String,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct PropertySyntaxError {
    /// Line on which the logical line begins, from 1.
    pub line: u32,
    /// What is wrong.
    pub reason: &'static str,
}

/// Reads a whole file. Repeated keys come repeatedly; the last one counts.
///
/// # Errors
/// The first line that is not in the format.
pub fn parse_properties(bytes: &[u8]) -> Result<Vec<Property>, PropertySyntaxError> {
    let text = std::str::from_utf8(bytes).map_err(|error| PropertySyntaxError {
        line: line_number(&bytes[..error.valid_up_to()]),
        reason: "the file is not UTF-8",
    })?;
    // Windows editors put a byte order mark in front; it would become part of the first key.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut properties = Vec::new();
    let mut lines = Lines {
        rest: text,
        number: 0,
    };
    'logical: while let Some((line, first)) = lines.next_line() {
        let start = first.trim_start_matches(is_space);
        if is_blank_or_comment(start) {
            continue;
        }
        let mut logical = start.to_owned();
        while ends_in_continuation(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next_line() else { break };
            let next = next.trim_start_matches(is_space);
            // Behind nothing but a backslash the next line counts as a first one, so it can be a comment.
            if logical.is_empty() && is_blank_or_comment(next) {
                continue 'logical;
            }
            logical.push_str(next);
        }
        let (key, value) = split(&logical);
        let unescaped = |part| unescape(part).map_err(|reason| PropertySyntaxError { line, reason });
        properties.push(Property {
            line,
            key: unescaped(key)?,
            value: unescaped(value)?,
        });
    }
    Ok(properties)
}

fn is_blank_or_comment(line: &str) -> bool {
    line.is_empty() || line.starts_with(['#', '!'])
}

/// Java's white space inside a line.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

fn line_number(before: &[u8]) -> u32 {
    let count = before.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1)
}

/// Natural lines: they end with `\n`, `\r` or `\r\n`.
struct Lines<'a> {
    rest: &'a str,
    number: u32,
}

impl<'a> Lines<'a> {
    fn next_line(&mut self) -> Option<(u32, &'a str)> {
        if self.rest.is_empty() {
            return None;
        }
        self.number = self.number.saturating_add(1);
        let (line, rest) = match self.rest.find(['\n', '\r']) {
            Some(end) => self.rest.split_at(end),
            None => (self.rest, ""),
        };
        self.rest = rest
            .strip_prefix("\r\n")
            .or_else(|| rest.strip_prefix(['\n', '\r']))
            .unwrap_or(rest);
        Some((self.number, line))
    }
}

/// An odd number of backslashes at the end escapes the line's end.
fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Cuts a logical line into key and value at the first separator that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if !escaped && (is_space(c) || c == '=' || c == ':') {
            let (key, rest) = line.split_at(at);
            let rest = rest.trim_start_matches(is_space);
            let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
            return (key, rest.trim_start_matches(is_space));
        }
        escaped = c == '\\' && !escaped;
    }
    (line, "")
}

fn unescape(part: &str) -> Result<String, &'static str> {
    let mut plain = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => plain.push(unicode_escape(&mut chars)?),
            Some(other) => plain.push(other),
            // A lone backslash can only stand at the end of the file.
            None => {}
        }
    }
    Ok(plain)
}

/// The character of `XXXX` after `\u`, or of a surrogate pair `XXXX\uXXXX`.
fn unicode_escape(chars: &mut std::str::Chars<'_>) -> Result<char, &'static str> {
    let high = four_digits(chars)?;
    if let Some(c) = char::from_u32(high) {
        return Ok(c);
    }
    if chars.next() != Some('\\') || chars.next() != Some('u') {
        return Err("a \\u escape is half of a surrogate pair");
    }
    let low = four_digits(chars)?;
    match (high, low) {
        (0xd800..=0xdbff, 0xdc00..=0xdfff) => {
            char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
                .ok_or("a \\u escape is half of a surrogate pair")
        }
        _ => Err("a \\u escape is half of a surrogate pair"),
    }
}

fn four_digits(chars: &mut std::str::Chars<'_>) -> Result<u32, &'static str> {
    let mut number = 0;
    for _ in 0..4 {
        let digit = chars.next().and_then(|c| c.to_digit(16));
        number = number * 16 + digit.ok_or("a \\u escape needs four hexadecimal digits")?;
    }
    Ok(number)
}

#[cfg(test)]
#[path = "properties_test.rs"]
mod tests;
