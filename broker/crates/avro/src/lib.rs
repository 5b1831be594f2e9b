//! Avro schemas: parsing with references, one text for schemas that are the same, and whether one reads what another wrote.
//!
//! Follows the Avro specification 1.12. Owns no bytes of records and knows nothing of subjects or ids.
//!
//! Invariant: no text from outside panics, and none makes memory grow beyond a multiple of its length.

mod compatibility;
mod defaults;
mod parser;
mod schema;

pub use compatibility::{Incompatibility, IncompatibilityKind, can_read};
pub use parser::{ParseError, Parser, SCHEMA_BYTES_MAX};
pub use schema::{Field, Kind, Node, NodeId, Schema};
