//! What a request would write: a decision on the state, without doing anything.

use serde::Deserialize;
use serde_json::Map;
use thalweg_avro::{Schema, can_read};

use super::RegistryError;
use super::record::{Level, Mode, Record, Reference, SchemaValue};
use super::state::{AVRO, Deleted, State, VersionQuery};

/// Most schemas of a registry: each costs memory.
pub const SCHEMAS_MAX: usize = 200_000;
/// Longest name of a subject, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 1_000;

/// The records to write, and the answer when they are written; without records the answer holds as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Change<T> {
    /// What to write, all or nothing.
    pub records: Vec<Record>,
    /// The answer.
    pub answer: T,
}

impl<T> Change<T> {
    const fn nothing(answer: T) -> Self {
        Self {
            records: Vec::new(),
            answer,
        }
    }
}

/// A schema as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct SchemaRequest {
    /// The text.
    #[serde(default)]
    pub schema: String,
    /// `None`: AVRO.
    #[serde(rename = "schemaType", default)]
    pub schema_type: Option<String>,
    /// Schemas it refers to.
    #[serde(default)]
    pub references: Option<Vec<Reference>>,
    /// The id it must get; in the mode IMPORT only.
    #[serde(default)]
    pub id: Option<i32>,
    /// The version it must get; in the mode IMPORT only.
    #[serde(default)]
    pub version: Option<i32>,
}

impl SchemaRequest {
    fn references(&self) -> &[Reference] {
        self.references.as_deref().unwrap_or_default()
    }

    fn parse(&self, state: &State) -> Result<Schema, RegistryError> {
        if let Some(kind) = self
            .schema_type
            .as_deref()
            .filter(|kind| !kind.eq_ignore_ascii_case(AVRO))
        {
            return Err(RegistryError::InvalidSchema(format!(
                "the type {kind} is not understood, only {AVRO}"
            )));
        }
        if self.schema.trim().is_empty() {
            return Err(RegistryError::InvalidSchema("it is empty".to_owned()));
        }
        state.parse(&self.schema, self.references())
    }
}

/// Registers a schema in a subject and answers with its id.
///
/// # Errors
/// Those of the endpoint.
pub fn register(state: &State, subject: &str, request: &SchemaRequest) -> Result<Change<i32>, RegistryError> {
    check_subject(subject)?;
    let mode = writable(state, subject)?;
    let schema = request.parse(state)?;
    if let Some(reason) = schema.wrong_default() {
        return Err(RegistryError::InvalidSchema(reason.to_owned()));
    }
    let import = mode == Mode::Import;
    // A client may send -1 for "none".
    let id = request.id.filter(|id| *id >= 0);
    let version = request.version.filter(|version| *version >= 1);
    if !import && id.is_some() {
        let reason = format!("an id is given, which subject '{subject}' takes in the mode IMPORT only");
        return Err(RegistryError::NotPermitted(reason));
    }
    let known = state.id_of(&schema, request.references());
    if let Some(same) = registered(state, subject, known, Deleted::Hidden)
        && (id.is_none() || id == Some(same.id))
    {
        return Ok(Change::nothing(same.id));
    }
    if !import {
        check_compatible(state, subject, &schema)?;
    }
    let next = state
        .versions(subject, Deleted::Shown)
        .next_back()
        .map_or(1, |last| last.version.saturating_add(1));
    let id = match id {
        Some(id) => imported_id(state, id, known)?,
        None => known.map_or_else(|| fresh_id(state), Ok)?,
    };
    let version = version.filter(|_| import).unwrap_or(next);
    if state
        .version(subject, VersionQuery::Number(version), Deleted::Shown)
        .is_ok()
    {
        let reason = format!("version {version} of subject '{subject}' is there already");
        return Err(RegistryError::NotPermitted(reason));
    }
    let value = SchemaValue {
        subject: subject.to_owned(),
        version,
        id,
        schema_type: None,
        references: request.references().to_vec(),
        schema: request.schema.clone(),
        deleted: false,
        more: Map::new(),
    };
    Ok(Change {
        records: vec![written(value)],
        answer: id,
    })
}

fn written(value: SchemaValue) -> Record {
    Record::Schema {
        subject: value.subject.clone(),
        version: value.version,
        value: Some(Box::new(value)),
    }
}

