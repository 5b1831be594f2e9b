use super::*;

fn parse(text: &str) -> Result<Schema, ParseError> {
    Parser::new().parse(text)
}

#[test]
fn texts_of_the_same_schema_have_one_canonical_text() {
    let texts = [
        r#"{"type":"record","name":"R","namespace":"a.b","fields":[{"name":"x","type":"int","default":1}]}"#,
        r#" {"name": "a.b.R", "fields": [ {"default": 1, "type": {"type": "int"}, "name": "x"} ], "type": "record"}"#,
        r#"{"namespace":"c","name":"a.b.R","type":"record","fields":[{"type":"int","name":"x","default":1}]}"#,
    ];
    let all: Vec<String> = texts
        .iter()
        .map(|text| parse(text).unwrap().canonical().to_owned())
        .collect();
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:#?}");
    assert_eq!(
        parse("\"string\"").unwrap().canonical(),
        parse("{\"type\":\"string\"}").unwrap().canonical()
    );
    assert_eq!(parse("string").unwrap().canonical(), "\"string\"");
}

#[test]
fn what_a_client_can_see_keeps_schemas_apart() {
    let plain = parse(r#"{"type":"record","name":"R","fields":[]}"#).unwrap();
    let with_doc = parse(r#"{"type":"record","name":"R","doc":"d","fields":[]}"#).unwrap();
    assert_ne!(plain.canonical(), with_doc.canonical());
    let date = parse(r#"{"type":"int","logicalType":"date"}"#).unwrap();
    assert_ne!(date.canonical(), "\"int\"");
}

#[test]
fn a_type_may_contain_itself_and_name_those_of_references() {
    let list = r#"{"type":"record","name":"n.List","fields":[{"name":"next","type":["null","List"]}]}"#;
    let schema = parse(list).unwrap();
    assert!(
        schema.canonical().contains("\"n.List\"]"),
        "{}",
        schema.canonical()
    );
    let mut parser = Parser::new();
    parser.add(list).unwrap();
    let uses = r#"{"type":"record","name":"Uses","fields":[{"name":"list","type":"n.List"}]}"#;
    assert!(parser.parse(uses).is_ok());
    let error = parse(uses).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("at /fields/0/type: there is no type 'n.List'"),
        "{error}"
    );
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    let record = |field: &str| format!(r#"{{"type":"record","name":"R","fields":[{field}]}}"#);
    let cases = [
        ("{", "no JSON"),
        ("42", "a name, an object or a list"),
        ("{}", "\"type\""),
        (
            r#"{"type":"enum","name":"E","symbols":["A","A"]}"#,
            "stands there twice",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#,
            "none of the symbols",
        ),
        (r#"{"type":"fixed","name":"F"}"#, "size"),
        (r#"["int","int"]"#, "'int' twice"),
        (r#"["int",["null"]]"#, "directly in a union"),
        (r#"{"type":"array"}"#, "items"),
        (r#"{"type":"record","name":"1R","fields":[]}"#, "is no name"),
        (r#"{"type":"record","name":"int","fields":[]}"#, "Avro's own"),
        (
            &record(r#"{"name":"a","type":"int"},{"name":"a","type":"int"}"#),
            "at /fields/1: the record has the field 'a' twice",
        ),
        (&record(r#"{"name":"a-b","type":"int"}"#), "no name of a field"),
        (&record(r#"{"name":"a"}"#), "\"type\" is missing"),
    ];
    for (text, words) in cases {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    let deep = format!(
        "{}\"int\"{}",
        r#"{"type":"array","items":"#.repeat(5_000),
        "}".repeat(5_000)
    );
    assert!(parse(&deep).is_err());
}

#[test]
fn a_default_of_another_type_is_named() {
    let of = |field: &str| {
        let text = format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a",{field}}}]}}"#);
        parse(&text).unwrap().wrong_default().map(str::to_owned)
    };
    assert_eq!(of(r#""type":"int","default":1"#), None);
    assert_eq!(of(r#""type":["null","string"],"default":null"#), None);
    assert_eq!(of(r#""type":["null","string"],"default":"x""#), None);
    assert_eq!(of(r#""type":{"type":"map","values":"int"},"default":{}"#), None);
    let wrong = of(r#""type":"int","default":"one""#).unwrap();
    assert!(
        wrong.contains("/fields/0/default") && wrong.contains("no int"),
        "{wrong}"
    );
    assert!(of(r#""type":"int","default":3000000000"#).is_some());
}

#[test]
fn a_default_that_many_branches_could_take_ends() {
    let record = |name: &str| {
        format!(r#"{{"type":"record","name":"{name}","fields":[{{"name":"f","type":["int","A","B"]}}]}}"#)
    };
    let value = format!("{}\"x\"{}", r#"{"f":"#.repeat(60), "}".repeat(60));
    let b = record("B");
    let text = format!(
        r#"{{"type":"record","name":"A","fields":[{{"name":"f","type":["int","A",{b}],"default":{value}}}]}}"#
    );
    assert!(parse(&text).unwrap().wrong_default().is_some());
}
