//! Random predicates over random partitions against what they mean row by row.
//!
//! `THALWEG_CASES` and `THALWEG_SEED` choose how many and which; a failure prints the seed of its case, which replays
//! alone with `THALWEG_CASES=1`.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::civil::{DAY_MICROS, HOUR_MICROS};
use crate::domain::ColumnDomain;
use crate::like::Pattern;
use crate::outcomes::{Outcomes, Truth};
use crate::plan::{Decision, ResidualFilter, plan};
use crate::planted::{Bug, plant};
use crate::predicate::{Comparison, Literals, Map, Operand, Predicate, Test};
use crate::schema::{Column, FieldId, Schema};
use crate::spec::{PartitionField, Spec, SpecError};
use crate::transform::{ListGroup, Slot, Transform, Unlisted};
use crate::value::{DataType, Decimal, TimeUnit, Value};

const CASES: u64 = 200_000;
const ROWS_A_CASE: usize = 4;

type OwnedRow = Vec<Option<Value>>;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

fn schema() -> Schema {
    let types = [
        ("b", DataType::Boolean, true),
        ("i", DataType::Int, true),
        ("l", DataType::BigInt, false),
        (
            "d",
            DataType::Decimal {
                precision: 9,
                scale: 2,
            },
            true,
        ),
        ("day", DataType::Date, true),
        ("ts", DataType::Timestamp(TimeUnit::Micros), true),
        ("ms", DataType::Timestamp(TimeUnit::Millis), true),
        ("s", DataType::String, true),
        ("must", DataType::String, false),
        ("y", DataType::Bytes, true),
        ("f", DataType::Double, true),
    ];
    let columns = types.into_iter().zip(1..);
    let columns = columns.map(|((name, data_type, nullable), id)| Column {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        nullable,
    });
    Schema::new(columns.collect()).unwrap()
}

fn pick<T: Clone>(random: &mut StdRng, pool: &[T]) -> T {
    pool[random.random_range(0..pool.len())].clone()
}

const STRINGS: [&str; 20] = [
    "",
    "a",
    "ab",
    "abc",
    "abd",
    "abcd",
    "b",
    "ba",
    "é",
    "éa",
    "éb",
    "éé",
    "ééa",
    "\u{10ffff}",
    "a\u{10ffff}",
    "a%",
    "a_",
    "A",
    " ",
    "'",
];
const MICROS: [i64; 19] = [
    0,
    -1,
    1,
    1_000,
    -1_000,
    HOUR_MICROS - 1,
    HOUR_MICROS,
    -HOUR_MICROS,
    -HOUR_MICROS - 1,
    DAY_MICROS - 1,
    DAY_MICROS,
    -DAY_MICROS,
    -DAY_MICROS - 1,
    31 * DAY_MICROS - 1,
    31 * DAY_MICROS,
    365 * DAY_MICROS - 1,
    365 * DAY_MICROS,
    i64::MIN,
    i64::MAX,
];

