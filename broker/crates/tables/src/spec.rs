//! A partition spec: which columns choose the partition of a row, and how. It never changes; a table gets a new one.

use thiserror::Error;

use crate::domain::ColumnDomain;
use crate::predicate::Row;
use crate::schema::{FieldId, Schema};
use crate::transform::{Slot, Transform};

/// Most fields of a spec.
pub const FIELDS_MAX: usize = 16;

/// One column of a spec and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionField {
    /// The column.
    pub column: FieldId,
    /// What is done with its value.
    pub transform: Transform,
}

/// Fields that do not make a spec, and rows that have no partition.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    /// Too many fields.
    #[error("a table is partitioned by at most {FIELDS_MAX} fields, not {0}")]
    TooMany(usize),
    /// The schema has no such column.
    #[error("the spec names field id {0}, which the table does not have")]
    NoColumn(FieldId),
    /// A transform that does not go with its column.
    #[error("column '{column}' cannot be partitioned so: {reason}")]
    Transform {
        /// Name of the column.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// A row without a partition.
    #[error(
        "column '{column}': {value} has no partition: no group of the list names it, and there is no default"
    )]
    Unlisted {
        /// Name of the column.
        column: String,
        /// The value, as SQL.
        value: String,
    },
    /// A value that is not of its column's type.
    #[error("column '{column}': {value} does not fit its type {data_type}")]
    Type {
        /// Name of the column.
        column: String,
        /// The value, as SQL.
        value: String,
        /// The column's type.
        data_type: String,
    },
}

/// The fields by which a table is partitioned; none: it has one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    fields: Vec<PartitionField>,
}

impl Spec {
    /// Takes fields for a schema.
    ///
    /// # Errors
    /// [`SpecError`] for the first field that does not go with its column.
    pub fn new(fields: Vec<PartitionField>, schema: &Schema) -> Result<Self, SpecError> {
        if fields.len() > FIELDS_MAX {
            return Err(SpecError::TooMany(fields.len()));
        }
        for field in &fields {
            let place = schema
                .place_of(field.column)
                .ok_or(SpecError::NoColumn(field.column))?;
            let column = schema
                .columns()
                .get(place)
                .ok_or(SpecError::NoColumn(field.column))?;
            if let Some(reason) = field.transform.refusal(column.data_type) {
                let column = column.name.clone();
                return Err(SpecError::Transform { column, reason });
            }
        }
        Ok(Self { fields })
    }

    /// Returns the fields in order.
    #[must_use]
    pub fn fields(&self) -> &[PartitionField] {
        &self.fields
    }

    /// Returns the slots of a row, one for each field: rows with equal slots share a partition.
    ///
    /// # Errors
    /// [`SpecError::Unlisted`] and [`SpecError::Type`]; [`SpecError::NoColumn`] if the schema is not the spec's.
    pub fn slots(&self, row: &Row, schema: &Schema) -> Result<Vec<Slot>, SpecError> {
        let slot_of = |field: &PartitionField| {
            let place = schema
                .place_of(field.column)
                .ok_or(SpecError::NoColumn(field.column))?;
            let column = schema
                .columns()
                .get(place)
                .ok_or(SpecError::NoColumn(field.column))?;
            let value = row.get(place).and_then(Option::as_ref);
            let text = || value.map_or("NULL".to_owned(), ToString::to_string);
            if value.is_some_and(|value| !value.fits(column.data_type)) {
                return Err(SpecError::Type {
                    column: column.name.clone(),
                    value: text(),
                    data_type: column.data_type.to_string(),
                });
            }
            field.transform.slot(value).ok_or_else(|| SpecError::Unlisted {
                column: column.name.clone(),
                value: text(),
            })
        };
        self.fields.iter().map(slot_of).collect()
    }

    /// Returns what a partition holds, from its slots. Fields without a slot, or whose column is gone, constrain nothing.
    #[must_use]
    pub fn domains(&self, slots: &[Slot], schema: &Schema) -> Vec<ColumnDomain> {
        let domain_of = |(field, slot): (&PartitionField, &Slot)| {
            let column = schema.columns().get(schema.place_of(field.column)?)?;
            Some(ColumnDomain {
                column: field.column,
                domain: field.transform.domain(slot, column.data_type),
            })
        };
        self.fields.iter().zip(slots).filter_map(domain_of).collect()
    }
}
