use super::*;

const INT: &str = "\"int\"";
const LONG: &str = "\"long\"";
const TEXT: &str = "\"string\"";

fn request(schema: &str) -> SchemaRequest {
    SchemaRequest {
        schema: schema.to_owned(),
        ..SchemaRequest::default()
    }
}

/// Does what is decided, through the records' bytes.
fn done<T>(state: &mut State, change: Change<T>) -> T {
    for record in change.records {
        let (key, value) = record.encode().unwrap();
        state.apply(Record::decode(&key, value.as_deref()).unwrap().unwrap());
    }
    change.answer
}

fn add(state: &mut State, subject: &str, schema: &str) -> i32 {
    let change = register(state, subject, &request(schema)).unwrap();
    done(state, change)
}

#[test]
fn an_id_stands_for_one_schema_in_all_subjects() {
    let mut state = State::default();
    assert_eq!(add(&mut state, "a", INT), 1);
    assert_eq!(add(&mut state, "b", LONG), 2);
    assert_eq!(add(&mut state, "b", "{\"type\": \"long\"}"), 2);
    assert_eq!(add(&mut state, "c", INT), 1);
    assert_eq!(add(&mut state, "a", LONG), 2);
    let versions: Vec<i32> = state
        .versions("a", Deleted::Hidden)
        .map(|value| value.version)
        .collect();
    assert_eq!(versions, [1, 2]);
    assert_eq!(state.next_id(), 3);
}

