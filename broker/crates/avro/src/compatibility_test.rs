use super::*;
use crate::Parser;

fn schema(text: &str) -> Schema {
    Parser::new()
        .parse(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

/// The kinds and places that keep `reader` from reading `writer`.
fn findings(reader: &str, writer: &str) -> Vec<(&'static str, String)> {
    can_read(&schema(reader), &schema(writer))
        .into_iter()
        .map(|finding| (finding.kind.name(), finding.path))
        .collect()
}

#[test]
fn numbers_are_promoted_upwards_only() {
    let types = ["int", "long", "float", "double"];
    for (place, wanted) in types.iter().enumerate() {
        for (from, written) in types.iter().enumerate() {
            let found = findings(&format!("\"{wanted}\""), &format!("\"{written}\""));
            assert_eq!(found.is_empty(), from <= place, "{written} as {wanted}");
        }
    }
    assert!(findings("\"bytes\"", "\"string\"").is_empty());
    assert!(findings("\"string\"", "\"bytes\"").is_empty());
    assert!(!findings("\"int\"", "\"boolean\"").is_empty());
}

#[test]
fn a_new_field_needs_a_default_and_an_old_one_may_go() {
    let old = record(r#"{"name":"a","type":"int"}"#);
    let bare = record(r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#);
    let with_default = record(r#"{"name":"a","type":"int"},{"name":"b","type":"int","default":0}"#);
    let renamed = record(r#"{"name":"c","type":"int","aliases":["a"]}"#);
    let expected = ("READER_FIELD_MISSING_DEFAULT_VALUE", "/fields/1".to_owned());
    assert_eq!(findings(&bare, &old), [expected]);
    assert!(findings(&with_default, &old).is_empty());
    assert!(findings(&old, &bare).is_empty());
    assert!(findings(&renamed, &old).is_empty());
    assert!(!findings(&old, &renamed).is_empty());
}

#[test]
fn names_count_without_their_namespace_or_by_alias() {
    let named = |name: &str, aliases: &str| {
        format!(r#"{{"type":"fixed","name":"{name}","size":2,"aliases":[{aliases}]}}"#)
    };
    assert!(findings(&named("a.F", ""), &named("b.F", "")).is_empty());
    assert_eq!(
        findings(&named("a.F", ""), &named("a.G", ""))[0].0,
        "NAME_MISMATCH"
    );
    assert!(findings(&named("a.F", "\"a.G\""), &named("a.G", "")).is_empty());
    assert!(findings(&named("a.F", "\"G\""), &named("a.G", "")).is_empty());
}

#[test]
fn enums_need_every_symbol_or_a_default() {
    let of =
        |symbols: &str, more: &str| format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}]{more}}}"#);
    let (one, two) = (of("\"A\"", ""), of("\"A\",\"B\"", ""));
    assert!(findings(&two, &one).is_empty());
    assert_eq!(findings(&one, &two)[0].0, "MISSING_ENUM_SYMBOLS");
    assert!(findings(&of("\"A\"", ",\"default\":\"A\""), &two).is_empty());
}

#[test]
fn unions_read_what_one_of_their_branches_reads() {
    assert!(findings(r#"["null","string"]"#, "\"string\"").is_empty());
    assert!(findings(r#"["null","long"]"#, "\"int\"").is_empty());
    assert!(findings("\"string\"", r#"["string"]"#).is_empty());
    assert_eq!(
        findings("\"string\"", r#"["null","string"]"#)[0].0,
        "TYPE_MISMATCH"
    );
    assert_eq!(
        findings(r#"["null","int"]"#, "\"string\"")[0].0,
        "MISSING_UNION_BRANCH"
    );
    let inner = |fields: &str| format!(r#"["null",{}]"#, record(fields));
    let found = findings(&inner(r#"{"name":"a","type":"int"}"#), &inner(""));
    assert_eq!(found[0].0, "READER_FIELD_MISSING_DEFAULT_VALUE");
}

#[test]
fn types_that_contain_themselves_are_compared_to_their_end() {
    let list = |value: &str| {
        format!(
            r#"{{"type":"record","name":"L","fields":[{{"name":"v","type":"{value}"}},{{"name":"n","type":["null","L"]}}]}}"#
        )
    };
    assert!(findings(&list("long"), &list("int")).is_empty());
    assert_eq!(findings(&list("int"), &list("long"))[0].0, "TYPE_MISMATCH");
}

#[test]
fn a_lattice_of_unions_does_not_take_for_ever() {
    let lattice = |leaf: &str| {
        let mut inner = format!("\"{leaf}\"");
        for level in 0..20 {
            let name = format!("R{level}");
            inner = format!(
                r#"{{"type":"record","name":"{name}","fields":[{{"name":"a","type":["null",{inner}]}},{{"name":"b","type":["null","{below}"]}}]}}"#,
                below = if level == 0 {
                    leaf.to_owned()
                } else {
                    format!("R{}", level - 1)
                }
            );
        }
        inner
    };
    assert!(findings(&lattice("long"), &lattice("int")).is_empty());
    assert!(!findings(&lattice("int"), &lattice("long")).is_empty());
}
