//! Producing with librdkafka.

use rdkafka::error::RDKafkaErrorCode;
use thalweg_tests::clients::librdkafka::{CODECS, Delivery, Producer, Record, create_topic, read_topic};
use thalweg_tests::{Broker, BrokerConfig};

/// Records of different sizes, some of which compress well.
fn records(count: usize) -> Vec<Record> {
    let record = |number: usize| {
        let value = format!("{number} ").repeat(number % 40 + 1);
        let mut record = Record::new(format!("key {}", number % 17), value);
        record.headers = vec![("number".to_owned(), Some(number.to_string().into_bytes()))];
        record
    };
    (0..count).map(record).collect()
}

#[test]
fn records_of_every_codec_come_back_at_their_offsets() {
    let broker = Broker::start();
    let sent = records(600);
    for codec in CODECS {
        let topic = format!("codec-{codec}");
        create_topic(&broker, &topic, 3, &[]);
        let producer = Producer::new(&broker, &[("compression.codec", codec), ("linger.ms", "5")]);
        let places = producer.send_all(&topic, &sent);
        let read = read_topic(&broker, &topic, &[]);
        assert_eq!(read.len(), sent.len(), "{codec}");
        for (record, (partition, offset)) in sent.iter().zip(places) {
            let found = read
                .iter()
                .find(|found| (found.partition, found.offset) == (partition, offset));
            let found = found.unwrap_or_else(|| panic!("{codec}: nothing at {partition}/{offset}"));
            assert_eq!(
                (&found.key, &found.value),
                (&record.key, &record.value),
                "{codec}"
            );
            assert_eq!(found.headers, record.headers, "{codec}");
        }
    }
}

#[test]
fn rule_20_nulls_empty_values_and_repeated_headers_survive() {
    let broker = Broker::start();
    create_topic(&broker, "edges", 1, &[]);
    let header = |name: &str, value: Option<&[u8]>| (name.to_owned(), value.map(<[u8]>::to_vec));
    let sent = [
        Record {
            value: Some(b"no key".to_vec()),
            ..Record::default()
        },
        Record {
            key: Some(b"no value".to_vec()),
            ..Record::default()
        },
        Record {
            key: Some(Vec::new()),
            value: Some(Vec::new()),
            ..Record::default()
        },
        Record::default(),
        Record {
            headers: vec![
                header("same", Some(b"first")),
                header("same", None),
                header("same", Some(b"")),
                header("", Some(&[0, 255, 128])),
                header("same", Some(b"first")),
            ],
            ..Record::new([0u8, 1, 2, 255], [255u8; 300])
        },
    ];
    for codec in ["none", "zstd"] {
        Producer::new(&broker, &[("compression.codec", codec)]).send_all("edges", &sent);
    }
    let read = read_topic(&broker, "edges", &[]);
    assert_eq!(read.len(), 2 * sent.len());
    for (found, record) in read.iter().zip(sent.iter().chain(&sent)) {
        assert_eq!(
            (&found.key, &found.value, &found.headers),
            (&record.key, &record.value, &record.headers)
        );
    }
}

#[test]
fn every_acks_setting_stores_the_records() {
    let broker = Broker::start();
    create_topic(&broker, "acks", 1, &[]);
    let sent = records(100);
    for acks in ["0", "1", "all"] {
        Producer::new(&broker, &[("acks", acks)]).send_all("acks", &sent);
        // acks=0 is not answered: another answered request behind it on another connection says nothing, so look.
        thalweg_tests::wait::until("the records of all acks so far are there", || {
            read_topic(&broker, "acks", &[]).len().is_multiple_of(sent.len())
        });
    }
    let read = read_topic(&broker, "acks", &[]);
    let values: Vec<_> = read.iter().map(|record| record.value.clone()).collect();
    let expected: Vec<_> = (0..3)
        .flat_map(|_| sent.iter().map(|record| record.value.clone()))
        .collect();
    assert_eq!(values, expected);
}

#[test]
fn rule_11_an_idempotent_producer_keeps_its_order() {
    let broker = Broker::start();
    create_topic(&broker, "ordered", 2, &[]);
    let settings = [
        ("enable.idempotence", "true"),
        ("linger.ms", "0"),
        ("batch.num.messages", "7"),
    ];
    let producer = Producer::new(&broker, &settings);
    let sent: Vec<Record> = (0..3_000)
        .map(|number: i32| Record::new("k", number.to_string()).to_partition(number % 2))
        .collect();
    producer.send_all("ordered", &sent);
    let read = read_topic(&broker, "ordered", &[]);
    for partition in 0..2 {
        let of_partition: Vec<_> = read
            .iter()
            .filter(|record| record.partition == partition)
            .collect();
        let offsets: Vec<i64> = of_partition.iter().map(|record| record.offset).collect();
        let values: Vec<String> = of_partition.iter().map(|record| record.text()).collect();
        let expected: Vec<String> = (0..3_000)
            .filter(|n| n % 2 == partition)
            .map(|n| n.to_string())
            .collect();
        assert_eq!(offsets, (0..1_500).collect::<Vec<i64>>());
        assert_eq!(values, expected);
    }
}