#[test]
fn levels_compare_with_the_last_or_with_all() {
    let cases = [
        (Level::None, TEXT, true),
        (Level::Backward, LONG, true),
        (Level::Backward, TEXT, false),
        (Level::Forward, LONG, false),
        (Level::Full, LONG, false),
        (Level::FullTransitive, INT, true),
    ];
    for (level, schema, is_taken) in cases {
        let mut state = State::default();
        add(&mut state, "s", INT);
        let change = set_level(&state, Some("s"), level.name()).unwrap();
        done(&mut state, change);
        let result = register(&state, "s", &request(schema));
        assert_eq!(result.is_ok(), is_taken, "{} {schema}: {result:?}", level.name());
        let found = test_compatibility(&state, "s", None, &request(schema)).unwrap();
        assert_eq!(found.is_empty(), is_taken);
    }
    let field = |fields: &str| format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
    let (a, with_default, bare) = (
        field(""),
        field(r#"{"name":"x","type":"int","default":0}"#),
        field(r#"{"name":"x","type":"int"}"#),
    );
    let mut state = State::default();
    add(&mut state, "s", &a);
    add(&mut state, "s", &with_default);
    assert!(register(&state, "s", &request(&bare)).is_ok());
    let change = set_level(&state, None, "backward_transitive").unwrap();
    done(&mut state, change);
    let error = register(&state, "s", &request(&bare)).unwrap_err();
    assert_eq!(error.code(), 409);
    assert!(
        error.to_string().contains("READER_FIELD_MISSING_DEFAULT_VALUE"),
        "{error}"
    );
}

#[test]
fn ids_are_not_given_again_when_schemas_are_gone() {
    let mut state = State::default();
    add(&mut state, "s", INT);
    add(&mut state, "s", LONG);
    assert_eq!(
        delete_subject(&state, "s", Deletion::Permanent)
            .unwrap_err()
            .code(),
        40405
    );
    let change = delete_subject(&state, "s", Deletion::Soft).unwrap();
    assert_eq!(done(&mut state, change), [1, 2]);
    assert_eq!(
        delete_subject(&state, "s", Deletion::Soft).unwrap_err().code(),
        40404
    );
    assert!(state.schema(2).is_ok());
    assert_eq!(
        state
            .version("s", VersionQuery::Latest, Deleted::Hidden)
            .unwrap_err()
            .code(),
        40401
    );
    let change = delete_subject(&state, "s", Deletion::Permanent).unwrap();
    let mut compacted = State::default();
    // What compaction leaves of it: tombstones are gone.
    for record in &change.records {
        if matches!(record, Record::Noop { .. }) {
            compacted.apply(record.clone());
        }
    }
    done(&mut state, change);
    for mut state in [state, compacted] {
        assert_eq!(state.schema(2).unwrap_err().code(), 40403);
        assert_eq!(add(&mut state, "t", TEXT), 3);
    }
}

#[test]
fn a_deleted_version_comes_back_with_a_new_number_and_its_id() {
    let mut state = State::default();
    add(&mut state, "s", INT);
    let change = delete_version(&state, "s", VersionQuery::Number(1), Deletion::Soft).unwrap();
    assert_eq!(done(&mut state, change), 1);
    let again = delete_version(&state, "s", VersionQuery::Number(1), Deletion::Soft);
    assert_eq!(again.unwrap_err().code(), 40406);
    assert_eq!(
        look_up(&state, "s", &request(INT), Deleted::Hidden)
            .unwrap_err()
            .code(),
        40401
    );
    assert_eq!(
        look_up(&state, "s", &request(INT), Deleted::Shown)
            .unwrap()
            .version,
        1
    );
    assert_eq!(add(&mut state, "s", INT), 1);
    assert_eq!(
        state
            .version("s", VersionQuery::Latest, Deleted::Hidden)
            .unwrap()
            .version,
        2
    );
}

#[test]
fn references_are_found_and_kept() {
    let mut state = State::default();
    add(&mut state, "id", r#"{"type":"fixed","name":"n.Id","size":16}"#);
    let uses = SchemaRequest {
        schema: r#"{"type":"record","name":"R","fields":[{"name":"id","type":"n.Id"}]}"#.to_owned(),
        references: Some(vec![Reference {
            name: "n.Id".to_owned(),
            subject: "id".to_owned(),
            version: 1,
        }]),
        ..SchemaRequest::default()
    };
    let change = register(&state, "r", &uses).unwrap();
    assert_eq!(done(&mut state, change), 2);
    assert_eq!(state.referenced_by("id", 1), [2]);
    assert_eq!(
        delete_subject(&state, "id", Deletion::Soft).unwrap_err().code(),
        42206
    );
    let mut missing = uses.clone();
    missing.references.as_mut().unwrap()[0].version = 9;
    assert_eq!(register(&state, "r", &missing).unwrap_err().code(), 42201);
}

#[test]
fn modes_decide_what_may_be_written() {
    let mut state = State::default();
    add(&mut state, "s", INT);
    let with_id = SchemaRequest {
        id: Some(77),
        version: Some(5),
        ..request(LONG)
    };
    assert_eq!(register(&state, "s", &with_id).unwrap_err().code(), 42205);
    assert_eq!(
        set_mode(&state, Some("s"), "IMPORT", Force::No)
            .unwrap_err()
            .code(),
        42205
    );
    let change = set_mode(&state, Some("s"), "import", Force::Yes).unwrap();
    done(&mut state, change);
    let change = register(&state, "s", &with_id).unwrap();
    assert_eq!(done(&mut state, change), 77);
    assert_eq!(
        state
            .version("s", VersionQuery::Number(5), Deleted::Hidden)
            .unwrap()
            .id,
        77
    );
    let taken = SchemaRequest {
        id: Some(1),
        ..request(TEXT)
    };
    assert_eq!(register(&state, "s", &taken).unwrap_err().code(), 42205);
    assert_eq!(add(&mut state, "t", TEXT), 78);
    let change = set_mode(&state, None, "READONLY", Force::No).unwrap();
    done(&mut state, change);
    assert_eq!(register(&state, "t", &request(INT)).unwrap_err().code(), 42205);
    assert_eq!(
        set_mode(&state, None, "SOMETIMES", Force::No).unwrap_err().code(),
        42204
    );
    assert_eq!(reset_mode(&state, Some("u")).unwrap_err().code(), 40409);
}

#[test]
fn what_is_wrong_has_its_number() {
    let state = State::default();
    let code = |schema: &str| register(&state, "s", &request(schema)).unwrap_err().code();
    assert_eq!(code("{"), 42201);
    assert_eq!(code(""), 42201);
    assert_eq!(
        code(r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#),
        42201
    );
    assert_eq!(register(&state, "", &request(INT)).unwrap_err().code(), 422);
    let other = SchemaRequest {
        schema_type: Some("PROTOBUF".to_owned()),
        ..request(INT)
    };
    assert_eq!(register(&state, "s", &other).unwrap_err().code(), 42201);
    assert_eq!(set_level(&state, None, "SOME").unwrap_err().code(), 42203);
    assert_eq!(reset_level(&state, Some("s")).unwrap_err().code(), 40408);
}
