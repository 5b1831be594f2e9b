use proptest::prelude::*;

use super::*;

fn encoded(value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, value);
    bytes
}

proptest! {
    #[test]
    fn numbers_round_trip_and_size_is_the_length(value: i64, shift in 0..64) {
        let value = value >> shift;
        let bytes = encoded(value);
        prop_assert_eq!(bytes.len(), size(value));
        let mut rest = &bytes[..];
        prop_assert_eq!(take_i64(&mut rest), Some(value));
        prop_assert!(rest.is_empty());
        let mut rest = &bytes[..];
        prop_assert_eq!(take_i32(&mut rest), i32::try_from(value).ok());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        let _ = take_i64(&mut &bytes[..]);
        let _ = take_i32(&mut &bytes[..]);
    }
}

#[test]
fn the_encoding_is_protocol_buffers_zigzag() {
    let cases: [(i64, &[u8]); 8] = [
        (0, &[0]),
        (-1, &[1]),
        (1, &[2]),
        (-64, &[0x7f]),
        (64, &[0x80, 0x01]),
        (300, &[0xd8, 0x04]),
        (i64::from(i32::MIN), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        (
            i64::MIN,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ),
    ];
    for (value, bytes) in cases {
        assert_eq!(encoded(value), bytes, "{value}");
    }
}

#[test]
fn too_long_and_cut_off_numbers_are_refused() {
    let refused_i32: [&[u8]; 5] = [
        &[],
        &[0x80],
        &[0xff, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff, 0x10],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
    ];
    for bytes in refused_i32 {
        assert_eq!(take_i32(&mut &bytes[..]), None, "{bytes:x?}");
    }
    let ten = |last| [[0xff; 9].as_slice(), &[last]].concat();
    assert_eq!(take_i64(&mut &ten(0x01)[..]), Some(i64::MIN));
    assert_eq!(take_i64(&mut &ten(0x02)[..]), None);
    assert_eq!(take_i64(&mut &[[0x80; 10].as_slice(), &[0]].concat()[..]), None);
}

#[test]
fn padded_numbers_are_taken_as_java_takes_them() {
    assert_eq!(take_i32(&mut &[0x82, 0x00][..]), Some(1));
    assert_eq!(take_i32(&mut &[0x82, 0x80, 0x80, 0x80, 0x00][..]), Some(1));
}
