//! The configuration file: links and their rules, in TOML.
//!
//! Owns what the keys are and what they may be. Every mistake is told with its line, and all of them at once; an unknown
//! key is one. Knows nothing of clusters.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use serde::Deserialize;
use thalweg_client::{Address, Dial, Isolation, parse_bootstrap};
use thalweg_wire::mirror::LinkId;
use toml::Spanned;

mod line;

use line::LineText;
pub use line::{LineConfig, Meeting};

/// What an empty mirror begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// The first record the source keeps.
    #[default]
    Earliest,
    /// What is written from now on.
    Latest,
}

/// What to do when the source no longer has what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnGap {
    /// Stop the partition and say which offsets are lost.
    #[default]
    Stop,
    /// Say which offsets are lost and go on behind them.
    Jump,
}

/// What to do when the source lost records that the mirror has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRewind {
    /// Stop the partition and say which offsets differ.
    #[default]
    Stop,
    /// Cut the mirror back to what both have.
    Truncate,
}

/// Where the mirror's first record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStart {
    /// Where the source's is.
    #[default]
    Follow,
    /// Where the target's own retention puts it.
    Independent,
}

/// How far the source is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadUpTo {
    /// To the last stable offset: no transaction is open in the mirror.
    #[default]
    Committed,
    /// To the high watermark.
    All,
}

impl ReadUpTo {
    /// The isolation level a fetch asks for.
    #[must_use]
    pub const fn isolation(self) -> Isolation {
        match self {
            Self::Committed => Isolation::ReadCommitted,
            Self::All => Isolation::ReadUncommitted,
        }
    }
}

/// How batches get to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Verbatim,
}

/// What holds for every partition of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Where an empty mirror begins.
    pub start: Start,
    /// What happens at a gap.
    pub on_gap: OnGap,
    /// What happens when the source lost records.
    pub on_rewind: OnRewind,
    /// Whose log start counts.
    pub log_start: LogStart,
    /// How far is read.
    pub read: ReadUpTo,
    /// How long a claim lasts without being renewed.
    pub lease: Duration,
}

/// One side of a link.
#[derive(Clone, Debug)]
pub struct Side {
    /// Its brokers.
    pub bootstrap: Vec<Address>,
    /// The cluster id that is expected; `None` takes what is found.
    pub cluster_id: Option<String>,
    /// The line through which they are reached; `None` for directly.
    pub via: Option<String>,
    /// That line, once it was begun; see [`crate::line::start`].
    pub dialer: Option<Arc<dyn Dial>>,
}

/// One link.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Its name.
    pub name: String,
    /// Its id, if it is given.
    pub id: Option<LinkId>,
    /// Where records come from.
    pub source: Side,
    /// Where they go.
    pub target: Side,
    /// Topics that are mirrored: one of these fits the whole name …
    pub topics: Vec<Regex>,
    /// … and none of these.
    pub exclude: Vec<Regex>,
    /// Groups whose offsets are copied, both ways: one of these fits the whole name …
    pub groups: Vec<Regex>,
    /// … and none of these.
    pub exclude_groups: Vec<Regex>,
    /// Settings of topics that the mirror takes over, by name.
    pub settings: Vec<String>,
    /// What the source is called in names and records that MirrorMaker's clients read.
    pub source_alias: String,
    /// What the target is called there.
    pub target_alias: String,
    /// Whether MirrorMaker's heartbeats are written at the source and mirrored.
    pub heartbeats: bool,
    /// Whether MirrorMaker's checkpoints are written at the target.
    pub checkpoints: bool,
    /// What stands before the name of a mirror topic.
    pub prefix: String,
    /// What holds for every partition.
    pub rules: Rules,
    /// Bytes per second of records; `None` for no limit.
    pub bandwidth_bytes: Option<u64>,
    /// Pause between two looks at the topics of both sides.
    pub discovery: Duration,
}

/// The whole file.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where metrics and the REST interface are; `None` for nowhere.
    pub http: Option<SocketAddr>,
    /// Links by name.
    pub links: Vec<LinkConfig>,
    /// Lines by name.
    pub lines: Vec<LineConfig>,
}

