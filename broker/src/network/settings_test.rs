use thalweg_settings::Profile;

use super::*;

fn settings(assignments: &[(&str, &str)]) -> Settings {
    let builder = Settings::builder(Profile::Serve);
    assignments
        .iter()
        .fold(builder, |builder, (key, value)| builder.set(key, value))
        .build()
        .unwrap()
}

#[test]
fn defaults_are_kafkas() {
    let network = NetworkSettings::from_settings(&settings(&[]), None);
    assert_eq!(network.request_size_max, 104_857_600);
    assert_eq!(network.idle_max, Duration::from_secs(600));
    assert_eq!(network.in_flight_max, 16);
    assert_eq!(network.connection_limits.total_max, 2_147_483_647);
}

#[test]
fn a_negative_idle_time_never_closes() {
    let network = NetworkSettings::from_settings(&settings(&[("connections.max.idle.ms", "-1")]), None);
    assert_eq!(network.idle_max, NEVER);
    let network = NetworkSettings::from_settings(
        &settings(&[("connections.max.idle.ms", "9223372036854775807")]),
        None,
    );
    assert_eq!(network.idle_max, NEVER);
}

#[test]
fn overrides_name_addresses_of_both_families() {
    let (limits, wrong) =
        parse_overrides("10.0.0.1:5, [::1]:7,::ffff:10.0.0.2:9,host:3,10.0.0.3, 10.0.0.4:x,");
    assert_eq!(wrong, ["host:3", "10.0.0.3", "10.0.0.4:x"]);
    let limits = ConnectionLimits {
        total_max: 100,
        total_limit: "max.connections",
        per_ip_max: 1,
        per_ip_overrides: limits,
    };
    let of = |ip: &str| limits.of_ip(ip.parse().unwrap());
    assert_eq!(
        (of("10.0.0.1"), of("::1"), of("10.0.0.2"), of("10.0.0.9")),
        (5, 7, 9, 1)
    );
}

#[test]
fn listeners_carry_the_socket_settings() {
    let listeners = ListenerSettings::from_settings(&settings(&[
        ("listeners", "PLAINTEXT://localhost:1234,SECOND://:0"),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,SECOND:PLAINTEXT",
        ),
        ("socket.receive.buffer.bytes", "102400"),
    ]))
    .unwrap();
    assert_eq!(listeners.len(), 2);
    assert_eq!(
        (&*listeners[0].name, listeners[0].host.as_str(), listeners[0].port),
        ("PLAINTEXT", "localhost", 1234)
    );
    assert_eq!(
        (&*listeners[1].name, listeners[1].host.as_str(), listeners[1].port),
        ("SECOND", "", 0)
    );
    assert_eq!(
        (listeners[0].send_buffer_size, listeners[0].receive_buffer_size),
        (None, Some(102_400))
    );
}

#[test]
fn connections_leave_a_reserve_of_open_files() {
    let most = |open_files: u64, max_connections: &str| {
        let settings = settings(&[("max.connections", max_connections)]);
        let limits = ConnectionLimits::from_settings(&settings).within_open_files(Some(open_files));
        (limits.total_max, limits.total_limit)
    };
    let unlimited = "2147483647";
    for (open_files, expected) in [
        (0, 0),
        (100, 50),
        (512, 256),
        (1024, 768),
        (4096, 3072),
        (65_536, 49_152),
        (1_048_576, 1_032_192),
        (u64::MAX, 2_147_483_647),
    ] {
        assert_eq!(most(open_files, unlimited).0, expected, "{open_files}");
    }
    assert_eq!(most(1024, unlimited).1, "open files (ulimit -n)");
    assert_eq!(most(1024, "768"), (768, "max.connections"));
    assert_eq!(most(1024, "10"), (10, "max.connections"));
    let settings = settings(&[]);
    let unlimited = ConnectionLimits::from_settings(&settings);
    assert_eq!(unlimited.clone().within_open_files(None), unlimited);
}
