//! What the broker does to each batch before it appends it, and what it does to read one: checksum, walk, decode.

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use thalweg_types::TimestampMs;
use thalweg_wire::batch::{BatchHeader, patch_base_offset_and_epoch, verify_crc};
use thalweg_wire::compression::{Compression, CompressionLimits};
use thalweg_wire::records::{BatchBuilder, BatchOptions, Walk, check_batch, decode_records};

const RECORD_BYTES: usize = 1 << 10;
const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// A batch of about `bytes` bytes before compression, of records that compress by half or so.
fn batch(bytes: usize, compression: Compression) -> BytesMut {
    let options = BatchOptions {
        compression,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options);
    let mut number = 1u64;
    while builder.records_bytes() < bytes {
        let mut value = Vec::with_capacity(RECORD_BYTES + 32);
        while value.len() < RECORD_BYTES {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            value.extend_from_slice(format!("{{\"sensor\":{}}}", number >> 33).as_bytes());
        }
        let key = number.to_be_bytes();
        let pushed = builder.push(TimestampMs(1_000), Some(&key), Some(&value), &[]);
        pushed.expect("a record of a kilobyte fits");
    }
    builder.build().expect("a batch of some kilobytes fits")
}

fn checks(criterion: &mut Criterion) {
    let limits = CompressionLimits::default();
    let mut group = criterion.benchmark_group("batch check");
    for bytes in [16 << 10, 128 << 10] {
        let mut batch = batch(bytes, Compression::None);
        group.throughput(Throughput::Bytes(batch.len() as u64));
        group.bench_function(BenchmarkId::new("crc", bytes), |bencher| {
            bencher.iter(|| verify_crc(&batch));
        });
        group.bench_function(BenchmarkId::new("walk", bytes), |bencher| {
            bencher.iter(|| check_batch(&batch, Walk::Uncompressed, &limits));
        });
        group.bench_function(BenchmarkId::new("header", bytes), |bencher| {
            bencher.iter(|| BatchHeader::parse(&batch));
        });
        group.bench_function(BenchmarkId::new("patch", bytes), |bencher| {
            bencher.iter(|| {
                patch_base_offset_and_epoch(
                    &mut batch,
                    thalweg_types::Offset(7),
                    thalweg_types::LeaderEpoch(1),
                )
            });
        });
    }
    group.finish();
}

fn decoding(criterion: &mut Criterion) {
    let limits = CompressionLimits::default();
    let mut group = criterion.benchmark_group("batch decode");
    for codec in CODECS {
        let bytes = 128 << 10;
        let batch = batch(bytes, codec);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new(codec.name(), bytes), |bencher| {
            bencher.iter(|| decode_records(&batch, &limits));
        });
    }
    group.finish();
}

criterion_group!(benches, checks, decoding);
criterion_main!(benches);
