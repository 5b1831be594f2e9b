//! What the records of the topic add up to. No I/O; the same records always make the same state.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use thalweg_avro::{Parser, Schema};

use super::RegistryError;
use super::record::{Level, Mode, Record, Reference, SchemaValue};

/// The type of a schema whose record names none.
pub const AVRO: &str = "AVRO";
/// Most schemas that a schema may refer to, those of its references included.
const REFERENCES_MAX: usize = 1_000;

/// Whether deleted versions are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// They are not.
    Hidden,
    /// They are.
    Shown,
}

impl Deleted {
    fn shows(self, version: &SchemaValue) -> bool {
        self == Self::Shown || !version.deleted
    }
}

/// A version of a subject, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionQuery {
    /// The last.
    Latest,
    /// This one.
    Number(i32),
}

/// Everything the registry knows.
#[derive(Debug)]
pub struct State {
    subjects: BTreeMap<String, BTreeMap<i32, Arc<SchemaValue>>>,
    /// One of the versions with this id: they all have the same schema.
    by_id: BTreeMap<i32, Arc<SchemaValue>>,
    /// What makes schemas the same, and their id.
    by_identity: HashMap<String, i32>,
    levels: HashMap<String, Level>,
    modes: HashMap<String, Mode>,
    level: Level,
    mode: Mode,
    next_id: i32,
}

impl Default for State {
    fn default() -> Self {
        Self {
            subjects: BTreeMap::new(),
            by_id: BTreeMap::new(),
            by_identity: HashMap::new(),
            levels: HashMap::new(),
            modes: HashMap::new(),
            level: Level::Backward,
            mode: Mode::ReadWrite,
            next_id: 1,
        }
    }
}

