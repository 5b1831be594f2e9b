//! Columns of a table. A column is known by its [`FieldId`]; its name may change.

use std::collections::HashSet;
use std::fmt;

use thiserror::Error;

use crate::value::{DECIMAL_DIGITS_MAX, DataType};

/// Most columns of a table.
pub const COLUMNS_MAX: usize = 2_000;
/// Longest name of a column, in bytes.
pub const COLUMN_NAME_BYTES_MAX: usize = 255;

/// The number of a column in its table: given once, never reused, kept when the column is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(pub i32);

impl fmt::Display for FieldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its number.
    pub id: FieldId,
    /// Its name; names are compared with case.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether it may hold NULL.
    pub nullable: bool,
}

/// Columns that do not make a table.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// Too many.
    #[error("a table has at most {COLUMNS_MAX} columns, not {0}")]
    TooMany(usize),
    /// A name twice.
    #[error("column '{0}' stands there twice; names are compared with case")]
    DuplicateName(String),
    /// A number twice.
    #[error("field id {0} stands there twice")]
    DuplicateId(FieldId),
    /// No name, or one that is too long.
    #[error("the name of field {0} is empty or longer than {COLUMN_NAME_BYTES_MAX} bytes")]
    Name(FieldId),
    /// Digits that no decimal has.
    #[error(
        "column '{0}': a DECIMAL has 1 to {DECIMAL_DIGITS_MAX} digits, of which at most all stand behind the point"
    )]
    Decimal(String),
}

/// The columns of a table, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    columns: Vec<Column>,
}

impl Schema {
    /// Takes columns.
    ///
    /// # Errors
    /// [`SchemaError`] for the first column that breaks a rule.
    pub fn new(columns: Vec<Column>) -> Result<Self, SchemaError> {
        if columns.len() > COLUMNS_MAX {
            return Err(SchemaError::TooMany(columns.len()));
        }
        let (mut names, mut ids) = (HashSet::new(), HashSet::new());
        for column in &columns {
            if column.name.is_empty() || column.name.len() > COLUMN_NAME_BYTES_MAX {
                return Err(SchemaError::Name(column.id));
            }
            if !names.insert(column.name.as_str()) {
                return Err(SchemaError::DuplicateName(column.name.clone()));
            }
            if !ids.insert(column.id) {
                return Err(SchemaError::DuplicateId(column.id));
            }
            if let DataType::Decimal { precision, scale } = column.data_type
                && (precision == 0 || precision > DECIMAL_DIGITS_MAX || scale > precision)
            {
                return Err(SchemaError::Decimal(column.name.clone()));
            }
        }
        Ok(Self { columns })
    }

    /// Returns the columns in order; a row has one value for each.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns the place of a column, by its number.
    #[must_use]
    pub fn place_of(&self, id: FieldId) -> Option<usize> {
        self.columns.iter().position(|column| column.id == id)
    }

    /// Returns the place of a column, by its exact name.
    #[must_use]
    pub fn place_named(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Returns the name of the column at a place, for messages.
    #[must_use]
    pub fn name_at(&self, place: usize) -> &str {
        self.columns.get(place).map_or("?", |column| column.name.as_str())
    }
}
