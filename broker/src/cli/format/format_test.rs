use super::*;
use bytes::Bytes;
use std::io::{BufReader, ErrorKind};

fn record(headers: &[(Bytes, Option<Bytes>)]) -> FormatRecord<'_> {
    FormatRecord {
        topic: "orders",
        partition: 3,
        offset: 258,
        leader_epoch: 7,
        timestamp_ms: 1_644_842_096_700,
        timestamp_type: 1,
        codec: 4,
        codec_name: "zstd",
        is_transactional: true,
        is_control: false,
        producer_id: -1,
        producer_epoch: -1,
        key: Some(b"key"),
        value: Some(b"\x00\x00\x01\x02\xff"),
        headers,
        log_start_offset: 1,
        last_stable_offset: 300,
        high_watermark: 301,
        index: 5,
    }
}

fn rendered(template: &str) -> String {
    let headers = [
        (Bytes::from_static(b"a"), Some(Bytes::from_static(b"1"))),
        (Bytes::from_static(b"b"), None),
    ];
    let mut output = Vec::new();
    OutputTemplate::parse(template)
        .unwrap()
        .render(&record(&headers), &mut output);
    String::from_utf8_lossy(&output).into_owned()
}

#[test]
fn verbs_print_the_fields_of_a_record() {
    for (template, expected) in [
        (r"%t %p %o %k %h\n", "orders 3 258 key a=1,b=\n"),
        ("%T %K %V %H %e %x %y %i", "6 3 5 2 7 -1 -1 5"),
        ("%[ %| %]", "1 300 301"),
        ("%h{<%k=%v>}", "<a=1><b=>"),
        ("%h{%K%k%V%v{hex} }|", "1a131 1b0 |"),
        ("%% %{ %} \\\\ \\t\\x41", "% { } \\ \tA"),
        (
            "%a{compression} %a{compression;hex8} %a{timestamp-type} %a{transactional-bit;bool} %a{control-bit}",
            "zstd 04 1 true 0",
        ),
    ] {
        assert_eq!(rendered(template), expected, "{template}");
    }
}

#[test]
fn modifiers_change_how_text_is_printed() {
    for (template, expected) in [
        ("%v{hex}", "00000102ff"),
        ("%k{base64} %v{base64}", "a2V5 AAABAv8="),
        ("%v{base64raw}", "AAABAv8"),
        ("%v{unpack[>Ix<b$]}", "258 -1"),
        ("%v{unpack{<i}}", "33619968"),
        ("%v{unpack[qs]}", "(needs 8 bytes, 5 are left)"),
        ("%k{unpack[c$]}", "k(2 bytes are left)"),
    ] {
        assert_eq!(rendered(template), expected, "{template}");
    }
}

#[test]
fn modifiers_change_how_numbers_are_printed() {
    for (template, expected) in [
        ("%o{hex64}", "0000000000000102"),
        ("%o{hex8} %o{hex4}", "02 2"),
        ("%o{big16}|%o{little16}|%o{byte}", "\u{1}\u{2}|\u{2}\u{1}|\u{2}"),
        ("%o{bool} %x{hex16}", "true ffff"),
        ("%d", "1644842096700"),
        (
            "%d{strftime[%F %T.%L %j %a %e %b]}",
            "2022-02-14 12:34:56.700 045 Mon 14 Feb",
        ),
        ("%d{strftime### [%F] ###}", " [2022-02-14] "),
        (
            "%d{go[2006-01-02T15:04:05.000Z07:00 Mon Jan 2]}",
            "2022-02-14T12:34:56.700Z Mon Feb 14",
        ),
    ] {
        assert_eq!(rendered(template), expected, "{template}");
    }
}

#[test]
fn a_template_that_is_not_understood_is_refused_with_its_place() {
    for template in [
        "%q",
        "%",
        "%v{nope}",
        "%v{hex",
        "%h{%k",
        "%h{%t}",
        "\\q",
        "\\x4",
        "%a",
        "%a{x}",
        "%o{hex7}",
        "%d{strftime[%F}",
        "\\xé",
    ] {
        let error = OutputTemplate::parse(template).unwrap_err();
        assert!(error.to_string().contains(template), "{error}");
    }
}

