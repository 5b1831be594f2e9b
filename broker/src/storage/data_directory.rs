//! Opens a data directory: lock, metadata, stamps, start counter, logs; in that order, so that nothing is
//! changed before it is known to belong together.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::RngCore;
use thalweg_metadata::{
    ClusterId, DirectoryId, EmbeddedOptions, EmbeddedStore, FORMAT_VERSION, Metadata, MetadataError,
    MetadataStore, OpenMode, Stamp, StoreError, create_stamp, raise_start_counter, read_stamp,
};
use thalweg_settings::{Settings, TopicConfig};
use thalweg_storage::clock::Clock;
use thalweg_storage::commit::OnFatal;
use thalweg_storage::disk::{Disk, DiskLock, read_file, replace_file};
use thalweg_storage::engine::{EngineConfig, EngineParts, LiveTopic, LogEngine, OpenReport};
use thalweg_storage::recovery::OpenError;
use thalweg_storage::wal::ring::RingConfig;
use thalweg_types::BrokerId;
use thiserror::Error;

use super::backend::DiskBackend;
use super::recovery_rows::RecoveryRows;
use crate::topics::{log_config, topic_role};

const LOCK_FILE: &str = ".lock";
pub(super) const METADATA_FILE: &str = "metadata.redb";
const META_PROPERTIES: &str = "meta.properties";
const META_PROPERTIES_BYTES_MAX: u64 = 64 << 10;

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub enum OpenDataError {
    /// Another process uses it.
    #[error(
        "{path} is in use by another process (it holds {LOCK_FILE}); stop that one or set another log.dirs"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The disk failed.
    #[error("{path}: {source}")]
    Io {
        /// File or directory.
        path: PathBuf,
        /// The disk's error.
        source: io::Error,
    },
    /// The metadata store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The metadata.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Parts of the directory do not belong together.
    #[error("{path}: {what}")]
    Disagreement {
        /// File.
        path: PathBuf,
        /// What does not agree.
        what: String,
    },
    /// The logs.
    #[error(transparent)]
    Logs(#[from] OpenError),
}

/// A locked data directory; the lock goes with it.
#[derive(Debug)]
pub struct DataDirectory {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    _lock: Box<dyn DiskLock>,
}

/// What lies in it, open.
pub struct OpenedData {
    /// The directory; keep it as long as the rest.
    pub directory: DataDirectory,
    /// Metadata.
    pub metadata: Arc<Metadata>,
    /// Logs.
    pub engine: Arc<LogEngine>,
    /// Who this is.
    pub stamp: Stamp,
    /// How the logs' start went.
    pub report: OpenReport,
}

impl DataDirectory {
    /// Makes the directory when it is not there, and locks it.
    ///
    /// # Errors
    /// [`OpenDataError::Locked`], or the disk's.
    pub fn lock(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, OpenDataError> {
        let failed = |source: io::Error| {
            if source.kind() == io::ErrorKind::WouldBlock {
                OpenDataError::Locked {
                    path: path.to_owned(),
                }
            } else {
                OpenDataError::Io {
                    path: path.to_owned(),
                    source,
                }
            }
        };
        disk.create_dir_all(path).map_err(failed)?;
        let lock = disk.lock(&path.join(LOCK_FILE)).map_err(failed)?;
        Ok(Self {
            disk,
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the disk.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Opens metadata and logs. `on_fatal` is called when an acknowledgement can no longer be trusted.
    ///
    /// # Errors
    /// [`OpenDataError`]: damage, a newer format or parts of two brokers are refused by name.
    pub fn open(
        self,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        on_fatal: OnFatal,
    ) -> Result<OpenedData, OpenDataError> {
        let has_logs = self.has_logs()?;
        let metadata_path = self.path.join(METADATA_FILE);
        let io_at = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenDataError::Io { path, source }
        };
        let backend = DiskBackend::open(&*self.disk, &metadata_path).map_err(io_at(&metadata_path))?;
        let mode = if has_logs {
            OpenMode::Existing
        } else {
            OpenMode::CreateIfMissing
        };
        let mut options = EmbeddedOptions::new(metadata_path.display().to_string(), mode);
        options.cache_bytes = usize::try_from(settings.metadata_cache_bytes()).unwrap_or(usize::MAX);
        let (store, _) = EmbeddedStore::open(backend, options)?;
        let store: Arc<dyn MetadataStore> = Arc::new(store);
        let stamp = self.agree_on_stamp(&*store, settings.node_id())?;
        let leader_epoch = raise_start_counter(&*store)?;
        let metadata = Arc::new(Metadata::load(store.clone())?);
        let image = metadata.image();
        let topics = image.topics().map(|topic| {
            let (config, ignored) = TopicConfig::resolve_stored(&topic.record.configs, settings);
            for error in ignored {
                tracing::warn!(topic = topic.record.name, %error, "a stored topic setting is ignored");
            }
            LiveTopic {
                id: topic.record.id,
                name: topic.record.name.as_str().into(),
                partitions: topic.record.partitions,
                config: Arc::new(log_config(&config, settings)),
                role: topic_role(&topic.record.configs),
            }
        });
        let mut random = [0; 16];
        rand::rng().fill_bytes(&mut random);
        let parts = EngineParts {
            disk: self.disk.clone(),
            directory: self.path.clone(),
            clock,
            recovery: Arc::new(RecoveryRows { store }),
            random: u128::from_be_bytes(random),
            leader_epoch,
            topics: topics.collect(),
            tombstones: image.tombstones().map(|t| t.id).collect::<BTreeSet<_>>(),
            on_fatal: Arc::new(on_fatal),
            find_wal: None,
        };
        let (engine, report) = LogEngine::open(parts, engine_config(settings))?;
        Ok(OpenedData {
            directory: self,
            metadata,
            engine,
            stamp,
            report,
        })
    }

    fn has_logs(&self) -> Result<bool, OpenDataError> {
        let entries = self.disk.list(&self.path);
        let entries = entries.map_err(|source| OpenDataError::Io {
            path: self.path.clone(),
            source,
        })?;
        Ok(entries.iter().any(|entry| entry.name == "wal"))
    }

    /// The stamp of the metadata and of `meta.properties` must be the same; a new directory gets one.
    fn agree_on_stamp(&self, store: &dyn MetadataStore, node_id: BrokerId) -> Result<Stamp, OpenDataError> {
        let path = self.path.join(META_PROPERTIES);
        let found = match read_file(&*self.disk, &path, META_PROPERTIES_BYTES_MAX) {
            Ok(content) => Some(parse_meta_properties(&path, &content)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(OpenDataError::Io { path, source }),
        };
        let stamp = match (read_stamp(store)?, found) {
            (Some(stamp), Some(found)) => {
                stamp
                    .check_agrees(&found, &path.display().to_string())
                    .map_err(MetadataError::from)?;
                return Ok(stamp);
            }
            // The crash came between the two writes of the first start.
            (Some(stamp), None) => stamp,
            (None, Some(_)) => {
                let what = "names a cluster, but the metadata is new: metadata.redb was lost. Restore it from a \
                            copy, or move the directory aside";
                return Err(OpenDataError::Disagreement {
                    path,
                    what: what.into(),
                });
            }
            (None, None) => {
                let (mut cluster, mut directory) = ([0; 16], [0; 16]);
                rand::rng().fill_bytes(&mut cluster);
                rand::rng().fill_bytes(&mut directory);
                let stamp = Stamp {
                    cluster_id: ClusterId(cluster),
                    directory_id: DirectoryId(directory),
                    format_version: FORMAT_VERSION,
                };
                create_stamp(store, &stamp)?;
                stamp
            }
        };
        let text = format!(
            "version=1\ncluster.id={}\nnode.id={node_id}\ndirectory.id={}\nthalweg.format.version={}\n",
            stamp.cluster_id, stamp.directory_id, stamp.format_version
        );
        replace_file(&*self.disk, &path, text.as_bytes())
            .map_err(|source| OpenDataError::Io { path, source })?;
        Ok(stamp)
    }
}

fn parse_meta_properties(path: &Path, content: &[u8]) -> Result<Stamp, OpenDataError> {
    let text = String::from_utf8_lossy(content);
    let value = |key: &str| {
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.map(str::trim).ok_or_else(|| OpenDataError::Disagreement {
            path: path.to_owned(),
            what: format!("has no {key}: it is no data directory of Thalweg's, or was edited"),
        })
    };
    let wrong = |key: &str| OpenDataError::Disagreement {
        path: path.to_owned(),
        what: format!("{key} is no id: the file was edited"),
    };
    Ok(Stamp {
        cluster_id: value("cluster.id")?.parse().map_err(|_| wrong("cluster.id"))?,
        directory_id: value("directory.id")?
            .parse()
            .map_err(|_| wrong("directory.id"))?,
        format_version: value("thalweg.format.version")?
            .parse()
            .map_err(|_| wrong("thalweg.format.version"))?,
    })
}

fn engine_config(settings: &Settings) -> EngineConfig {
    let bytes = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let file_bytes = settings.wal_file_bytes() / 4096 * 4096;
    EngineConfig {
        ring: RingConfig {
            file_bytes,
            max_bytes: settings.wal_max_bytes(),
            group_bytes_max: bytes(settings.wal_group_max_bytes()),
            disk_free_bytes_min: settings.disk_reserve_bytes(),
        },
        tail_memory_bytes: bytes(settings.wal_tail_memory_bytes()),
        segment_write_bytes: bytes(settings.segment_write_bytes()),
        segment_write_direct_bytes: bytes(settings.segment_write_direct_bytes()),
        segment_read_direct_bytes: bytes(settings.segment_read_direct_bytes()),
        queue_bytes_max: bytes(file_bytes),
        reserve_bytes: file_bytes / 2,
        ..EngineConfig::default()
    }
}
