//! Compressed batches that lie about what is in them, from a socket: refused where records are checked, and checked
//! where nobody else has to wait for it. Apache Kafka looks into every compressed batch.

use std::time::{SystemTime, UNIX_EPOCH};

use thalweg_tests::clients::librdkafka::{create_topic, read_topic};
use thalweg_tests::raw::{self, Heard, Produced, Raw};
use thalweg_tests::{Broker, BrokerConfig, Product, wait};
use thalweg_types::TimestampMs;
use thalweg_wire::batch::{BatchHeader, HEADER_LEN, LOG_OVERHEAD, patch_max_timestamp};
use thalweg_wire::compression::{Compression, compress};
use thalweg_wire::records::{BatchBuilder, BatchOptions};

const CORRUPT_MESSAGE: i16 = 2;
const INVALID_RECORD: i16 = 87;

const CODECS: [Compression; 4] = [
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// Settings of a topic on which every record is checked.
fn strict() -> &'static [(&'static str, &'static str)] {
    match Product::under_test() {
        Product::Thalweg => &[("record.validation.strict", "true")],
        Product::ApacheKafka => &[],
    }
}

fn now() -> TimestampMs {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    TimestampMs(i64::try_from(now.as_millis()).expect("before the year 292 million"))
}

/// An uncompressed batch of records with these keys.
fn plain(keys: &[Option<&str>]) -> Vec<u8> {
    let mut batch = BatchBuilder::new(BatchOptions::default());
    for key in keys {
        batch
            .push(now(), key.map(str::as_bytes), Some(b"value"), &[])
            .expect("it fits");
    }
    batch.build().expect("a batch").to_vec()
}

/// The header of `batch` over other record bytes, signed.
fn over(batch: &[u8], (count, codec): (i32, Compression), stored: &[u8]) -> Vec<u8> {
    let header = BatchHeader::parse(batch).expect("a header");
    let header = BatchHeader {
        batch_length: i32::try_from(HEADER_LEN - LOG_OVERHEAD + stored.len()).expect("small"),
        record_count: count,
        last_offset_delta: count - 1,
        attributes: i16::from(codec.id()),
        ..header
    };
    let mut batch = header.encode().to_vec();
    batch.extend(stored);
    patch_max_timestamp(&mut batch, header.max_timestamp).expect("a header");
    batch
}

/// The records of an uncompressed batch under a codec, with a header that counts `count`.
fn packed(batch: &[u8], count: i32, codec: Compression) -> Vec<u8> {
    let records = compress(codec, None, &batch[HEADER_LEN..]).expect("compressed");
    over(batch, (count, codec), &records)
}

/// The second record's offset is the third's: delta 1 becomes 2. Records are of one length, their deltas at one place.
fn with_a_gap(batch: &[u8]) -> Vec<u8> {
    let mut batch = batch.to_vec();
    let length = (batch.len() - HEADER_LEN) / 3;
    batch[HEADER_LEN + length + 3] = 4;
    batch
}

fn ask(connection: &mut Raw, topic: &str, records: &[u8]) -> Produced {
    connection.send(&raw::produce(topic, 1, records));
    hear(connection)
}

fn hear(connection: &mut Raw) -> Produced {
    match connection.hear(wait::PATIENCE) {
        Heard::Frame(answer) => raw::read_produced(&answer),
        other => panic!("no answer: {other:?}"),
    }
}

#[test]
fn compressed_batches_that_lie_are_refused_whole_and_the_record_is_named() {
    let broker = Broker::start();
    create_topic(&broker, "strict", 1, strict());
    let mut connection = Raw::connect(broker.bootstrap()).expect("connect");
    let honest = {
        let mut batch = BatchBuilder::new(BatchOptions::default());
        let at = now();
        for _ in 0..3 {
            batch.push(at, Some(b"k"), Some(b"v"), &[]).expect("it fits");
        }
        batch.build().expect("a batch")
    };
    let mut good = 0;
    for codec in CODECS {
        let lies = [
            ("more records than counted", packed(&honest, 2, codec)),
            ("fewer records than counted", packed(&honest, 4, codec)),
            ("a gap", packed(&with_a_gap(&honest), 3, codec)),
            (
                "garbage inside",
                over(
                    &honest,
                    (3, codec),
                    &compress(codec, None, &[0xff; 64]).expect("compressed"),
                ),
            ),
        ];
        for (what, records) in lies {
            let told = ask(&mut connection, "strict", &records);
            assert_eq!(told.error_code, INVALID_RECORD, "{codec} {what}: {told:?}");
            assert_eq!(told.base_offset, -1, "{codec} {what}");
            if Product::under_test() == Product::Thalweg {
                assert_eq!(told.wrong_records.len(), 1, "{codec} {what}: {told:?}");
            }
        }
        let told = ask(
            &mut connection,
            "strict",
            &over(&honest, (3, codec), &[0xa5; 100]),
        );
        // Apache Kafka has no code for it that a client could understand.
        match Product::under_test() {
            Product::Thalweg => assert_eq!(told.error_code, CORRUPT_MESSAGE, "{codec}: {told:?}"),
            Product::ApacheKafka => assert_ne!(told.error_code, 0, "{codec}: {told:?}"),
        }
        let told = ask(&mut connection, "strict", &packed(&honest, 3, codec));
        assert_eq!((told.error_code, told.base_offset), (0, good), "{codec}");
        good += 3;
    }
    assert_eq!(
        read_topic(&broker, "strict", &[]).len(),
        12,
        "the honest ones alone"
    );
}