#[test]
fn the_topic_says_whose_timestamp_counts() {
    let broker = Broker::start();
    create_topic(&broker, "create", 1, &[("message.timestamp.type", "CreateTime")]);
    create_topic(
        &broker,
        "append",
        1,
        &[("message.timestamp.type", "LogAppendTime")],
    );
    let producer = Producer::new(&broker, &[("compression.codec", "lz4")]);
    let old = 1_600_000_000_000;
    let record = Record {
        timestamp: Some(old),
        ..Record::new("k", "v")
    };
    producer.send_all("create", std::slice::from_ref(&record));
    producer.send_all("append", &[record]);
    assert_eq!(read_topic(&broker, "create", &[])[0].timestamp, Some(old));
    let appended = read_topic(&broker, "append", &[])[0]
        .timestamp
        .expect("a timestamp");
    assert!(
        appended > old + 1_000_000_000,
        "LogAppendTime is the broker's clock, not {appended}"
    );
}

#[test]
fn rule_18_a_record_past_max_message_bytes_is_refused() {
    let broker = Broker::start();
    create_topic(&broker, "small", 1, &[("max.message.bytes", "10000")]);
    let producer = Producer::new(&broker, &[]);
    producer.send("small", &Record::new("k", vec![7; 20_000]));
    let refused = producer.flush();
    assert_eq!(
        refused[&0],
        Delivery::Failed(RDKafkaErrorCode::MessageSizeTooLarge)
    );
    producer.send("small", &Record::new("k", vec![7; 5_000]));
    let delivered = producer.flush();
    assert_eq!(
        delivered[&1],
        Delivery::Acknowledged {
            partition: 0,
            offset: 0
        }
    );
}

#[test]
fn a_record_from_the_future_is_refused() {
    let broker = Broker::start();
    create_topic(
        &broker,
        "times",
        1,
        &[("message.timestamp.after.max.ms", "3600000")],
    );
    let producer = Producer::new(&broker, &[]);
    producer.send(
        "times",
        &Record {
            timestamp: Some(4_000_000_000_000),
            ..Record::new("k", "v")
        },
    );
    assert_eq!(
        producer.flush()[&0],
        Delivery::Failed(RDKafkaErrorCode::InvalidTimestamp)
    );
}

#[test]
fn rule_18_a_record_without_a_key_is_refused_by_a_compacted_topic() {
    let broker = Broker::start();
    create_topic(&broker, "compacted", 1, &[("cleanup.policy", "compact")]);
    let producer = Producer::new(&broker, &[]);
    producer.send(
        "compacted",
        &Record {
            value: Some(b"v".to_vec()),
            ..Record::default()
        },
    );
    assert_eq!(
        producer.flush()[&0],
        Delivery::Failed(RDKafkaErrorCode::InvalidRecord)
    );
    producer.send("compacted", &Record::new("k", "v"));
    assert_eq!(
        producer.flush()[&1],
        Delivery::Acknowledged {
            partition: 0,
            offset: 0
        }
    );
}

#[test]
fn a_topic_that_asks_for_a_codec_stores_readable_records() {
    let broker = Broker::start();
    let sent = records(300);
    for codec in ["uncompressed", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("stored-{codec}");
        create_topic(&broker, &topic, 1, &[("compression.type", codec)]);
        let producer = Producer::new(&broker, &[("compression.codec", "snappy"), ("linger.ms", "5")]);
        producer.send_all(&topic, &sent);
        let values: Vec<_> = read_topic(&broker, &topic, &[])
            .into_iter()
            .map(|record| record.value)
            .collect();
        assert_eq!(
            values,
            sent.iter().map(|record| record.value.clone()).collect::<Vec<_>>(),
            "{codec}"
        );
    }
}

#[test]
fn a_topic_is_created_by_the_first_record() {
    let broker = BrokerConfig::default().set("num.partitions", 3).start();
    let producer = Producer::new(&broker, &[]);
    let sent = records(30);
    let places = producer.send_all("made-by-producing", &sent);
    assert!(
        places.iter().all(|(partition, _)| (0..3).contains(partition)),
        "{places:?}"
    );
    assert_eq!(read_topic(&broker, "made-by-producing", &[]).len(), sent.len());
}

#[test]
fn rule_17_a_topic_is_not_created_where_that_is_switched_off() {
    let broker = BrokerConfig::default()
        .set("auto.create.topics.enable", false)
        .start();
    let patience = [
        ("message.timeout.ms", "8000"),
        ("topic.metadata.propagation.max.ms", "1000"),
    ];
    let producer = Producer::new(&broker, &patience);
    producer.send("never-made", &Record::new("k", "v"));
    let answer = producer.flush().remove(&0);
    let unknown = [
        RDKafkaErrorCode::UnknownTopic,
        RDKafkaErrorCode::UnknownTopicOrPartition,
    ];
    assert!(
        matches!(answer, Some(Delivery::Failed(code)) if unknown.contains(&code)),
        "{answer:?}"
    );
}
