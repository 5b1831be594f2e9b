//! Bytes that no client would send: huge counts and lengths in every field of every API and version, and requests
//! changed at random. The broker answers or closes, its memory does not follow the claims, others are served.

use std::time::Duration;

use thalweg_tests::chance::{Chance, number_from_environment};
use thalweg_tests::memory;
use thalweg_tests::raw::{self, HeaderForm, Heard, Raw};
use thalweg_tests::requests::{self, Shape};
use thalweg_tests::{Broker, BrokerConfig, Product, wait};

use crate::witnesses::{Witnesses, bounded};

/// What the broker may grow by while it is lied to: buffers that are used again, nothing that a claim asked for.
const GROWTH_MAX: u64 = 48 << 20;
/// What may be reserved and never touched: arenas of the allocator's threads.
const RESERVED_MAX: u64 = 1 << 30;

fn start() -> Option<(Broker, Witnesses)> {
    if Product::under_test() != Product::Thalweg {
        return None;
    }
    let broker = BrokerConfig::default()
        .set("auto.create.topics.enable", "false")
        .start();
    let witnesses = Witnesses::start(&broker);
    witnesses.are_served();
    Some((broker, witnesses))
}

/// Every API and version that the broker offers and serves.
fn offered(broker: &Broker) -> Vec<(i16, i16, Shape)> {
    let mut connection = Raw::connect(broker.bootstrap()).expect("the broker takes connections");
    connection.send(&raw::api_versions(1));
    let Heard::Frame(answer) = connection.hear(wait::PATIENCE) else {
        panic!("no answer to ApiVersions");
    };
    let shapes = requests::shapes();
    let mut offered = Vec::new();
    for (key, oldest, newest) in raw::read_api_versions(&answer) {
        let shape = shapes
            .get(&key)
            .unwrap_or_else(|| panic!("the table has no API {key}"));
        let versions = (oldest..=newest).filter(|version| shape.has(*version));
        offered.extend(versions.map(|version| (key, version, shape.clone())));
    }
    assert!(offered.len() > 100, "only {} versions are offered", offered.len());
    offered
}

fn frame(key: i16, version: i16, shape: &Shape, body: &[u8]) -> Vec<u8> {
    let form = if shape.is_flexible(version) {
        HeaderForm::Flexible
    } else {
        HeaderForm::Plain
    };
    raw::request((key, version), 1, form, body)
}

fn ask(broker: &Broker, frame: &[u8], within: Duration) -> Heard {
    let mut connection = Raw::connect(broker.bootstrap()).expect("the broker takes connections");
    connection.send(frame);
    connection.hear(within)
}

#[test]
fn huge_counts_are_refused_in_every_field_of_every_version() {
    let Some((broker, witnesses)) = start() else {
        return;
    };
    let offered = offered(&broker);
    // Without a change each is answered: so the changes are what is refused below.
    for (key, version, shape) in &offered {
        let body = shape.sample(*version).body;
        let heard = ask(&broker, &frame(*key, *version, shape, &body), wait::PATIENCE);
        assert!(
            matches!(heard, Heard::Frame(_)),
            "{} v{version}: {heard:?}",
            shape.name
        );
    }
    witnesses.are_served();
    let before = memory::of(broker.pid());
    let mut sent = 0;
    let mut served_for = -1;
    for (key, version, shape) in &offered {
        let sample = shape.sample(*version);
        for place in &sample.places {
            for number in [i32::MAX as u32, u32::MAX, u32::MAX - 1, 1 << 31, 999_999, 100_000] {
                let body = place.replaced(&sample.body, number);
                let heard = ask(&broker, &frame(*key, *version, shape, &body), wait::PATIENCE);
                sent += 1;
                assert_ne!(
                    heard,
                    Heard::Nothing,
                    "{} v{version}: {} = {number} is neither answered nor refused",
                    shape.name,
                    place.field
                );
            }
        }
        if served_for != *key {
            served_for = *key;
            witnesses.are_served();
        }
    }
    bounded(
        &broker,
        before.resident,
        &format!("{sent} huge counts"),
        GROWTH_MAX,
    );
    let reserved = memory::of(broker.pid()).reserved_peak;
    assert!(
        reserved <= before.reserved_peak + RESERVED_MAX,
        "a claim reserved memory: {before:?}, then {reserved}"
    );
    witnesses.finish();
}

#[test]
fn requests_changed_at_random_harm_nobody() {
    let Some((broker, witnesses)) = start() else {
        return;
    };
    let mut chance = Chance::from_environment();
    let offered = offered(&broker);
    let before = memory::of(broker.pid()).resident;
    let count = number_from_environment("THALWEG_MUTATIONS", 3_000);
    for number in 0..count {
        let (key, version, shape) = &offered[chance.index(offered.len())];
        let mut bytes = frame(*key, *version, shape, &shape.sample(*version).body);
        mutate(&mut bytes, &mut chance);
        // Not every one is answered: some are only half a frame now, some wait as long as they ask for.
        let heard = ask(&broker, &bytes, Duration::from_millis(10));
        drop(heard);
        if number % 500 == 0 {
            witnesses.are_served();
        }
    }
    witnesses.are_served();
    bounded(
        &broker,
        before,
        &format!("{count} requests changed at random"),
        2 * GROWTH_MAX,
    );
    witnesses.finish();
}

/// Changes a few bytes behind the API key, cuts or lengthens the frame, or lies about its length.
fn mutate(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..chance.between(1, 6) {
        let place = 6 + chance.index(bytes.len() - 6);
        bytes[place] = match chance.between(0, 3) {
            0 => 0xff,
            1 => 0x7f,
            2 => 0,
            _ => chance.next().to_le_bytes()[0],
        };
    }
    match chance.between(0, 5) {
        0 => bytes.truncate(8 + chance.index(bytes.len() - 8)),
        1 => bytes.extend((0..chance.between(1, 100)).map(|byte| byte as u8)),
        2 => {
            let claimed = chance.next().to_le_bytes();
            bytes[..4].copy_from_slice(&claimed[..4]);
            return;
        }
        _ => {}
    }
    let length = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&length.to_be_bytes());
}

/// DescribeGroups v5 with so many empty names, each of which wants an answer of its own.
fn describe_groups(names: u32) -> Vec<u8> {
    let mut body = requests::varint(names + 1);
    body.extend((0..names).map(|_| 1));
    body.extend([0, 0]);
    raw::request((15, 5), 1, HeaderForm::Flexible, &body)
}

/// A request that keeps every rule and asks for as much as a small body can: the largest are refused, and many at once
/// do not stop the others.
#[test]
fn small_bodies_that_ask_for_much_do_not_stop_others() {
    let Some((broker, witnesses)) = start() else {
        return;
    };
    let before = memory::of(broker.pid()).resident;
    let heard = ask(&broker, &describe_groups(1_000_000), wait::PATIENCE);
    assert_eq!(heard, Heard::Closed, "a million names in one request");
    let bytes = describe_groups(50_000);
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut connection = Raw::connect(broker.bootstrap()).expect("the broker takes connections");
        connection.send(&bytes);
        held.push(connection);
    }
    witnesses.are_served();
    for mut connection in held {
        assert!(matches!(connection.hear(wait::PATIENCE), Heard::Frame(_)));
    }
    bounded(&broker, before, "10 requests with 50,000 names each", 400 << 20);
    witnesses.finish();
}