/// A value of a type, mostly one at an edge.
fn value(random: &mut StdRng, data_type: DataType) -> Value {
    let near = random.random_range(-3..4_i64);
    match data_type {
        DataType::Boolean => Value::Boolean(random.random()),
        DataType::Int => {
            let pool = [
                i64::from(i32::MIN),
                -101,
                -100,
                -11,
                -10,
                -1,
                0,
                1,
                9,
                10,
                99,
                100,
                i64::from(i32::MAX),
            ];
            Value::Integer((pick(random, &pool) + near).clamp(i64::from(i32::MIN), i64::from(i32::MAX)))
        }
        DataType::BigInt => {
            let pool = [
                i64::MIN,
                -101,
                -100,
                -10,
                -1,
                0,
                1,
                10,
                99,
                100,
                1 << 40,
                i64::MAX,
            ];
            Value::Integer(pick(random, &pool).saturating_add(near))
        }
        DataType::Decimal { scale, .. } => {
            let pool = [-999_999_999, -101, -100, -10, 0, 10, 99, 100, 999_999_999];
            let unscaled = (pick(random, &pool) + i128::from(near)).clamp(-999_999_999, 999_999_999);
            Value::Decimal(Decimal::new(unscaled, scale).unwrap())
        }
        DataType::Date => {
            let pool = [
                i32::MIN,
                -366,
                -365,
                -31,
                -1,
                0,
                30,
                31,
                58,
                59,
                364,
                365,
                20_000,
                i32::MAX,
            ];
            Value::Date(pick(random, &pool).saturating_add(near as i32))
        }
        DataType::Timestamp(TimeUnit::Micros) => Value::Timestamp(pick(random, &MICROS).saturating_add(near)),
        DataType::Timestamp(TimeUnit::Millis) => Value::Timestamp(pick(random, &MICROS) / 1_000 * 1_000),
        DataType::String => Value::String(pick(random, &STRINGS).to_owned()),
        DataType::Bytes => Value::Bytes(pick(
            random,
            &[vec![], vec![0], vec![0, 1], vec![0xff], b"a".to_vec()],
        )),
        DataType::Float | DataType::Double => {
            let pool = [
                f64::NAN,
                f64::NEG_INFINITY,
                -1.5,
                -0.0,
                0.0,
                0.1,
                1.0,
                f64::INFINITY,
            ];
            Value::Double(pick(random, &pool))
        }
    }
}

fn row(random: &mut StdRng, schema: &Schema) -> OwnedRow {
    let columns = schema.columns().iter();
    let cells = columns.map(|column| match column.nullable && random.random_bool(0.15) {
        true => None,
        false => Some(value(random, column.data_type)),
    });
    cells.collect()
}

fn list(random: &mut StdRng, data_type: DataType) -> Transform {
    let mut left: Vec<Option<Value>> = (0..random.random_range(1..6))
        .map(|_| Some(value(random, data_type)))
        .collect();
    if random.random_bool(0.3) {
        left.push(None);
    }
    left.sort();
    left.dedup();
    let mut groups = Vec::new();
    while !left.is_empty() {
        let rest = left.split_off(random.random_range(1..=left.len()).min(3));
        groups.push(ListGroup { values: left });
        left = rest;
    }
    let unlisted = if random.random_bool(0.8) {
        Unlisted::Default
    } else {
        Unlisted::Refused
    };
    Transform::List { groups, unlisted }
}

fn transform(random: &mut StdRng, data_type: DataType) -> Transform {
    match random.random_range(0..10) {
        0 => Transform::Identity,
        1 | 2 => list(random, data_type),
        3 => Transform::Bucket {
            count: pick(random, &[1, 2, 3, 16]),
        },
        4 => {
            let mut bounds: Vec<Value> = (0..random.random_range(1..4))
                .map(|_| value(random, data_type))
                .collect();
            bounds.sort();
            bounds.dedup();
            Transform::Range { bounds }
        }
        5 | 6 => Transform::Truncate {
            width: pick(random, &[1, 2, 10, 100, u64::MAX]),
        },
        7 => Transform::Prefix {
            chars: pick(random, &[1, 2, 3]),
        },
        8 => pick(random, &[Transform::Hour, Transform::Day]),
        _ => pick(random, &[Transform::Day, Transform::Month, Transform::Year]),
    }
}

fn spec(random: &mut StdRng, schema: &Schema) -> Spec {
    let mut fields = Vec::new();
    let wanted = random.random_range(1..4);
    while fields.len() < wanted {
        let column = pick(random, schema.columns());
        let transform = transform(random, column.data_type);
        if transform.refusal(column.data_type).is_none() {
            fields.push(PartitionField {
                column: column.id,
                transform,
            });
        }
    }
    Spec::new(fields, schema).unwrap()
}

