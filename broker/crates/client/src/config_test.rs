use super::*;

fn address(host: &str, port: u16) -> Address {
    Address {
        host: host.to_owned(),
        port,
    }
}

#[test]
fn addresses_are_host_and_port_with_brackets_for_ipv6() {
    for (text, expected) in [
        ("localhost:9092", address("localhost", 9092)),
        ("localhost", address("localhost", 9092)),
        (" broker-1:19092 ", address("broker-1", 19092)),
        ("[::1]:9093", address("::1", 9093)),
        ("[::1]", address("::1", 9092)),
        ("PLAINTEXT://h:1", address("h", 1)),
    ] {
        assert_eq!(text.parse::<Address>(), Ok(expected), "{text}");
    }
    assert_eq!(address("::1", 9).to_string(), "[::1]:9");
}

#[test]
fn a_text_that_is_no_address_is_refused_with_a_reason() {
    for text in [
        "",
        ":9092",
        "h:0",
        "h:65536",
        "h:x",
        "::1",
        "[::1",
        "[::1]9092",
        "a,b",
    ] {
        if text == "a,b" {
            assert!(parse_bootstrap(text).is_ok());
        } else {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
    assert!(parse_bootstrap(" , ").is_err());
}
