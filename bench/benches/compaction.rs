//! Compaction of a log on a real disk: dirty bytes a second, both passes, the sync and the swap included.

mod shared;

use std::time::{Duration, Instant};

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shared::Log;
use thalweg_storage::cleaner::{CleanParts, MapLimits, Pace};
use thalweg_storage::engine::CleanTurn;
use thalweg_storage::log_config::{CompactionConfig, Deletion, LogConfig};
use thalweg_types::TimestampMs;
use thalweg_wire::compression::{Compression, CompressionLimits};
use thalweg_wire::records::{BatchBuilder, BatchOptions};

/// Records of one run; each of them overwrites one of the run before.
const RECORDS: u64 = 60_000;
const RECORDS_IN_BATCH: u64 = 100;
const VALUE_BYTES: usize = 200;

fn topic() -> LogConfig {
    LogConfig {
        segment_bytes: 4 << 20,
        deletion: Deletion::Never,
        compaction: Some(CompactionConfig {
            dirty_ratio_min: 0.0,
            lag_ms_min: 0,
            lag_ms_max: i64::MAX,
            delete_retention_ms: 0,
        }),
        ..LogConfig::default()
    }
}

fn parts() -> CleanParts<'static> {
    CleanParts {
        now: TimestampMs(1_000_000),
        inflate: CompressionLimits::default(),
        map: MapLimits {
            bytes: 128 << 20,
            load_factor: 0.9,
        },
        read_bytes: 512 << 10,
        random: 7,
        pace: &|_| Pace::GoOn,
    }
}

fn batches(compression: Compression) -> Vec<BytesMut> {
    let batch = |first: u64| {
        let mut builder = BatchBuilder::new(BatchOptions {
            compression,
            ..BatchOptions::default()
        });
        for key in first..first + RECORDS_IN_BATCH {
            // Keys in another order than they were written in before, values that do not compress to nothing.
            let key = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let value: Vec<u8> = (0..VALUE_BYTES as u64)
                .map(|at| (key.rotate_left(at as u32 % 61) & 0x3f) as u8)
                .collect();
            let pushed = builder.push(TimestampMs(1_000), Some(&key.to_be_bytes()), Some(&value), &[]);
            pushed.expect("a small record fits");
        }
        builder.build().expect("a batch of some kilobytes fits")
    };
    (0..RECORDS / RECORDS_IN_BATCH)
        .map(|index| batch(index * RECORDS_IN_BATCH))
        .collect()
}

fn compaction(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compact");
    group.sample_size(10);
    for compression in [Compression::None, Compression::Lz4] {
        let batches = batches(compression);
        let log = Log::open(1, 1 << 20, topic());
        let bytes: usize = batches.iter().map(|batch| batch.len()).sum();
        group.throughput(Throughput::Bytes(bytes as u64));
        let name = format!("{compression:?}").to_lowercase();
        group.bench_function(BenchmarkId::new("every key overwritten", name), |bencher| {
            bencher.iter_custom(|count| {
                let mut spent = Duration::ZERO;
                for _ in 0..count {
                    for batch in &batches {
                        log.append_durably(batch);
                    }
                    log.engine.checkpoint().expect("the tail goes to segments");
                    let begun = Instant::now();
                    let turn = log.engine.clean_log(log.partitions[0].clone(), &parts());
                    spent += begun.elapsed();
                    assert!(matches!(turn, CleanTurn::Cleaned(..)), "{turn:?}");
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group!(benches, compaction);
criterion_main!(benches);
