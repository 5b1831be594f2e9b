use super::*;
use crate::settings::Profile;

fn shape(entries: &[&str]) -> Result<(), String> {
    check_shape(
        &entries
            .iter()
            .map(|entry| (*entry).to_owned())
            .collect::<Vec<_>>(),
    )
}

#[test]
fn host_and_port_are_cut_apart() {
    let cases = [
        (":9092", Some(("", 9092))),
        ("localhost:0", Some(("localhost", 0))),
        ("127.0.0.1:65535", Some(("127.0.0.1", 65535))),
        ("[::1]:9092", Some(("::1", 9092))),
        ("::1:9092", None),
        ("[::g]:1", None),
        ("[::1]9092", None),
        ("host", None),
        ("host:", None),
        ("host:65536", None),
        ("host:+1", None),
        ("ho st:1", None),
        ("host/path:1", None),
    ];
    for (text, expected) in cases {
        assert_eq!(split_host_port(text), expected, "{text}");
    }
}

#[test]
fn connection_limits_are_addresses_with_counts() {
    let limit = |address: &str, count| (address.to_owned(), count);
    assert_eq!(connection_limits(""), Some(vec![]));
    assert_eq!(
        connection_limits("localhost:5, 10.0.0.1:0,[::1]:7,fe80::1:9"),
        Some(vec![
            limit("localhost", 5),
            limit("10.0.0.1", 0),
            limit("::1", 7),
            limit("fe80::1", 9)
        ])
    );
    for wrong in [
        "localhost",
        "localhost:",
        ":5",
        "h:-1",
        "h:+1",
        "h:x",
        "h:99999999999",
    ] {
        assert_eq!(connection_limits(wrong), None, "{wrong}");
    }
    let settings = Settings::builder(Profile::Serve)
        .set("max.connections.per.ip.overrides", "h:1")
        .build();
    assert_eq!(
        settings.expect("valid").connection_limits_by_address(),
        [limit("h", 1)]
    );
}

#[test]
fn the_form_of_a_listener_list_is_checked() {
    assert!(shape(&["PLAINTEXT://:9092", "OTHER://:9093"]).is_ok());
    assert!(shape(&["A://127.0.0.1:9092", "B://10.0.0.1:9092"]).is_ok());
    assert!(shape(&["A://:0", "B://:0"]).is_ok());
    for wrong in [
        &[][..],
        &["localhost:9092"],
        &["://h:1"],
        &["A://h"],
        &["A://:1", "a://:2"],
        &["A://:1", "B://:1"],
        &["A B://:1"],
    ] {
        assert!(shape(wrong).is_err(), "{wrong:?}");
    }
    let many: Vec<String> = (0..65).map(|n| format!("A{n}://:0")).collect();
    assert!(check_shape(&many).is_err());
}

#[test]
fn listeners_get_their_protocol_by_name() {
    let settings = Settings::builder(Profile::Serve)
        .set("listeners", "inside://127.0.0.1:1,PLAINTEXT://[::1]:2")
        .set(
            "listener.security.protocol.map",
            "INSIDE:plaintext,PLAINTEXT:PLAINTEXT",
        )
        .set("advertised.listeners", "INSIDE://broker.example:11")
        .build()
        .expect("valid");
    let listener = |name: &str, host: &str, port| Listener {
        name: name.to_owned(),
        protocol: SecurityProtocol::Plaintext,
        host: host.to_owned(),
        port,
    };
    assert_eq!(
        settings.listen_addresses().expect("checked"),
        [
            listener("INSIDE", "127.0.0.1", 1),
            listener("PLAINTEXT", "::1", 2)
        ]
    );
    assert_eq!(
        settings.advertised_addresses().expect("checked"),
        [
            listener("INSIDE", "broker.example", 11),
            listener("PLAINTEXT", "::1", 2)
        ]
    );
}

#[test]
fn port_0_is_told_as_the_bound_port_unless_another_is_advertised() {
    let settings = |advertised: Option<&str>| {
        let builder = Settings::builder(Profile::Serve)
            .set("listeners", "IN://127.0.0.1:0,OUT://127.0.0.1:0")
            .set("inter.broker.listener.name", "IN")
            .set("listener.security.protocol.map", "IN:PLAINTEXT,OUT:PLAINTEXT");
        let builder = match advertised {
            Some(advertised) => builder.set("advertised.listeners", advertised),
            None => builder,
        };
        builder.build().expect("valid")
    };
    let ports = |settings: &Settings| -> Vec<(String, u16)> {
        let told = settings.advertised_addresses().expect("checked");
        told.into_iter()
            .map(|listener| (listener.host, listener.port))
            .collect()
    };
    let host = |name: &str, port| (name.to_owned(), port);
    let bound = [("IN".to_owned(), 4001), ("OUT".to_owned(), 4002)];
    let plain = settings(None);
    assert_eq!(ports(&plain), [host("127.0.0.1", 0), host("127.0.0.1", 0)]);
    let plain = plain.with_bound_ports(bound.clone());
    assert_eq!(ports(&plain), [host("127.0.0.1", 4001), host("127.0.0.1", 4002)]);
    // A dynamic change keeps them.
    let changes = [("max.connections".to_owned(), "7".to_owned())].into();
    let changed = plain.with_dynamic(crate::DynamicScope::ClusterDefault, &changes);
    assert_eq!(
        ports(&changed.expect("valid")),
        [host("127.0.0.1", 4001), host("127.0.0.1", 4002)]
    );
    let advertised = settings(Some("IN://inside:9,OUT://outside:0")).with_bound_ports(bound);
    assert_eq!(ports(&advertised), [host("inside", 9), host("outside", 4002)]);
}
