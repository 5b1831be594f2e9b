//! Clean stops, full disks, damage and deletions, one rule a test.

use super::*;
use crate::wal::WalOpenError;
use futures::FutureExt;

fn wal_files(disk: &SimulatedDisk) -> Vec<PathBuf> {
    let files = disk.files().into_iter().map(|(path, _)| path);
    files
        .filter(|path| path.extension().is_some_and(|end| end == "wal"))
        .collect()
}

#[test]
fn a_start_after_a_clean_stop_reads_no_group() {
    let mut world = World::new(2);
    let (engine, _) = world.open().unwrap();
    for index in 0..300 {
        append_durably(&log(&engine, index % 2), batch(1, 5, &[4; 700]));
    }
    engine.close(Duration::from_secs(5));
    drop(engine);
    let files = wal_files(&world.disk);
    assert!(files.len() >= 2, "{files:?}");
    let before: u64 = files.iter().map(|path| world.disk.read_bytes(path)).sum();
    let (engine, report) = world.open().unwrap();
    let read = files.iter().map(|path| world.disk.read_bytes(path)).sum::<u64>() - before;
    assert!(report.clean && report.groups == 0, "{report:?}");
    assert!(read <= 4096 * files.len() as u64, "{read} bytes of headers alone");
    // And the log goes on in the same place: a crash now loses nothing, old or new.
    append_durably(&log(&engine, 0), batch(1, 5, b"after"));
    drop(engine);
    world.disk.crash(&mut |_| 0);
    let (engine, report) = world.open().unwrap();
    assert!(!report.clean);
    assert_eq!(report.groups, 1);
    assert_eq!(read_all(&log(&engine, 0)).len(), 151);
    assert_eq!(read_all(&log(&engine, 1)).len(), 150);
}

#[test]
fn a_clean_stop_without_time_to_drain_is_replayed_and_loses_nothing() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    for _ in 0..50 {
        append_durably(&log(&engine, 0), batch(1, 5, &[4; 700]));
    }
    engine.close(Duration::ZERO);
    drop(engine);
    let (engine, report) = world.open().unwrap();
    assert!(report.clean, "the end was known: {report:?}");
    assert_eq!(read_all(&log(&engine, 0)).len(), 50);
}

#[test]
fn a_write_ahead_log_file_removed_after_a_crash_is_missed() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    // Nothing is covered by a recovery point yet: only the list of files knows.
    for _ in 0..3 {
        append_durably(&log(&engine, 0), batch(1, 5, &[4; 700]));
    }
    drop(engine);
    world.disk.crash(&mut |_| 0);
    for path in world.disk.files().into_iter().map(|(path, _)| path) {
        if path.starts_with("/data/wal") {
            world.disk.remove_file(&path).unwrap();
            world.disk.sync_dir(Path::new("/data/wal")).unwrap();
        }
    }
    let refused = world.open().unwrap_err();
    assert!(
        matches!(refused, OpenError::Wal(WalOpenError::FileMissing { .. })),
        "{refused}"
    );
}

#[test]
fn a_full_disk_refuses_clients_at_once_and_takes_events_and_other_appends() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    for _ in 0..40 {
        append_durably(&partition, batch(1, 0, &[1; 1000]));
    }
    world.disk.set_capacity(world.disk.used());
    assert!(engine.checkpoint().is_err());
    assert!(engine.is_disk_full());
    assert!(matches!(
        engine.client_room().now_or_never(),
        Some(Err(NoRoom::DiskFull))
    ));
    let (_, ticket) = partition.delete_records(Offset(3)).unwrap();
    ticket.unwrap().wait().unwrap();
    append_durably(&partition, batch(1, 0, b"a commit"));
    // Room alone is not enough to know: whoever watches the disk says so.
    world.disk.set_capacity(1 << 30);
    engine.checkpoint().unwrap();
    assert!(engine.is_disk_full());
    engine.note_disk_has_room();
    assert!(matches!(engine.client_room().now_or_never(), Some(Ok(()))));
    assert!(world.fatal.lock().is_empty(), "{:?}", world.fatal.lock());
}

#[test]
fn a_log_that_cannot_grow_is_drained_and_recycled_instead_of_waiting() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    append_durably(&partition, batch(1, 0, &[1; 1000]));
    let started = std::time::Instant::now();
    while wal_files(&world.disk).len() < 2 {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "no second file is made"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    // Segments find room, a third file of the log does not.
    world.disk.set_capacity(world.disk.used() + (60 << 10));
    let mut appended = 1;
    for _ in 0..30 {
        append_durably(&partition, batch(1, 0, &[1; 1000]));
        appended += 1;
        // Retention frees what segments take.
        partition.set_config(Arc::new(LogConfig {
            retention_bytes: 8 << 10,
            ..config()
        }));
        for path in partition.apply_retention(TimestampMs(0)).unwrap().doomed {
            engine.remove_doomed(&path).unwrap();
        }
    }
    assert_eq!(partition.offsets().high_watermark, Offset(appended));
    assert_eq!(wal_files(&world.disk).len(), 2);
    assert!(world.fatal.lock().is_empty(), "{:?}", world.fatal.lock());
}

