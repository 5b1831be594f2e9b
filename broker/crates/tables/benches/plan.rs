//! How long planning takes: 10,000 partitions against a predicate with nine tests, one thread.
//!
//! `cargo bench -p thalweg-tables` prints the best and the middle of 50 runs; nothing is asserted about time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use thalweg_tables::sql::parse_predicate;
use thalweg_tables::{
    Column, ColumnDomain, DataType, FieldId, PartitionField, Schema, Slot, Spec, TimeUnit, Transform, Value,
    plan,
};

const RUNS: usize = 50;
const PREDICATE: &str = "os IN ('ios', 'android') AND scene <> 'scene-3' AND (scene LIKE 'scene-1%' OR scene = 'scene-7') \
     AND \"user\" = 12345 AND ts >= '1970-01-10' AND ts < '1970-02-01' AND ok IS NOT NULL AND cost < 10.5";

fn schema() -> Schema {
    let column = |id, name: &str, data_type| Column {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        nullable: true,
    };
    let columns = vec![
        column(1, "os", DataType::String),
        column(2, "scene", DataType::String),
        column(3, "user", DataType::BigInt),
        column(4, "ts", DataType::Timestamp(TimeUnit::Millis)),
        column(5, "ok", DataType::Boolean),
        column(6, "cost", DataType::Double),
    ];
    Schema::new(columns).expect("the columns are in order")
}

/// 5 systems × 10 scenes × 8 buckets × 25 days.
fn partitions(schema: &Schema) -> Vec<Vec<ColumnDomain>> {
    let field = |id, transform| PartitionField {
        column: FieldId(id),
        transform,
    };
    let fields = vec![
        field(1, Transform::Identity),
        field(2, Transform::Identity),
        field(3, Transform::Bucket { count: 8 }),
        field(4, Transform::Day),
    ];
    let spec = Spec::new(fields, schema).expect("the fields go with the columns");
    let text = |text: String| Slot::Value(Value::String(text));
    let mut partitions = Vec::new();
    for os in ["ios", "android", "web", "tv", "car"] {
        for scene in 0..10 {
            for bucket in 0..8 {
                for day in 0..25 {
                    let slots = [
                        text(os.to_owned()),
                        text(format!("scene-{scene}")),
                        Slot::Number(bucket),
                        Slot::Number(day),
                    ];
                    partitions.push(spec.domains(&slots, schema));
                }
            }
        }
    }
    partitions
}

fn main() {
    let schema = schema();
    let partitions = partitions(&schema);
    let predicate = parse_predicate(PREDICATE, &schema).expect("the predicate is right");
    let mut times: Vec<Duration> = Vec::new();
    let mut read = 0;
    for _ in 0..RUNS {
        let start = Instant::now();
        let planned = plan(
            black_box(&predicate),
            &schema,
            partitions.iter().map(Vec::as_slice),
        );
        times.push(start.elapsed());
        read = black_box(planned.read_count());
    }
    times.sort();
    println!(
        "{} partitions, {read} read: best {:?}, middle {:?}",
        partitions.len(),
        times.first().copied().unwrap_or_default(),
        times.get(RUNS / 2).copied().unwrap_or_default()
    );
}
