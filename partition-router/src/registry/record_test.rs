use super::*;

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn keys_and_values_have_the_known_form() {
    let value = SchemaValue {
        subject: "s".to_owned(),
        version: 1,
        id: 7,
        schema_type: None,
        references: Vec::new(),
        schema: "\"int\"".to_owned(),
        deleted: false,
        more: Map::new(),
    };
    let schema = Record::Schema {
        subject: "s".to_owned(),
        version: 1,
        value: Some(Box::new(value)),
    };
    let (key, value) = schema.encode().unwrap();
    assert_eq!(
        text(&key),
        r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#
    );
    let read: Value = serde_json::from_slice(&value.unwrap()).unwrap();
    let expected = serde_json::json!({"subject":"s","version":1,"id":7,"schema":"\"int\"","deleted":false});
    assert_eq!(read, expected);
    let cases = [
        (
            Record::Level {
                subject: None,
                level: Some(Level::Full),
            },
            r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
            r#"{"compatibilityLevel":"FULL"}"#,
        ),
        (
            Record::Mode {
                subject: Some("s".to_owned()),
                mode: Some(Mode::Import),
            },
            r#"{"keytype":"MODE","subject":"s","magic":0}"#,
            r#"{"mode":"IMPORT"}"#,
        ),
        (
            Record::Noop { next_id: Some(5) },
            r#"{"keytype":"NOOP","magic":0}"#,
            r#"{"thalwegNextId":5}"#,
        ),
    ];
    for (record, key, value) in cases {
        let (written_key, written_value) = record.encode().unwrap();
        assert_eq!(text(&written_key), key);
        assert_eq!(text(&written_value.unwrap()), value);
    }
}

#[test]
fn what_is_written_is_read_back() {
    let records = [
        Record::Schema {
            subject: "s".to_owned(),
            version: 2,
            value: None,
        },
        Record::Level {
            subject: Some("s".to_owned()),
            level: None,
        },
        Record::Mode {
            subject: None,
            mode: Some(Mode::ReadOnly),
        },
        Record::DeleteSubject {
            subject: "s".to_owned(),
            version: Some(3),
        },
        Record::ClearSubject {
            subject: "s".to_owned(),
        },
        Record::Noop { next_id: None },
    ];
    for record in records {
        let (key, value) = record.encode().unwrap();
        assert_eq!(Record::decode(&key, value.as_deref()).unwrap(), Some(record));
    }
}

#[test]
fn what_another_registry_wrote_is_kept() {
    let key = br#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#;
    let value = br#"{"subject":"s","version":1,"id":3,"references":null,"schema":"\"int\"","deleted":false,"ruleSet":{"x":1}}"#;
    let Some(Record::Schema {
        value: Some(read), ..
    }) = Record::decode(key, Some(value)).unwrap()
    else {
        panic!("a schema")
    };
    assert_eq!(read.more["ruleSet"]["x"], 1);
    let context = br#"{"keytype":"CONTEXT","tenant":"t","context":".","magic":0}"#;
    assert_eq!(Record::decode(context, None).unwrap(), None);
    for (key, value) in [
        (&b"x"[..], None),
        (key, Some(&b"{}"[..])),
        (br#"{"keytype":"SCHEMA","magic":1}"#, None),
    ] {
        assert!(Record::decode(key, value).is_err());
    }
}
