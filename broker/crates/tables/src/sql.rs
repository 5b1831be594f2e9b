//! Predicates from SQL text.
//!
//! Understood: AND, OR, NOT, `= <> < <= > >=` between a column and a literal or between two columns, `[NOT] IN` a list,
//! `[NOT] BETWEEN`, `[NOT] LIKE … [ESCAPE c]`, `IS [NOT] NULL`, `IS [NOT] TRUE | FALSE | UNKNOWN`,
//! `IS [NOT] DISTINCT FROM` a literal, a BOOLEAN column alone, TRUE, FALSE, NULL. A column may stand in `CAST(… AS BIGINT |
//! DOUBLE | DATE | TIMESTAMP)` where that keeps order, and in `date_trunc('hour' | 'day' | 'month' | 'year', …)`.
//! Everything else is refused with its place in the text; nothing is guessed.
//!
//! Literals: numbers, `'text'`, TRUE, FALSE, NULL, `X'hex'`, `DATE '…'`, `TIMESTAMP '…'` (UTC unless it names an offset). A
//! literal takes the type of what it is compared with; text is read as a date or timestamp there. A number or time that
//! the column's type cannot hold exactly is equal to none of its values and is still before or after each of them; beside
//! FLOAT and DOUBLE it is rounded to the type. Names of columns are compared with case, quoted or not.
//!
//! Bounds: [`TEXT_BYTES_MAX`], [`WORDS_MAX`], [`NESTING_MAX`]; no text makes the stack or the heap grow beyond what they
//! allow.

mod bind;
mod literal;

use std::fmt;

use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use crate::predicate::Predicate;
use crate::schema::Schema;

/// Longest text, in bytes.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Most words and signs, literals and commas aside: the deepest tree a chain of operators can make.
pub const WORDS_MAX: usize = 1_000;
/// Deepest nesting of parentheses and NOT.
pub const NESTING_MAX: usize = 40;

/// A place in the text, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The character of the line.
    pub column: u64,
}

/// Text that is no predicate on the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// Where; `None`: at the end, or nowhere in particular.
    pub position: Option<Position>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl SqlError {
    fn new(span: Span, message: impl Into<String>) -> Self {
        Self::at(span.start, message)
    }

    fn at(location: Location, message: impl Into<String>) -> Self {
        let position = Position {
            line: location.line,
            column: location.column,
        };
        Self {
            // The parser marks what has no place with line 0.
            position: (location.line > 0).then_some(position),
            message: message.into(),
        }
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(Position { line, column }) => write!(f, "line {line}, column {column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for SqlError {}

/// Reads a predicate on the rows of a table.
///
/// # Errors
/// [`SqlError`], with the place of the first thing that is not understood, unknown or of the wrong type.
pub fn parse_predicate(text: &str, schema: &Schema) -> Result<Predicate, SqlError> {
    if text.len() > TEXT_BYTES_MAX {
        let length = text.len();
        let message = format!("a predicate has at most {TEXT_BYTES_MAX} bytes, not {length}");
        return Err(SqlError::new(Span::empty(), message));
    }
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| SqlError::at(error.location, error.message))?;
    check_length(&tokens)?;
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(NESTING_MAX)
        .with_tokens_with_locations(tokens);
    let expression = parser.parse_expr().map_err(from_parser)?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let message = format!(
            "the predicate ends before '{}', or an operator is missing",
            next.token
        );
        return Err(SqlError::new(next.span, message));
    }
    bind::predicate(&expression, schema)
}

/// Bounds the tree before it is built: a chain of operators nests as deep as it is long.
fn check_length(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let is_word = |token: &Token| {
        !matches!(
            token,
            Token::Whitespace(_) | Token::Comma | Token::Number(..) | Token::SingleQuotedString(_)
        )
    };
    match tokens.iter().filter(|token| is_word(&token.token)).nth(WORDS_MAX) {
        None => Ok(()),
        Some(token) => {
            let message = format!(
                "a predicate has at most {WORDS_MAX} words and signs beside literals; write many values of a column as IN (…)"
            );
            Err(SqlError::new(token.span, message))
        }
    }
}

/// The parser puts the place at the end of its sentence.
fn from_parser(error: ParserError) -> SqlError {
    let sentence = match error {
        ParserError::RecursionLimitExceeded => {
            format!("parentheses and NOT nest at most {NESTING_MAX} deep")
        }
        ParserError::ParserError(sentence) | ParserError::TokenizerError(sentence) => sentence,
    };
    let split = sentence.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        let location = Location::new(line.trim().parse().ok()?, column.trim().parse().ok()?);
        Some(SqlError::at(location, message))
    });
    split.unwrap_or_else(|| SqlError::new(Span::empty(), sentence))
}

#[cfg(test)]
#[path = "sql_test.rs"]
mod tests;
