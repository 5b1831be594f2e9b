use super::*;
use crate::disk::SimulatedDisk;
use crate::wal::WalOpenError;
use crate::wal::group::{EncodeRun, GroupHeader, LogEvent, Run, RunContent, encode, encoded_len};
use thalweg_types::{Offset, TopicPartitionId};

const INCARNATION: Incarnation = Incarnation([9; 16]);
const CONFIG: RingConfig = RingConfig {
    file_bytes: 64 << 10,
    max_bytes: 256 << 10,
    group_bytes_max: 16 << 10,
    disk_free_bytes_min: 0,
};
const ALL: ReplayRange = ReplayRange {
    from: Slot(0),
    durable_before: None,
    clean_end: None,
};

fn directory() -> &'static Path {
    Path::new("/data/wal")
}

fn open(disk: &SimulatedDisk, range: ReplayRange) -> Result<(RingSink, ReplayEnd, Vec<i64>), WalOpenError> {
    let mut seen = Vec::new();
    let opener = RingOpener::open(
        Arc::new(disk.clone()),
        directory(),
        (INCARNATION, InventoryState::NotYet),
        CONFIG,
    )?;
    let (sink, end) = opener.open_after_replay(range, &mut |replayed| {
        for run in &replayed.group.runs {
            if let RunContent::Event(LogEvent::LogStart(offset)) = run.content {
                seen.push(offset.0);
            }
        }
        Ok(())
    })?;
    Ok((sink, end, seen))
}

/// Writes groups of `runs` events each, slots from `end` on.
fn write(sink: &RingSink, end: &mut ReplayEnd, count: u64, runs: usize) -> Result<(), SinkError> {
    for _ in 0..count {
        let slot = end.next_slot;
        let content = RunContent::Event(LogEvent::LogStart(Offset(slot.0 as i64)));
        let id = TopicPartitionId {
            topic_id: Default::default(),
            partition: Default::default(),
        };
        let mut all: Vec<EncodeRun<'_>> = vec![EncodeRun {
            run: Run { id, content },
            parts: &[],
        }];
        let filler = RunContent::Event(LogEvent::ProducerReset);
        all.extend((1..runs).map(|_| EncodeRun {
            run: Run { id, content: filler },
            parts: &[],
        }));
        let header = GroupHeader {
            incarnation: INCARNATION,
            slot,
            put_id: slot.0,
            previous_crc: end.last_crc,
        };
        let mut buffer = sink.buffer();
        buffer.resize(encoded_len(0, all.len()).next_multiple_of(BLOCK));
        end.last_crc = encode(&header, &all, buffer.as_mut_slice()).1;
        sink.submit(SealedGroup { slot, buffer })?;
        assert_eq!(sink.wait_durable()?, slot);
        end.next_slot = slot.next();
    }
    Ok(())
}

fn numbers(range: std::ops::Range<i64>) -> Vec<i64> {
    range.collect()
}

#[test]
fn what_was_submitted_is_replayed_after_a_crash_over_wraps_and_trims() {
    for disk in [SimulatedDisk::new(), SimulatedDisk::new().without_direct_writes()] {
        let (mut sink, mut end, _) = open(&disk, ALL).unwrap();
        let mut from = Slot(0);
        for round in 0..40u64 {
            write(&sink, &mut end, 7, 1 + (round as usize % 5) * 20).unwrap();
            if let Some(last) = sink.usage().oldest_file_last_slot {
                sink.trim(last);
                from = last.next();
            }
            let mut choice = round as usize;
            disk.crash(&mut |n| {
                choice = choice.wrapping_mul(31).wrapping_add(7);
                choice % n
            });
            let range = ReplayRange {
                from,
                durable_before: Some(end.next_slot),
                clean_end: None,
            };
            let (reopened, found, seen) = open(&disk, range).unwrap();
            assert_eq!((found.next_slot, found.last_crc), (end.next_slot, end.last_crc));
            assert_eq!(seen, numbers(from.0 as i64..end.next_slot.0 as i64));
            sink = reopened;
        }
    }
}