fn pattern(random: &mut StdRng) -> Pattern {
    let mut text = pick(random, &STRINGS).replace(['%', '_'], "");
    text.push_str(pick(random, &["%", "%", "%", "_", "_%", "%b", "%%a_"]));
    Pattern::parse(&text, None).unwrap()
}

/// A column, mostly one of the spec, and a function of it now and then, with the type that comes out.
fn operand(random: &mut StdRng, schema: &Schema, spec: &Spec) -> (Operand, DataType) {
    let place = match random.random_bool(0.75) {
        true => schema.place_of(pick(random, spec.fields()).column).unwrap(),
        false => random.random_range(0..schema.columns().len()),
    };
    let column = &schema.columns()[place];
    let plain = Operand::column(place, column);
    if !random.random_bool(0.2) {
        return (plain, column.data_type);
    }
    let micros = DataType::Timestamp(TimeUnit::Micros);
    let truncate = [
        Map::TruncateHour,
        Map::TruncateDay,
        Map::TruncateMonth,
        Map::TruncateYear,
    ];
    match column.data_type {
        DataType::Int | DataType::BigInt | DataType::Decimal { .. } => {
            (plain.mapped(Map::ToDouble), DataType::Double)
        }
        DataType::Timestamp(_) if random.random() => (plain.mapped(Map::ToDate), DataType::Date),
        DataType::Timestamp(_) => (plain.mapped(pick(random, &truncate)), micros),
        DataType::Date => (
            plain.mapped(Map::ToTimestamp).mapped(pick(random, &truncate)),
            micros,
        ),
        other => (plain, other),
    }
}

fn leaf(random: &mut StdRng, schema: &Schema, spec: &Spec) -> Predicate {
    let (operand, data_type) = operand(random, schema, spec);
    match random.random_range(0..12) {
        0 => Predicate::Constant(pick(random, &Truth::ALL)),
        1 | 2 => Predicate::IsNull(operand),
        3 => {
            let (other, _) = self::operand(random, schema, spec);
            let comparison = pick(
                random,
                &[Comparison::Equal, Comparison::Less, Comparison::LessOrEqual],
            );
            match other.field() == operand.field() && other.is_plain() && operand.is_plain() {
                true => Predicate::Columns(operand, comparison, other),
                false => Predicate::IsNull(operand),
            }
        }
        4 | 5 => Predicate::Test(operand, Test::Less(value(random, data_type))),
        6 | 7 => Predicate::Test(operand, Test::LessOrEqual(value(random, data_type))),
        8 | 9 if data_type == DataType::String => Predicate::Test(operand, Test::Like(pattern(random))),
        _ => {
            let count = pick(random, &[0, 1, 1, 1, 2, 5]);
            let values = (0..count).map(|_| value(random, data_type)).collect();
            Predicate::Test(operand, Test::In(Literals::new(values)))
        }
    }
}

fn predicate(random: &mut StdRng, schema: &Schema, spec: &Spec, depth: u32) -> Predicate {
    if depth == 0 || random.random_bool(0.3) {
        return leaf(random, schema, spec);
    }
    let inner = predicate(random, schema, spec, depth - 1);
    match random.random_range(0..8) {
        0 | 1 => inner.negated(),
        2 => Predicate::Is(Box::new(inner), pick(random, &Truth::ALL)),
        3..6 => Predicate::And(vec![inner, predicate(random, schema, spec, depth - 1)]),
        _ => Predicate::Or(vec![inner, predicate(random, schema, spec, depth - 1)]),
    }
}

/// The domains of a row's partition; `None` if it has none. The domains hold the row.
fn domains(row: &OwnedRow, spec: &Spec, schema: &Schema) -> Result<Option<Vec<ColumnDomain>>, String> {
    let slots = match spec.slots(row, schema) {
        Ok(slots) => slots,
        Err(SpecError::Unlisted { .. }) => return Ok(None),
        Err(error) => return Err(format!("no slot: {error}")),
    };
    let domains = spec.domains(&slots, schema);
    for domain in &domains {
        let value = row[schema.place_of(domain.column).unwrap()].as_ref();
        if !domain.domain.holds(value) {
            return Err(format!("{domain:?} does not hold {value:?}"));
        }
    }
    Ok(Some(domains))
}

