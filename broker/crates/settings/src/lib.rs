//! Every setting of the broker and of a topic: one line per key, and everything that follows from that line.
//!
//! Owns names, types, units, defaults, bounds, documentation, the four sources (file < environment < `--set` <
//! dynamic) and what DescribeConfigs tells about them. Does no I/O but reading one properties file, keeps no
//! global state, and applies nothing: whoever uses a value reads it from the [`Settings`] snapshot he was given.
//!
//! Invariants: names, types, defaults and bounds of Kafka's keys are those of Apache Kafka 4.3
//! (`tests/golden`), except where a test lists the reason. A [`Settings`] or [`TopicConfig`] that exists is
//! valid. A key that would be unsafe to ignore is refused, one that does nothing says so in its text.

#[macro_use]
mod table;

mod broker_keys;
mod checks;
mod describe;
mod dynamic;
mod environment;
mod error;
mod explain;
mod kafka_keys;
mod listener;
mod lookup;
mod properties;
mod reference;
mod setting;
mod settings;
mod topic_config;
mod topic_keys;
mod value;

pub use broker_keys::BROKER_SETTINGS;
pub use describe::{
    ConfigEntry, ConfigSource, ConfigSynonym, describe_broker, describe_cluster_default, describe_topic,
};
pub use dynamic::{DynamicScope, ListChange, alter_list};
pub use error::{SettingError, SettingErrors};
pub use explain::{explain, explain_defaults};
pub use listener::{Listener, SecurityProtocol};
pub use lookup::{lookup, lookup_broker, lookup_topic, nearest};
pub use properties::{Property, PropertySyntaxError, parse_properties};
pub use reference::settings_reference;
pub use setting::{Effect, Kind, Owner, Rule, Setting, Unit, Update};
pub use settings::{Effective, Origin, Profile, Settings, SettingsBuilder};
pub use topic_config::{validate, validate_topic_overrides};
pub use topic_keys::{TOPIC_SETTINGS, TopicConfig};
pub use value::{CleanupPolicy, CompressionType, TimestampType, Value};
