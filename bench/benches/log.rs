//! The log on a real disk: appends to the commit queue, a durable commit group, reads of the tail and of segments.

mod shared;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shared::Log;
use thalweg_storage::log::{CheckedBatch, MinOne, PartitionLog, ReadLimit, ReadRequest};
use thalweg_storage::log_config::LogConfig;
use thalweg_types::{Offset, TimestampMs};
use thalweg_wire::records::{BatchBuilder, BatchOptions};

const PARTITIONS: i32 = 8;
/// More than any of these benches appends: the tail stays in memory.
const TAIL_BYTES: usize = 256 << 20;

fn batch(bytes: usize) -> BytesMut {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    while builder.records_bytes() < bytes {
        let pushed = builder.push(TimestampMs(1_000), None, Some(&[b'x'; 1_000]), &[]);
        pushed.expect("a record of a kilobyte fits");
    }
    builder.build().expect("a batch of some kilobytes fits")
}

fn appends(criterion: &mut Criterion) {
    let log = Log::open(PARTITIONS, TAIL_BYTES, LogConfig::default());
    let mut group = criterion.benchmark_group("append");
    for bytes in [16 << 10, 128 << 10] {
        let batch = batch(bytes);
        group.throughput(Throughput::Bytes(batch.len() as u64 * PARTITIONS as u64));
        group.bench_function(BenchmarkId::new("one durable group", bytes), |bencher| {
            bencher.iter(|| log.append_durably(&batch));
        });
        group.bench_function(BenchmarkId::new("check only", bytes), |bencher| {
            bencher.iter(|| CheckedBatch::check(batch.clone()));
        });
    }
    group.finish();
}

fn reads(criterion: &mut Criterion) {
    let batch = batch(128 << 10);
    let read = |log: &PartitionLog| {
        let request = ReadRequest {
            offset: Offset(0),
            max_bytes: 1 << 20,
            limit: ReadLimit::HighWatermark,
            min_one: MinOne::Yes,
        };
        log.read(request).expect("there are records").bytes
    };
    let mut group = criterion.benchmark_group("read 1 MiB");
    for (name, tail_bytes) in [("tail", TAIL_BYTES), ("segment", 1 << 20)] {
        let log = Log::open(PARTITIONS, tail_bytes, LogConfig::default());
        for _ in 0..64 {
            log.append_durably(&batch);
        }
        log.engine.checkpoint().expect("the tail goes to segments");
        let partition = &log.partitions[0];
        assert!(partition.segment_count() > 0, "nothing is in segments");
        group.throughput(Throughput::Bytes(read(partition) as u64));
        group.bench_function(name, |bencher| bencher.iter(|| read(partition)));
    }
    group.finish();
}

criterion_group!(benches, appends, reads);
criterion_main!(benches);