#[test]
fn a_full_ring_waits_for_a_trim() {
    let disk = SimulatedDisk::new();
    let (sink, mut end, _) = open(&disk, ALL).unwrap();
    let sink = Arc::new(sink);
    write(&sink, &mut end, 60, 1).unwrap();
    assert_eq!(sink.usage().free, 0);
    let writer = {
        let sink = sink.clone();
        std::thread::spawn(move || write(&sink, &mut end, 1, 1))
    };
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert!(
        !writer.is_finished(),
        "nothing is overwritten before it is trimmed"
    );
    sink.trim(sink.usage().oldest_file_last_slot.unwrap());
    writer.join().unwrap().unwrap();
}

#[test]
fn closing_wakes_a_writer_that_waits_for_room() {
    let disk = SimulatedDisk::new();
    let (sink, mut end, _) = open(&disk, ALL).unwrap();
    write(&sink, &mut end, 60, 1).unwrap();
    let sink = Arc::new(sink);
    let writer = {
        let sink = sink.clone();
        std::thread::spawn(move || write(&sink, &mut end, 1, 1))
    };
    sink.close();
    assert!(matches!(writer.join().unwrap(), Err(SinkError::Closed)));
}

#[test]
fn a_cut_at_any_block_of_the_last_group_leaves_the_groups_before() {
    let disk = SimulatedDisk::new();
    let (sink, mut end, _) = open(&disk, ALL).unwrap();
    write(&sink, &mut end, 3, 1).unwrap();
    let before = sink.usage().used;
    write(&sink, &mut end, 1, 150).unwrap();
    let after = sink.usage().used;
    let path = directory().join(file_name(1));
    let original = crate::disk::read_file(&disk, &path, u64::MAX).unwrap();
    for cut in (before..after).step_by(512) {
        let copy = disk.fork();
        copy.corrupt(&path, |bytes| bytes[cut as usize..after as usize].fill(0));
        let (_, found, seen) = open(&copy, ALL).unwrap();
        // The footer ends in zeroes: cutting those changes nothing.
        let end = before as usize + encoded_len(0, 150);
        let whole = original[(cut as usize).min(end)..end]
            .iter()
            .all(|byte| *byte == 0);
        assert_eq!(found.next_slot, Slot(if whole { 4 } else { 3 }), "cut at {cut}");
        assert_eq!(seen.len() as u64, found.next_slot.0);
    }
}

