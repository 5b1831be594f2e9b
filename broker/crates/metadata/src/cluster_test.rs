use super::*;
use crate::embedded::faulty_backend::FaultyBackend;
use crate::embedded::{EmbeddedOptions, EmbeddedStore, OpenMode};
use crate::error::CommitError;
use proptest::prelude::*;

const STAMP: Stamp = Stamp::new(ClusterId([1; 16]), DirectoryId([2; 16]));

proptest! {
    #[test]
    fn a_stamp_round_trips(cluster: [u8; 16], directory: [u8; 16], format_version: u32) {
        let stamp =
            Stamp { cluster_id: ClusterId(cluster), directory_id: DirectoryId(directory), format_version };
        prop_assert_eq!(Stamp::decode(&stamp.encode()), Ok(stamp));
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let _ = Stamp::decode(&bytes);
    }

    #[test]
    fn an_id_is_22_characters_and_comes_back(id: [u8; 16]) {
        let text = ClusterId(id).to_string();
        prop_assert_eq!(text.len(), 22);
        prop_assert_eq!(text.parse(), Ok(ClusterId(id)));
    }
}

#[test]
fn a_stamp_agrees_with_itself_and_names_each_disagreement() {
    assert_eq!(STAMP.check_agrees(&STAMP, "wal"), Ok(()));
    let cluster = Stamp {
        cluster_id: ClusterId([9; 16]),
        ..STAMP
    };
    assert!(matches!(
        STAMP.check_agrees(&cluster, "wal"),
        Err(StampMismatch::Cluster { .. })
    ));
    let directory = Stamp {
        directory_id: DirectoryId([9; 16]),
        ..STAMP
    };
    assert!(matches!(
        STAMP.check_agrees(&directory, "wal"),
        Err(StampMismatch::Directory { .. })
    ));
    let older = Stamp {
        format_version: 0,
        ..STAMP
    };
    assert!(matches!(
        STAMP.check_agrees(&older, "wal"),
        Err(StampMismatch::Format { .. })
    ));
    let newer = Stamp {
        format_version: FORMAT_VERSION + 1,
        ..STAMP
    };
    let refused = STAMP.check_agrees(&newer, "wal/000").unwrap_err();
    let place = "wal/000".to_owned();
    assert_eq!(
        refused,
        StampMismatch::Newer {
            place,
            found: FORMAT_VERSION + 1,
            supported: FORMAT_VERSION
        }
    );
}

#[test]
fn a_store_gets_its_stamp_once() {
    let options = EmbeddedOptions::new("test", OpenMode::CreateIfMissing);
    let (store, _) = EmbeddedStore::open(FaultyBackend::default(), options).unwrap();
    assert_eq!(read_stamp(&store), Ok(None));
    create_stamp(&store, &STAMP).unwrap();
    assert_eq!(read_stamp(&store), Ok(Some(STAMP)));
    let other = Stamp::new(ClusterId([3; 16]), DirectoryId([4; 16]));
    let refused = create_stamp(&store, &other).unwrap_err();
    assert!(matches!(
        refused,
        MetadataError::Commit(CommitError::Conflict { .. })
    ));
    assert_eq!(read_stamp(&store), Ok(Some(STAMP)));
}

#[test]
fn a_stamp_of_a_newer_release_is_refused() {
    let options = EmbeddedOptions::new("test", OpenMode::CreateIfMissing);
    let (store, _) = EmbeddedStore::open(FaultyBackend::default(), options).unwrap();
    create_stamp(
        &store,
        &Stamp {
            format_version: FORMAT_VERSION + 1,
            ..STAMP
        },
    )
    .unwrap();
    assert!(matches!(
        read_stamp(&store),
        Err(MetadataError::Stamp(StampMismatch::Newer { .. }))
    ));
}