fn fresh_id(state: &State) -> Result<i32, RegistryError> {
    let id = state.next_id();
    if state.schema_count() >= SCHEMAS_MAX || id == i32::MAX {
        let reason = format!("there are {} schemas, and no room for more", state.schema_count());
        return Err(RegistryError::NotPermitted(reason));
    }
    Ok(id)
}

/// An id that a client brings stands for one schema, as any other.
fn imported_id(state: &State, id: i32, known: Option<i32>) -> Result<i32, RegistryError> {
    match state.schema(id) {
        Ok(_) if known != Some(id) => Err(RegistryError::NotPermitted(format!(
            "the id {id} is that of another schema"
        ))),
        _ if id == i32::MAX => Err(RegistryError::NotPermitted(format!(
            "the id {id} leaves no room for more"
        ))),
        _ => Ok(id),
    }
}

fn check_subject(subject: &str) -> Result<(), RegistryError> {
    if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX || subject.chars().any(char::is_control) {
        let reason = format!("a subject has 1 to {SUBJECT_BYTES_MAX} bytes and no control characters");
        return Err(RegistryError::BadRequest(reason));
    }
    Ok(())
}

fn writable(state: &State, subject: &str) -> Result<Mode, RegistryError> {
    match state.mode_of(subject) {
        mode @ (Mode::ReadWrite | Mode::Import) => Ok(mode),
        mode => Err(RegistryError::NotPermitted(format!(
            "subject '{subject}' is in the mode {}",
            mode.name()
        ))),
    }
}

/// The version of a subject that has the schema with this id.
fn registered(state: &State, subject: &str, id: Option<i32>, deleted: Deleted) -> Option<SchemaValue> {
    let found = state
        .versions(subject, deleted)
        .rev()
        .find(|value| Some(value.id) == id);
    found.map(|value| SchemaValue::clone(value))
}

/// Finds a schema in a subject.
///
/// # Errors
/// [`RegistryError::SubjectNotFound`], [`RegistryError::SchemaNotFound`], [`RegistryError::InvalidSchema`].
pub fn look_up(
    state: &State,
    subject: &str,
    request: &SchemaRequest,
    deleted: Deleted,
) -> Result<SchemaValue, RegistryError> {
    if state.versions(subject, deleted).next().is_none() {
        return Err(RegistryError::SubjectNotFound(subject.to_owned()));
    }
    let schema = request.parse(state)?;
    let id = state.id_of(&schema, request.references());
    registered(state, subject, id, deleted)
        .ok_or_else(|| RegistryError::SchemaNotFound(format!("subject '{subject}' does not have it")))
}

/// The versions that a level compares a new schema with, the last first.
fn compared<'a>(state: &'a State, subject: &'a str, level: Level) -> impl Iterator<Item = &'a SchemaValue> {
    let count = match level {
        Level::None => 0,
        Level::Backward | Level::Forward | Level::Full => 1,
        Level::BackwardTransitive | Level::ForwardTransitive | Level::FullTransitive => usize::MAX,
    };
    state
        .versions(subject, Deleted::Hidden)
        .rev()
        .take(count)
        .map(AsRef::as_ref)
}

/// Says why a schema does not go with an earlier one; nothing if it does.
fn differences(state: &State, schema: &Schema, earlier: &SchemaValue, level: Level) -> Vec<String> {
    let described = format!("{{schemaId: {}, version: {}}}", earlier.id, earlier.version);
    if earlier.schema_type.as_deref().is_some_and(|kind| kind != AVRO) {
        return vec![format!("the earlier schema {described} is no {AVRO}")];
    }
    let old = match state.parse(&earlier.schema, &earlier.references) {
        Ok(old) => old,
        Err(error) => {
            return vec![format!(
                "the earlier schema {described} is not understood: {error}"
            )];
        }
    };
    let backward = matches!(
        level,
        Level::Backward | Level::BackwardTransitive | Level::Full | Level::FullTransitive
    );
    let forward = matches!(
        level,
        Level::Forward | Level::ForwardTransitive | Level::Full | Level::FullTransitive
    );
    let mut found = Vec::new();
    let mut compare = |reader: &Schema, writer: &Schema, who: &str| {
        found.extend(can_read(reader, writer).into_iter().map(|difference| {
            let kind = difference.kind.name();
            let (path, message) = (&difference.path, &difference.message);
            format!("{{errorType: '{kind}', path: '{path}', {who}: {message}, earlier: {described}}}")
        }));
    };
    if backward {
        compare(schema, &old, "the new schema reads the earlier");
    }
    if forward {
        compare(&old, schema, "the earlier schema reads the new");
    }
    found
}

