//! Clients that are slow, stuck or gone: the others are served, and memory stays bounded.

use std::time::Duration;

use thalweg_tests::actors::{Pace, ProducerPlan, Theatre, start_producer};
use thalweg_tests::chance::Chance;
use thalweg_tests::history::Promise;
use thalweg_tests::memory;
use thalweg_tests::raw::{self, HeaderForm, Heard, Raw};
use thalweg_tests::{Broker, BrokerConfig, Product, wait};

use crate::company::{is_long, let_pass, make_topic};
use crate::witnesses::{Witnesses, bounded};

/// The limits of the broker under test, so small that breaking them shows.
const MEMORY_BUDGET: u64 = 128 << 20;
const REPLIES_MAX: u64 = 16 << 20;
/// Memory beside the budgets: allocator, threads, caches.
const SLACK: u64 = 64 << 20;

fn start() -> Option<(Broker, Witnesses)> {
    if Product::under_test() != Product::Thalweg {
        return None;
    }
    let broker = BrokerConfig::default()
        .small_files()
        .set_for(Product::Thalweg, "memory.budget.bytes", MEMORY_BUDGET)
        .set_for(Product::Thalweg, "fetch.response.total.bytes.max", REPLIES_MAX)
        .set_for(Product::Thalweg, "wal.tail.memory.bytes", 4 << 20)
        .start();
    let witnesses = Witnesses::start(&broker);
    witnesses.are_served();
    Some((broker, witnesses))
}

#[test]
fn half_frames_and_huge_claims_cost_no_memory() {
    let Some((broker, witnesses)) = start() else {
        return;
    };
    let before = memory::of(broker.pid()).resident;
    let mut held = Vec::new();
    // 300 claims of 100 MB each, the largest that is allowed, with a few bytes behind them.
    let mut claim = raw::fetch("witnessed", 0, 0, 1);
    claim[..4].copy_from_slice(&100_000_000_i32.to_be_bytes());
    for length in [2, 4, 6, 10, claim.len()] {
        for _ in 0..60 {
            let mut half = Raw::connect(broker.bootstrap()).expect("the broker takes connections");
            half.send(&claim[..length]);
            held.push(half);
        }
    }
    witnesses.are_served();
    bounded(&broker, before, "300 half frames", SLACK);
    for claim in [i32::MAX, -1, i32::MIN, 0, 3] {
        let mut hostile = Raw::connect(broker.bootstrap()).expect("the broker takes connections");
        hostile.send(&claim.to_be_bytes());
        hostile.send(&[0; 16]);
        assert_eq!(
            hostile.hear(wait::PATIENCE),
            Heard::Closed,
            "a frame of {claim} bytes"
        );
    }
    witnesses.are_served();
    drop(held);
    witnesses.are_served();
    witnesses.finish();
}

#[test]
fn slow_uploads_share_a_bounded_memory() {
    let Some((broker, witnesses)) = start() else {
        return;
    };
    let before = memory::of(broker.pid()).resident;
    // Each announces 50 MB, sends 2 MB of it and stops: together more than the broker may hold.
    let mut upload = raw::request((0, 3), 1, HeaderForm::Plain, &vec![0; 2 << 20]);
    upload[..4].copy_from_slice(&50_000_000_i32.to_be_bytes());
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut slow = Raw::connect(broker.bootstrap()).expect("the broker takes connections");
        slow.send_without_waiting(&upload);
        held.push(slow);
    }
    for _ in 0..3 {
        for slow in &mut held {
            slow.send_without_waiting(&upload[..64 << 10]);
        }
        let_pass(Duration::from_millis(200));
    }
    witnesses.are_served();
    bounded(&broker, before, "100 stalled uploads", MEMORY_BUDGET + SLACK);
    drop(held);
    witnesses.are_served();
    witnesses.finish();
}

#[test]
fn readers_that_never_read_do_not_hold_up_others() {
    let Some((broker, witnesses)) = start() else {
        return;
    };
    fill(&broker, "large", 40_000);
    let before = memory::of(broker.pid()).resident;
    let mut held = Vec::new();
    for _ in 0..50 {
        let mut stalled = Raw::connect(broker.bootstrap()).expect("the broker takes connections");
        for _ in 0..20 {
            stalled.send_without_waiting(&raw::fetch("large", 0, 0, 50_000_000));
        }
        held.push(stalled);
    }
    witnesses.are_served();
    let_pass(Duration::from_secs(2));
    witnesses.are_served();
    bounded(
        &broker,
        before,
        "50 readers that never read",
        MEMORY_BUDGET + REPLIES_MAX + SLACK,
    );
    drop(held);
    witnesses.are_served();
    witnesses.finish();
}

/// Produces `count` records of 1 kB to partition 0 of a new topic.
fn fill(broker: &Broker, name: &str, count: usize) {
    let theatre = Theatre::new(broker.bootstrap());
    let topic = make_topic(broker, &theatre, name, 1);
    let plan = ProducerPlan {
        topic,
        promise: Promise::Once,
        pace: Pace {
            burst_max: 1_000,
            pause_ms_max: 1,
            value_bytes: (1_000, 1_000),
        },
        settings: Vec::new(),
    };
    let producer = start_producer(&theatre, plan, Chance::new(2));
    let enough = u64::try_from(count).unwrap_or(u64::MAX);
    wait::until("the topic is large", || {
        theatre.history().acknowledged_count() >= enough
    });
    producer.stop();
}

#[test]
fn connections_cut_in_the_middle_leave_nothing_behind() {
    let Some((broker, witnesses)) = start() else {
        return;
    };
    let mut chance = Chance::from_environment();
    let before = memory::of(broker.pid()).resident;
    let descriptors = memory::descriptors(broker.pid());
    let upload = raw::request((0, 3), 1, HeaderForm::Plain, &vec![0; 1 << 20]);
    for _ in 0..1_000 {
        let mut gone = Raw::connect(broker.bootstrap()).expect("the broker takes connections");
        let cut = chance.index(upload.len().min(100_000));
        if chance.one_in(2) {
            // An answer that nobody reads makes the close a reset.
            gone.send(&raw::api_versions(1));
        }
        gone.send_without_waiting(&upload[..cut]);
    }
    witnesses.are_served();
    bounded(&broker, before, "1,000 cut connections", SLACK);
    wait::until("the descriptors of cut connections are closed", || {
        memory::descriptors(broker.pid()) <= descriptors + 20
    });
    witnesses.finish();
}

#[test]
fn thousands_of_idle_connections_cost_little() {
    let Some((broker, witnesses)) = start() else {
        return;
    };
    let count: usize = if is_long() { 10_000 } else { 2_000 };
    let before = memory::of(broker.pid()).resident;
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let idle = Raw::connect(broker.bootstrap());
        held.push(idle.expect("the broker takes connections; this needs as many descriptors"));
    }
    wait::until("all connections are taken", || {
        memory::descriptors(broker.pid()) >= count
    });
    witnesses.are_served();
    let each = 32 << 10;
    let growth = each * u64::try_from(count).unwrap_or(0);
    bounded(
        &broker,
        before,
        &format!("{count} idle connections"),
        growth + SLACK / 4,
    );
    for one in held.iter_mut().step_by(count / 20) {
        one.send(&raw::api_versions(7));
        assert!(
            matches!(one.hear(wait::PATIENCE), Heard::Frame(_)),
            "an idle one is served too"
        );
    }
    drop(held);
    wait::until("the descriptors of idle connections are closed", || {
        memory::descriptors(broker.pid()) < count / 2
    });
    witnesses.finish();
}