/// One case: every row's answer is among the outcomes of its partition.
fn case(seed: u64, schema: &Schema) -> Result<(), String> {
    let random = &mut StdRng::seed_from_u64(seed);
    let spec = spec(random, schema);
    let predicate = predicate(random, schema, &spec, 3);
    for _ in 0..ROWS_A_CASE {
        let row = row(random, schema);
        let Some(domains) = domains(&row, &spec, schema)? else {
            continue;
        };
        let (outcomes, truth) = (predicate.outcomes(&domains), predicate.of_row(&row));
        if !outcomes.has(truth) {
            return Err(format!(
                "{}\n of {row:?}\n is {truth:?}, but its partition {domains:?}\n says {outcomes:?}",
                predicate.text(schema)
            ));
        }
    }
    Ok(())
}

fn first_failure(cases: u64, schema: &Schema) -> Option<(u64, String)> {
    let seed = setting("THALWEG_SEED", 1);
    (0..cases).find_map(|number| {
        let seed = seed.wrapping_add(number);
        case(seed, schema).err().map(|error| (seed, error))
    })
}

#[test]
fn the_answer_of_every_row_is_among_the_outcomes_of_its_partition() {
    let cases = setting("THALWEG_CASES", CASES);
    println!("{cases} cases from seed {}", setting("THALWEG_SEED", 1));
    if let Some((seed, error)) = first_failure(cases, &schema()) {
        panic!("THALWEG_SEED={seed}: {error}");
    }
}

#[test]
fn outcomes_decide_often_enough_to_be_of_use() {
    let schema = schema();
    let (mut refuted, mut covered, mut open) = (0, 0, 0);
    for seed in 0..5_000 {
        let random = &mut StdRng::seed_from_u64(seed);
        let spec = spec(random, &schema);
        let predicate = predicate(random, &schema, &spec, 3);
        let row = row(random, &schema);
        let Ok(Some(domains)) = domains(&row, &spec, &schema) else {
            continue;
        };
        match predicate.outcomes(&domains) {
            outcomes if !outcomes.has(Truth::True) => refuted += 1,
            Outcomes::TRUE => covered += 1,
            _ => open += 1,
        }
    }
    println!("refuted {refuted}, covered {covered}, open {open}");
    assert!(
        refuted > 1_000 && covered > 500 && open > 500,
        "{refuted} {covered} {open}"
    );
}

#[test]
fn every_planted_bug_is_found() {
    let schema = schema();
    for bug in Bug::ALL {
        plant(Some(bug));
        let found = first_failure(CASES, &schema);
        plant(None);
        match found {
            Some((seed, _)) => println!("{bug:?}: found at seed {seed}"),
            None => panic!("{bug:?} is not found in {CASES} cases"),
        }
    }
}

/// A table: rows by partition.
struct Table {
    partitions: Vec<(Vec<Slot>, Vec<ColumnDomain>, Vec<OwnedRow>)>,
}

impl Table {
    fn fill(random: &mut StdRng, schema: &Schema, spec: &Spec, rows: usize) -> Self {
        let mut table = Self {
            partitions: Vec::new(),
        };
        for _ in 0..rows {
            let row = row(random, schema);
            let Ok(slots) = spec.slots(&row, schema) else {
                continue;
            };
            match table.partitions.iter_mut().find(|(known, ..)| *known == slots) {
                Some((_, _, rows)) => rows.push(row),
                None => {
                    let domains = spec.domains(&slots, schema);
                    table.partitions.push((slots, domains, vec![row]));
                }
            }
        }
        table
    }

