//! Partitioned stream tables, the part without I/O: which partitions can hold a row that a predicate asks for.
//!
//! A [`Schema`] names the columns, a [`Spec`] says how their values choose a partition, and each partition carries
//! [`Domain`]s: what it may hold. A [`Predicate`] is evaluated over the domains of a partition and yields every outcome
//! that a row there may have; [`plan`] prunes the partitions where *true* is not among them.
//!
//! Owns values and their order, transforms, domains, predicates, plans, and SQL expressions as a way to write predicates
//! (feature `sql`). Does not own the catalog, topics, records' bytes, time or chance.
//!
//! Invariant: a pruned partition holds no row for which the predicate is true, and a partition that is read without a
//! residual holds no row for which it is not. Both hold if each partition holds only rows of its domains.
//!
//! How values compare is defined in [`value`], what SQL is understood in [`sql`].

pub mod civil;
pub mod domain;
pub mod like;
mod murmur3;
pub mod outcomes;
pub mod plan;
mod planted;
pub mod predicate;
pub mod schema;
pub mod spec;
#[cfg(feature = "sql")]
pub mod sql;
pub mod transform;
pub mod value;

#[cfg(test)]
mod soundness_test;

pub use domain::{ColumnDomain, Domain, High, Nulls, ValueSet};
pub use outcomes::{Outcomes, Truth};
pub use plan::{ConjunctReport, Decision, Exactness, Plan, Residual, ResidualFilter, plan};
pub use predicate::{Comparison, Literals, Map, Operand, Predicate, Test};
pub use schema::{Column, FieldId, Schema, SchemaError};
pub use spec::{PartitionField, Spec, SpecError};
pub use transform::{ListGroup, Slot, Transform, Unlisted};
pub use value::{DataType, Decimal, TimeUnit, Value};
