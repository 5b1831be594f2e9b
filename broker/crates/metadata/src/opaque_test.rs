use super::*;
use crate::embedded::faulty_backend::FaultyBackend;
use crate::embedded::{EmbeddedOptions, EmbeddedStore, OpenMode};

fn open(disk: &FaultyBackend) -> EmbeddedStore {
    let options = EmbeddedOptions::new("test", OpenMode::CreateIfMissing);
    EmbeddedStore::open(disk.clone(), options).unwrap().0
}

fn all(store: &dyn MetadataStore, prefix: &[u8]) -> Vec<OpaqueRow> {
    let mut rows = Vec::new();
    scan_opaque(store, prefix, &mut |row| {
        rows.push((row.key.to_vec(), row.value.to_vec()));
        ControlFlow::Continue(())
    })
    .unwrap();
    rows
}

#[test]
fn many_rows_are_one_commit_and_apart_from_all_others() {
    let disk = FaultyBackend::default();
    let store = open(&disk);
    store
        .commit(Transaction::new().put("other", "x").put("s/", "y"))
        .unwrap();
    let puts = (0..2000u32).map(|n| (n.to_be_bytes().to_vec(), vec![n as u8; 100]));
    let revision = put_many(&store, puts, []).unwrap();
    assert_eq!(revision, Revision(2));
    drop(store);
    let store = open(&disk);
    let rows = all(&store, b"");
    assert_eq!(rows.len(), 2000);
    assert_eq!(rows[1999], (1999u32.to_be_bytes().to_vec(), vec![207; 100]));
    let deletes = (1..2000u32).map(|n| n.to_be_bytes().to_vec());
    put_many(&store, [(0u32.to_be_bytes().to_vec(), b"new".to_vec())], deletes).unwrap();
    assert_eq!(all(&store, b""), [(vec![0; 4], b"new".to_vec())]);
    assert_eq!(all(&store, &[1]), []);
}

#[test]
fn nothing_to_write_is_no_commit() {
    let disk = FaultyBackend::default();
    let store = open(&disk);
    let done = disk.done();
    assert_eq!(put_many(&store, [], []), Ok(Revision::ZERO));
    assert_eq!(disk.done(), done);
}
