//! A coordinator on a desk: a shard, a clock, a log that keeps records, and marker work that waits to be done.

use thalweg_types::{Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs};

use super::*;
use crate::names::TopicName;

pub(super) fn config() -> TransactionConfig {
    TransactionConfig {
        timeout_ms_max: 10_000,
        id_expiration_ms: 1_000_000,
        expiration_interval_ms: 1_000,
        ids_max: 4,
        ..TransactionConfig::default()
    }
}

pub(super) struct Desk {
    pub(super) shard: TransactionShard,
    pub(super) now: i64,
    pub(super) log: Vec<TransactionRecord>,
    pub(super) works: Vec<MarkerWork>,
    config: TransactionConfig,
    next_id: i64,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self::with(config())
    }

    pub(super) fn with(config: TransactionConfig) -> Self {
        config.validate().unwrap();
        let mut desk = Self {
            shard: TransactionShard::new(config.clone()),
            now: 1_000,
            log: Vec::new(),
            works: Vec::new(),
            config,
            next_id: 100,
        };
        let step = desk.shard.loaded(TimestampMs(desk.now));
        desk.settle(step);
        desk
    }

    /// As after a crash: what is in the log comes back, marker work is asked for again.
    pub(super) fn reload(&mut self) {
        self.reload_from(self.log.len());
    }

    /// The same, with only the first records of the log.
    pub(super) fn reload_from(&mut self, count: usize) {
        self.log.truncate(count);
        self.works.clear();
        self.shard = TransactionShard::new(self.config.clone());
        for (offset, record) in self.log.iter().enumerate() {
            let offset = Offset(i64::try_from(offset).unwrap());
            self.shard
                .replay(&record.key, record.value.as_deref(), offset)
                .unwrap();
        }
        let step = self.shard.loaded(TimestampMs(self.now));
        self.settle(step);
    }

    pub(super) fn settle(&mut self, step: TransactionStep) -> Option<TransactionReply> {
        self.log.extend(step.records);
        self.works.extend(step.markers);
        assert_eq!(self.shard.stats().impossible_moves, 0);
        step.reply
    }

    pub(super) fn call(&mut self, request: &TransactionRequest) -> TransactionReply {
        let mut spare = None;
        let now = TimestampMs(self.now);
        let step = match self.shard.step(now, request, &mut spare) {
            Ok(step) => step,
            Err(NeedsProducerId) => {
                self.next_id += 1;
                spare = Some(ProducerId(self.next_id));
                self.shard.step(now, request, &mut spare).unwrap()
            }
        };
        self.settle(step).unwrap()
    }

    pub(super) fn tick(&mut self, passed: i64) {
        self.now += passed;
        let step = self.shard.tick(TimestampMs(self.now));
        assert!(self.settle(step).is_none());
    }

    /// Does all marker work that waits.
    pub(super) fn mark(&mut self) {
        for work in std::mem::take(&mut self.works) {
            self.mark_one(&work);
        }
    }

    pub(super) fn mark_one(&mut self, work: &MarkerWork) {
        let step = self.shard.markers_written(TimestampMs(self.now), work);
        assert!(self.settle(step).is_none());
    }

    pub(super) fn init(&mut self, id: &str) -> Result<ProducerIdAndEpoch, TransactionError> {
        self.init_as(id, None)
    }

    pub(super) fn init_as(
        &mut self,
        id: &str,
        expected: Option<ProducerIdAndEpoch>,
    ) -> Result<ProducerIdAndEpoch, TransactionError> {
        let request = TransactionRequest::Init(InitProducerId {
            transactional_id: id.into(),
            timeout_ms: 5_000,
            expected,
        });
        match self.call(&request) {
            TransactionReply::Init(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn add(
        &mut self,
        id: &str,
        producer: ProducerIdAndEpoch,
        partition: i32,
        version: TransactionVersion,
    ) -> Result<(), TransactionError> {
        let request = TransactionRequest::Add(AddPartitions {
            transactional_id: id.into(),
            producer,
            partitions: vec![(TopicName::from("t"), PartitionIndex(partition))],
            version,
        });
        match self.call(&request) {
            TransactionReply::Add(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn end(
        &mut self,
        id: &str,
        producer: ProducerIdAndEpoch,
        outcome: Outcome,
        version: TransactionVersion,
    ) -> Result<ProducerIdAndEpoch, TransactionError> {
        let request = TransactionRequest::End(EndTransaction {
            transactional_id: id.into(),
            producer,
            outcome,
            version,
        });
        match self.call(&request) {
            TransactionReply::End(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn describe(&mut self, id: &str) -> Result<DescribedTransaction, TransactionError> {
        let request = TransactionRequest::Describe(DescribeTransaction {
            transactional_id: id.into(),
        });
        match self.call(&request) {
            TransactionReply::Describe(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn state(&mut self, id: &str) -> TransactionState {
        self.describe(id).unwrap().state
    }
}

pub(super) fn with_epoch(producer: ProducerIdAndEpoch, epoch: i16) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch {
        epoch: ProducerEpoch(epoch),
        ..producer
    }
}
