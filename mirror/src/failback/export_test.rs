use super::*;
use thalweg_types::PartitionIndex;

fn tail() -> Tail {
    Tail {
        partition: TopicPartition::new("orders", PartitionIndex(3)),
        from: Offset(100),
        to: Offset(107),
    }
}

fn export(directory: &Path, bytes: &'static [u8]) -> Result<Exported, String> {
    let mut export = Export::begin(directory, &tail())?;
    export.write(&Bytes::from_static(bytes), 1, 7)?;
    export.finish(&tail(), "east")
}

#[test]
fn an_export_is_a_segment_file_and_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let done = export(directory.path(), b"batches").unwrap();
    assert_eq!(
        done.path,
        directory.path().join("orders-3/00000000000000000100.log")
    );
    assert_eq!((done.batches, done.records, done.size_bytes), (1, 7, 7));
    assert_eq!(std::fs::read(&done.path).unwrap(), b"batches");
    let text = std::fs::read_to_string(done.path.with_extension("json")).unwrap();
    let said: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&said["first_offset"], &said["end_offset"]),
        (&json!(100), &json!(107))
    );
}

#[test]
fn the_same_export_again_is_none_and_another_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    export(directory.path(), b"batches").unwrap();
    export(directory.path(), b"batches").unwrap();
    let refused = export(directory.path(), b"others!").unwrap_err();
    assert!(refused.contains("--export"), "{refused}");
    let kept = directory.path().join("orders-3/00000000000000000100.log");
    assert_eq!(std::fs::read(kept).unwrap(), b"batches");
}

#[test]
fn a_name_that_is_no_topics_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut wrong = tail();
    wrong.partition.topic = "../orders".to_owned();
    assert!(Export::begin(directory.path(), &wrong).is_err());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
