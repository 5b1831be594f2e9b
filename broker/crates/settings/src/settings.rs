//! The settings in force: every broker key with its value and where it came from.
//!
//! Sources, weakest first: default, file, environment, `--set`, then the dynamic ones (for all brokers, for this
//! broker). A [`Settings`] is an immutable snapshot; a dynamic change makes a new one (`dynamic`). All layers of a
//! key are kept, because DescribeConfigs lists them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::broker_keys::BROKER_SETTINGS;
use crate::checks;
use crate::environment::{self, KAFKA_PREFIX, Variable};
use crate::error::{SettingError, SettingErrors, shown};
use crate::lookup::broker_index;
use crate::properties::parse_properties;
use crate::setting::Setting;
use crate::topic_config;
use crate::value::Value;

/// Largest settings file in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How the broker is started; a few defaults differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `thalweg serve`: Kafka's defaults.
    Serve,
    /// `thalweg dev`: what one person at one machine wants. As durable as the other.
    Dev,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the settings file.
    File {
        /// The file as it was named.
        file: Arc<str>,
        /// The line, from 1.
        line: u32,
    },
    /// An environment variable.
    Environment {
        /// Its whole name.
        variable: Arc<str>,
    },
    /// `--set key=value`.
    CommandLine,
    /// Set while running, for all brokers.
    DynamicDefault,
    /// Set while running, for this broker.
    DynamicBroker,
    /// The topic's own.
    Topic,
    /// A value somebody asks about; it is not set anywhere.
    Request,
    /// A key of `config explain`; nothing is set.
    Question,
}

impl Origin {
    /// Place in the order of precedence; a higher one wins.
    const fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Environment { .. } => 2,
            Self::CommandLine => 3,
            Self::DynamicDefault => 4,
            Self::DynamicBroker => 5,
            Self::Topic | Self::Request | Self::Question => 6,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Environment { variable } => write!(f, "environment {variable}"),
            Self::CommandLine => f.write_str("--set"),
            Self::DynamicDefault => f.write_str("dynamic, all brokers"),
            Self::DynamicBroker => f.write_str("dynamic, this broker"),
            Self::Topic => f.write_str("topic"),
            Self::Request => f.write_str("request"),
            Self::Question => f.write_str("config explain"),
        }
    }
}

/// One source's value of one key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    pub origin: Origin,
    pub value: Value,
}

/// One key of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    /// The value in force.
    pub value: Value,
    /// The default of the profile.
    pub default: Option<&'static str>,
    /// What was set, weakest first; at most one per rank.
    pub layers: Vec<Layer>,
}

impl Slot {
    /// Puts a layer in, in place of one of the same rank.
    pub(crate) fn put(&mut self, layer: Layer) {
        let rank = layer.origin.rank();
        self.layers.retain(|other| other.origin.rank() != rank);
        let at = self.layers.partition_point(|other| other.origin.rank() < rank);
        self.layers.insert(at, layer);
    }

    /// Recomputes the value in force.
    pub(crate) fn settle(&mut self, setting: &Setting) {
        self.value = match self.layers.last() {
            Some(layer) => layer.value.clone(),
            None => setting.default_value(self.default),
        };
    }
}

/// One key as [`Settings::effective`] and [`Settings::iter`] show it.
#[derive(Clone, Copy, Debug)]
pub struct Effective<'a> {
    /// The key.
    pub setting: &'static Setting,
    /// The value in force.
    pub value: &'a Value,
    /// Where it came from.
    pub origin: &'a Origin,
}

impl Effective<'_> {
    /// Returns the value for people: a secret is hidden, null is `(none)`.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.value {
            Value::Null => "(none)".to_owned(),
            _ if self.setting.is_sensitive() => "(hidden)".to_owned(),
            value => value.to_string(),
        }
    }
}

/// Every broker key with its value: an immutable snapshot, checked when it was made.
///
/// Hold it in an `Arc` and swap the `Arc` when dynamic settings change ([`Settings::with_dynamic`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    profile: Profile,
    slots: Vec<Slot>,
    notices: Vec<String>,
    /// The ports that the system chose for listeners with port 0, by the listener's name.
    pub(crate) bound_ports: BTreeMap<String, u16>,
}

