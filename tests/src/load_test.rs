use super::*;

const SHAPE: Shape = Shape {
    topic: "t",
    partitions: 2,
    value_bytes: 30,
    pause: Duration::ZERO,
};

/// Six records over two partitions, acknowledged and read as they should be.
fn sound() -> (Sent, Vec<Consumed>) {
    let places: Vec<(i32, i64)> = (0..6).map(|number| (number % 2, i64::from(number / 2))).collect();
    let mut read: Vec<Consumed> = places
        .iter()
        .enumerate()
        .map(|(number, place)| consumed(number, *place))
        .collect();
    read.sort_by_key(|record| (record.partition, record.offset));
    (Sent { shape: SHAPE, places }, read)
}

fn consumed(number: usize, (partition, offset): (i32, i64)) -> Consumed {
    let record = SHAPE.record(number);
    Consumed {
        partition,
        offset,
        timestamp: None,
        key: record.key,
        value: record.value,
        headers: Vec::new(),
    }
}

#[test]
fn what_was_acknowledged_and_is_there_passes() {
    let (sent, read) = sound();
    sent.assert_each_once(&read);
}

#[test]
#[should_panic(expected = "is lost")]
fn a_lost_record_is_found() {
    let (sent, mut read) = sound();
    read.pop();
    sent.assert_each_once(&read);
}

#[test]
#[should_panic(expected = "never acknowledged, or twice")]
fn a_repeated_record_is_found() {
    let (sent, mut read) = sound();
    read.push(consumed(5, (1, 3)));
    sent.assert_each_once(&read);
}

#[test]
#[should_panic(expected = "was acknowledged at")]
fn a_record_at_another_offset_is_found() {
    let (sent, mut read) = sound();
    let (first, second) = (read[0].value.clone(), read[1].value.clone());
    read[0].value = second;
    read[1].value = first;
    sent.assert_each_once(&read);
}

#[test]
#[should_panic(expected = "proves nothing")]
fn a_load_without_acknowledgement_fails() {
    Sent {
        shape: SHAPE,
        places: Vec::new(),
    }
    .assert_each_once(&[]);
}
