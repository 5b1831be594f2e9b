use std::path::Path;

use thalweg_settings::Profile;
use thalweg_storage::clock::SystemClock;
use thalweg_storage::disk::SimulatedDisk;

use super::*;
use crate::storage::DataDirectory;
use crate::topics::{NewTopic, ReplicationFactor};

struct Fixture {
    metadata: Arc<Metadata>,
    topics: Arc<Topics>,
    settings: LiveSettings,
    configs: BrokerConfigs,
}

fn fixture() -> Fixture {
    let start = Settings::builder(Profile::Serve)
        .assignment("wal.file.bytes=4194304")
        .build()
        .unwrap();
    let directory = DataDirectory::lock(Arc::new(SimulatedDisk::new()), Path::new("/data")).unwrap();
    let opened = directory
        .open(&start, Arc::new(SystemClock), Box::new(|error| panic!("{error}")))
        .unwrap();
    let settings = LiveSettings::new(start);
    let clock = Clock::manual(thalweg_types::TimestampMs(1));
    let topics = Arc::new(Topics::new(
        opened.metadata.clone(),
        opened.engine,
        settings.clone(),
        clock.clone(),
    ));
    let configs = BrokerConfigs::new(opened.metadata.clone(), settings.clone(), topics.clone(), clock);
    Fixture {
        metadata: opened.metadata,
        topics,
        settings,
        configs,
    }
}

impl Fixture {
    async fn alter(
        &self,
        scope: DynamicScope,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), BrokerConfigError> {
        let changes = BTreeMap::from([(key.to_owned(), value.map(str::to_owned))]);
        self.configs
            .begin()
            .await
            .alter(scope, changes, "User:ANONYMOUS".to_owned())
            .await
    }

    fn retention_ms(&self) -> Option<i64> {
        self.settings.current().log_retention_ms()
    }
}

#[tokio::test]
async fn a_change_is_in_force_for_topics_too_and_comes_back_after_a_restart() {
    let fixture = fixture();
    let new = NewTopic {
        name: "orders".to_owned(),
        partitions: None,
        replication_factor: ReplicationFactor::Default,
        configs: BTreeMap::new(),
    };
    fixture.topics.create(&new).await.unwrap();
    fixture
        .alter(DynamicScope::ClusterDefault, "log.retention.ms", Some("5000"))
        .await
        .unwrap();
    assert_eq!(fixture.retention_ms(), Some(5000));
    assert_eq!(
        fixture.topics.by_name("orders").unwrap().config.retention_ms,
        5000
    );
    let restarted = apply_stored(&fixture.metadata, Settings::defaults(Profile::Serve));
    assert_eq!(restarted.log_retention_ms(), Some(5000));
}

#[tokio::test]
async fn the_brokers_own_value_wins_over_the_default_of_all_until_it_is_removed() {
    let fixture = fixture();
    fixture
        .alter(DynamicScope::Broker, "log.retention.ms", Some("7"))
        .await
        .unwrap();
    fixture
        .alter(DynamicScope::ClusterDefault, "log.retention.ms", Some("8"))
        .await
        .unwrap();
    assert_eq!(fixture.retention_ms(), Some(7));
    fixture
        .alter(DynamicScope::Broker, "log.retention.ms", None)
        .await
        .unwrap();
    assert_eq!(fixture.retention_ms(), Some(8));
}

#[tokio::test]
async fn read_only_unknown_and_invalid_keys_are_refused_by_name_and_change_nothing() {
    let fixture = fixture();
    let wrong = [
        ("num.partitions", Some("3")),
        ("num.partitions", None),
        ("log.retenion.ms", Some("3")),
        ("log.retenion.ms", None),
        ("log.retention.ms", Some("soon")),
    ];
    for (key, value) in wrong {
        let error = fixture.alter(DynamicScope::Broker, key, value).await.unwrap_err();
        assert!(matches!(error, BrokerConfigError::Setting(_)), "{error}");
        assert!(error.to_string().contains(key), "{error}");
    }
    assert_eq!(fixture.retention_ms(), None);
    assert!(
        fixture
            .configs
            .begin()
            .await
            .stored(DynamicScope::Broker)
            .is_empty()
    );
}

#[tokio::test]
async fn a_check_alone_changes_nothing() {
    let fixture = fixture();
    let changes = BTreeMap::from([("log.retention.ms".to_owned(), Some("9".to_owned()))]);
    let change = fixture.configs.begin().await;
    let next = change.check(DynamicScope::Broker, &changes).unwrap();
    assert_eq!((next.log_retention_ms(), fixture.retention_ms()), (Some(9), None));
}

#[tokio::test]
async fn what_is_stored_and_no_longer_a_key_is_left_out_at_start_and_can_be_removed() {
    let fixture = fixture();
    let edit = ConfigEdit {
        changes: BTreeMap::from([("no.such.key".to_owned(), Some("1".to_owned()))]),
        at: thalweg_types::TimestampMs(1),
        principal: None,
    };
    fixture
        .metadata
        .alter_broker_configs(ConfigScope::Default, None, &edit)
        .unwrap();
    let restarted = apply_stored(&fixture.metadata, Settings::defaults(Profile::Serve));
    assert_eq!(restarted, Settings::defaults(Profile::Serve));
    fixture
        .alter(DynamicScope::ClusterDefault, "no.such.key", None)
        .await
        .unwrap();
    fixture
        .alter(DynamicScope::ClusterDefault, "log.retention.ms", Some("1"))
        .await
        .unwrap();
}

#[tokio::test]
async fn changes_at_the_same_time_are_made_one_after_the_other() {
    let fixture = fixture();
    let one = fixture.alter(DynamicScope::Broker, "log.retention.ms", Some("1"));
    let two = fixture.alter(DynamicScope::Broker, "log.retention.bytes", Some("2"));
    let three = fixture.alter(DynamicScope::ClusterDefault, "log.segment.bytes", Some("1048576"));
    let (one, two, three) = tokio::join!(one, two, three);
    (one.and(two).and(three)).unwrap();
    let settings = fixture.settings.current();
    assert_eq!(settings.log_retention_ms(), Some(1));
    assert_eq!(settings.log_retention_bytes(), 2);
    assert_eq!(settings.log_segment_bytes(), 1_048_576);
}
