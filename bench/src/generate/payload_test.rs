use super::*;

#[test]
fn values_have_the_size_asked_for_and_are_the_same_each_time() {
    for payload in [Payload::Letters, Payload::Json] {
        let values = payload.values(100);
        assert!(values.iter().all(|value| value.len() == 100));
        assert_eq!(values, payload.values(100));
        assert_ne!(values[0], values[1]);
    }
}

#[test]
fn a_value_is_one_line_so_that_a_payload_file_can_hold_it() {
    let values = Payload::Json.values(1_000);
    assert!(values.iter().all(|value| !value.contains(&b'\n')));
}