impl Settings {
    /// Returns the defaults of a profile.
    #[must_use]
    pub fn defaults(profile: Profile) -> Self {
        let slots = BROKER_SETTINGS
            .iter()
            .map(|setting| {
                let default = match profile {
                    Profile::Serve => setting.default,
                    Profile::Dev => setting.dev_default.or(setting.default),
                };
                Slot {
                    value: setting.default_value(default),
                    default,
                    layers: Vec::new(),
                }
            })
            .collect();
        Self {
            profile,
            slots,
            notices: Vec::new(),
            bound_ports: BTreeMap::new(),
        }
    }

    /// Starts with the defaults of a profile; add sources in any order, then [`SettingsBuilder::build`].
    #[must_use]
    pub fn builder(profile: Profile) -> SettingsBuilder {
        SettingsBuilder {
            settings: Self::defaults(profile),
            errors: Vec::new(),
        }
    }

    /// Reads everything a start has to offer: the file, the environment (pass `std::env::vars_os()`), and the
    /// arguments of `--set`.
    ///
    /// # Errors
    /// All that is wrong, at most 50 of them.
    pub fn load(
        profile: Profile,
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        assignments: &[String],
    ) -> Result<Self, SettingErrors> {
        let mut builder = Self::builder(profile);
        if let Some(path) = file {
            builder = builder.file(path);
        }
        builder = builder.environment(environment);
        for assignment in assignments {
            builder = builder.assignment(assignment);
        }
        builder.build()
    }

    /// Returns the profile.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Returns remarks for the log: what was ignored or is given twice.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Returns one key by name, `None` if the broker has no such key.
    #[must_use]
    pub fn effective(&self, name: &str) -> Option<Effective<'_>> {
        broker_index(name).map(|index| self.effective_at(index))
    }

    /// Walks all keys by name.
    pub fn iter(&self) -> impl Iterator<Item = Effective<'_>> {
        let mut order: Vec<usize> = (0..self.slots.len()).collect();
        order.sort_unstable_by_key(|index| BROKER_SETTINGS[*index].name);
        order.into_iter().map(|index| self.effective_at(index))
    }

    fn effective_at(&self, index: usize) -> Effective<'_> {
        let slot = &self.slots[index];
        let origin = slot.layers.last().map_or(&Origin::Default, |layer| &layer.origin);
        Effective {
            setting: &BROKER_SETTINGS[index],
            value: &slot.value,
            origin,
        }
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(crate) fn slots_mut(&mut self) -> &mut [Slot] {
        &mut self.slots
    }

    /// Returns one key's slot.
    pub(crate) fn slot(&self, name: &str) -> Option<&Slot> {
        broker_index(name).and_then(|index| self.slots.get(index))
    }

    /// Makes an older and a newer name of one thing show the same value, whichever was set.
    pub(crate) fn share_node_id(&mut self) {
        let (Some(node), Some(broker)) = (broker_index("node.id"), broker_index("broker.id")) else {
            return;
        };
        for (from, to) in [(node, broker), (broker, node)] {
            if !self.slots[from].layers.is_empty() && self.slots[to].layers.is_empty() {
                self.slots[to].layers = self.slots[from].layers.clone();
                self.slots[to].settle(&BROKER_SETTINGS[to]);
            }
        }
    }
}

/// Collects the sources of one start and every error in them.
#[derive(Debug)]
pub struct SettingsBuilder {
    settings: Settings,
    errors: Vec<SettingError>,
}

impl SettingsBuilder {
    /// Adds a `.properties` file. Errors wait for [`Self::build`].
    #[must_use]
    pub fn file(mut self, path: &Path) -> Self {
        let name = path.display().to_string();
        match read_bounded(path) {
            Ok(bytes) => self.file_bytes(&name, &bytes),
            Err(reason) => {
                self.fail(SettingError::File { file: name, reason });
                self
            }
        }
    }

