//! Patterns of LIKE: `%` is any number of characters, `_` is one character (a code point). Case counts.

use std::fmt;

/// One piece of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// This character.
    Char(char),
    /// `_`
    One,
    /// `%`
    Many,
}

/// A pattern, ready to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece>,
    /// What every match begins with.
    prefix: String,
}

/// What a pattern comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// No wildcard: equality with the prefix.
    Exact,
    /// The prefix, then `%`: everything that begins with it.
    Prefix,
    /// Anything else; matches begin with the prefix, but not all that begins with it matches.
    Other,
}

impl Pattern {
    /// Reads a pattern. Behind `escape` each character stands for itself.
    ///
    /// Returns `None` if the pattern ends with the escape character.
    #[must_use]
    pub fn parse(text: &str, escape: Option<char>) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            let piece = match char {
                char if Some(char) == escape => Piece::Char(chars.next()?),
                '%' if pieces.last() == Some(&Piece::Many) => continue,
                '%' => Piece::Many,
                '_' => Piece::One,
                char => Piece::Char(char),
            };
            pieces.push(piece);
        }
        let literal = pieces.iter().map_while(|piece| match piece {
            Piece::Char(char) => Some(*char),
            _ => None,
        });
        let prefix = literal.collect();
        Some(Self { pieces, prefix })
    }

    /// Returns what every match begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns what the pattern comes down to.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match self.pieces.get(self.prefix.chars().count()..).unwrap_or_default() {
            [] => Shape::Exact,
            [Piece::Many] => Shape::Prefix,
            _ => Shape::Other,
        }
    }

    /// Reports whether a text matches. Takes time in proportion to pattern times text at worst.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self.shape() {
            Shape::Exact => text == self.prefix,
            Shape::Prefix => text.starts_with(&self.prefix),
            Shape::Other => text.starts_with(&self.prefix) && self.walk(text),
        }
    }

    /// Walks text and pattern together; after a mismatch the last `%` takes one character more.
    fn walk(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut place = 0;
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let piece = self.pieces.get(place);
            if piece == Some(&Piece::Many) {
                place += 1;
                retry = Some((place, rest.clone()));
                continue;
            }
            let mut ahead = rest.clone();
            let is_match = match (piece, ahead.next()) {
                (None, None) => return true,
                (Some(Piece::Char(wanted)), Some(char)) => *wanted == char,
                (Some(Piece::One), Some(_)) => true,
                (Some(_), None) => return false,
                _ => false,
            };
            if is_match {
                place += 1;
                rest = ahead;
                continue;
            }
            let Some((behind, from)) = &mut retry else {
                return false;
            };
            if from.next().is_none() {
                return false;
            }
            place = *behind;
            rest = from.clone();
        }
    }
}

impl fmt::Display for Pattern {
    /// Writes the pattern as an SQL literal, with `\` before characters that stand for themselves.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        let mut is_escaped = false;
        for piece in &self.pieces {
            match piece {
                Piece::Char('\'') => f.write_str("''")?,
                Piece::Char(char @ ('%' | '_' | '\\')) => {
                    is_escaped = true;
                    write!(f, "\\{char}")?;
                }
                Piece::Char(char) => write!(f, "{char}")?,
                Piece::One => f.write_str("_")?,
                Piece::Many => f.write_str("%")?,
            }
        }
        f.write_str("'")?;
        if is_escaped {
            f.write_str(" ESCAPE '\\'")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
#[path = "like_test.rs"]
mod tests;