#[test]
fn a_segment_damaged_with_its_index_is_scanned_once_and_its_index_leads_up_to_the_damage() {
    let mut world = stopped_with_segments();
    let file = |name: &str| Path::new("/data/events-0").join(name);
    let index = file("00000000000000000000.index");
    world.disk.corrupt(&index, |bytes| bytes.fill(0xff));
    let log_file = file("00000000000000000000.log");
    // The header of the twelfth batch: nothing behind it in this segment can be found.
    world.disk.corrupt(&log_file, |bytes| bytes[11 * 461 + 8] = 0x7f);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    assert!(read_at(&partition, 14).is_err());
    let started = std::time::Instant::now();
    while read_file(&world.disk, &index, 1 << 20).unwrap().contains(&0xff) {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{:?}",
            engine.problems()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(read_at(&partition, 10).is_ok());
    let before = world.disk.read_bytes(&log_file);
    for _ in 0..10 {
        assert!(read_at(&partition, 14).is_err());
    }
    let read = world.disk.read_bytes(&log_file) - before;
    // An entry leads to one of the two batches before the damage; what lies before is not read, but for the beginning of
    // a block.
    let len = world.disk.file_len(&log_file).unwrap().unwrap();
    let block = 4096;
    let headers = 2 * 61;
    assert!(
        9 * 461 > block && read <= 10 * (len - block + headers),
        "{read} bytes of 10 × {len}: the rebuilt index skips what lies before"
    );
}

/// A length that is damaged would be read, and held in memory, up to the end of the segment by every reader.
#[test]
fn a_damaged_batch_length_costs_no_more_than_the_next_index_entry_says() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    partition.set_config(Arc::new(LogConfig {
        segment_bytes: 16 << 20,
        ..config()
    }));
    for _ in 0..300 {
        append_durably(&partition, batch(1, 0, &[1; 4000]));
    }
    engine.close(Duration::from_secs(5));
    let file = Path::new("/data/events-0/00000000000000000000.log");
    let whole = world.disk.file_len(file).unwrap().unwrap();
    assert!(whole > 1_100_000, "{whole}");
    world.disk.corrupt(file, |bytes| {
        let batch = split_batches(bytes).nth(10).unwrap().unwrap().position;
        bytes[batch + 8..batch + 12].copy_from_slice(&1_000_000_u32.to_be_bytes());
    });
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    let before = world.disk.read_bytes(file);
    let error = read_at(&partition, 10).unwrap_err().to_string();
    let read = world.disk.read_bytes(file) - before;
    assert!(error.contains("another one begins"), "{error}");
    assert!(read < 200_000, "{read} bytes were read: {error}");
    assert!(read_at(&partition, 9).is_ok());
    assert!(read_at(&partition, 12).is_ok());
}

#[test]
fn a_deleted_topic_is_retiring_until_its_last_append_is_durable() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    append_durably(&log(&engine, 0), batch(1, 0, b"x"));
    let pending = append(&log(&engine, 0), batch(1, 0, b"y")).unwrap().place();
    engine.delete(TOPIC, "events").unwrap();
    pending.ticket.unwrap().wait().unwrap();
    assert!(!engine.is_retiring(TOPIC));
    assert!(!engine.is_retiring(TopicId([9; 16])));
}

#[test]
fn a_reader_of_a_deleted_topic_gets_no_record_of_its_successor() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    for index in 0..30 {
        append_durably(&log(&engine, 0), batch(1, index, &[1; 400]));
    }
    engine.checkpoint().unwrap();
    let old = log(&engine, 0);
    engine.delete(TOPIC, "events").unwrap();
    let again = LiveTopic {
        id: TopicId([8; 16]),
        ..world.topic.clone()
    };
    engine.create(&again, 0);
    let id = TopicPartitionId {
        topic_id: again.id,
        partition: PartitionIndex(0),
    };
    for index in 0..30 {
        append_durably(&engine.get(id).unwrap(), batch(1, index, &[2; 400]));
    }
    engine.checkpoint().unwrap();
    assert!(matches!(read_at(&old, 0), Err(crate::log::ReadError::Closed)));
}

