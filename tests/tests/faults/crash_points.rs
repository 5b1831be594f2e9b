//! The program ends itself at named places, under load and while it recovers; what was acknowledged is there after each.

use std::time::Duration;

use thalweg_tests::chance::Chance;
use thalweg_tests::{BrokerConfig, Product, watchdog};

use crate::company::{Company, PACE};

#[test]
fn nothing_acknowledged_is_lost_at_a_named_crash_point() {
    if Product::under_test() != Product::Thalweg {
        return;
    }
    watchdog::allow(Duration::from_secs(600));
    let mut chance = Chance::from_environment();
    let mut broker = BrokerConfig::default().small_files().start();
    let company = Company::start(&broker, PACE, &mut chance);
    company.wait_for_records(2_000);
    for point in [
        "wal-group-durable:40",
        "segment-written:5",
        "wal-rolled:2",
        "recovery-replayed",
        "recovery-point-committed:2",
        "recovery-replaying:3",
        "wal-trimming:2",
    ] {
        broker.kill_nine();
        broker.run_to_crash_point(point);
        broker.start_again();
        company.wait_for_records(500);
    }
    company.finish(&mut broker);
}
