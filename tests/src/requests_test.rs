use super::*;

#[test]
fn a_plain_body_is_written_as_kafka_does() {
    let shapes = shapes();
    let heartbeat = &shapes[&12];
    assert_eq!(heartbeat.name, "Heartbeat");
    let sample = heartbeat.sample(0);
    assert_eq!(sample.body, b"\0\x07hostile\0\0\0\x01\0\x07hostile");
    let places: Vec<(usize, Width)> = sample
        .places
        .iter()
        .map(|place| (place.position, place.width))
        .collect();
    assert_eq!(places, [(0, Width::Short), (13, Width::Short)]);
}

#[test]
fn a_flexible_body_has_compact_lengths_and_tags() {
    let sample = shapes()[&12].sample(4);
    assert_eq!(
        sample.body, b"\x08hostile\0\0\0\x01\x08hostile\x08hostile\0",
        "group, generation, member, instance, no tags"
    );
    assert_eq!(sample.places.len(), 4);
}

#[test]
fn arrays_have_one_element_and_a_place() {
    let sample = shapes()[&15].sample(0);
    assert_eq!(sample.body, b"\0\0\0\x01\0\x07hostile");
    assert_eq!(sample.places[0].field, "groups");
    let huge = sample.places[0].replaced(&sample.body, i32::MAX as u32);
    assert_eq!(huge, b"\x7f\xff\xff\xff\0\x07hostile");
}

#[test]
fn a_varint_is_replaced_by_a_longer_one() {
    let sample = shapes()[&12].sample(4);
    let huge = sample.places[0].replaced(&sample.body, u32::MAX);
    assert_eq!(huge[..5], [0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert_eq!(huge.len(), sample.body.len() + 4);
}

#[test]
fn every_request_of_the_table_can_be_made() {
    for (key, shape) in shapes() {
        for version in 0..=shape.versions.1 {
            if shape.has(version) {
                let sample = shape.sample(version);
                for place in &sample.places {
                    assert!(
                        place.position < sample.body.len(),
                        "{key} v{version} {}",
                        place.field
                    );
                }
            }
        }
    }
}
