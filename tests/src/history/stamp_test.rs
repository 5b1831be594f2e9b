use super::*;

const STAMP: Stamp = Stamp {
    topic: 7,
    partition: 3,
    producer: 2,
    number: 123_456,
};

#[test]
fn a_value_names_its_record_at_any_size() {
    for size in [0, 1, 20, 21, 100, 4_001] {
        let value = STAMP.value(size);
        assert!(value.len() >= size);
        assert_eq!(Stamp::of(&value), Ok(STAMP));
    }
}

#[test]
fn a_change_of_any_byte_is_found() {
    let value = STAMP.value(80);
    for place in 0..value.len() {
        let mut changed = value.clone();
        changed[place] ^= 1;
        assert_ne!(Stamp::of(&changed), Ok(STAMP), "byte {place}");
    }
}

#[test]
fn a_cut_or_lengthened_value_is_damage() {
    let value = STAMP.value(80);
    assert!(Stamp::of(&value[..79]).is_err());
    assert!(Stamp::of(&[&value[..], b"x"].concat()).is_err());
    assert!(Stamp::of(b"").is_err());
    assert!(Stamp::of(b"something else").is_err());
}
