//! kill -9 of source, target and service in turn, under a load with every codec and with transactions.

use std::time::Duration;

use thalweg_tests::chance::{Chance, number_from_environment};
use thalweg_tests::clients::librdkafka::create_topic;
use thalweg_tests::mirror::Mirror;
use thalweg_tests::watchdog;

use crate::{thalweg, write_transactions, write_with_every_codec};

/// Kills of a short run.
const KILLS: u64 = 9;

#[test]
fn a_mirror_is_equal_after_kills_of_each_part() {
    let kills = number_from_environment("THALWEG_KILLS", KILLS).max(1);
    watchdog::allow(Duration::from_secs(240 + 20 * kills));
    let (mut source, mut target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 3, &[]);
    let mut mirror = Mirror::between(&source, &target, "topics = [\"orders\"]");
    mirror.start();
    let mut chance = Chance::from_environment();
    for kill in 0..kills {
        write_with_every_codec(&source, "orders", 3, 100);
        write_transactions(&source, "orders", 3);
        std::thread::sleep(chance.millis(0, 300));
        match kill % 3 {
            0 => {
                mirror.kill_nine();
                mirror.start();
            }
            1 => {
                target.kill_nine();
                target.start_again();
            }
            _ => {
                source.kill_nine();
                source.start_again();
            }
        }
        if kill % 3 == 2 {
            mirror.wait_for(&source, &target, "orders");
            mirror.verify().shows("3 partitions compared, 0 differ");
        }
    }
    mirror.wait_for(&source, &target, "orders");
    mirror.verify().shows("3 partitions compared, 0 differ, 0 behind");
}
