//! Whether data of one schema can be read with another: the specification's rules of schema resolution, on schemas alone.
//!
//! Logical types are not compared, as in Avro's own check. Invariant: each pair of nodes is compared once, so that types
//! that contain themselves end, and the time is bounded by the product of the two sizes.

use std::collections::HashSet;

use crate::schema::{Field, Kind, Node, NodeId, Schema};

/// Most findings that are reported.
const FINDINGS_MAX: usize = 50;
/// Most comparisons of two types: beyond it the schemas count as incompatible.
const COMPARISONS_MAX: usize = 1_000_000;
/// Deepest nesting of pairs.
const DEPTH_MAX: usize = 200;

/// What kind of difference it is. The names are those that clients of a registry know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncompatibilityKind {
    /// Names of records, enums or fixed differ.
    NameMismatch,
    /// Sizes of fixed differ.
    FixedSizeMismatch,
    /// The reader lacks symbols that may have been written.
    MissingEnumSymbols,
    /// A field of the reader was not written and has no default.
    ReaderFieldMissingDefaultValue,
    /// One type is not read as the other.
    TypeMismatch,
    /// The reader's union has no branch for what may have been written.
    MissingUnionBranch,
}

impl IncompatibilityKind {
    /// Returns the name of the kind.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NameMismatch => "NAME_MISMATCH",
            Self::FixedSizeMismatch => "FIXED_SIZE_MISMATCH",
            Self::MissingEnumSymbols => "MISSING_ENUM_SYMBOLS",
            Self::ReaderFieldMissingDefaultValue => "READER_FIELD_MISSING_DEFAULT_VALUE",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::MissingUnionBranch => "MISSING_UNION_BRANCH",
        }
    }
}

/// One reason why a schema cannot read what another wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatibility {
    /// What kind.
    pub kind: IncompatibilityKind,
    /// Where in the reader, as a JSON pointer.
    pub path: String,
    /// What, in words.
    pub message: String,
}

/// Returns why `reader` cannot read all data of `writer`; nothing if it can. At most 50 reasons.
#[must_use]
pub fn can_read(reader: &Schema, writer: &Schema) -> Vec<Incompatibility> {
    let mut comparison = Comparison {
        reader,
        writer,
        seen: HashSet::new(),
        trail: Vec::new(),
        refuted: HashSet::new(),
        comparisons: 0,
        findings: Vec::new(),
    };
    comparison.compare(reader.root(), writer.root(), "", 0);
    comparison.findings
}

struct Comparison<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    /// Pairs that were compared or are being compared; their findings are noted where they were met first.
    seen: HashSet<(NodeId, NodeId)>,
    /// The same in the order of their coming, so that a trial of a branch can be undone.
    trail: Vec<(NodeId, NodeId)>,
    /// Pairs that a trial showed to be unreadable, whatever else is.
    refuted: HashSet<(NodeId, NodeId)>,
    comparisons: usize,
    findings: Vec<Incompatibility>,
}

impl<'a> Comparison<'a> {
    fn found(&mut self, kind: IncompatibilityKind, path: &str, message: String) {
        if self.findings.len() < FINDINGS_MAX {
            let path = if path.is_empty() { "/" } else { path };
            self.findings.push(Incompatibility {
                kind,
                path: path.to_owned(),
                message,
            });
        }
    }

    fn compare(&mut self, reader: NodeId, writer: NodeId, path: &str, depth: usize) {
        if self.findings.len() >= FINDINGS_MAX || !self.seen.insert((reader, writer)) {
            return;
        }
        self.trail.push((reader, writer));
        self.comparisons += 1;
        if self.comparisons > COMPARISONS_MAX || depth > DEPTH_MAX {
            let message = "the schemas are too large or nest too deep to be compared".to_owned();
            self.found(IncompatibilityKind::TypeMismatch, path, message);
            return;
        }
        let (reader_node, writer_node) = (self.reader.node(reader), self.writer.node(writer));
        match (&reader_node.kind, &writer_node.kind) {
            (_, Kind::Union(branches)) => {
                for branch in branches {
                    self.branch(reader, *branch, path, depth);
                }
            }
            (Kind::Union(_), _) => self.branch(reader, writer, path, depth),
            (Kind::Array(items), Kind::Array(written)) => {
                self.compare(*items, *written, &format!("{path}/items"), depth + 1);
            }
            (Kind::Map(values), Kind::Map(written)) => {
                self.compare(*values, *written, &format!("{path}/values"), depth + 1);
            }
            (Kind::Record(fields), Kind::Record(written)) => {
                self.names(reader_node, writer_node, path);
                self.records(fields, written, path, depth);
            }
            (Kind::Enum { symbols, default }, Kind::Enum { symbols: written, .. }) => {
                self.names(reader_node, writer_node, path);
                let missing: Vec<&str> = written
                    .iter()
                    .filter(|symbol| !symbols.contains(symbol))
                    .map(String::as_str)
                    .collect();
                if default.is_none() && !missing.is_empty() {
                    let message = format!("the reader has no symbol {} and no default", missing.join(", "));
                    self.found(
                        IncompatibilityKind::MissingEnumSymbols,
                        &format!("{path}/symbols"),
                        message,
                    );
                }
            }
            (Kind::Fixed { size }, Kind::Fixed { size: written }) => {
                self.names(reader_node, writer_node, path);
                if size != written {
                    let message = format!("the reader's fixed has {size} bytes, the written one {written}");
                    self.found(
                        IncompatibilityKind::FixedSizeMismatch,
                        &format!("{path}/size"),
                        message,
                    );
                }
            }
            (wanted, written) if is_promoted(wanted, written) => {}
            (wanted, written) => {
                let message = format!("{} is not read as {}", written.name(), wanted.name());
                self.found(IncompatibilityKind::TypeMismatch, path, message);
            }
        }
    }

