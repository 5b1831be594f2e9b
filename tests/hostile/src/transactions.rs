//! Records of `__transaction_state`: keys, values, and a shard that loads them and goes on.

use crate::coordinator::{LATER_MS, RECORDS_MAX, Record};
use crate::input::Input;
use crate::memory;
use thalweg_coordinator::record::{TransactionLogKey, TransactionLogValue};
use thalweg_coordinator::transaction::{
    AddPartitions, DescribeTransaction, EndTransaction, InitProducerId, MarkerWork, Outcome,
    ProducerIdAndEpoch, TransactionConfig, TransactionReply, TransactionRequest, TransactionShard,
    TransactionStep, TransactionVersion, TransactionalId,
};
use thalweg_types::{Offset, PartitionIndex, ProducerId, TimestampMs};

const NOW_MS: i64 = 1000;
const TIMEOUT_MS: i32 = 60_000;
/// Never in a record of the seeds.
const SPARE: ProducerId = ProducerId(1 << 40);

/// Byte 0: what the clients of the loaded shard ask for; then [`Record`]s, of whatever way.
///
/// Beyond "no panic": what is decoded encodes to what decodes to the same; memory is bounded by the bytes that are there;
/// a shard that loads the records answers requests and ends what was decided, by moves of its table alone; and one that
/// loads these records and those it wrote knows the same.
pub fn transaction_record(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.u8();
    let mut desk = Desk::new();
    for _ in 0..RECORDS_MAX {
        let Some(record) = Record::next(&mut input) else {
            break;
        };
        keys(record.key);
        if let Some(value) = record.value {
            values(value);
        }
        // A record that cannot be read changes nothing.
        if desk.replay(record.key, record.value) {
            let value = record.value.map(<[u8]>::to_vec);
            desk.log.push((record.key.to_vec(), value));
        }
    }
    let loaded = desk.shard.loaded(TimestampMs(NOW_MS));
    desk.take(loaded);
    if choice & 1 == 1 {
        desk.mark(NOW_MS);
    }
    for (id, producer) in desk.known() {
        for request in requests(choice, &id, producer) {
            let asked = desk
                .shard
                .step(TimestampMs(NOW_MS), &request, &mut Some(SPARE))
                .expect("there was a producer id");
            assert!(asked.reply.is_some());
            desk.take(asked);
        }
    }
    for later in LATER_MS {
        let step = desk.shard.tick(TimestampMs(NOW_MS + later));
        desk.take(step);
        desk.mark(NOW_MS + later);
    }
    assert_eq!(desk.shard.stats().impossible_moves, 0);
    desk.compare_with_a_reload();
}

/// What the client of one id asks for, after the bits of `choice`.
fn requests(choice: u8, id: &TransactionalId, producer: ProducerIdAndEpoch) -> Vec<TransactionRequest> {
    let version = match choice & 2 {
        0 => TransactionVersion::V0,
        _ => TransactionVersion::V2,
    };
    let outcome = match choice & 4 {
        0 => Outcome::Commit,
        _ => Outcome::Abort,
    };
    let init = |expected| {
        TransactionRequest::Init(InitProducerId {
            transactional_id: id.clone(),
            timeout_ms: TIMEOUT_MS,
            expected,
        })
    };
    let add = TransactionRequest::Add(AddPartitions {
        transactional_id: id.clone(),
        producer,
        partitions: vec![("events".into(), PartitionIndex(0))],
        version,
    });
    let end = TransactionRequest::End(EndTransaction {
        transactional_id: id.clone(),
        producer,
        outcome,
        version,
    });
    let all = [
        (8, add),
        (16, init(None)),
        (32, end.clone()),
        (64, init(Some(producer))),
        (128, end),
    ];
    let asked = all.into_iter().filter(|(bit, _)| choice & bit != 0);
    asked.map(|(_, request)| request).collect()
}

/// A shard with its log.
struct Desk {
    shard: TransactionShard,
    log: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    markers: Vec<MarkerWork>,
}

impl Desk {
    fn new() -> Self {
        Self {
            shard: TransactionShard::new(TransactionConfig::default()),
            log: Vec::new(),
            markers: Vec::new(),
        }
    }

    fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> bool {
        self.shard.replay(key, value, Offset::ZERO).is_ok()
    }

    fn take(&mut self, step: TransactionStep) {
        for record in step.records {
            let value = record.value.map(|value| value.to_vec());
            self.log.push((record.key.to_vec(), value));
        }
        self.markers.extend(step.markers);
    }

    /// All markers that are due are written.
    fn mark(&mut self, now_ms: i64) {
        for work in std::mem::take(&mut self.markers) {
            let step = self.shard.markers_written(TimestampMs(now_ms), &work);
            self.take(step);
        }
        assert!(
            self.markers.is_empty(),
            "the end of a transaction began another one"
        );
    }

    fn known(&self) -> Vec<(TransactionalId, ProducerIdAndEpoch)> {
        let known = self.shard.transactions();
        known
            .map(|known| (known.transactional_id().clone(), known.producer()))
            .collect()
    }

    fn describe(&mut self, id: &TransactionalId) -> TransactionReply {
        let request = TransactionRequest::Describe(DescribeTransaction {
            transactional_id: id.clone(),
        });
        let step = self
            .shard
            .step(TimestampMs(NOW_MS), &request, &mut None)
            .expect("a description needs no producer id");
        step.reply.expect("a request has a reply")
    }

    fn compare_with_a_reload(&mut self) {
        let mut reloaded = Self::new();
        for (key, value) in &self.log {
            assert!(reloaded.replay(key, value.as_deref()), "a record of its own");
        }
        let _ = reloaded.shard.loaded(TimestampMs(NOW_MS));
        assert_eq!(reloaded.known(), self.known());
        for (id, _) in self.known() {
            assert_eq!(reloaded.describe(&id), self.describe(&id), "{id}");
        }
    }
}

fn keys(key: &[u8]) {
    if let Ok(TransactionLogKey::TransactionalId(id)) = TransactionLogKey::decode(key) {
        let encoded = TransactionLogKey::encode(id);
        assert_eq!(
            TransactionLogKey::decode(&encoded),
            Ok(TransactionLogKey::TransactionalId(id))
        );
    }
}

fn values(value: &[u8]) {
    // A topic of three bytes becomes a string and a list, in a list that grows by doubling.
    let decoded = memory::within(48 * value.len(), "a transactional id", || {
        TransactionLogValue::decode(value)
    });
    let Ok(decoded) = decoded else { return };
    let encoded = decoded.encode();
    assert!(encoded.len() <= decoded.size_bytes_max());
    assert_eq!(TransactionLogValue::decode(&encoded), Ok(decoded));
}