impl State {
    /// Takes in a record.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Schema {
                subject,
                version,
                value: Some(value),
            } => self.put(subject, version, Arc::from(value)),
            Record::Schema {
                subject,
                version,
                value: None,
            } => self.remove(&subject, version),
            Record::Level { subject: None, level } => self.level = level.unwrap_or(Level::Backward),
            Record::Level {
                subject: Some(subject),
                level,
            } => set(&mut self.levels, subject, level),
            Record::Mode { subject: None, mode } => self.mode = mode.unwrap_or(Mode::ReadWrite),
            Record::Mode {
                subject: Some(subject),
                mode,
            } => set(&mut self.modes, subject, mode),
            Record::DeleteSubject {
                subject,
                version: Some(last),
            } => self.mark_deleted(&subject, last),
            Record::DeleteSubject { version: None, .. } => {}
            Record::ClearSubject { subject } => {
                let versions: Vec<i32> = self
                    .versions(&subject, Deleted::Shown)
                    .map(|found| found.version)
                    .collect();
                versions
                    .into_iter()
                    .for_each(|version| self.remove(&subject, version));
            }
            Record::Noop { next_id } => self.next_id = self.next_id.max(next_id.unwrap_or(1)),
        }
    }

    fn put(&mut self, subject: String, version: i32, value: Arc<SchemaValue>) {
        self.next_id = self.next_id.max(value.id.saturating_add(1));
        let identity = self.identity_of(&value);
        self.by_identity.entry(identity).or_insert(value.id);
        self.by_id.insert(value.id, Arc::clone(&value));
        self.subjects.entry(subject).or_default().insert(version, value);
    }

    fn remove(&mut self, subject: &str, version: i32) {
        let Some(versions) = self.subjects.get_mut(subject) else {
            return;
        };
        let Some(removed) = versions.remove(&version) else {
            return;
        };
        if versions.is_empty() {
            self.subjects.remove(subject);
        }
        let mut all = self.subjects.values().flat_map(BTreeMap::values);
        match all.find(|other| other.id == removed.id).cloned() {
            Some(other) => {
                self.by_id.insert(other.id, other);
            }
            None => {
                self.by_id.remove(&removed.id);
                let identity = self.identity_of(&removed);
                if self.by_identity.get(&identity) == Some(&removed.id) {
                    self.by_identity.remove(&identity);
                }
            }
        }
    }

    fn mark_deleted(&mut self, subject: &str, last: i32) {
        let versions = self.subjects.get_mut(subject).into_iter().flatten();
        for (_, value) in versions.filter(|(version, value)| **version <= last && !value.deleted) {
            let mut deleted = SchemaValue::clone(value);
            deleted.deleted = true;
            *value = Arc::new(deleted);
        }
    }

    /// What makes two schemas the same: their meaning and what they refer to. A text that is not understood is its own.
    fn identity_of(&self, value: &SchemaValue) -> String {
        let canonical = match value.schema_type.as_deref() {
            None | Some(AVRO) => self
                .parse(&value.schema, &value.references)
                .map(|schema| schema.canonical().to_owned())
                .ok(),
            Some(_) => None,
        };
        let kind = value.schema_type.as_deref().unwrap_or(AVRO);
        identity(
            kind,
            canonical.as_deref().unwrap_or(&value.schema),
            &value.references,
        )
    }

    /// Finds the id of a schema, whatever its subject.
    #[must_use]
    pub fn id_of(&self, schema: &Schema, references: &[Reference]) -> Option<i32> {
        self.by_identity
            .get(&identity(AVRO, schema.canonical(), references))
            .copied()
    }

    /// Reads a text with what it refers to.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSchema`], also if a reference is not there.
    pub fn parse(&self, text: &str, references: &[Reference]) -> Result<Schema, RegistryError> {
        let mut parser = Parser::new();
        let mut seen = HashSet::new();
        // Depth first, so that each text comes after what it refers to; a list in place of recursion bounds the depth.
        let mut waiting: Vec<(Arc<SchemaValue>, bool)> = Vec::new();
        let find = |reference: &Reference| {
            let found = self
                .subjects
                .get(&reference.subject)
                .and_then(|all| all.get(&reference.version));
            found.cloned().ok_or_else(|| {
                let Reference { name, subject, version } = reference;
                RegistryError::InvalidSchema(format!(
                    "the reference '{name}' names version {version} of subject '{subject}', which is not there"
                ))
            })
        };
        for reference in references.iter().rev() {
            waiting.push((find(reference)?, false));
        }
        while let Some((value, is_ready)) = waiting.pop() {
            let key = (value.subject.clone(), value.version);
            if is_ready {
                parser.add(&value.schema).map_err(|error| {
                    RegistryError::InvalidSchema(format!("in subject '{}': {error}", value.subject))
                })?;
                continue;
            }
            if !seen.insert(key) {
                continue;
            }
            if seen.len() > REFERENCES_MAX {
                return Err(RegistryError::InvalidSchema(format!(
                    "it refers to more than {REFERENCES_MAX} schemas"
                )));
            }
            let inner: Vec<Arc<SchemaValue>> =
                value.references.iter().map(&find).collect::<Result<_, _>>()?;
            waiting.push((value, true));
            waiting.extend(inner.into_iter().rev().map(|value| (value, false)));
        }
        parser
            .parse(text)
            .map_err(|error| RegistryError::InvalidSchema(error.to_string()))
    }

    /// Returns the versions of a subject, rising.
    pub fn versions(
        &self,
        subject: &str,
        deleted: Deleted,
    ) -> impl DoubleEndedIterator<Item = &Arc<SchemaValue>> {
        let versions = self.subjects.get(subject).into_iter().flat_map(BTreeMap::values);
        versions.filter(move |value| deleted.shows(value))
    }

    /// Returns the versions of all subjects, by subject and version.
    pub fn all(&self, deleted: Deleted) -> impl Iterator<Item = &Arc<SchemaValue>> {
        let all = self.subjects.values().flat_map(BTreeMap::values);
        all.filter(move |value| deleted.shows(value))
    }

    /// Returns the names of the subjects that have a version to show, in order.
    pub fn subjects(&self, deleted: Deleted) -> impl Iterator<Item = &str> {
        let has_one = move |versions: &BTreeMap<i32, Arc<SchemaValue>>| {
            versions.values().any(|value| deleted.shows(value))
        };
        self.subjects
            .iter()
            .filter(move |(_, versions)| has_one(versions))
            .map(|(subject, _)| subject.as_str())
    }

    /// Finds a version of a subject.
    ///
    /// # Errors
    /// [`RegistryError::SubjectNotFound`], [`RegistryError::VersionNotFound`].
    pub fn version(
        &self,
        subject: &str,
        query: VersionQuery,
        deleted: Deleted,
    ) -> Result<&Arc<SchemaValue>, RegistryError> {
        if self.versions(subject, deleted).next().is_none() {
            return Err(RegistryError::SubjectNotFound(subject.to_owned()));
        }
        let found = match query {
            VersionQuery::Latest => self.versions(subject, deleted).next_back(),
            VersionQuery::Number(number) => self
                .versions(subject, deleted)
                .find(|value| value.version == number),
        };
        let name = match query {
            VersionQuery::Latest => "latest".to_owned(),
            VersionQuery::Number(number) => number.to_string(),
        };
        found.ok_or_else(|| RegistryError::VersionNotFound(subject.to_owned(), name))
    }

    /// Finds a schema by its id.
    ///
    /// # Errors
    /// [`RegistryError::SchemaNotFound`].
    pub fn schema(&self, id: i32) -> Result<&Arc<SchemaValue>, RegistryError> {
        self.by_id
            .get(&id)
            .ok_or_else(|| RegistryError::SchemaNotFound(format!("id {id}")))
    }

    /// Returns the ids of schemas that refer to a version and are not deleted.
    #[must_use]
    pub fn referenced_by(&self, subject: &str, version: i32) -> Vec<i32> {
        let refers = |value: &SchemaValue| {
            let mut references = value.references.iter();
            references.any(|reference| reference.subject == subject && reference.version == version)
        };
        let mut ids: Vec<i32> = self
            .all(Deleted::Hidden)
            .filter(|value| refers(value))
            .map(|value| value.id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Returns a subject's own level.
    #[must_use]
    pub fn own_level(&self, subject: &str) -> Option<Level> {
        self.levels.get(subject).copied()
    }

    /// Returns a subject's own mode.
    #[must_use]
    pub fn own_mode(&self, subject: &str) -> Option<Mode> {
        self.modes.get(subject).copied()
    }

    /// Returns the level of those that have none of their own.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Returns the mode of those that have none of their own.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns the mode that holds for a subject.
    #[must_use]
    pub fn mode_of(&self, subject: &str) -> Mode {
        match self.mode {
            Mode::ReadOnlyOverride => Mode::ReadOnlyOverride,
            mode => self.own_mode(subject).unwrap_or(mode),
        }
    }

    /// Returns the level that holds for a subject.
    #[must_use]
    pub fn level_of(&self, subject: &str) -> Level {
        self.own_level(subject).unwrap_or(self.level)
    }

    /// Returns the id that the next new schema gets.
    #[must_use]
    pub const fn next_id(&self) -> i32 {
        self.next_id
    }

    /// Returns how many schemas there are.
    #[must_use]
    pub fn schema_count(&self) -> usize {
        self.by_id.len()
    }
}

fn set<T>(map: &mut HashMap<String, T>, subject: String, value: Option<T>) {
    match value {
        Some(value) => {
            map.insert(subject, value);
        }
        None => {
            map.remove(&subject);
        }
    }
}

fn identity(kind: &str, canonical: &str, references: &[Reference]) -> String {
    let mut identity = format!("{kind}\n{canonical}");
    for Reference {
        name,
        subject,
        version,
    } in references
    {
        identity.push_str(&format!("\n{name}\n{subject}\n{version}"));
    }
    identity
}
