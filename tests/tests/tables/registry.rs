//! The registry over HTTP: what it keeps over kills, and that no id is given twice whatever happens to its writers.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::{Value, json};
use thalweg_tests::router::Router;
use thalweg_tests::wait;

use crate::thalweg;

/// A record with one field of this name: each is another schema.
fn schema(name: &str) -> Value {
    let text =
        json!({ "type": "record", "name": "R", "fields": [{ "name": name, "type": "int", "default": 0 }] });
    json!({ "schema": text.to_string() })
}

#[track_caller]
fn register(router: &Router, subject: &str, name: &str) -> i64 {
    let path = format!("/subjects/{subject}/versions");
    let answer = router.expect(200, "POST", &path, &schema(name));
    answer["id"].as_i64().expect("an id")
}

/// Registers, trying again while the registry cannot.
#[track_caller]
fn register_patiently(router: &Router, subject: &str, name: &str) -> i64 {
    let path = format!("/subjects/{subject}/versions");
    let try_once = || match router.ask("POST", &path, &schema(name)) {
        Ok((200, answer)) => answer["id"].as_i64(),
        _ => None,
    };
    wait::poll(wait::PATIENCE, try_once).unwrap_or_else(|| panic!("{subject}: {}", router.log_tail()))
}

#[track_caller]
fn code(router: &Router, status: u16, method: &str, path: &str, body: &Value) -> i64 {
    let answer = router.expect(status, method, path, body);
    assert!(
        answer["message"]
            .as_str()
            .is_some_and(|message| message.len() > 10),
        "{answer}"
    );
    answer["error_code"].as_i64().expect("a number")
}

#[test]
fn endpoints_answer_as_clients_expect() {
    let broker = thalweg().start();
    let mut router = Router::start(&broker);
    let none = Value::Null;
    assert_eq!(register(&router, "a", "x"), 1);
    assert_eq!(register(&router, "a", "y"), 2);
    assert_eq!(register(&router, "b", "x"), 1);
    assert_eq!(router.get("/subjects"), json!(["a", "b"]));
    assert_eq!(router.get("/subjects?subjectPrefix=b"), json!(["b"]));
    assert_eq!(router.get("/subjects/a/versions"), json!([1, 2]));
    let latest = router.get("/subjects/a/versions/latest");
    assert_eq!((&latest["version"], &latest["id"]), (&json!(2), &json!(2)));
    assert_eq!(router.get("/schemas/ids/1?fetchMaxId=true")["maxId"], 2);
    assert_eq!(router.get("/schemas/ids/1/subjects"), json!(["a", "b"]));
    assert_eq!(
        router.get("/schemas/ids/1/versions")[1],
        json!({ "subject": "b", "version": 1 })
    );
    assert_eq!(router.get("/schemas/types"), json!(["AVRO"]));
    assert_eq!(
        router.get("/schemas?latestOnly=true").as_array().map(Vec::len),
        Some(2)
    );
    let found = router.expect(200, "POST", "/subjects/a", &schema("y"));
    assert_eq!(found["version"], 2);
    assert_eq!(code(&router, 404, "POST", "/subjects/a", &schema("z")), 40403);
    assert_eq!(code(&router, 404, "POST", "/subjects/c", &schema("z")), 40401);
    assert_eq!(code(&router, 404, "GET", "/subjects/a/versions/9", &none), 40402);
    assert_eq!(code(&router, 422, "GET", "/subjects/a/versions/0", &none), 42202);
    assert_eq!(code(&router, 404, "GET", "/schemas/ids/99", &none), 40403);
    assert_eq!(
        code(
            &router,
            422,
            "POST",
            "/subjects/a/versions",
            &json!({ "schema": "{" })
        ),
        42201
    );
    assert_eq!(
        code(&router, 422, "POST", "/subjects/a/versions", &json!([1])),
        422
    );
    let long = json!({ "type": "fixed", "name": "F", "size": 1, "doc": "x".repeat(2 << 20) });
    let long = json!({ "schema": long.to_string() });
    assert_eq!(
        code(&router, 422, "POST", "/subjects/long/versions", &long),
        42201
    );
    let text = json!({ "schema": "\"string\"" });
    assert_eq!(code(&router, 409, "POST", "/subjects/a/versions", &text), 409);
    let tested = router.expect(
        200,
        "POST",
        "/compatibility/subjects/a/versions/latest?verbose=true",
        &text,
    );
    assert_eq!(tested["is_compatible"], false);
    assert!(
        tested["messages"][0]
            .as_str()
            .is_some_and(|text| text.contains("TYPE_MISMATCH")),
        "{tested}"
    );
    assert_eq!(router.get("/config"), json!({ "compatibilityLevel": "BACKWARD" }));
    assert_eq!(code(&router, 404, "GET", "/config/a", &none), 40408);
    assert_eq!(
        code(
            &router,
            422,
            "PUT",
            "/config/a",
            &json!({ "compatibility": "SOME" })
        ),
        42203
    );
    router.expect(200, "PUT", "/config/a", &json!({ "compatibility": "NONE" }));
    router.expect(200, "POST", "/subjects/a/versions", &text);
    assert_eq!(
        router.expect(200, "DELETE", "/config/a", &none)["compatibilityLevel"],
        "NONE"
    );
    assert_eq!(
        code(&router, 404, "DELETE", "/subjects/b?permanent=true", &none),
        40405
    );
    assert_eq!(router.expect(200, "DELETE", "/subjects/b", &none), json!([1]));
    assert_eq!(router.get("/subjects?deleted=true"), json!(["a", "b"]));
    assert_eq!(
        router.expect(200, "DELETE", "/subjects/b?permanent=true", &none),
        json!([1])
    );
    assert_eq!(
        router.expect(200, "DELETE", "/subjects/a/versions/3", &none),
        json!(3)
    );
    router.expect(200, "PUT", "/mode", &json!({ "mode": "READONLY" }));
    assert_eq!(
        code(&router, 422, "POST", "/subjects/q/versions", &schema("q")),
        42205
    );
    assert_eq!(
        router.get("/mode/q?defaultToGlobal=true"),
        json!({ "mode": "READONLY" })
    );
    assert_eq!(code(&router, 404, "GET", "/nothing", &none), 404);
    let metrics = router.get("/metrics");
    let metrics = metrics.as_str().unwrap_or_default();
    assert!(metrics.contains("thalweg_router_registry_schemas"), "{metrics}");
    assert!(router.terminate().success());
}

