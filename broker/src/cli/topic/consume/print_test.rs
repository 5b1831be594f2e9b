use super::*;
use bytes::Bytes;
use thalweg_types::{Offset, PartitionIndex, TimestampMs};

fn json(key: Option<&'static [u8]>, value: Option<&'static [u8]>, meta_only: bool) -> String {
    let record = OwnedRecord {
        offset: Offset(7),
        timestamp: TimestampMs(1000),
        key: key.map(Bytes::from_static),
        value: value.map(Bytes::from_static),
        headers: vec![
            (Bytes::from_static(b"h"), None),
            (Bytes::from_static(b"h"), Some(Bytes::from_static(b"\xff"))),
        ],
    };
    let partition = TopicPartition::new("t", PartitionIndex(2));
    serde_json::to_string(&json_record(&partition, &record, meta_only)).unwrap()
}

const TAIL: &str = r#""headers":[{"key":"h","value":null},{"key":"h","value":null,"value_base64":"/w=="}],"timestamp":1000,"partition":2,"offset":7}"#;

#[test]
fn json_records_keep_null_empty_text_and_binary_apart() {
    for (key, value, expected) in [
        (
            Some(b"k".as_slice()),
            Some(b"v".as_slice()),
            r#"{"topic":"t","key":"k","value":"v","#,
        ),
        (None, None, r#"{"topic":"t","key":null,"value":null,"#),
        (Some(b""), Some(b""), r#"{"topic":"t","key":"","value":"","#),
        (
            Some(b"\xfe"),
            Some(b"\xfd"),
            r#"{"topic":"t","key":null,"key_base64":"/g==","value_base64":"/Q==","#,
        ),
    ] {
        assert_eq!(json(key, value, false), format!("{expected}{TAIL}"));
    }
}

#[test]
fn meta_only_gives_the_size_instead_of_the_value() {
    assert_eq!(
        json(None, Some(b"value"), true),
        format!(r#"{{"topic":"t","key":null,"value_size":5,{TAIL}"#)
    );
}