/// A file that cannot be used. Shows one line for each mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line (from 1; 0 if it is about the whole file) and what is wrong there.
    pub mistakes: Vec<(usize, String)>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (line, mistake)) in self.mistakes.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            match line {
                0 => write!(f, "{}: {mistake}", self.path.display())?,
                line => write!(f, "{}:{line}: {mistake}", self.path.display())?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

const HTTP_DEFAULT: &str = "127.0.0.1:9645";
const DISCOVERY_MS: Bounds = Bounds(100, 3_600_000);
/// At most what the protocol allows; at least three renewals of a second.
const LEASE_MS: Bounds = Bounds(3_000, thalweg_wire::mirror::LEASE_MS_MAX as i64);
/// Below this a single batch would block the line for long.
const BANDWIDTH_BYTES: Bounds = Bounds(1024, i64::MAX);
/// Kafka's bound on the length of a topic name.
const TOPIC_NAME_LEN_MAX: usize = 249;

/// What the target is called in heartbeats, unless the file says it.
const TARGET_ALIAS: &str = "target";
/// Beginning of the settings by which a mirror topic is one.
const MIRROR_SETTINGS: &str = "mirror.";
/// Settings that a mirror topic takes over unless the file names others: what records mean and how long they are kept.
const SETTINGS: [&str; 13] = [
    "cleanup.policy",
    "delete.retention.ms",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.type",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.ms",
];
/// Of those, what a mirror with a log start of its own does not take over.
const RETENTION: [&str; 2] = ["retention.bytes", "retention.ms"];

/// Lowest and highest value.
#[derive(Clone, Copy)]
struct Bounds(i64, i64);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    #[serde(default)]
    service: ServiceText,
    #[serde(default)]
    link: BTreeMap<Spanned<String>, LinkText>,
    #[serde(default)]
    line: BTreeMap<Spanned<String>, LineText>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceText {
    http: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SideText {
    bootstrap: Spanned<String>,
    cluster_id: Option<String>,
    via: Option<Spanned<String>>,
    alias: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkText {
    id: Option<Spanned<String>>,
    source: SideText,
    target: SideText,
    #[serde(default, rename = "mode")]
    _mode: Mode,
    topics: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    exclude: Vec<Spanned<String>>,
    #[serde(default)]
    groups: Vec<Spanned<String>>,
    #[serde(default)]
    exclude_groups: Vec<Spanned<String>>,
    settings: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    exclude_settings: Vec<Spanned<String>>,
    #[serde(default)]
    heartbeats: bool,
    checkpoints: Option<bool>,
    prefix: Option<Spanned<String>>,
    #[serde(default)]
    start: Start,
    #[serde(default)]
    on_gap: OnGap,
    #[serde(default)]
    on_rewind: OnRewind,
    #[serde(default)]
    log_start: LogStart,
    #[serde(default)]
    read: ReadUpTo,
    lease_ms: Option<Spanned<i64>>,
    discovery_ms: Option<Spanned<i64>>,
    bandwidth_bytes: Option<Spanned<i64>>,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake that was found; a mistake of TOML's syntax or an unknown key is told alone.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            path: path.to_owned(),
            mistakes: vec![(0, format!("cannot be read: {error}"))],
        })?;
        Self::parse(path, &text)
    }

    /// Checks a text; `path` is for messages only.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let failed = |mistakes| ConfigError {
            path: path.to_owned(),
            mistakes,
        };
        let file: FileText = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| line_of(text, &span));
            failed(vec![(line, error.message().replace('\n', " "))])
        })?;
        let mut check = Check {
            text,
            mistakes: Vec::new(),
        };
        let http = check.http(file.service.http);
        if file.link.is_empty() && file.line.is_empty() {
            check.mistakes.push((
                0,
                "no link is given; a link begins with [link.NAME], and an agent needs a [line.NAME]"
                    .to_owned(),
            ));
        }
        let lines: Vec<LineConfig> = file
            .line
            .into_iter()
            .map(|(name, line)| check.line(name, line))
            .collect();
        let links = file
            .link
            .into_iter()
            .map(|(name, link)| check.link(name, link, &lines))
            .collect();
        if check.mistakes.is_empty() {
            Ok(Self { http, links, lines })
        } else {
            check.mistakes.sort();
            Err(failed(check.mistakes))
        }
    }
}

/// Collects mistakes.
struct Check<'a> {
    text: &'a str,
    mistakes: Vec<(usize, String)>,
}

