use super::*;
use crate::predicate::{Literals, Test};
use crate::schema::{Column, FieldId};
use crate::spec::{PartitionField, Spec};
use crate::transform::{Slot, Transform};
use crate::value::{DataType, Value};

fn schema() -> Schema {
    let column = |id, name: &str, data_type| Column {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        nullable: false,
    };
    let columns = vec![
        column(1, "os", DataType::String),
        column(2, "user", DataType::BigInt),
        column(3, "other", DataType::BigInt),
    ];
    Schema::new(columns).unwrap()
}

/// os × bucket(4, user).
fn partitions(schema: &Schema) -> Vec<Vec<ColumnDomain>> {
    let field = |id, transform| PartitionField {
        column: FieldId(id),
        transform,
    };
    let fields = vec![
        field(1, Transform::Identity),
        field(2, Transform::Bucket { count: 4 }),
    ];
    let spec = Spec::new(fields, schema).unwrap();
    let mut partitions = Vec::new();
    for os in ["android", "ios"] {
        for bucket in 0..4 {
            let slots = [Slot::Value(Value::String(os.to_owned())), Slot::Number(bucket)];
            partitions.push(spec.domains(&slots, schema));
        }
    }
    partitions
}

fn equal(schema: &Schema, place: usize, value: Value) -> Predicate {
    let operand = Operand::column(place, &schema.columns()[place]);
    Predicate::Test(operand, Test::In(Literals::new(vec![value])))
}

#[test]
fn each_part_says_how_well_it_is_answered_and_why() {
    let schema = schema();
    let partitions = partitions(&schema);
    let predicate = Predicate::And(vec![
        equal(&schema, 0, Value::String("ios".to_owned())),
        equal(&schema, 1, Value::Integer(34)),
        equal(&schema, 2, Value::Integer(7)),
    ]);
    let plan = plan(&predicate, &schema, partitions.iter().map(Vec::as_slice));
    assert_eq!(plan.read_count(), 1);
    let words: Vec<(&str, &str)> = plan
        .conjuncts
        .iter()
        .map(|conjunct| (conjunct.text.as_str(), conjunct.exactness.name()))
        .collect();
    assert_eq!(
        words,
        [
            ("\"os\" = 'ios'", "exact"),
            ("\"user\" = 34", "inexact"),
            ("\"other\" = 7", "none")
        ]
    );
    let [os, user, other] = plan.conjuncts.as_slice() else {
        panic!("three parts")
    };
    assert!(os.reason.is_empty());
    assert!(user.reason.contains("bucket"), "{}", user.reason);
    assert!(
        other.reason.contains("'other' chooses no partition"),
        "{}",
        other.reason
    );
    let residual = plan.decisions.iter().find_map(|decision| match decision {
        Decision::Read(residual) => Some(*residual),
        Decision::Prune => None,
    });
    let residual = residual.unwrap();
    assert!(!residual.has(0) && residual.has(1) && residual.has(2));
}

#[test]
fn more_parts_than_a_residual_tells_apart_are_still_all_tested() {
    let schema = schema();
    let part = |number: i64| equal(&schema, 2, Value::Integer(number)).negated();
    let predicate = Predicate::And((0..200).map(part).collect());
    let none: Vec<ColumnDomain> = Vec::new();
    let plan = plan(&predicate, &schema, [none.as_slice()]);
    assert_eq!(plan.conjuncts.len(), CONJUNCTS_MAX);
    let [Decision::Read(residual)] = plan.decisions.as_slice() else {
        panic!("it is read")
    };
    let filter = ResidualFilter::new(&predicate);
    let row = |number: i64| {
        vec![
            Some(Value::String(String::new())),
            Some(Value::Integer(0)),
            Some(Value::Integer(number)),
        ]
    };
    assert!(filter.matches(*residual, &row(200)));
    assert!(!filter.matches(*residual, &row(199)));
}
