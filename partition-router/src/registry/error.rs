//! What a request is refused with. The numbers are those that registry clients know.

use thiserror::Error;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// No such subject.
    #[error("there is no subject '{0}'")]
    SubjectNotFound(String),
    /// No such version of a subject.
    #[error("subject '{0}' has no version {1}")]
    VersionNotFound(String, String),
    /// No such schema: by id, or in a subject.
    #[error("there is no such schema: {0}")]
    SchemaNotFound(String),
    /// A subject that was deleted, but not for good.
    #[error("subject '{0}' was deleted before; delete it for good with permanent=true")]
    SubjectSoftDeleted(String),
    /// Deleting for good comes after deleting.
    #[error("subject '{0}' is not deleted yet; delete it without permanent=true first")]
    SubjectNotSoftDeleted(String),
    /// A version that was deleted, but not for good.
    #[error("version {1} of subject '{0}' was deleted before; delete it for good with permanent=true")]
    VersionSoftDeleted(String, i32),
    /// Deleting for good comes after deleting.
    #[error("version {1} of subject '{0}' is not deleted yet; delete it without permanent=true first")]
    VersionNotSoftDeleted(String, i32),
    /// The subject has no level of its own.
    #[error("subject '{0}' has no compatibility level of its own; ask with defaultToGlobal=true")]
    LevelNotConfigured(String),
    /// The subject has no mode of its own.
    #[error("subject '{0}' has no mode of its own; ask with defaultToGlobal=true")]
    ModeNotConfigured(String),
    /// The schema does not go with earlier ones.
    #[error("the schema is incompatible with an earlier one of its subject ({level}): {reasons}")]
    Incompatible {
        /// The level that asks for it.
        level: &'static str,
        /// All reasons.
        reasons: String,
    },
    /// The text is no schema that is understood.
    #[error("invalid schema: {0}")]
    InvalidSchema(String),
    /// The version is no version.
    #[error("'{0}' is no version: versions are numbers from 1, or 'latest'")]
    InvalidVersion(String),
    /// No such level.
    #[error(
        "'{0}' is no compatibility level; there are NONE, BACKWARD, FORWARD, FULL and the last three with _TRANSITIVE"
    )]
    InvalidLevel(String),
    /// No such mode.
    #[error("'{0}' is no mode; there are READWRITE, READONLY, READONLY_OVERRIDE, IMPORT and FORWARD")]
    InvalidMode(String),
    /// The mode forbids it, or an id is taken.
    #[error("not permitted: {0}")]
    NotPermitted(String),
    /// Another schema refers to it.
    #[error("version {1} of subject '{0}' is referred to by schemas with the ids {2:?}")]
    ReferenceExists(String, i32, Vec<i32>),
    /// The request's body is not what the endpoint takes.
    #[error("the request is not understood: {0}")]
    BadRequest(String),
    /// The topic could not be read or written.
    #[error("the cluster that keeps the schemas does not answer as it should: {0}")]
    Store(String),
    /// It took too long.
    #[error("the cluster that keeps the schemas did not answer within {0} ms")]
    Timeout(u128),
}

impl RegistryError {
    /// Returns the number that clients know.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::SubjectNotFound(_) => 40401,
            Self::VersionNotFound(..) => 40402,
            Self::SchemaNotFound(_) => 40403,
            Self::SubjectSoftDeleted(_) => 40404,
            Self::SubjectNotSoftDeleted(_) => 40405,
            Self::VersionSoftDeleted(..) => 40406,
            Self::VersionNotSoftDeleted(..) => 40407,
            Self::LevelNotConfigured(_) => 40408,
            Self::ModeNotConfigured(_) => 40409,
            Self::Incompatible { .. } => 409,
            Self::InvalidSchema(_) => 42201,
            Self::InvalidVersion(_) => 42202,
            Self::InvalidLevel(_) => 42203,
            Self::InvalidMode(_) => 42204,
            Self::NotPermitted(_) => 42205,
            Self::ReferenceExists(..) => 42206,
            Self::BadRequest(_) => 422,
            Self::Store(_) => 50001,
            Self::Timeout(_) => 50002,
        }
    }

    /// Returns the HTTP status: the first three digits of the number.
    #[must_use]
    pub const fn status(&self) -> u16 {
        let code = self.code();
        let status = if code >= 1_000 { code / 100 } else { code };
        status as u16
    }

    /// Reports whether a reader that is behind may be the reason.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::SubjectNotFound(_) | Self::VersionNotFound(..) | Self::SchemaNotFound(_)
        )
    }
}
