use super::*;
use crate::wal::group;
use crate::wal::memory::{Finish, MemorySink};
use thalweg_types::{PartitionIndex, TopicId};

struct Member {
    id: TopicPartitionId,
    seen: Mutex<Vec<(Slot, i64, i64)>>,
}

impl Member {
    fn new(partition: i32) -> Arc<Self> {
        let id = TopicPartitionId {
            topic_id: TopicId([1; 16]),
            partition: PartitionIndex(partition),
        };
        Arc::new(Self {
            id,
            seen: Mutex::default(),
        })
    }
}

impl GroupMember for Member {
    fn id(&self) -> TopicPartitionId {
        self.id
    }
    fn committed(self: Arc<Self>, runs: Vec<CommittedRun>) {
        for run in runs {
            if let RunContent::Batches(batches) = run.content {
                self.seen
                    .lock()
                    .push((run.slot, batches.base_offset.0, batches.last_offset.0));
            }
        }
    }
    fn wake(&self) {}
}

const START: CommitStart = CommitStart {
    incarnation: Incarnation([2; 16]),
    next_slot: Slot(0),
    last_crc: 0,
    put_id_base: 77,
};

fn batch(offset: i64) -> EntryContent {
    EntryContent::Batch(PendingBatch {
        frame: None,
        bytes: Bytes::copy_from_slice(&offset.to_be_bytes()),
        leader_epoch: LeaderEpoch(0),
        base_offset: Offset(offset),
        last_offset: Offset(offset),
        max_timestamp: TimestampMs(offset),
    })
}

fn start(sink: &MemorySink) -> Committer {
    Committer::start(Arc::new(sink.clone()), START, Box::new(|_| {})).unwrap()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("not within two seconds: {what}");
}

#[test]
fn tickets_complete_in_slot_order_whatever_order_the_sink_finishes_in() {
    let sink = MemorySink::new(4, Finish::OnCall);
    let committer = start(&sink);
    let member = Member::new(0);
    let mut tickets = Vec::new();
    for offset in 0..4 {
        tickets.push(committer.push(member.clone(), batch(offset)).unwrap());
        wait_until("the group is under way", || {
            sink.pending().len() == offset as usize + 1
        });
    }
    for slot in [3, 1, 2] {
        assert!(sink.finish(Slot(slot)));
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(
        tickets.iter().all(|ticket| !ticket.is_done()),
        "slot 0 is not durable yet"
    );
    assert!(sink.finish(Slot(0)));
    for ticket in &tickets {
        ticket.wait().unwrap();
    }
    let seen: Vec<i64> = member.seen.lock().iter().map(|run| run.1).collect();
    assert_eq!(seen, [0, 1, 2, 3]);
}

#[test]
fn a_lost_session_fails_every_later_ticket_and_keeps_the_prefix() {
    let sink = MemorySink::new(4, Finish::OnCall);
    let committer = start(&sink);
    let member = Member::new(0);
    let mut tickets = Vec::new();
    for offset in 0..3 {
        tickets.push(committer.push(member.clone(), batch(offset)).unwrap());
        wait_until("the group is under way", || {
            sink.pending().len() == offset as usize + 1
        });
    }
    sink.finish(Slot(0));
    tickets[0].wait().unwrap();
    sink.lose_session(Slot(1));
    assert!(tickets[1].wait().is_err() && tickets[2].wait().is_err());
    wait_until("pushes are refused", || {
        committer.push(member.clone(), batch(9)).is_err()
    });
    let mut replayed = Vec::new();
    let next = sink.next_session();
    let end = next.replay_groups((START.incarnation, Slot(0)), &mut |group| {
        replayed.push(group.slot);
        Ok(())
    });
    assert_eq!((end.unwrap().next_slot, replayed), (Slot(1), vec![Slot(0)]));
}

#[test]
fn entries_that_gather_during_a_write_share_one_group_sorted_by_partition() {
    let sink = MemorySink::new(2, Finish::OnCall);
    let committer = start(&sink);
    let members = [Member::new(0), Member::new(1)];
    for offset in 0..2 {
        committer.push(members[0].clone(), batch(offset)).unwrap();
        wait_until("under way", || sink.pending().len() == offset as usize + 1);
    }
    // Both places are taken and one more waits in the channel: what comes now gathers.
    let mut last = None;
    for offset in 2..40 {
        for member in &members {
            last = Some(committer.push(member.clone(), batch(offset)).unwrap());
        }
    }
    let done = Arc::new(AtomicBool::new(false));
    let finisher = {
        let (sink, done) = (sink.clone(), done.clone());
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                for slot in sink.pending() {
                    sink.finish(slot);
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        })
    };
    last.unwrap().wait().unwrap();
    done.store(true, Ordering::Relaxed);
    finisher.join().unwrap();
    let seen = members[0].seen.lock().clone();
    assert!(seen.len() < 40, "groups were shared: {seen:?}");
    let mut next = 0;
    for (_, base, last) in seen {
        assert_eq!(base, next);
        next = last + 1;
    }
    sink.replay_groups((START.incarnation, Slot(0)), &mut |replayed| {
        assert!(replayed.group.runs.is_sorted_by_key(|run| run.id));
        for run in &replayed.group.runs {
            let group::RunContent::Batches(run) = run.content else {
                continue;
            };
            let bytes = replayed.group.batches(&run);
            assert_eq!(bytes[..8], run.base_offset.0.to_be_bytes());
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn closing_commits_what_was_pushed() {
    let sink = MemorySink::new(1, Finish::AtOnce);
    let committer = start(&sink);
    let member = Member::new(0);
    let tickets: Vec<Ticket> = (0..100)
        .map(|offset| committer.push(member.clone(), batch(offset)).unwrap())
        .collect();
    committer.close();
    for ticket in tickets {
        assert!(ticket.is_done());
        ticket.wait().unwrap();
    }
    assert!(matches!(
        committer.push(member, batch(100)),
        Err(CommitError::Closed)
    ));
}

#[test]
fn every_group_is_in_the_histograms_once() {
    let sink = MemorySink::new(1, Finish::OnCall);
    let committer = start(&sink);
    let member = Member::new(0);
    for offset in 0..3u64 {
        let ticket = committer.push(member.clone(), batch(offset as i64)).unwrap();
        wait_until("the group is under way", || sink.pending().len() == 1);
        assert_eq!(
            committer.counters().wait_nanos.snapshot().count(),
            offset + 1,
            "its wait is over"
        );
        assert_eq!(
            committer.counters().flush_nanos.snapshot().count(),
            offset,
            "its flush is not"
        );
        sink.finish(Slot(offset));
        ticket.wait().unwrap();
    }
    let counters = committer.counters();
    assert_eq!(counters.flush_nanos.snapshot().count(), 3);
    let sizes = counters.group_bytes.snapshot();
    assert_eq!(
        (sizes.count(), sizes.sum),
        (3, counters.bytes.load(Ordering::Relaxed))
    );
    assert_eq!(sizes.counts[0], 3, "one block each: {sizes:?}");
}

#[test]
fn the_batches_of_a_frame_answer_for_all_of_it() {
    let frame = SharedFrame::new(1000);
    frame.store(90);
    assert_eq!(frame.memory_of(90), 1000, "alone it keeps the whole frame");
    frame.store(210);
    assert_eq!((frame.memory_of(90), frame.memory_of(210)), (300, 700));
    // Rewritten batches may be larger than the frame they came in.
    frame.store(2000);
    assert_eq!(frame.memory_of(2000), 2000);
    assert_eq!(SharedFrame::new(0).memory_of(0), 0);
}
