//! Topic names, by Kafka's rules.

use thiserror::Error;

const LEN_MAX: usize = 249;

/// Why a name cannot be a topic's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidName {
    /// Empty.
    #[error("a topic name has at least one character")]
    Empty,
    /// `.` or `..`.
    #[error("a topic cannot be named '.' or '..'")]
    Dots,
    /// Too long.
    #[error("a topic name has at most {LEN_MAX} characters, this one has {len}")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// A character outside the alphabet.
    #[error("'{name}' contains {character:?}: a topic name is made of a-z, A-Z, 0-9, '.', '_' and '-'")]
    Character {
        /// The name, shortened.
        name: String,
        /// The character.
        character: char,
    },
    /// Another topic's name differs in `.` and `_` only, which metrics cannot tell apart.
    #[error(
        "'{name}' differs from the topic '{other}' only in '.' and '_', which metric names do not tell apart"
    )]
    Collision {
        /// The name.
        name: String,
        /// The other.
        other: String,
    },
}

/// Checks a name.
///
/// # Errors
/// [`InvalidName`].
pub fn check_topic_name(name: &str) -> Result<(), InvalidName> {
    if name.is_empty() {
        return Err(InvalidName::Empty);
    }
    if name == "." || name == ".." {
        return Err(InvalidName::Dots);
    }
    if name.len() > LEN_MAX {
        return Err(InvalidName::TooLong { len: name.len() });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name.chars().find(|c| !allowed(*c)) {
        Some(character) => Err(InvalidName::Character {
            name: name.chars().take(80).collect(),
            character,
        }),
        None => Ok(()),
    }
}

/// The form in which two names collide.
pub(super) fn metric_form(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
#[path = "names_test.rs"]
mod tests;
