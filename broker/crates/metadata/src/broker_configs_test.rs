use super::*;
use crate::config_history::broker_config_history;
use crate::embedded::faulty_backend::FaultyBackend;
use crate::embedded::{EmbeddedOptions, EmbeddedStore, OpenMode};
use crate::error::CommitError;
use proptest::prelude::*;
use thalweg_types::TimestampMs;

fn store() -> EmbeddedStore {
    let options = EmbeddedOptions::new("test", OpenMode::CreateIfMissing);
    EmbeddedStore::open(FaultyBackend::default(), options).unwrap().0
}

fn edit(key: &str, value: Option<&str>) -> ConfigEdit {
    ConfigEdit {
        changes: BTreeMap::from([(key.to_owned(), value.map(str::to_owned))]),
        at: TimestampMs(1),
        principal: Some("User:alice".into()),
    }
}

proptest! {
    #[test]
    fn configs_round_trip(configs: BTreeMap<String, String>) {
        prop_assert_eq!(decode(&encode(&configs)), Ok(configs));
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let _ = decode(&bytes);
    }

    #[test]
    fn a_scope_is_read_back_from_its_key(id: i32) {
        for scope in [ConfigScope::Default, ConfigScope::Broker(BrokerId(id))] {
            let key = keys::broker_config(scope);
            prop_assert_eq!(keys::scope_of(key.strip_prefix(keys::BROKER_CONFIGS).unwrap()), Some(scope));
        }
    }
}

#[test]
fn scopes_are_apart_and_versions_are_compared() {
    let store = store();
    let own = ConfigScope::Broker(BrokerId(1));
    alter_broker_configs(&store, ConfigScope::Default, None, &edit("a", Some("1"))).unwrap();
    let configs = alter_broker_configs(&store, own, None, &edit("a", Some("2"))).unwrap();
    assert_eq!(configs["a"], "2");
    let stale = alter_broker_configs(&store, own, None, &edit("a", Some("3"))).unwrap_err();
    assert!(matches!(
        stale,
        MetadataError::Commit(CommitError::Conflict { .. })
    ));
    let version = store.get(&keys::broker_config(own)).unwrap().unwrap().version;
    let configs = alter_broker_configs(&store, own, Some(version), &edit("a", None)).unwrap();
    assert!(configs.is_empty());
    let history = broker_config_history(&store, own).unwrap();
    assert_eq!(
        history
            .iter()
            .map(|change| change.after.as_deref())
            .collect::<Vec<_>>(),
        [Some("2"), None]
    );
    assert_eq!(
        broker_config_history(&store, ConfigScope::Default).unwrap().len(),
        1
    );
}

#[test]
fn a_negative_broker_id_is_refused() {
    let refused = alter_broker_configs(
        &store(),
        ConfigScope::Broker(BrokerId(-1)),
        None,
        &edit("a", Some("1")),
    );
    assert_eq!(refused, Err(MetadataError::InvalidBroker { id: BrokerId(-1) }));
}