fn read_all(template: &str, input: &[u8]) -> std::io::Result<Vec<InputRecord>> {
    // A small buffer cuts fields and delimiters in every way.
    let mut reader = BufReader::with_capacity(3, input);
    let template = InputTemplate::parse(template).unwrap();
    let mut records = Vec::new();
    while let Some(record) = template.read(&mut reader)? {
        records.push(record);
    }
    Ok(records)
}

fn keyed(key: &str, value: &str) -> InputRecord {
    InputRecord {
        key: Some(key.into()),
        value: Some(value.into()),
        ..InputRecord::default()
    }
}

#[test]
fn lines_are_values_and_a_missing_last_newline_is_forgiven() {
    let values: Vec<_> = read_all("%v\\n", b"one\n\nthree")
        .unwrap()
        .into_iter()
        .map(|record| record.value.unwrap())
        .collect();
    assert_eq!(values, [b"one".to_vec(), b"".to_vec(), b"three".to_vec()]);
}

#[test]
fn fields_end_at_the_text_that_follows_them() {
    assert_eq!(
        read_all("%k => %v\\n", b"a => 1\nb= => 2 = 3\n").unwrap(),
        [keyed("a", "1"), keyed("b=", "2 = 3")]
    );
    assert_eq!(
        read_all("%k=%v", b"a=rest\nof it").unwrap(),
        [keyed("a", "rest\nof it")]
    );
}

#[test]
fn sized_fields_may_hold_anything() {
    assert_eq!(
        read_all("%K{big16}%k%V{little32}%v", b"\0\x02\n\n\x01\0\0\0x").unwrap(),
        [keyed("\n\n", "x")]
    );
    assert_eq!(
        read_all("%K %V %k%v;", b"1 2 abb;0 1 z;").unwrap(),
        [keyed("a", "bb"), keyed("", "z")]
    );
    assert_eq!(
        read_all("%V{4}%v{hex}%K{1}%k", b"6869k").unwrap(),
        [keyed("k", "hi")]
    );
}

#[test]
fn topics_partitions_timestamps_and_headers_are_read() {
    let records = read_all(
        "%t %p %d %H%h{ %k=%v;} %v{base64}\\n",
        b"orders 7 -5 2 a=1; b=; aGk=\n",
    )
    .unwrap();
    let expected = InputRecord {
        topic: Some("orders".to_owned()),
        partition: Some(7),
        timestamp_ms: Some(-5),
        key: None,
        value: Some(b"hi".to_vec()),
        headers: vec![(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"".to_vec())],
    };
    assert_eq!(records, [expected]);
}

#[test]
fn json_values_are_checked_and_compacted_without_change() {
    let records = read_all("%v{json}\\n", br#"{ "b" : 1.50, "a b" : "x \" y" }"#).unwrap();
    assert_eq!(
        records[0].value.as_deref(),
        Some(br#"{"b":1.50,"a b":"x \" y"}"#.as_slice())
    );
    assert_eq!(
        read_all("%v{json}\\n", b"{nope\n").unwrap_err().kind(),
        ErrorKind::InvalidData
    );
}

#[test]
fn input_that_does_not_match_is_refused() {
    for (template, input, kind) in [
        ("%k %v\\n", b"no-blank\n".as_slice(), ErrorKind::UnexpectedEof),
        ("%p %v\\n", b"x y\n", ErrorKind::InvalidData),
        ("%K{big32}%k", b"\x7f\xff\xff\xffabc", ErrorKind::InvalidData),
        ("%K{big32}%k", b"\0\0\0\x05abc", ErrorKind::UnexpectedEof),
        ("%K{little32}%k", b"\xff\xff\xff\xff", ErrorKind::InvalidData),
        ("%K{3}%k;", b"abc.", ErrorKind::InvalidData),
        ("%v{hex}\\n", b"abc\n", ErrorKind::InvalidData),
        ("%H{big32}%h{%k=%v;}%v", b"\x7f\0\0\0", ErrorKind::InvalidData),
        ("%t\\n", b"\xff\n", ErrorKind::InvalidData),
    ] {
        assert_eq!(read_all(template, input).unwrap_err().kind(), kind, "{template}");
    }
    assert!(InputTemplate::parse("%k%v\\n").is_err());
    assert!(InputTemplate::parse("%h{%k=%v}\\n").is_err());
    assert!(InputTemplate::parse("text").is_err());
    assert!(InputTemplate::parse("%v{re#x#}").is_err());
}
