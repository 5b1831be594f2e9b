//! A broker that stands still for a while, as on a machine that swaps or a virtual one that is moved.

use std::time::Duration;

use rustix::process::Signal;
use thalweg_tests::chance::Chance;
use thalweg_tests::{Broker, BrokerConfig, Product, watchdog};

use crate::company::{Company, PACE, is_long, let_pass};

#[test]
fn a_pause_loses_nothing_and_leaves_nothing_stuck() {
    if Product::under_test() != Product::Thalweg {
        return;
    }
    watchdog::allow(Duration::from_secs(if is_long() { 900 } else { 480 }));
    let mut chance = Chance::from_environment();
    let mut broker = BrokerConfig::default().small_files().start();
    let company = Company::start(&broker, PACE, &mut chance);
    // One pause is longer than the members' session timeout (6 s): they have to come back.
    let mut pauses = vec![
        chance.millis(100, 1_000),
        Duration::from_secs(8),
        chance.millis(500, 2_000),
    ];
    if is_long() {
        pauses.push(Duration::from_secs(60));
    }
    for length in &pauses {
        company.wait_for_all();
        pause(&mut broker, &company, *length);
        company.wait_for_all();
        company.check_commits();
        company.assert_sound("after a pause");
    }
    eprintln!(
        "pauses of {pauses:?}: {} records acknowledged",
        company.acknowledged()
    );
    company.finish(&mut broker);
}

fn pause(broker: &mut Broker, company: &Company, length: Duration) {
    let server = broker.server().expect("the broker runs");
    server.signal(Signal::STOP);
    company.theatre.standstill.during(|| let_pass(length));
    server.signal(Signal::CONT);
}
