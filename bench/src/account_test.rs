use super::*;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn look(broker: u64, wal: u64, busy: u64, own: CpuTimes, others: u64) -> Look {
    Look {
        process: ProcessSample {
            cpu: seconds(broker),
            threads: BTreeMap::from([("wal".to_owned(), seconds(wal))]),
            written_bytes: broker << 30,
            ..ProcessSample::default()
        },
        machine: MachineSample {
            busy: seconds(busy),
            written_bytes: busy << 30,
        },
        own,
        others: seconds(others),
    }
}

fn own(own: u64, children: u64) -> CpuTimes {
    CpuTimes {
        own: seconds(own),
        children: seconds(children),
    }
}

#[test]
fn the_machine_is_charged_less_generators_this_program_and_other_brokers() {
    let before = look(10, 4, 100, own(1, 2), 5);
    let after = look(14, 7, 130, own(2, 12), 8);
    let costs = charge(&before, after, seconds(9));
    assert_eq!(costs.broker, seconds(4));
    assert_eq!(costs.generators, seconds(10));
    assert_eq!(costs.machine, seconds(30 - 10 - 1 - 3));
    assert_eq!(costs.written_bytes, 4 << 30);
    assert_eq!(costs.threads["wal"], seconds(3));
    assert_eq!(costs.threads["(ended)"], seconds(1));
}

#[test]
fn figures_are_per_gib_per_million_and_per_byte() {
    let before = look(0, 0, 0, own(0, 0), 0);
    let after = look(4, 4, 10, own(0, 3), 0);
    let figures = charge(&before, after, seconds(5)).figures(2.0 * GIB, 2e6, Some(1e5));
    let expected = [
        (names::CPU, 2.0),
        (names::MACHINE, 3.5),
        (names::GENERATOR, 1.5),
        (names::CPU_RECORD, 2.0),
        (names::CPU_REQUEST, 40.0),
        (names::DISK, 2.0),
        (names::DEVICE, 5.0),
        ("thread wal", 2.0),
    ];
    for (name, value) in expected {
        assert!((figures[name] - value).abs() < 1e-9, "{name}: {}", figures[name]);
    }
    assert!(!figures.contains_key("thread (ended)"));
}

#[test]
fn a_load_without_bytes_gives_no_rates() {
    let before = look(0, 0, 0, own(0, 0), 0);
    let figures = charge(&before, before.clone(), seconds(1)).figures(0.0, 0.0, None);
    assert!(!figures.contains_key(names::CPU) && !figures.contains_key(names::DISK));
}