impl Check<'_> {
    fn note(&mut self, span: &Range<usize>, mistake: String) {
        self.mistakes.push((line_of(self.text, span), mistake));
    }

    fn http(&mut self, given: Option<Spanned<String>>) -> Option<SocketAddr> {
        let span = given.as_ref().map(Spanned::span).unwrap_or_default();
        let text = given.map_or_else(|| HTTP_DEFAULT.to_owned(), Spanned::into_inner);
        if text == "off" {
            return None;
        }
        match text.parse() {
            Ok(address) => Some(address),
            Err(_) => {
                self.note(
                    &span,
                    format!("service.http: '{text}' is not an address such as {HTTP_DEFAULT}, nor \"off\""),
                );
                None
            }
        }
    }

    /// Names stand in metrics, in paths and in greetings.
    fn name(&mut self, name: &Spanned<String>, of: &str) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.get_ref().is_empty() || name.get_ref().len() > 100 || !name.get_ref().chars().all(is_name) {
            self.note(
                &name.span(),
                format!(
                    "'{}' is not a {of}'s name: 1 to 100 letters, digits, - and _",
                    name.get_ref()
                ),
            );
        }
    }

    fn link(&mut self, name: Spanned<String>, link: LinkText, lines: &[LineConfig]) -> LinkConfig {
        let key = |key: &str| format!("link.{}.{key}", name.get_ref());
        self.name(&name, "link");
        if link.topics.get_ref().is_empty() {
            let said = format!("{}: no topic is chosen; [\".*\"] takes all", key("topics"));
            self.note(&link.topics.span(), said);
        }
        let ms = |value: i64| Duration::from_millis(u64::try_from(value).unwrap_or_default());
        let lease = self.bounded(&key("lease_ms"), link.lease_ms, LEASE_MS);
        let discovery = self.bounded(&key("discovery_ms"), link.discovery_ms, DISCOVERY_MS);
        let bandwidth = self.bounded(&key("bandwidth_bytes"), link.bandwidth_bytes, BANDWIDTH_BYTES);
        let mut settings = self.settings(
            &[&key("settings"), &key("exclude_settings")],
            link.settings,
            link.exclude_settings,
        );
        // A mirror that keeps its records for ever must not take over that the source deletes them.
        let is_independent = link.log_start == LogStart::Independent;
        settings.retain(|setting| !(is_independent && RETENTION.contains(&setting.as_str())));
        let source_alias = self.alias(&key("source.alias"), link.source.alias.as_ref());
        let target_alias = self.alias(&key("target.alias"), link.target.alias.as_ref());
        LinkConfig {
            settings,
            source_alias: source_alias.unwrap_or_else(|| name.get_ref().clone()),
            target_alias: target_alias.unwrap_or_else(|| TARGET_ALIAS.to_owned()),
            heartbeats: link.heartbeats,
            checkpoints: link.checkpoints.unwrap_or(!link.groups.is_empty()),
            exclude_groups: self.patterns(&key("exclude_groups"), link.exclude_groups),
            id: self.link_id(&key("id"), link.id),
            source: self.side(&key("source"), link.source, lines),
            target: self.side(&key("target"), link.target, lines),
            topics: self.patterns(&key("topics"), link.topics.into_inner()),
            exclude: self.patterns(&key("exclude"), link.exclude),
            groups: self.patterns(&key("groups"), link.groups),
            prefix: self.prefix(&key("prefix"), link.prefix),
            rules: Rules {
                start: link.start,
                on_gap: link.on_gap,
                on_rewind: link.on_rewind,
                log_start: link.log_start,
                read: link.read,
                lease: ms(lease.unwrap_or(10_000)),
            },
            bandwidth_bytes: bandwidth.and_then(|bytes| u64::try_from(bytes).ok()),
            discovery: ms(discovery.unwrap_or(10_000)),
            name: name.into_inner(),
        }
    }

    fn bounded(&mut self, key: &str, given: Option<Spanned<i64>>, Bounds(min, max): Bounds) -> Option<i64> {
        let given = given?;
        if (min..=max).contains(given.get_ref()) {
            return Some(given.into_inner());
        }
        let said = format!("{key}: {} is not within {min} and {max}", given.get_ref());
        self.note(&given.span(), said);
        None
    }

    fn link_id(&mut self, key: &str, given: Option<Spanned<String>>) -> Option<LinkId> {
        let given = given?;
        let id = parse_link_id(given.get_ref()).filter(|id| *id != LinkId::NONE);
        if id.is_none() {
            let said = format!(
                "{key}: '{}' is not a link id: 32 hexadecimal digits, not all 0",
                given.get_ref()
            );
            self.note(&given.span(), said);
        }
        id
    }

    fn side(&mut self, key: &str, side: SideText, lines: &[LineConfig]) -> Side {
        let bootstrap = parse_bootstrap(side.bootstrap.get_ref()).unwrap_or_else(|error| {
            self.note(&side.bootstrap.span(), format!("{key}.bootstrap: {error}"));
            Vec::new()
        });
        if let Some(via) = &side.via
            && !lines.iter().any(|line| line.name == *via.get_ref())
        {
            let said = format!("{key}.via: there is no [line.{}] in this file", via.get_ref());
            self.note(&via.span(), said);
        }
        Side {
            bootstrap,
            cluster_id: side.cluster_id,
            via: side.via.map(Spanned::into_inner),
            dialer: None,
        }
    }

    fn patterns(&mut self, key: &str, given: Vec<Spanned<String>>) -> Vec<Regex> {
        let mut patterns = Vec::new();
        for pattern in given {
            match Regex::new(&format!("^(?:{})$", pattern.get_ref())) {
                Ok(regex) => patterns.push(regex),
                Err(error) => {
                    let reason = error.to_string();
                    let reason = reason.lines().last().unwrap_or_default();
                    let said = format!(
                        "{key}: '{}' is not a regular expression: {reason}",
                        pattern.get_ref()
                    );
                    self.note(&pattern.span(), said);
                }
            }
        }
        patterns
    }

    /// The settings a mirror takes over: those that are named, or Kafka's that fit a mirror, without the excluded ones.
    fn settings(
        &mut self,
        keys: &[&str; 2],
        named: Option<Vec<Spanned<String>>>,
        excluded: Vec<Spanned<String>>,
    ) -> Vec<String> {
        let [key, exclude_key] = keys;
        for setting in named.iter().flatten() {
            if setting.get_ref().starts_with(MIRROR_SETTINGS) {
                let said = format!(
                    "{key}: '{}' says whose mirror a topic is, and is never copied",
                    setting.get_ref()
                );
                self.note(&setting.span(), said);
            }
        }
        let mut settings: Vec<String> = match named {
            Some(named) => named.into_iter().map(Spanned::into_inner).collect(),
            None => SETTINGS.iter().map(|setting| (*setting).to_owned()).collect(),
        };
        for setting in excluded {
            if !settings.contains(setting.get_ref()) {
                let said = format!(
                    "{exclude_key}: '{}' is not copied anyway; is the name right?",
                    setting.get_ref()
                );
                self.note(&setting.span(), said);
            }
            settings.retain(|copied| copied != setting.get_ref());
        }
        settings
    }

    fn alias(&mut self, key: &str, given: Option<&Spanned<String>>) -> Option<String> {
        let given = given?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if given.get_ref().is_empty() || given.get_ref().len() > 100 || !given.get_ref().chars().all(fits) {
            let said = format!(
                "{key}: '{}' is not an alias: 1 to 100 letters, digits, - and _",
                given.get_ref()
            );
            self.note(&given.span(), said);
        }
        Some(given.get_ref().clone())
    }

    fn prefix(&mut self, key: &str, given: Option<Spanned<String>>) -> String {
        let Some(given) = given else {
            return String::new();
        };
        let is_topic = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if given.get_ref().len() >= TOPIC_NAME_LEN_MAX || !given.get_ref().chars().all(is_topic) {
            let said = format!(
                "{key}: '{}' cannot begin a topic's name: letters, digits, . _ - only",
                given.get_ref()
            );
            self.note(&given.span(), said);
        }
        given.into_inner()
    }
}

/// Reads 32 hexadecimal digits; hyphens, as a UUID has them, are ignored.
#[must_use]
pub fn parse_link_id(text: &str) -> Option<LinkId> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let number = u128::from_str_radix(&digits, 16).ok()?;
    Some(LinkId(number.to_be_bytes()))
}

/// Writes a link id as topic settings have it.
#[must_use]
pub fn link_id_text(id: LinkId) -> String {
    format!("{:032x}", u128::from_be_bytes(id.0))
}

/// The id of a link that is given none: the same for the same name and source cluster, on every machine (FNV-1a, 128 bits).
#[must_use]
pub fn derived_link_id(name: &str, source_cluster_id: &str) -> LinkId {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let text = ["thalweg.mirror", name, source_cluster_id].join("\0");
    let hash = text
        .bytes()
        .fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    // No link is all zero; a hash practically never is.
    LinkId(hash.max(1).to_be_bytes())
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.as_bytes().get(..span.start).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
#[path = "config_test.rs"]
mod tests;
