use super::*;

fn counts(total_max: usize, per_ip_max: usize, overrides: &[(&str, usize)]) -> Arc<ConnectionCounts> {
    let per_ip_overrides = overrides
        .iter()
        .map(|(ip, count)| (ip.parse().unwrap(), *count))
        .collect();
    Arc::new(ConnectionCounts::new(ConnectionLimits {
        total_max,
        total_limit: "max.connections",
        per_ip_max,
        per_ip_overrides,
    }))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_limit_that_was_reached_is_named() {
    let counts = counts(3, 2, &[]);
    let first = counts.add(ip("10.0.0.1")).unwrap();
    let _second = counts.add(ip("::ffff:10.0.0.1")).unwrap();
    let refused = counts.add(ip("10.0.0.1")).unwrap_err();
    assert_eq!(
        refused,
        LimitReached {
            setting: "max.connections.per.ip",
            value: 2
        }
    );
    let _third = counts.add(ip("10.0.0.2")).unwrap();
    assert_eq!(counts.add(ip("10.0.0.3")).unwrap_err().setting, "max.connections");
    drop(first);
    assert!(counts.add(ip("10.0.0.1")).is_ok());
}

#[test]
fn an_override_holds_for_its_address_only() {
    let counts = counts(100, 1, &[("10.0.0.1", 2), ("10.0.0.2", 0)]);
    let _kept = [
        counts.add(ip("10.0.0.1")).unwrap(),
        counts.add(ip("10.0.0.1")).unwrap(),
    ];
    assert!(counts.add(ip("10.0.0.1")).is_err());
    assert!(counts.add(ip("10.0.0.2")).is_err());
    assert!(counts.add(ip("10.0.0.3")).is_ok());
}

#[test]
fn addresses_without_connections_are_forgotten() {
    let counts = counts(100, 10, &[]);
    drop(counts.add(ip("10.0.0.1")).unwrap());
    let state = counts.state.lock();
    assert_eq!((state.total, state.by_ip.len()), (0, 0));
}

#[test]
fn new_limits_hold_for_new_connections() {
    let counts = counts(100, 10, &[]);
    let _kept = counts.add(ip("10.0.0.1")).unwrap();
    counts.set_limits(ConnectionLimits {
        total_limit: "max.connections",
        total_max: 1,
        per_ip_max: 1,
        per_ip_overrides: HashMap::new(),
    });
    assert!(counts.add(ip("10.0.0.2")).is_err());
}