#[test]
fn schemas_survive_kills_of_router_and_broker() {
    let mut broker = thalweg().start();
    let mut router = Router::start(&broker);
    let mut ids = BTreeMap::new();
    for round in 0..6 {
        for number in 0..4 {
            let name = format!("f{round}_{number}");
            let id = register_patiently(&router, &format!("s{number}"), &name);
            assert_eq!(ids.insert(id, name.clone()), None, "id {id} was given twice");
        }
        if round % 2 == 0 {
            router.kill_nine();
            router.start_again();
        } else {
            broker.kill_nine();
            broker.start_again();
        }
    }
    for (id, name) in &ids {
        let read = || {
            router
                .ask("GET", &format!("/schemas/ids/{id}"), &Value::Null)
                .ok()
        };
        let found = wait::poll(wait::PATIENCE, || read().filter(|(status, _)| *status == 200));
        let (_, found) = found.unwrap_or_else(|| panic!("id {id} is lost: {}", router.log_tail()));
        assert!(
            found["schema"]
                .as_str()
                .is_some_and(|text| text.contains(name.as_str())),
            "{id}: {found}"
        );
    }
}

#[test]
fn a_paused_writer_that_comes_back_gives_no_id_twice() {
    let broker = thalweg().start();
    let mut first = Router::start(&broker);
    let second = Router::start(&broker);
    let mut ids = BTreeMap::new();
    let mut note = |id: i64, name: &str| {
        let other = ids.insert(id, name.to_owned());
        assert!(other.is_none(), "id {id} is that of {other:?} and of {name}");
    };
    for round in 0..5 {
        let name = format!("first{round}");
        note(register_patiently(&first, "s", &name), &name);
        first.server().signal(Signal::STOP);
        for number in 0..3 {
            let name = format!("second{round}_{number}");
            note(register_patiently(&second, "s", &name), &name);
        }
        first.server().signal(Signal::CONT);
        let name = format!("back{round}");
        note(register_patiently(&first, "s", &name), &name);
    }
    let numbers: Vec<i64> = ids.keys().copied().collect();
    assert_eq!(numbers, (1..=25).collect::<Vec<i64>>());
    for (id, name) in &ids {
        for router in [&first, &second] {
            let found = router.get(&format!("/schemas/ids/{id}"));
            assert!(
                found["schema"]
                    .as_str()
                    .is_some_and(|text| text.contains(name.as_str())),
                "{found}"
            );
        }
    }
}

#[test]
fn a_writer_that_is_paused_in_the_middle_of_its_writes_gives_no_id_twice() {
    let broker = thalweg().start();
    let mut first = Router::start(&broker);
    let second = Router::start(&broker);
    let (asked, answers) = std::sync::mpsc::channel();
    let url = first.address().to_owned();
    // Asked without a pause, so that the signals find the first writer anywhere in its work.
    let busy = std::thread::spawn(move || {
        for number in 0..40 {
            let name = format!("busy{number}");
            let body = schema(&name).to_string();
            let answer = thalweg_tests::http::send_json(&url, "POST", "/subjects/busy/versions", &body);
            if let Ok(answer) = answer.as_ref().map(|answer| &answer.body) {
                let id = serde_json::from_str::<Value>(answer)
                    .ok()
                    .and_then(|json| json["id"].as_i64());
                let _ = asked.send((name, id));
            }
        }
    });
    let mut given: BTreeMap<i64, String> = BTreeMap::new();
    for round in 0..4 {
        first.server().signal(Signal::STOP);
        for number in 0..2 {
            let name = format!("calm{round}_{number}");
            let id = register_patiently(&second, "calm", &name);
            assert_eq!(given.insert(id, name), None, "id {id} was given twice");
        }
        first.server().signal(Signal::CONT);
        register_patiently(&first, "again", &format!("again{round}"));
    }
    busy.join().expect("the busy client ends");
    let answered: Vec<(String, Option<i64>)> = answers.try_iter().collect();
    let with_id = answered
        .iter()
        .filter_map(|(name, id)| Some(((*id)?, name.clone())));
    for (id, name) in with_id {
        assert_eq!(given.insert(id, name), None, "id {id} was given twice");
    }
    for (id, name) in &given {
        for router in [&first, &second] {
            let found = router.get(&format!("/schemas/ids/{id}"));
            assert!(
                found["schema"]
                    .as_str()
                    .is_some_and(|text| text.contains(name.as_str())),
                "{id} {name}: {found}"
            );
        }
    }
}