fn check_compatible(state: &State, subject: &str, schema: &Schema) -> Result<(), RegistryError> {
    let level = state.level_of(subject);
    let wrong = compared(state, subject, level)
        .map(|earlier| differences(state, schema, earlier, level))
        .find(|found| !found.is_empty());
    match wrong {
        None => Ok(()),
        Some(reasons) => Err(RegistryError::Incompatible {
            level: level.name(),
            reasons: reasons.join("; "),
        }),
    }
}

/// Returns why a schema does not go with a version, or (`None`) with those that the subject's level compares it with.
///
/// # Errors
/// [`RegistryError::InvalidSchema`]; the version's.
pub fn test_compatibility(
    state: &State,
    subject: &str,
    version: Option<VersionQuery>,
    request: &SchemaRequest,
) -> Result<Vec<String>, RegistryError> {
    let level = state.level_of(subject);
    let schema = request.parse(state)?;
    Ok(match version {
        Some(version) => {
            let earlier = state.version(subject, version, Deleted::Hidden)?;
            match level {
                Level::None => Vec::new(),
                level => differences(state, &schema, earlier, level),
            }
        }
        None => compared(state, subject, level)
            .flat_map(|earlier| differences(state, &schema, earlier, level))
            .collect(),
    })
}

/// Whether a deletion is for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Versions are hidden; ids stay.
    Soft,
    /// Versions go. They must have been deleted softly before.
    Permanent,
}

fn check_unreferenced(state: &State, subject: &str, version: i32) -> Result<(), RegistryError> {
    match state.referenced_by(subject, version) {
        ids if ids.is_empty() => Ok(()),
        ids => Err(RegistryError::ReferenceExists(subject.to_owned(), version, ids)),
    }
}

/// The ids that were given are remembered, so that none is given again when the last schema is gone.
fn gone(state: &State, subject: &str, version: i32) -> [Record; 2] {
    let removed = Record::Schema {
        subject: subject.to_owned(),
        version,
        value: None,
    };
    let next_id = Some(state.next_id());
    [removed, Record::Noop { next_id }]
}

/// Deletes all versions of a subject and answers with their numbers.
///
/// # Errors
/// Those of the endpoint.
pub fn delete_subject(
    state: &State,
    subject: &str,
    deletion: Deletion,
) -> Result<Change<Vec<i32>>, RegistryError> {
    writable(state, subject)?;
    let numbers = |deleted| -> Vec<i32> {
        state
            .versions(subject, deleted)
            .map(|value| value.version)
            .collect()
    };
    let (visible, all) = (numbers(Deleted::Hidden), numbers(Deleted::Shown));
    let Some(last) = all.last().copied() else {
        return Err(RegistryError::SubjectNotFound(subject.to_owned()));
    };
    for version in &visible {
        check_unreferenced(state, subject, *version)?;
    }
    match deletion {
        Deletion::Soft if visible.is_empty() => Err(RegistryError::SubjectSoftDeleted(subject.to_owned())),
        Deletion::Soft => Ok(Change {
            records: vec![Record::DeleteSubject {
                subject: subject.to_owned(),
                version: Some(last),
            }],
            answer: visible,
        }),
        Deletion::Permanent if !visible.is_empty() => {
            Err(RegistryError::SubjectNotSoftDeleted(subject.to_owned()))
        }
        Deletion::Permanent => {
            let mut records: Vec<Record> = all
                .iter()
                .flat_map(|version| gone(state, subject, *version))
                .collect();
            let named = || subject.to_owned();
            records.push(Record::DeleteSubject {
                subject: named(),
                version: None,
            });
            records.push(Record::Level {
                subject: Some(named()),
                level: None,
            });
            records.push(Record::Mode {
                subject: Some(named()),
                mode: None,
            });
            Ok(Change { records, answer: all })
        }
    }
}

