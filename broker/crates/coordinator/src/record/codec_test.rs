use proptest::prelude::*;

use super::*;

#[test]
fn a_cut_field_says_where_and_how_much_is_missing() {
    let mut reader = Reader::new(&[0, 1, 0, 9, b'x']);
    assert_eq!(reader.int16(), Ok(1));
    assert_eq!(
        reader.string(),
        Err(DecodeError::Cut {
            position: 4,
            needed: 9,
            remaining: 1
        })
    );
}

#[test]
fn null_is_refused_where_text_must_be() {
    assert_eq!(
        Reader::new(&[0xff, 0xff]).string(),
        Err(DecodeError::Length { position: 0 })
    );
    assert_eq!(Reader::new(&[0xff, 0xff]).nullable_string(), Ok(None));
    assert_eq!(
        Reader::new(&[0xff, 0xfe]).nullable_string(),
        Err(DecodeError::Length { position: 0 })
    );
    assert_eq!(
        Reader::new(&[0]).compact_string(),
        Err(DecodeError::Length { position: 0 })
    );
    assert_eq!(Reader::new(&[0]).compact_nullable_string(), Ok(None));
    assert_eq!(Reader::new(&[0xff; 4]).byte_field(), Ok(&[][..]));
    assert_eq!(
        Reader::new(&[0xff, 0xff, 0xff, 0xfe]).byte_field(),
        Err(DecodeError::Length { position: 0 })
    );
}

#[test]
fn variable_length_numbers_stop_at_32_bits() {
    let read = |bytes: &[u8]| Reader::new(bytes).unsigned_varint();
    assert_eq!(read(&[0xac, 0x02]), Ok(300));
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
    assert_eq!(
        read(&[0xff, 0xff, 0xff, 0xff, 0x1f]),
        Err(DecodeError::Length { position: 0 })
    );
    assert_eq!(read(&[0x80; 6]), Err(DecodeError::Length { position: 0 }));
    assert_eq!(
        read(&[0x80]),
        Err(DecodeError::Cut {
            position: 1,
            needed: 1,
            remaining: 0
        })
    );
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    assert_eq!(
        Reader::new(&[0, 1, 0xff]).string(),
        Err(DecodeError::NotUtf8 { position: 2 })
    );
}

/// Kafka refuses it too; taken, it could not be written again.
#[test]
fn a_compact_string_longer_than_a_plain_one_can_be_is_refused() {
    let read = |len: usize| {
        let prefix = u32::try_from(len + 1).unwrap();
        let mut bytes = vec![
            prefix as u8 | 0x80,
            (prefix >> 7) as u8 | 0x80,
            (prefix >> 14) as u8,
        ];
        bytes.resize(3 + len, b'm');
        Reader::new(&bytes)
            .compact_nullable_string()
            .map(|text| text.map(str::len))
    };
    assert_eq!(read(STRING_BYTES_MAX), Ok(Some(STRING_BYTES_MAX)));
    assert_eq!(
        read(STRING_BYTES_MAX + 1),
        Err(DecodeError::Length { position: 0 })
    );
}

#[test]
fn a_huge_count_of_tagged_fields_ends_with_the_input() {
    let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]);
    assert!(matches!(
        reader.skip_tagged_fields(),
        Err(DecodeError::Cut { .. })
    ));
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(a: i16, b: i32, c: i64, text in ".{0,40}", bytes: Vec<u8>) {
        let mut writer = Writer::with_capacity(0);
        writer.int16(a);
        writer.int32(b);
        writer.int64(c);
        writer.string(&text);
        writer.nullable_string(None);
        writer.byte_field(&bytes);
        let written = writer.finish();
        let mut reader = Reader::new(&written);
        prop_assert_eq!(reader.int16(), Ok(a));
        prop_assert_eq!(reader.int32(), Ok(b));
        prop_assert_eq!(reader.int64(), Ok(c));
        prop_assert_eq!(reader.string(), Ok(text.as_str()));
        prop_assert_eq!(reader.nullable_string(), Ok(None));
        prop_assert_eq!(reader.byte_field(), Ok(&bytes[..]));
    }
}