    fn all(&self) -> impl Iterator<Item = &OwnedRow> {
        self.partitions.iter().flat_map(|(_, _, rows)| rows)
    }

    fn pruned_scan(&self, predicate: &Predicate, schema: &Schema) -> Vec<&OwnedRow> {
        let plan = plan(
            predicate,
            schema,
            self.partitions.iter().map(|(_, domains, _)| domains.as_slice()),
        );
        let filter = ResidualFilter::new(predicate);
        let read = self.partitions.iter().zip(&plan.decisions);
        let rows = read.flat_map(|((_, _, rows), decision)| {
            let residual = match decision {
                Decision::Prune => None,
                Decision::Read(residual) => Some(*residual),
            };
            let filter = &filter;
            rows.iter()
                .filter(move |row| residual.is_some_and(|residual| filter.matches(residual, row)))
        });
        rows.collect()
    }
}

#[test]
fn a_pruned_scan_is_a_full_scan_and_a_filter() {
    let schema = schema();
    for seed in 0..2_000 {
        let random = &mut StdRng::seed_from_u64(seed);
        let spec = spec(random, &schema);
        let table = Table::fill(random, &schema, &spec, 60);
        let predicate = predicate(random, &schema, &spec, 3);
        let full: Vec<&OwnedRow> = table
            .all()
            .filter(|row| predicate.of_row(row) == Truth::True)
            .collect();
        let pruned = table.pruned_scan(&predicate, &schema);
        assert_eq!(pruned, full, "seed {seed}: {}", predicate.text(&schema));
        let negation = table.pruned_scan(&predicate.clone().negated(), &schema).len();
        let unknown = Predicate::Is(Box::new(predicate.clone()), Truth::Unknown);
        let unknown = table.pruned_scan(&unknown, &schema).len();
        let all = table.all().count();
        assert_eq!(
            pruned.len() + negation + unknown,
            all,
            "seed {seed}: {}",
            predicate.text(&schema)
        );
    }
}

/// Literals that SQL can write: years of four digits.
#[cfg(feature = "sql")]
fn is_writable(row: &OwnedRow) -> bool {
    row.iter().flatten().all(|value| match value {
        Value::Date(days) => (-719_528..=2_932_896).contains(days),
        Value::Timestamp(micros) => (-719_528..=2_932_896).contains(&micros.div_euclid(DAY_MICROS)),
        _ => true,
    })
}

#[cfg(feature = "sql")]
fn literals(predicate: &Predicate, found: &mut OwnedRow) {
    match predicate {
        Predicate::Test(_, Test::In(literals)) => found.extend(literals.values().iter().cloned().map(Some)),
        Predicate::Test(_, Test::Less(limit) | Test::LessOrEqual(limit)) => found.push(Some(limit.clone())),
        Predicate::Is(inner, _) | Predicate::Not(inner) => literals(inner, found),
        Predicate::And(parts) | Predicate::Or(parts) => parts.iter().for_each(|part| literals(part, found)),
        _ => {}
    }
}

#[cfg(feature = "sql")]
#[test]
fn a_predicate_is_read_back_from_its_text() {
    let schema = schema();
    let mut compared = 0;
    for seed in 0..5_000 {
        let random = &mut StdRng::seed_from_u64(seed);
        let spec = spec(random, &schema);
        let written = predicate(random, &schema, &spec, 3);
        let mut used = Vec::new();
        literals(&written, &mut used);
        if !is_writable(&used) {
            continue;
        }
        let text = written.text(&schema);
        let read = crate::sql::parse_predicate(&text, &schema)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
        for _ in 0..8 {
            let row = row(random, &schema);
            assert_eq!(
                read.of_row(&row),
                written.of_row(&row),
                "seed {seed}: {text}\n{row:?}"
            );
        }
        compared += 1;
    }
    assert!(compared > 3_000, "{compared}");
}