#[test]
fn a_record_without_a_key_is_named_inside_a_compressed_batch_for_a_compacted_topic() {
    let broker = Broker::start();
    create_topic(&broker, "latest", 1, &[("cleanup.policy", "compact")]);
    let mut connection = Raw::connect(broker.bootstrap()).expect("connect");
    for codec in CODECS {
        let records = packed(&plain(&[Some("a"), None, Some("c")]), 3, codec);
        let told = ask(&mut connection, "latest", &records);
        assert_eq!(
            (told.error_code, told.base_offset),
            (INVALID_RECORD, -1),
            "{codec}"
        );
        assert_eq!(told.wrong_records, [1], "{codec}");
    }
}

#[test]
fn log_append_time_stamps_compressed_batches_too() {
    let broker = Broker::start();
    let settings = [strict(), &[("message.timestamp.type", "LogAppendTime")]].concat();
    create_topic(&broker, "stamped", 1, &settings);
    let mut connection = Raw::connect(broker.bootstrap()).expect("connect");
    let begin = now();
    for (place, codec) in CODECS.iter().enumerate() {
        let mut batch = BatchBuilder::new(BatchOptions {
            compression: *codec,
            ..BatchOptions::default()
        });
        // A year ago: only the broker's clock counts.
        let old = TimestampMs(begin.get() - 365 * 86_400_000);
        batch.push(old, Some(b"k"), Some(b"v"), &[]).expect("it fits");
        let told = ask(&mut connection, "stamped", &batch.build().expect("a batch"));
        assert_eq!(
            (told.error_code, told.base_offset),
            (0, i64::try_from(place).unwrap_or(-1))
        );
    }
    let read = read_topic(&broker, "stamped", &[]);
    assert_eq!(read.len(), CODECS.len());
    let times: Vec<i64> = read.iter().filter_map(|record| record.timestamp).collect();
    assert!(times.iter().all(|time| *time >= begin.get()), "{times:?}");
    assert!(times.is_sorted(), "{times:?}");
}

/// One connection sends batches of a few kilobytes that become 60 MiB; another one's are taken meanwhile.
#[test]
fn others_are_served_while_large_batches_are_decompressed() {
    const LARGE: usize = 8;
    let broker = BrokerConfig::default()
        .set_for(Product::Thalweg, "decompression.ratio.max", 1_000_000)
        .start();
    create_topic(&broker, "strict", 1, strict());
    create_topic(&broker, "other", 1, &[]);
    let mut batch = BatchBuilder::new(BatchOptions {
        compression: Compression::Zstd,
        ..BatchOptions::default()
    });
    let value = vec![0; 1 << 20];
    for _ in 0..60 {
        batch.push(now(), Some(b"k"), Some(&value), &[]).expect("it fits");
    }
    let large = batch.build().expect("a batch");
    let small = plain(&[Some("k")]);
    let mut slow = Raw::connect(broker.bootstrap()).expect("connect");
    let mut quick = Raw::connect(broker.bootstrap()).expect("connect");
    for number in 0..LARGE {
        slow.send(&raw::produce(
            "strict",
            i32::try_from(number).unwrap_or(0),
            &large,
        ));
    }
    let mut served = 0_i64;
    let answers = std::thread::scope(|scope| {
        let answers = scope.spawn(|| (0..LARGE).map(|_| hear(&mut slow)).collect::<Vec<_>>());
        while !answers.is_finished() || served == 0 {
            let told = ask(&mut quick, "other", &small);
            assert_eq!((told.error_code, told.base_offset), (0, served));
            served += 1;
        }
        answers.join().expect("all answers")
    });
    for (number, told) in (0..).zip(&answers) {
        assert_eq!((told.correlation_id, told.error_code), (number, 0), "{told:?}");
        assert_eq!(
            told.base_offset,
            60 * i64::from(number),
            "in the order of sending"
        );
    }
    eprintln!("{served} small batches were taken while {LARGE} large ones were checked");
}