    /// Compares one type that may have been written with the reader, which may be a union.
    fn branch(&mut self, reader: NodeId, writer: NodeId, path: &str, depth: usize) {
        let schema = self.reader;
        let Kind::Union(branches) = &schema.node(reader).kind else {
            self.compare(reader, writer, path, depth + 1);
            return;
        };
        // A branch of the same name is the likely one, and says best what is wrong inside of it.
        let written = self.writer.node(writer);
        let is_same = |branch: &&NodeId| {
            let branch = schema.node(**branch);
            branch.kind.name() == written.kind.name() && branch.name == written.name
        };
        let same = branches.iter().find(is_same).copied();
        let others = branches.iter().copied().filter(|branch| Some(*branch) != same);
        if same
            .into_iter()
            .chain(others)
            .any(|branch| self.reads((branch, writer), path, depth))
        {
            return;
        }
        match same {
            Some(same) if !self.reader.node(same).name.is_empty() => {
                self.compare(same, writer, path, depth + 1);
            }
            _ => {
                let name = if written.name.is_empty() {
                    written.kind.name()
                } else {
                    &written.name
                };
                let message = format!("no branch of the reader's union reads {name}");
                self.found(IncompatibilityKind::MissingUnionBranch, path, message);
            }
        }
    }

    /// Tries a branch. What is being compared counts as readable meanwhile: only another difference can refute it.
    fn reads(&mut self, pair: (NodeId, NodeId), path: &str, depth: usize) -> bool {
        if self.refuted.contains(&pair) {
            return false;
        }
        let (findings, trail) = (self.findings.len(), self.trail.len());
        self.compare(pair.0, pair.1, path, depth + 1);
        if self.findings.len() == findings {
            return true;
        }
        self.findings.truncate(findings);
        for tried in self.trail.split_off(trail) {
            self.seen.remove(&tried);
        }
        self.refuted.insert(pair);
        false
    }

    fn names(&mut self, reader: &Node, writer: &Node, path: &str) {
        let simple = |name: &str| {
            name.rsplit_once('.')
                .map_or(name, |(_, simple)| simple)
                .to_owned()
        };
        let is_alias = reader.aliases.contains(&writer.name);
        if simple(&reader.name) != simple(&writer.name) && !is_alias {
            let message = format!("'{}' was written, '{}' is read", writer.name, reader.name);
            self.found(
                IncompatibilityKind::NameMismatch,
                &format!("{path}/name"),
                message,
            );
        }
    }

    fn records(&mut self, fields: &'a [Field], written: &'a [Field], path: &str, depth: usize) {
        for (number, field) in fields.iter().enumerate() {
            let by_name = written.iter().find(|written| written.name == field.name);
            let same = by_name.or_else(|| {
                written
                    .iter()
                    .find(|written| field.aliases.contains(&written.name))
            });
            let path = format!("{path}/fields/{number}");
            match same {
                Some(same) => self.compare(field.node, same.node, &format!("{path}/type"), depth + 1),
                None if field.default.is_some() => {}
                // An enum's own default does not stand in for a field that was not written.
                None => {
                    let message = format!("the field '{}' was not written and has no default", field.name);
                    self.found(
                        IncompatibilityKind::ReaderFieldMissingDefaultValue,
                        &path,
                        message,
                    );
                }
            }
        }
    }
}

/// Whether a written type is read as another one (or as itself).
fn is_promoted(wanted: &Kind, written: &Kind) -> bool {
    matches!(
        (wanted, written),
        (Kind::Null, Kind::Null)
            | (Kind::Boolean, Kind::Boolean)
            | (Kind::Int, Kind::Int)
            | (Kind::Long, Kind::Int | Kind::Long)
            | (Kind::Float, Kind::Int | Kind::Long | Kind::Float)
            | (Kind::Double, Kind::Int | Kind::Long | Kind::Float | Kind::Double)
            | (Kind::Bytes | Kind::String, Kind::Bytes | Kind::String)
    )
}

#[cfg(test)]
#[path = "compatibility_test.rs"]
mod tests;