    /// Adds the content of a `.properties` file that is called `name` in messages.
    #[must_use]
    pub fn file_bytes(mut self, name: &str, bytes: &[u8]) -> Self {
        let properties = match parse_properties(bytes) {
            Ok(properties) => properties,
            Err(error) => {
                let reason = error.reason.to_owned();
                self.fail(SettingError::Syntax {
                    file: name.to_owned(),
                    line: error.line,
                    reason,
                });
                return self;
            }
        };
        let file: Arc<str> = Arc::from(name);
        for property in properties {
            let origin = Origin::File {
                file: Arc::clone(&file),
                line: property.line,
            };
            if let Some(earlier) = self
                .settings
                .slot(&property.key)
                .and_then(|slot| slot.layers.last())
                && matches!(earlier.origin, Origin::File { .. })
            {
                let note = format!(
                    "{origin}: {} is set again, after {}",
                    property.key, earlier.origin
                );
                self.settings.notices.push(note);
            }
            self.put(&property.key, &property.value, origin);
        }
        self
    }

    /// Adds environment variables: those with the prefix `THALWEG_` or `KAFKA_` that name a key.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        // Ours after Kafka's, so that ours wins where both are set; sorted, so that errors have an order.
        let mut known: Vec<(bool, String, OsString)> = variables
            .into_iter()
            .filter_map(|(name, text)| name.into_string().ok().map(|name| (name, text)))
            .map(|(name, text)| (!name.starts_with(KAFKA_PREFIX), name, text))
            .collect();
        known.sort();
        for (_, name, text) in known {
            let origin = Origin::Environment {
                variable: Arc::from(name.as_str()),
            };
            match environment::classify(&name) {
                Variable::Other => {}
                Variable::Unknown(key) => self.fail(SettingError::unknown(&key, &origin)),
                Variable::Key(index) => match text.into_string() {
                    Ok(text) => self.put(BROKER_SETTINGS[index].name, &text, origin),
                    Err(_) => self.fail(SettingError::NotUtf8 { name }),
                },
            }
        }
        self
    }

    /// Adds one argument of `--set`, `key=value`. A later one of the same key wins.
    #[must_use]
    pub fn assignment(mut self, argument: &str) -> Self {
        match argument.split_once('=') {
            Some((key, text)) if !key.trim().is_empty() => {
                self.put(key.trim(), text, Origin::CommandLine);
            }
            _ => self.fail(SettingError::BadAssignment {
                text: shown(argument),
            }),
        }
        self
    }

    /// Adds one key as `--set` does.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.put(key, value, Origin::CommandLine);
        self
    }

    /// Checks everything that spans several keys and returns the snapshot.
    ///
    /// # Errors
    /// All that is wrong, at most 50 of them.
    pub fn build(mut self) -> Result<Settings, SettingErrors> {
        for (slot, setting) in self.settings.slots.iter_mut().zip(BROKER_SETTINGS) {
            slot.settle(setting);
        }
        self.settings.share_node_id();
        // Cross-checks after a wrong value would only repeat it in other words.
        if self.errors.is_empty() {
            match checks::check(&self.settings) {
                Ok(notices) => self.settings.notices.extend(notices),
                Err(errors) => self.errors = errors,
            }
        }
        if self.errors.is_empty() {
            Ok(self.settings)
        } else {
            Err(SettingErrors::new(self.errors))
        }
    }

    fn fail(&mut self, error: SettingError) {
        if self.errors.len() < SettingErrors::KEPT_MAX {
            self.errors.push(error);
        }
    }

    fn put(&mut self, key: &str, text: &str, origin: Origin) {
        let Some(index) = broker_index(key) else {
            self.fail(SettingError::unknown(key, &origin));
            return;
        };
        match topic_config::parse(&BROKER_SETTINGS[index], text, &origin) {
            Ok(value) => self.settings.slots[index].put(Layer { origin, value }),
            Err(error) => self.fail(error),
        }
    }
}

/// Reads a file of bounded size.
fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = file
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(format!(
            "it is larger than {FILE_BYTES_MAX} bytes, so it is hardly a settings file"
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
#[path = "settings_test.rs"]
mod tests;
