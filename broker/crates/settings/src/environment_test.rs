use super::*;
use crate::lookup::broker_index;

fn key(name: &str) -> Variable {
    Variable::Key(broker_index(name).expect("a key"))
}

#[test]
fn both_prefixes_name_keys() {
    assert_eq!(classify("KAFKA_LOG_RETENTION_MS"), key("log.retention.ms"));
    assert_eq!(classify("THALWEG_LOG_RETENTION_MS"), key("log.retention.ms"));
    assert_eq!(
        classify("KAFKA_ADVERTISED_LISTENERS"),
        key("advertised.listeners")
    );
    assert_eq!(classify("log.retention.ms"), Variable::Other);
    assert_eq!(classify("PATH"), Variable::Other);
}

#[test]
fn every_key_has_its_own_variable() {
    assert_eq!(BY_VARIABLE.len(), BROKER_SETTINGS.len());
    assert_eq!(encode("a.b_c-d"), "A_B__C___D");
    assert_eq!(decode("A_B__C___D"), "a.b_c-d");
}

#[test]
fn variables_of_kafkas_scripts_and_of_containers_are_no_settings() {
    let others = [
        "KAFKA_OPTS",
        "KAFKA_HEAP_OPTS",
        "KAFKA_JMX_PORT",
        "KAFKA_NO_SUCH_KEY",
        "THALWEG_LOG",
        "THALWEG_SERVICE_HOST",
        "THALWEG_SERVICE_PORT_KAFKA",
        "THALWEG_PORT",
        "THALWEG_PORT_9092_TCP_ADDR",
        "THALWEG_HEADLESS_SERVICE_HOST",
        "THALWEG_HEADLESS_PORT_9092_TCP",
    ];
    for name in others {
        assert_eq!(classify(name), Variable::Other, "{name}");
    }
}

#[test]
fn a_variable_of_ours_that_names_no_key_is_reported() {
    assert_eq!(
        classify("THALWEG_NUM_PARTITION"),
        Variable::Unknown("num.partition".to_owned())
    );
    assert_eq!(
        classify("THALWEG_IMPORTANT"),
        Variable::Unknown("important".to_owned())
    );
    assert_eq!(classify("THALWEG_"), Variable::Unknown(String::new()));
}
