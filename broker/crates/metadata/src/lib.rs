//! The metadata of a cluster: who it is, its topics, its settings, and the small rows other parts keep here.
//!
//! Owns two layers. Below: [`MetadataStore`], a small transactional map with compare-and-set, watch and lease,
//! and its embedded implementation [`EmbeddedStore`] (one file, redb inside). Above: typed records on top of
//! any store, with an explicit versioned encoding, and [`Metadata`], the image that the broker reads.
//! Knows nothing of partitions' data, clients or Kafka's requests.
//!
//! Invariant: what a commit acknowledged is found again, unchanged, or the store refuses and says why. Damage
//! is never answered with older, fewer or different rows.

mod broker_configs;
mod cluster;
mod codec;
mod config_history;
mod counters;
mod embedded;
mod error;
mod image;
mod keys;
mod lease;
mod metadata;
mod opaque;
mod store;
mod topic_record;
mod topics;
mod watch;

pub use broker_configs::{BrokerConfigs, ConfigScope, alter_broker_configs};
pub use cluster::{
    ClusterId, DirectoryId, FORMAT_VERSION, IdParseError, Stamp, StampMismatch, create_stamp, read_stamp,
};
pub use config_history::{
    CONFIG_HISTORY_LIMIT, ConfigChange, ConfigEdit, broker_config_history, topic_config_history,
};
pub use counters::{raise_start_counter, take_producer_id_block};
pub use embedded::{EmbeddedOptions, EmbeddedStore, OpenMode, OpenReport, Recovery};
pub use error::{CommitError, Found, KeyText, MetadataError, RecordError, StoreError};
pub use image::{MetadataChange, MetadataImage, Topic};
pub use lease::{Lease, LeaseState};
pub use metadata::Metadata;
pub use opaque::{OpaqueRow, put_many, scan_opaque};
pub use store::{Compare, MetadataStore, Revision, Row, Transaction, Versioned};
pub use topic_record::{TopicKind, TopicRecord, TopicTombstone};
pub use topics::{
    add_partitions, alter_topic_configs, alter_topic_labels, create_topic, delete_topic, remove_tombstones,
};
pub use watch::{Watch, WatchBatch, WatchChange, WatchError, WatchEvent};
