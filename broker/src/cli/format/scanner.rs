//! Reads the characters of a template.

use thiserror::Error;

/// A template cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("format '{template}': {reason} at character {position}")]
pub struct TemplateError {
    /// The template.
    pub template: String,
    /// Where, counted in bytes from 1.
    pub position: usize,
    /// What is wrong.
    pub reason: String,
}

/// A cursor over a template.
pub(super) struct Scanner<'a> {
    template: &'a str,
    position: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(template: &'a str) -> Self {
        Self {
            template,
            position: 0,
        }
    }

    pub(super) fn fail(&self, reason: impl Into<String>) -> TemplateError {
        TemplateError {
            template: self.template.to_owned(),
            position: self.position.saturating_add(1),
            reason: reason.into(),
        }
    }

    /// Returns the next byte without taking it.
    pub(super) fn peek(&self) -> Option<u8> {
        self.template.as_bytes().get(self.position).copied()
    }

    /// Takes the next byte.
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.position += 1;
        Some(byte)
    }

    /// Takes `byte` if it is next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        if taken {
            self.position += 1;
        }
        taken
    }

    /// Takes one escape, the backslash being taken already.
    pub(super) fn escape(&mut self) -> Result<u8, TemplateError> {
        match self.next() {
            Some(b'n') => Ok(b'\n'),
            Some(b't') => Ok(b'\t'),
            Some(b'r') => Ok(b'\r'),
            Some(b'\\') => Ok(b'\\'),
            Some(b'x') => {
                let digits = self.template.get(self.position..self.position + 2);
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let byte = byte.ok_or_else(|| self.fail("\\x needs two hexadecimal digits"))?;
                self.position += 2;
                Ok(byte)
            }
            _ => Err(self.fail("a backslash stands before n, t, r, x or another backslash")),
        }
    }

    /// Takes `{modifier}` if a brace is next. The modifier may not hold braces; see [`Scanner::wrapped`] for those.
    pub(super) fn modifier(&mut self) -> Result<Option<&'a str>, TemplateError> {
        if !self.take(b'{') {
            return Ok(None);
        }
        let rest = self.template.get(self.position..).unwrap_or_default();
        let end = rest.find('}').ok_or_else(|| self.fail("a brace is not closed"))?;
        self.position += end + 1;
        Ok(rest.get(..end))
    }

    /// Takes `{name[inner]}` if it is next, and returns `inner`. Instead of the brackets there may be any number of
    /// brackets, braces or number signs, as `{name###inner###}`, so that the inner text may hold single ones.
    pub(super) fn wrapped(&mut self, name: &str) -> Result<Option<&'a str>, TemplateError> {
        let rest = self.template.get(self.position..).unwrap_or_default();
        let Some(after) = rest.strip_prefix('{').and_then(|rest| rest.strip_prefix(name)) else {
            return Ok(None);
        };
        let (open, close) = match after.bytes().next() {
            Some(b'[') => ('[', "]"),
            Some(b'{') => ('{', "}"),
            Some(b'#') => ('#', "#"),
            _ => return Ok(None),
        };
        let count = after.chars().take_while(|character| *character == open).count();
        let inner = after.get(count..).unwrap_or_default();
        let closing = format!("{}}}", close.repeat(count));
        let end = inner
            .find(&closing)
            .ok_or_else(|| self.fail(format!("{name} is not closed by '{closing}'")))?;
        self.position += 1 + name.len() + count + end + closing.len();
        Ok(inner.get(..end))
    }
}
