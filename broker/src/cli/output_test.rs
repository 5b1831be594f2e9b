use super::*;

#[derive(Serialize)]
struct Fruit {
    name: &'static str,
    count: u32,
}

impl Row for Fruit {
    const COLUMNS: &'static [Column] = &[
        Column::text("NAME"),
        Column::number("COUNT"),
        Column::text("NOTE").wide(),
    ];

    fn cells(&self) -> Vec<String> {
        vec![self.name.to_owned(), self.count.to_string(), "sweet".to_owned()]
    }
}

const FRUITS: [Fruit; 2] = [
    Fruit {
        name: "apple",
        count: 7,
    },
    Fruit {
        name: "fig",
        count: 1200,
    },
];

#[test]
fn tables_align_text_left_and_numbers_right_without_trailing_blanks() {
    assert_eq!(
        table(&FRUITS, false),
        "NAME   COUNT\napple      7\nfig     1200\n"
    );
}

#[test]
fn wide_tables_have_the_wide_columns_too() {
    assert!(
        table(&FRUITS, true)
            .lines()
            .all(|line| line.ends_with("NOTE") || line.ends_with("sweet"))
    );
}

#[test]
fn an_empty_table_still_has_its_headings() {
    assert_eq!(table::<Fruit>(&[], false), "NAME  COUNT\n");
}

#[test]
fn control_characters_from_the_cluster_are_escaped() {
    assert_eq!(
        printable("a\x1b[31mred\r\tz\u{9b}"),
        "a\\u{1b}[31mred\\r\\tz\\u{9b}"
    );
}

#[test]
fn sizes_have_binary_units() {
    let sizes = [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536 << 20, "1.5 GiB"),
        (i64::MAX, "8.0 EiB"),
    ];
    for (bytes, expected) in sizes {
        assert_eq!(size(bytes), expected);
    }
}
