//! Whatever happens to the file's bytes, the rows are the committed ones or the file is refused.

use std::collections::BTreeMap;

use super::*;
use crate::embedded::faulty_backend::FaultyBackend;

type Rows = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

fn options(mode: OpenMode) -> EmbeddedOptions {
    EmbeddedOptions::new("metadata.redb", mode)
}

fn read(bytes: Vec<u8>) -> Result<Rows, StoreError> {
    let disk = FaultyBackend::with_bytes(bytes);
    let (store, _) = match EmbeddedStore::open(disk.clone(), options(OpenMode::Existing)) {
        Ok(opened) => opened,
        Err(error) => {
            assert_eq!(disk.done(), 0, "a refused file was changed ({error})");
            return Err(error);
        }
    };
    let mut rows = Rows::new();
    store.scan(b"", &mut |row| {
        rows.insert(row.key.to_vec(), (row.value.to_vec(), row.version.0));
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

fn kind_of(error: &StoreError) -> &'static str {
    match error {
        StoreError::Damaged { .. } => "damaged",
        StoreError::LostCommit { .. } => "lost commit",
        StoreError::ContentMismatch { .. } => "content mismatch",
        StoreError::CorruptRow { .. } => "corrupt row",
        StoreError::Panicked { .. } => "panic",
        other => panic!("a changed byte is no reason for: {other}"),
    }
}

/// A small database as the store leaves it, and the same one as redb leaves it when it closes cleanly.
fn files() -> [(&'static str, Vec<u8>, Rows); 2] {
    let disk = FaultyBackend::default();
    let (store, _) = EmbeddedStore::open(disk.clone(), options(OpenMode::CreateIfMissing)).unwrap();
    for round in 0..3u8 {
        let put = (0..25u8).fold(Transaction::new(), |all, key| {
            all.put(
                [b'k', key.wrapping_mul(round + 1)],
                vec![round + 1; 25 * usize::from(key)],
            )
        });
        // 200 is nobody's; 1 and 2 were put a round before.
        store
            .commit(put.delete([b'k', [200, 1, 2][usize::from(round)]]))
            .unwrap();
    }
    store.close().unwrap();
    // The reserve is left out: it is as good as 1 MiB of zeros.
    let mut left = disk.bytes();
    let used = left.iter().rposition(|byte| *byte != 0).unwrap();
    left.truncate((used + 1).next_multiple_of(4096));
    let rows = read(left.clone()).unwrap();
    assert!(rows.len() > 30, "{}", rows.len());

    let disk = FaultyBackend::with_bytes(left.clone());
    let volume = Arc::new(Volume::new(Box::new(disk.clone())));
    volume.begin_staging().unwrap();
    drop(redb::Builder::new().create_with_backend(volume.handle()).unwrap());
    volume.apply_staging().unwrap();
    let closed = disk.bytes();
    assert_ne!(closed, left);
    assert_eq!(read(closed.clone()).unwrap(), rows);
    [("left", left, rows.clone()), ("closed", closed, rows)]
}

#[test]
fn a_changed_byte_is_harmless_or_refused() {
    // Every byte of the headers and many where pages begin, and a sample of the rest. All bytes on request.
    let stride = if std::env::var_os("THALWEG_TEST_LONG").is_some() {
        1
    } else {
        61
    };
    for (kind, good, rows) in files() {
        let mut harmless = 0;
        let mut refused = BTreeMap::<&str, u32>::new();
        let used: Vec<bool> = good
            .chunks(4096)
            .map(|page| page.iter().any(|byte| *byte != 0))
            .collect();
        for at in (0..good.len()).filter(|at| used[at / 4096] || at % 4096 == 7) {
            let header = (8192..8192 + 320).contains(&at) || at % 4096 < 64 && at < 8192;
            if !header && at % 4096 >= 8 && at % stride != 0 {
                continue;
            }
            for flip in [0x01, 0x02, 0x04, 0x80, 0xff] {
                let wanted = header || flip == 0xff || flip == 0x01 && stride == 1;
                if !wanted {
                    continue;
                }
                let mut bad = good.clone();
                bad[at] ^= flip;
                match read(bad) {
                    Ok(found) => {
                        assert!(found == rows, "{kind}: byte {at} ^ {flip:#x} changed the rows");
                        harmless += 1;
                    }
                    Err(error) => *refused.entry(kind_of(&error)).or_default() += 1,
                }
            }
        }
        println!(
            "{kind}: {} bytes, {harmless} changes harmless, refused: {refused:?}",
            good.len()
        );
        assert!(harmless > 100 && refused.values().sum::<u32>() > 100);
    }
}

#[test]
fn a_file_cut_or_extended_is_harmless_or_refused() {
    for (kind, good, rows) in files() {
        let lengths = (0..good.len()).step_by(509).chain((0..good.len()).step_by(4096));
        for len in lengths.chain([good.len() - 1]) {
            let cut_off = read(good[..len].to_vec());
            assert!(
                cut_off.as_ref().is_err() || cut_off == Ok(rows.clone()),
                "{kind}: cut at {len}"
            );
        }
        for more in [1, 512, 4096, 8192, 1 << 20] {
            let mut longer = good.clone();
            longer.resize(good.len() + more, 0);
            let found = read(longer);
            assert!(
                found.is_err() || found == Ok(rows.clone()),
                "{kind}: {more} bytes more"
            );
        }
    }
}

#[test]
fn a_zeroed_or_swapped_page_is_harmless_or_refused() {
    for (kind, good, rows) in files() {
        let used = |page: &usize| good[page * 4096..(page + 1) * 4096].iter().any(|byte| *byte != 0);
        let pages: Vec<usize> = (0..good.len() / 4096).filter(used).collect();
        for page in &pages {
            let range = page * 4096..(page + 1) * 4096;
            let mut zeroed = good.clone();
            zeroed[range.clone()].fill(0);
            let found = read(zeroed);
            assert!(
                found.is_err() || found == Ok(rows.clone()),
                "{kind}: page {page} zeroed"
            );
            for other in &pages {
                let mut swapped = good.clone();
                swapped.copy_within(other * 4096..(other + 1) * 4096, range.start);
                let found = read(swapped);
                assert!(
                    found.is_err() || found == Ok(rows.clone()),
                    "{kind}: page {other} over {page}"
                );
            }
        }
    }
}

#[test]
fn an_old_copy_of_the_database_behind_newer_slots_is_refused() {
    let disk = FaultyBackend::default();
    let (store, _) = EmbeddedStore::open(disk.clone(), options(OpenMode::CreateIfMissing)).unwrap();
    store.commit(Transaction::new().put("a", "1")).unwrap();
    let old = disk.bytes();
    store.commit(Transaction::new().put("a", "2")).unwrap();
    let new = disk.bytes();
    let mut mixed = new[..8192].to_vec();
    mixed.extend_from_slice(&old[8192..]);
    let refused = read(mixed).unwrap_err();
    let expected = StoreError::LostCommit {
        store: "metadata.redb".into(),
        acknowledged: 2,
        found: 1,
    };
    assert_eq!(refused, expected);
    // And a newer database behind old slots: more than one commit ahead cannot be.
    store.commit(Transaction::new().put("a", "3")).unwrap();
    let mut mixed = old[..8192].to_vec();
    mixed.extend_from_slice(&disk.bytes()[8192..]);
    assert!(matches!(read(mixed), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let (_, mut bytes, _) = files().into_iter().next().unwrap();
    for at in [0, 4096] {
        bytes[at + 8..at + 12].copy_from_slice(&2u32.to_be_bytes());
        let crc = crc32fast::hash(&bytes[at..at + 60]);
        bytes[at + 60..at + 64].copy_from_slice(&crc.to_be_bytes());
    }
    let expected = StoreError::NewerFormat {
        store: "metadata.redb".into(),
        found: 2,
        supported: 1,
    };
    assert_eq!(read(bytes).unwrap_err(), expected);
}

#[test]
fn something_else_in_the_file_is_refused_even_where_creating_is_allowed() {
    for bytes in [b"not metadata".to_vec(), vec![0; 10_000], vec![7; 20_000]] {
        let disk = FaultyBackend::with_bytes(bytes.clone());
        let refused = EmbeddedStore::open(disk.clone(), options(OpenMode::CreateIfMissing)).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
        assert_eq!(disk.bytes(), bytes);
    }
}

#[test]
fn a_byte_that_changes_while_the_file_is_open_is_never_served() {
    let (_, good, rows) = files().into_iter().next().unwrap();
    let used: Vec<usize> = (2..good.len() / 4096)
        .filter(|page| good[page * 4096..(page + 1) * 4096].iter().any(|byte| *byte != 0))
        .collect();
    let (mut harmless, mut refused) = (0, 0);
    for page in used {
        for inside in (0..4096).step_by(29) {
            let disk = FaultyBackend::with_bytes(good.clone());
            // No cache: every read comes from the disk.
            let options = EmbeddedOptions {
                cache_bytes: 0,
                ..options(OpenMode::Existing)
            };
            let (store, _) = EmbeddedStore::open(disk.clone(), options).unwrap();
            disk.flip(page * 4096 + inside);
            let all = rows.iter().try_for_each(|(key, (value, version))| {
                let found = store.get(key)?;
                let expected = Versioned {
                    value: value.clone(),
                    version: Revision(*version),
                };
                assert_eq!(found, Some(expected), "page {page} byte {inside}");
                Ok::<_, StoreError>(())
            });
            let absent = store.get(b"k");
            match all.and(absent) {
                Ok(None) => harmless += 1,
                Ok(Some(row)) => panic!("page {page} byte {inside}: {row:?} appeared"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(
        harmless > 100 && refused > 100,
        "{harmless} harmless, {refused} refused"
    );
}

/// Changes the rows behind the store's back, with redb's own checksums right.
fn tampered(good: &[u8], tamper: impl FnOnce(&WriteTransaction)) -> Vec<u8> {
    let disk = FaultyBackend::with_bytes(good.to_vec());
    let volume = Arc::new(Volume::new(Box::new(disk.clone())));
    volume.begin_staging().unwrap();
    let database = redb::Builder::new().create_with_backend(volume.handle()).unwrap();
    let write = database.begin_write().unwrap();
    tamper(&write);
    write.commit().unwrap();
    drop(database);
    volume.apply_staging().unwrap();
    disk.bytes()
}

#[test]
fn rows_that_were_never_committed_like_this_are_refused_by_name() {
    let (_, good, rows) = files().into_iter().next().unwrap();
    let key = rows.keys().next_back().unwrap().as_slice();
    let (value, version) = &rows[key];
    assert_eq!(read(tampered(&good, |_| ())).unwrap(), rows);

    let lost = read(tampered(&good, |write| {
        write.open_table(ROWS).unwrap().remove(key).unwrap();
    }));
    let found_rows = rows.len() as u64 - 1;
    assert!(
        matches!(lost, Err(StoreError::ContentMismatch { found_rows: found, expected_rows, .. })
            if found == found_rows && expected_rows == found_rows + 1),
        "{lost:?}"
    );

    let older = read(tampered(&good, |write| {
        let (bytes, _) = encode_row(key, value, Revision(version - 1));
        write
            .open_table(ROWS)
            .unwrap()
            .insert(key, bytes.as_slice())
            .unwrap();
    }));
    assert!(
        matches!(older, Err(StoreError::ContentMismatch { .. })),
        "{older:?}"
    );

    let broken = read(tampered(&good, |write| {
        let (mut bytes, _) = encode_row(key, value, Revision(*version));
        bytes[12] ^= 1;
        write
            .open_table(ROWS)
            .unwrap()
            .insert(key, bytes.as_slice())
            .unwrap();
    }));
    assert!(
        matches!(&broken, Err(StoreError::CorruptRow { key: named, .. }) if named.0 == key),
        "{broken:?}"
    );

    let stateless = read(tampered(&good, |write| {
        write.open_table(STATE).unwrap().remove(STATE_KEY).unwrap();
    }));
    assert!(
        matches!(stateless, Err(StoreError::Damaged { .. })),
        "{stateless:?}"
    );

    let without_table = read(tampered(&good, |write| {
        write.delete_table(ROWS).unwrap();
    }));
    assert!(
        matches!(without_table, Err(StoreError::Damaged { .. })),
        "{without_table:?}"
    );

    // Another history of as many commits: only the slot tells that it is not ours.
    let foreign = read(tampered(&good, |write| {
        let mut rows = write.open_table(ROWS).unwrap();
        while rows.pop_first().unwrap().is_some() {}
        let summary = Summary {
            revision: Revision(3),
            ..Summary::default()
        };
        write
            .open_table(STATE)
            .unwrap()
            .insert(STATE_KEY, summary.encode().as_slice())
            .unwrap();
    }));
    assert!(
        matches!(foreign, Err(StoreError::ContentMismatch { found_rows: 0, .. })),
        "{foreign:?}"
    );
}
