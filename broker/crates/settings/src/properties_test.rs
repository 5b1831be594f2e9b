use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Vec<(u32, String, String)> {
    let properties = parse_properties(text.as_bytes()).expect("readable");
    properties
        .into_iter()
        .map(|property| (property.line, property.key, property.value))
        .collect()
}

fn one(text: &str) -> (String, String) {
    let mut all = read(text);
    assert_eq!(all.len(), 1, "{all:?}");
    let (_, key, value) = all.remove(0);
    (key, value)
}

/// Each case was read by `java.util.Properties` of JDK 17 too.
#[test]
fn lines_are_read_as_java_reads_them() {
    let cases = [
        ("a=b", "a", "b"),
        ("a:b", "a", "b"),
        ("a b", "a", "b"),
        ("a\tb", "a", "b"),
        ("  a = b", "a", "b"),
        ("a   :   b", "a", "b"),
        ("a = = b", "a", "= b"),
        ("a==b", "a", "=b"),
        ("a : = b", "a", "= b"),
        ("a b c", "a", "b c"),
        ("a", "a", ""),
        ("a=", "a", ""),
        ("=b", "", "b"),
        ("a=b  ", "a", "b  "),
        ("a\\ b=c", "a b", "c"),
        ("a\\=b=c", "a=b", "c"),
        ("a\\:b=c", "a:b", "c"),
        ("a=b\\\n   c", "a", "bc"),
        ("a=b\\\r\n\tc", "a", "bc"),
        ("a\\\n=b", "a", "b"),
        ("a=b\\\\", "a", "b\\"),
        ("a=b\\", "a", "b"),
        ("a=b#c", "a", "b#c"),
        ("a=\\t\\n\\r\\f\\q\\\\", "a", "\t\n\r\u{c}q\\"),
        ("a=\\u00e9\\u20AC", "a", "é€"),
        ("a=\\uD83D\\uDE00", "a", "😀"),
        ("a=b\\\n#c", "a", "b#c"),
        ("a=b\\\n\\\nc=d", "a", "bc=d"),
        ("a =\\\n  \\\n x", "a", "x"),
        ("\\\na=b", "a", "b"),
        ("a\u{c}=b", "a", "b"),
        ("\\ a=b", " a", "b"),
        ("a\\\n b=c", "ab", "c"),
        ("\\\n\nc=d", "c", "d"),
        ("\\\n   \n#c=d\nx=y", "x", "y"),
        ("\\\n!a\\\nb=c", "b", "c"),
        ("\\\n\\\n#x\ny=z", "y", "z"),
        ("\\\n", "", ""),
        ("a=\\", "a", ""),
    ];
    for (text, key, value) in cases {
        assert_eq!(one(text), (key.to_owned(), value.to_owned()), "{text:?}");
    }
}

#[test]
fn comments_and_blank_lines_are_skipped_and_lines_counted() {
    let text = "# a=b\n! c=d\n\n   \t\n  # e\nk=v\\\n  w\r\n\rlast=1";
    assert_eq!(
        read(text),
        [
            (6, "k".to_owned(), "vw".to_owned()),
            (9, "last".to_owned(), "1".to_owned())
        ]
    );
}

#[test]
fn a_blank_line_ends_a_continued_one() {
    let expected = [
        (1, "a".to_owned(), "b".to_owned()),
        (3, "c".to_owned(), "d".to_owned()),
    ];
    assert_eq!(read("a=b\\\n\nc=d"), expected);
}

#[test]
fn a_comment_ends_with_its_line_even_after_a_backslash() {
    assert_eq!(read("# a\\\nb=c"), [(2, "b".to_owned(), "c".to_owned())]);
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_first_key() {
    assert_eq!(one("\u{feff}node.id=1"), ("node.id".to_owned(), "1".to_owned()));
}

#[test]
fn what_cannot_be_read_names_its_line() {
    let cases: [(&[u8], u32); 6] = [
        (b"a=b\nc=\\u12", 2),
        (b"a=\\u12g4", 1),
        (b"a=\\uD83D", 1),
        (b"a=\\uDE00\\uD83D", 1),
        (b"\n\nx=\\uD83Dx", 3),
        (b"a=b\nc=\xff", 2),
    ];
    for (bytes, line) in cases {
        assert_eq!(
            parse_properties(bytes).expect_err("unreadable").line,
            line,
            "{bytes:?}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = parse_properties(&bytes);
    }

    #[test]
    fn any_text_of_special_characters_is_read_or_refused(text in "[\\\\ =:#!\nru\ta0d8-]{0,64}") {
        let _ = parse_properties(text.as_bytes());
    }

    #[test]
    fn an_escaped_pair_is_read_back(key in "\\PC{1,20}", value in "\\PC{0,20}") {
        let escape = |part: &str| -> String {
            part.chars().flat_map(|c| match c {
                c if c.is_ascii_alphanumeric() => vec![c],
                c if c.is_ascii() => vec!['\\', c],
                c => vec![c],
            }).collect()
        };
        let line = format!("{}={}", escape(&key), escape(&value));
        // Escaped letters would be \t, \n, …, so letters stay plain.
        prop_assert_eq!(one(&line), (key, value));
    }
}
