use thalweg_settings::Profile;

use super::*;

fn settings(listeners: &str, advertised: Option<&str>) -> Settings {
    let mut builder = Settings::builder(Profile::Serve)
        .set("listeners", listeners)
        .set("inter.broker.listener.name", listeners.split(':').next().unwrap())
        .set(
            "listener.security.protocol.map",
            "IN:PLAINTEXT,OUT:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        );
    if let Some(text) = advertised {
        builder = builder.set("advertised.listeners", text);
    }
    builder.build().unwrap()
}

#[test]
fn a_client_is_told_the_address_of_its_own_listener() {
    let settings = settings(
        "IN://127.0.0.1:1,OUT://127.0.0.1:2",
        Some("IN://127.0.0.1:1,OUT://broker.example:9"),
    );
    assert_eq!(advertised(&settings, "IN"), ("127.0.0.1".to_owned(), 1));
    assert_eq!(advertised(&settings, "OUT"), ("broker.example".to_owned(), 9));
}

#[test]
fn a_listener_on_every_address_is_told_by_the_name_of_the_machine() {
    let settings = settings("PLAINTEXT://:9092", None);
    let (host, port) = advertised(&settings, "PLAINTEXT");
    assert!(!host.is_empty() && host != "0.0.0.0");
    assert_eq!(port, 9092);
}

#[test]
fn a_port_the_system_chose_is_told_as_it_was_bound() {
    let settings = settings("PLAINTEXT://127.0.0.1:0", None);
    let bound = settings.with_bound_ports([("PLAINTEXT".to_owned(), 4567)]);
    assert_eq!(advertised(&bound, "PLAINTEXT"), ("127.0.0.1".to_owned(), 4567));
}
