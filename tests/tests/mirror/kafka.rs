//! Apache Kafka as the source.

use thalweg_tests::clients::java::Java;
use thalweg_tests::clients::librdkafka::{create_topic, read_topic};
use thalweg_tests::mirror::Mirror;
use thalweg_tests::{BrokerConfig, Product, require_client};

use crate::{thalweg, write_transactions, write_with_every_codec};

#[test]
fn a_mirror_of_apache_kafka_is_equal_batch_for_batch() {
    let _ = require_client!(Java::find());
    let (source, target) = (BrokerConfig::new(Product::ApacheKafka).start(), thalweg().start());
    create_topic(&source, "orders", 3, &[]);
    write_with_every_codec(&source, "orders", 3, 200);
    write_transactions(&source, "orders", 3);
    let mut mirror = Mirror::between(&source, &target, "topics = [\"orders\"]");
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    write_with_every_codec(&source, "orders", 3, 50);
    mirror.wait_for(&source, &target, "orders");
    mirror.verify().shows("3 partitions compared, 0 differ, 0 behind");
    for isolation in ["read_committed", "read_uncommitted"] {
        let settings = [("isolation.level", isolation)];
        assert_eq!(
            read_topic(&source, "orders", &settings),
            read_topic(&target, "orders", &settings),
            "{isolation}"
        );
    }
}
