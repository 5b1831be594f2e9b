use std::collections::BTreeMap;

use thalweg_settings::{Profile, Settings};

use super::*;

const ALL: Detail = Detail {
    synonyms: Synonyms::Told,
    documentation: Documentation::Told,
};
const NONE: Detail = Detail {
    synonyms: Synonyms::LeftOut,
    documentation: Documentation::LeftOut,
};

fn asking(keys: Option<&[&str]>) -> DescribeConfigsResource {
    let keys = keys.map(|keys| keys.iter().map(|key| str_bytes(*key)).collect());
    DescribeConfigsResource::default().with_configuration_keys(keys)
}

fn names(resource: &DescribeConfigsResource) -> Vec<&'static str> {
    let entries = describe_broker(&Settings::defaults(Profile::Serve));
    filtered(entries, resource).map(|entry| entry.name).collect()
}

#[test]
fn rule_14_describe_configs_tells_every_key_with_its_source() {
    let settings = Settings::defaults(Profile::Serve);
    let broker = describe_broker(&settings);
    assert_eq!(names(&asking(None)).len(), broker.len());
    assert!(names(&asking(None)).contains(&"num.partitions"));
    let topic = describe_topic(&BTreeMap::new(), &settings);
    assert_eq!(topic.len(), thalweg_settings::TOPIC_SETTINGS.len());
    for entry in broker.into_iter().chain(topic) {
        let told = told(entry, ALL);
        let name = told.name.as_str();
        assert!(told.config_source > 0, "{name}");
        assert!(told.config_type > 0, "{name}");
        assert!(
            told.documentation.is_some_and(|text| !text.as_str().is_empty()),
            "{name}"
        );
    }
}

#[test]
fn rule_14_a_static_value_says_so_in_source_and_synonyms() {
    let settings = Settings::builder(Profile::Serve)
        .assignment("num.partitions=7")
        .build()
        .unwrap();
    let entry = describe_broker(&settings)
        .into_iter()
        .find(|entry| entry.name == "num.partitions")
        .unwrap();
    let told = told(entry, ALL);
    assert_eq!(told.value.as_ref().map(|value| value.as_str()), Some("7"));
    assert_eq!((told.config_source, told.read_only), (4, true));
    let sources: Vec<i8> = told.synonyms.iter().map(|synonym| synonym.source).collect();
    assert_eq!(sources, [4, 5]);
}

#[test]
fn rule_15_cleanup_policy_of_a_topic_is_its_own() {
    let overrides = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    let entries = describe_topic(&overrides, &Settings::defaults(Profile::Serve));
    let entry = entries
        .into_iter()
        .find(|entry| entry.name == "cleanup.policy")
        .unwrap();
    let told = told(entry, NONE);
    assert_eq!(told.value.as_ref().map(|value| value.as_str()), Some("compact"));
    assert_eq!((told.config_source, told.read_only), (1, false));
}

#[test]
fn only_the_keys_asked_for_are_told_and_no_keys_means_all() {
    let asked = asking(Some(&["num.partitions", "no.such.key"]));
    assert_eq!(names(&asked), ["num.partitions"]);
    assert_eq!(names(&asking(Some(&[]))), names(&asking(None)));
}

#[test]
fn synonyms_and_documentation_come_only_when_asked_for() {
    let entries = describe_broker(&Settings::defaults(Profile::Serve));
    for entry in entries {
        let told = told(entry, NONE);
        assert!(told.synonyms.is_empty() && told.documentation.is_none());
    }
}
