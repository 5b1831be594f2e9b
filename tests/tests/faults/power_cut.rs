//! A power cut, by copying: the broker stands still, the file system's image is copied, and a second broker starts on the
//! copy. What the first had only in the kernel's memory is not in it.

use std::time::Duration;

use rustix::process::Signal;
use thalweg_tests::chance::{Chance, number_from_environment};
use thalweg_tests::history::Violation;
use thalweg_tests::volume::Volume;
use thalweg_tests::{BrokerConfig, Product, require_client, watchdog};

use crate::company::{Company, PACE, is_long, let_pass};

/// What the clients write from one cut to the next, with room: most of it while a copy is read.
const VOLUME_MIB_PER_CUT: u64 = 200;

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    if Product::under_test() != Product::Thalweg {
        return;
    }
    let cuts = number_from_environment("THALWEG_POWER_CUTS", if is_long() { 20 } else { 3 }).max(1);
    // A cut waits for records, copies the image, mounts the copy, and reads all of it.
    watchdog::allow(Duration::from_secs(600 + 180 * cuts));
    let volume = require_client!(Volume::ext4((256 + VOLUME_MIB_PER_CUT * cuts) << 20));
    let mut chance = Chance::from_environment();
    let config = BrokerConfig::default().small_files();
    let mut broker = config.clone().set("log.dirs", volume.path().display()).start();
    let company = Company::start(&broker, PACE, &mut chance);
    let mut judged = 0;
    for _ in 0..cuts {
        company.wait_for_records(chance.between(500, 4_000));
        let_pass(chance.millis(0, 300));
        broker.server().expect("the broker runs").signal(Signal::STOP);
        let image = company.theatre.standstill.during(|| volume.copy_image());
        // All answers that arrived by now left the broker before it stood still.
        let told = company.theatre.copied_to("");
        broker.server().expect("the broker runs").signal(Signal::CONT);
        judged = told.history().acknowledged_count();
        let copy =
            Volume::from_image(&image).unwrap_or_else(|why| panic!("the copy cannot be mounted: {why}"));
        let second = config.clone().set("log.dirs", copy.path().display()).start();
        let theatre = told.copied_to(second.bootstrap());
        Violation::assert_none(&company.judge_copy(&theatre), "after a power cut");
        drop(second);
        drop(copy);
        company.assert_sound("while copies were judged");
    }
    eprintln!("power cuts: {judged} records were acknowledged before the last one");
    company.finish(&mut broker);
}