/// A log of a mirror link with batches of one record at offsets 0 to 11, all in segments.
fn mirrored(world: &mut World) -> (Arc<LogEngine>, Arc<PartitionLog>) {
    let (engine, _) = world.open_by_hand().unwrap();
    let partition = log(&engine, 0);
    partition.set_write_state(WriteState::OwnedByLink).unwrap();
    for index in 0..12 {
        mirror(&partition, index, &[1; 300]);
    }
    while engine.step_commit() {}
    engine.checkpoint().unwrap();
    (engine, partition)
}

fn mirror(partition: &Arc<PartitionLog>, base: i64, filler: &[u8]) {
    let mut header = idempotent_header(-1, -1, -1, 1);
    header.base_offset = Offset(base);
    header.leader_epoch = LeaderEpoch(1);
    let batch = CheckedBatch::check(with_header(header, filler)).unwrap();
    let origin = Origin::Mirror {
        expected_end: Offset(base),
    };
    partition.append(batch, origin, TimestampMs(0)).unwrap();
}

#[test]
fn what_follows_a_truncation_is_not_written_over_what_the_recovery_point_still_names() {
    let mut world = World::new(1);
    let (engine, partition) = mirrored(&mut world);
    // The truncation is durable in the write-ahead log, its recovery point finds no room.
    world.disk.set_capacity(world.disk.used());
    assert!(partition.truncate_to(Offset(5), LeaderEpoch(9)).is_err());
    world.disk.set_capacity(1 << 40);
    for index in 5..40 {
        mirror(&partition, index, &[2; 211]);
    }
    while engine.step_commit() {}
    engine.step_background();
    let expected = read_all(&partition);
    assert_eq!(expected.len(), 40);
    drop((engine, partition));
    world.disk.crash(&mut |n| n - 1);
    let (engine, _) = world.open_by_hand().unwrap();
    assert_eq!(read_all(&log(&engine, 0)), expected);
    // And once it is committed the segments take what follows.
    engine.checkpoint().unwrap();
    assert_eq!(read_all(&log(&engine, 0)), expected);
}

#[test]
fn a_truncation_that_cannot_be_carried_out_ends_the_log_and_is_carried_out_by_the_next_start() {
    for call in 0..40 {
        let mut world = World::new(1);
        let (engine, partition) = mirrored(&mut world);
        world.disk.fail_after(call, Fault::Io);
        let outcome = partition.truncate_to(Offset(5), LeaderEpoch(9));
        world.disk.clear_faults();
        let failed = !world.fatal.lock().is_empty();
        let is_durable = partition
            .last_ticket()
            .is_some_and(|ticket| ticket.wait().is_ok());
        if outcome.is_err() && is_durable && !failed {
            // Refused before anything happened, or only the files of removed segments stayed.
            let len = read_all(&partition).len();
            assert!(len == 12 || len == 5, "call {call}: {len}");
        }
        if !failed {
            let _ = engine.checkpoint();
        }
        let before = read_all(&partition).len();
        drop((engine, partition));
        world.disk.crash(&mut |n| n - 1);
        let (engine, _) = world.open_by_hand().unwrap();
        let after = read_all(&log(&engine, 0)).len();
        assert!(
            after == 5 || (after == 12 && outcome.is_err()),
            "call {call}: {after}"
        );
        assert!(
            failed || after == before,
            "call {call}: {after} after {before}, and no failure was told"
        );
    }
}

#[test]
fn a_read_error_at_any_call_of_a_start_is_an_error_and_never_a_shorter_log() {
    let mut world = World::new(2);
    let (engine, _) = world.open_by_hand().unwrap();
    for index in 0..40 {
        append(&log(&engine, index % 2), batch(1, 5, &[4; 700])).unwrap();
        if index % 5 == 4 {
            while engine.step_commit() {}
        }
        if index == 20 {
            engine.checkpoint().unwrap();
        }
    }
    let expected = [read_all(&log(&engine, 0)), read_all(&log(&engine, 1))];
    drop(engine);
    world.disk.crash(&mut |_| 0);
    let whole = world.disk.clone();
    let mut refused = 0;
    for call in 0.. {
        world.disk = whole.fork();
        world.disk.fail_after(call, Fault::Io);
        let before = world.disk.calls();
        let opened = world.open_by_hand();
        let reached = world.disk.calls() - before > call;
        world.disk.clear_faults();
        match opened {
            Ok((engine, _)) => {
                for (index, expected) in expected.iter().enumerate() {
                    let found = read_all(&log(&engine, index as i32));
                    assert!(
                        found == *expected,
                        "call {call}: {} of {}",
                        found.len(),
                        expected.len()
                    );
                }
            }
            Err(_) => {
                refused += 1;
                // And it has changed nothing: the next start finds all.
                let (engine, _) = world.open_by_hand().unwrap();
                assert!(read_all(&log(&engine, 0)) == expected[0], "after call {call}");
            }
        }
        if !reached {
            assert!(refused > 20, "{refused} of {call} calls refuse the start");
            return;
        }
    }
}
