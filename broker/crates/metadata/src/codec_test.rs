use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn fields_round_trip(
        a: u8, b: u32, c: i32, d: i64, text: String, optional: Option<String>,
        map: BTreeMap<String, String>,
    ) {
        let bytes = Encoder::new(3)
            .u8(a).u32(b).i32(c).i64(d).text(&text).optional_text(optional.as_deref()).text_map(&map)
            .finish();
        let mut decoder = Decoder::new("test record", &bytes, 3).unwrap();
        prop_assert_eq!(decoder.u8(), Ok(a));
        prop_assert_eq!(decoder.u32(), Ok(b));
        prop_assert_eq!(decoder.i32(), Ok(c));
        prop_assert_eq!(decoder.i64(), Ok(d));
        prop_assert_eq!(decoder.text(), Ok(text));
        prop_assert_eq!(decoder.optional_text(), Ok(optional));
        prop_assert_eq!(decoder.text_map(), Ok(map));
        prop_assert_eq!(decoder.finish(), Ok(()));
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        if let Ok(mut decoder) = Decoder::new("test record", &bytes, 255) {
            let _ = decoder.text_map();
            let _ = decoder.optional_text();
            let _ = decoder.i64();
            let _ = decoder.finish();
        }
    }
}

#[test]
fn a_later_format_is_named() {
    let expected = RecordError::NewerFormat {
        record: "test record",
        found: 4,
        supported: 3,
    };
    assert_eq!(Decoder::new("test record", &[4], 3).unwrap_err(), expected);
}

#[test]
fn empty_zero_short_and_long_records_are_malformed() {
    assert!(Decoder::new("test record", &[], 3).is_err());
    assert!(Decoder::new("test record", &[0], 3).is_err());
    assert!(Decoder::new("test record", &[1, 0, 0], 3).unwrap().u32().is_err());
    assert!(Decoder::new("test record", &[1, 0], 3).unwrap().finish().is_err());
}

#[test]
fn a_claimed_length_or_count_reserves_nothing() {
    let bytes = Encoder::new(1).u32(u32::MAX).finish();
    assert!(Decoder::new("test record", &bytes, 1).unwrap().text().is_err());
    assert!(
        Decoder::new("test record", &bytes, 1)
            .unwrap()
            .text_map()
            .is_err()
    );
}
