use super::*;

#[test]
fn only_addresses_and_localhost_are_local_names() {
    for host in [
        "localhost",
        "LOCALHOST:9644",
        "127.0.0.1:9644",
        "127.0.0.1",
        "[::1]:9644",
        "[::1]",
    ] {
        assert!(is_local_name(host), "{host}");
    }
    for host in [
        "",
        "evil.example",
        "evil.example:9644",
        "localhost.evil.example",
        "[::1",
        "127.0.0.1.nip.io:9644",
    ] {
        assert!(!is_local_name(host), "{host}");
    }
}