#[test]
fn damage_that_valid_groups_follow_is_refused_and_named() {
    let disk = SimulatedDisk::new();
    let (sink, mut end, _) = open(&disk, ALL).unwrap();
    write(&sink, &mut end, 40, 1).unwrap();
    let files = disk.files().into_iter();
    let mut refused = 0;
    for (path, len) in files.filter(|(path, _)| path.extension().is_some_and(|end| end == "wal")) {
        for position in (0..len).step_by(BLOCK) {
            for at in [0, 5, 30, 61, 100] {
                let copy = disk.fork();
                copy.corrupt(&path, |bytes| bytes[position as usize + at] ^= 0x40);
                match open(&copy, ALL) {
                    Ok((_, found, seen)) => {
                        // Only the very last group, a blank block or padding may be damaged without a refusal.
                        assert!(found.next_slot.0 >= 39, "{path:?} {position} {at}: {found:?}");
                        assert_eq!(seen, numbers(0..found.next_slot.0 as i64));
                    }
                    Err(
                        WalOpenError::Corrupt { .. }
                        | WalOpenError::NewerVersion { .. }
                        | WalOpenError::Short { .. },
                    ) => {
                        refused += 1;
                    }
                    Err(WalOpenError::Foreign { .. }) => refused += 1,
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn a_log_shorter_than_its_known_end_is_refused() {
    let disk = SimulatedDisk::new();
    let (sink, mut end, _) = open(&disk, ALL).unwrap();
    write(&sink, &mut end, 3, 1).unwrap();
    let last = sink.usage().used - BLOCK as u64;
    disk.corrupt(&directory().join(file_name(1)), |bytes| bytes[last as usize] ^= 1);
    let range = ReplayRange {
        from: Slot(0),
        durable_before: Some(Slot(3)),
        clean_end: None,
    };
    assert!(matches!(
        open(&disk, range),
        Err(WalOpenError::Short { found: Slot(2), .. })
    ));
}

#[test]
fn files_of_another_log_are_refused() {
    let disk = SimulatedDisk::new();
    open(&disk, ALL).unwrap();
    let opened = RingOpener::open(
        Arc::new(disk),
        directory(),
        (Incarnation([1; 16]), InventoryState::NotYet),
        CONFIG,
    );
    assert!(matches!(opened, Err(WalOpenError::Foreign { .. })));
}

#[test]
fn a_forged_group_in_a_record_is_not_taken_for_one() {
    // A producer that sends the bytes of a group at a block boundary does not know the incarnation.
    let disk = SimulatedDisk::new();
    let (sink, mut end, _) = open(&disk, ALL).unwrap();
    write(&sink, &mut end, 2, 1).unwrap();
    let mut forged = vec![0; BLOCK];
    let header = GroupHeader {
        incarnation: Incarnation([3; 16]),
        slot: Slot(9),
        put_id: 0,
        previous_crc: 0,
    };
    encode(&header, &[], &mut forged);
    let used = sink.usage().used as usize;
    disk.corrupt(&directory().join(file_name(1)), |bytes| {
        bytes[used + BLOCK..used + 2 * BLOCK].copy_from_slice(&forged);
    });
    assert_eq!(open(&disk, ALL).unwrap().1.next_slot, Slot(2));
}

#[test]
fn an_error_of_a_write_is_fatal_and_nothing_unacknowledged_is_promised() {
    for call in 0..3 {
        let disk = SimulatedDisk::new();
        let (sink, mut end, _) = open(&disk, ALL).unwrap();
        write(&sink, &mut end, 2, 1).unwrap();
        disk.fail_after(call, crate::disk::Fault::Io);
        let mut attempt = end;
        let outcome = write(&sink, &mut attempt, 4, 1);
        assert!(matches!(outcome, Err(SinkError::Fatal { .. })));
        disk.crash(&mut |_| 0);
        assert!(open(&disk, ALL).unwrap().1.next_slot >= Slot(2));
    }
}

#[test]
fn a_file_that_a_crash_left_half_filled_is_not_used() {
    let disk = SimulatedDisk::new();
    let (sink, mut end, _) = open(&disk, ALL).unwrap();
    write(&sink, &mut end, 10, 1).unwrap();
    let half = disk
        .open(&directory().join(file_name(2)), OpenMode::Create)
        .unwrap();
    half.write_all_at(&[0; BLOCK], 0).unwrap();
    drop(sink);
    let (sink, mut end, _) = open(&disk, ALL).unwrap();
    assert_eq!(end.next_slot, Slot(10));
    write(&sink, &mut end, 30, 1).unwrap();
    assert_eq!(open(&disk, ALL).unwrap().1.next_slot, Slot(40));
}

#[test]
fn a_file_that_was_removed_or_cut_by_hand_refuses_the_start_by_name() {
    let disk = SimulatedDisk::new();
    let (sink, mut end, _) = open(&disk, ALL).unwrap();
    write(&sink, &mut end, 40, 1).unwrap();
    sink.trim(sink.usage().oldest_file_last_slot.unwrap());
    let from = ReplayRange {
        from: sink.usage().first_slot,
        ..ALL
    };
    drop(sink);
    let reopen = |disk: &SimulatedDisk| {
        let list = (INCARNATION, InventoryState::Written);
        let opened = RingOpener::open(Arc::new(disk.clone()), directory(), list, CONFIG);
        opened.and_then(|opener| opener.open_after_replay(from, &mut |_| Ok(())))
    };
    assert_eq!(reopen(&disk.fork()).unwrap().1.next_slot, Slot(40));
    let files = disk.files();
    assert!(files.len() >= 4, "{files:?}");
    for (path, len) in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let without = disk.fork();
        without.remove_file(&path).unwrap();
        let refused = reopen(&without).unwrap_err();
        assert!(
            matches!(&refused, WalOpenError::FileMissing { .. }) && refused.to_string().contains(&name),
            "{refused}"
        );
        for cut in [0, 1, len / 2, len - 1] {
            let shorter = disk.fork();
            shorter.corrupt(&path, |bytes| bytes.truncate(cut as usize));
            let refused = reopen(&shorter).unwrap_err();
            assert!(
                matches!(&refused, WalOpenError::FileDamaged { .. }) && refused.to_string().contains(&name),
                "{name} cut at {cut}: {refused}"
            );
        }
    }
}

#[test]
fn another_file_size_replaces_the_files_as_they_are_trimmed() {
    let disk = SimulatedDisk::new();
    let (sink, mut end, _) = open(&disk, ALL).unwrap();
    write(&sink, &mut end, 40, 1).unwrap();
    drop(sink);
    let larger = RingConfig {
        file_bytes: 96 << 10,
        ..CONFIG
    };
    let reopen = |from: Slot| {
        let list = (INCARNATION, InventoryState::Written);
        let opener = RingOpener::open(Arc::new(disk.clone()), directory(), list, larger).unwrap();
        opener
            .open_after_replay(ReplayRange { from, ..ALL }, &mut |_| Ok(()))
            .unwrap()
    };
    let (sink, _) = reopen(Slot(0));
    for _ in 0..10 {
        while let Some(last) = sink.usage().oldest_file_last_slot {
            sink.trim(last);
        }
        sink.prepare().unwrap();
        write(&sink, &mut end, 10, 1).unwrap();
    }
    let from = sink.usage().first_slot;
    drop(sink);
    let (_, found) = reopen(from);
    assert_eq!(found.next_slot, end.next_slot);
    let files = disk.files().into_iter();
    let lens: Vec<u64> = files
        .filter(|(path, _)| number_of(path).is_some())
        .map(|(_, len)| len)
        .collect();
    assert!(lens.iter().all(|len| *len == 96 << 10), "{lens:?}");
}

#[test]
fn a_disk_without_room_is_told_and_the_files_there_are_recycled() {
    let disk = SimulatedDisk::new();
    let (sink, mut end, _) = open(&disk, ALL).unwrap();
    disk.set_capacity(disk.used() + (64 << 10) - 1);
    sink.prepare().unwrap();
    assert_eq!(sink.usage().growth, Growth::Stuck);
    assert_eq!(sink.usage().capacity, 64 << 10);
    disk.set_capacity(disk.used() + (64 << 10) + 4096);
    sink.prepare().unwrap();
    assert_eq!(sink.usage().growth, Growth::Possible);
    write(&sink, &mut end, 27, 1).unwrap();
    sink.prepare().unwrap();
    let usage = sink.usage();
    assert_eq!((usage.growth, usage.capacity), (Growth::NoRoom, 128 << 10));
    assert!(
        usage.used > usage.capacity / 2,
        "the oldest file is to be drained"
    );
    for _ in 0..5 {
        sink.trim(sink.usage().oldest_file_last_slot.unwrap());
        write(&sink, &mut end, 15, 1).unwrap();
    }
    assert_eq!(disk.files().len(), 3, "{:?}", disk.files());
}

#[test]
fn a_list_that_could_not_be_written_never_names_a_file_that_is_not_there() {
    for call in 0..80 {
        let disk = SimulatedDisk::new();
        let (sink, mut end, _) = open(&disk, ALL).unwrap();
        disk.fail_after(call, crate::disk::Fault::Full);
        sink.prepare().unwrap();
        disk.clear_faults();
        let before_retry = disk.fork();
        sink.prepare().unwrap();
        write(&sink, &mut end, 3, 1).unwrap();
        for (what, copy) in [("before", before_retry), ("after", disk)] {
            for choice in [0, usize::MAX] {
                let crashed = copy.fork();
                crashed.crash(&mut |count| choice.min(count - 1));
                let list = (INCARNATION, InventoryState::Written);
                let opened = RingOpener::open(Arc::new(crashed), directory(), list, CONFIG);
                assert!(opened.is_ok(), "call {call}, {what}: {:?}", opened.err());
            }
        }
    }
}