/// Deletes a version and answers with its number.
///
/// # Errors
/// Those of the endpoint.
pub fn delete_version(
    state: &State,
    subject: &str,
    version: VersionQuery,
    deletion: Deletion,
) -> Result<Change<i32>, RegistryError> {
    writable(state, subject)?;
    let value = state.version(subject, version, Deleted::Shown)?;
    let number = value.version;
    match (deletion, value.deleted) {
        (Deletion::Soft, true) => Err(RegistryError::VersionSoftDeleted(subject.to_owned(), number)),
        (Deletion::Permanent, false) => Err(RegistryError::VersionNotSoftDeleted(subject.to_owned(), number)),
        (Deletion::Soft, false) => {
            check_unreferenced(state, subject, number)?;
            let mut deleted = SchemaValue::clone(value);
            deleted.deleted = true;
            Ok(Change {
                records: vec![written(deleted)],
                answer: number,
            })
        }
        (Deletion::Permanent, true) => Ok(Change {
            records: gone(state, subject, number).into(),
            answer: number,
        }),
    }
}

/// Sets a level, of all (`None`) or of a subject.
///
/// # Errors
/// [`RegistryError::InvalidLevel`], [`RegistryError::NotPermitted`].
pub fn set_level(state: &State, subject: Option<&str>, name: &str) -> Result<Change<Level>, RegistryError> {
    let level = Level::from_name(name).ok_or_else(|| RegistryError::InvalidLevel(name.to_owned()))?;
    subject.map_or(Ok(()), check_subject)?;
    writable(state, subject.unwrap_or_default())?;
    Ok(Change {
        records: vec![Record::Level {
            subject: subject.map(str::to_owned),
            level: Some(level),
        }],
        answer: level,
    })
}

/// Takes a level back and answers with what it was.
///
/// # Errors
/// [`RegistryError::LevelNotConfigured`], [`RegistryError::NotPermitted`].
pub fn reset_level(state: &State, subject: Option<&str>) -> Result<Change<Level>, RegistryError> {
    writable(state, subject.unwrap_or_default())?;
    let was = match subject {
        None => state.level(),
        Some(subject) => state
            .own_level(subject)
            .ok_or_else(|| RegistryError::LevelNotConfigured(subject.to_owned()))?,
    };
    Ok(Change {
        records: vec![Record::Level {
            subject: subject.map(str::to_owned),
            level: None,
        }],
        answer: was,
    })
}

/// Whether IMPORT is set although there are schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It is.
    Yes,
    /// It is refused.
    No,
}

/// Sets a mode, of all (`None`) or of a subject.
///
/// # Errors
/// [`RegistryError::InvalidMode`]; [`RegistryError::NotPermitted`] for IMPORT over schemas that are there, since ids that
/// clients bring could be taken.
pub fn set_mode(
    state: &State,
    subject: Option<&str>,
    name: &str,
    force: Force,
) -> Result<Change<Mode>, RegistryError> {
    let mode = Mode::from_name(name).ok_or_else(|| RegistryError::InvalidMode(name.to_owned()))?;
    subject.map_or(Ok(()), check_subject)?;
    let is_empty = match subject {
        None => state.all(Deleted::Hidden).next().is_none(),
        Some(subject) => state.versions(subject, Deleted::Hidden).next().is_none(),
    };
    let current = subject.map_or_else(|| state.mode(), |subject| state.mode_of(subject));
    if mode == Mode::Import && current != Mode::Import && !is_empty && force == Force::No {
        let reason = "there are schemas already; IMPORT over them takes force=true";
        return Err(RegistryError::NotPermitted(reason.to_owned()));
    }
    Ok(Change {
        records: vec![Record::Mode {
            subject: subject.map(str::to_owned),
            mode: Some(mode),
        }],
        answer: mode,
    })
}

/// Takes a mode back and answers with what it was.
///
/// # Errors
/// [`RegistryError::ModeNotConfigured`].
pub fn reset_mode(state: &State, subject: Option<&str>) -> Result<Change<Mode>, RegistryError> {
    let was = match subject {
        None => state.mode(),
        Some(subject) => state
            .own_mode(subject)
            .ok_or_else(|| RegistryError::ModeNotConfigured(subject.to_owned()))?,
    };
    Ok(Change {
        records: vec![Record::Mode {
            subject: subject.map(str::to_owned),
            mode: None,
        }],
        answer: was,
    })
}

#[cfg(test)]
#[path = "changes_test.rs"]
mod tests;
