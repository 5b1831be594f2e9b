use super::*;
use crate::procfs::ProcessSample;
use std::collections::BTreeMap;

fn costs(broker: u64, machine: u64) -> Costs {
    Costs {
        elapsed: Duration::from_secs(1),
        broker: Duration::from_secs(broker),
        machine: Duration::from_secs(machine),
        generators: Duration::ZERO,
        threads: BTreeMap::new(),
        written_bytes: 1 << 20,
        device_bytes: 1 << 20,
        last: ProcessSample::default(),
    }
}

#[track_caller]
fn expect(figures: &Figures, expected: &[(&str, f64)]) {
    for (name, value) in expected {
        assert!(
            (figures[*name] - value).abs() < 1e-9,
            "{name}: {}",
            figures[*name]
        );
    }
}

#[test]
fn costs_are_per_thousand_of_all_transactions_and_rates_of_the_steady_ones() {
    let sent = Transacted {
        committed: 4_000,
        aborted: 0,
        committed_records: 40_000,
        records: 40_000,
        steady_committed: 3_000,
        steady_seconds: 2.0,
        p50_ms: 1.0,
        p99_ms: 2.0,
        p999_ms: 3.0,
        max_ms: 4.0,
    };
    let figures = rate_figures(&sent, &costs(2, 6));
    let expected = [
        (names::TRANSACTIONS, 1_500.0),
        (names::CPU_TRANSACTION, 0.5),
        (names::MACHINE_TRANSACTION, 1.5),
        (names::P999, 3.0),
    ];
    expect(&figures, &expected);
}

#[test]
fn reading_is_compared_by_what_lies_in_the_log() {
    let read = |records, seconds| Consumed {
        records,
        bytes: records * RECORD_BYTES,
        seconds,
    };
    let uncommitted = (read(1 << 20, 2.0), costs(1, 1));
    let committed = (read(900_000, 3.0), costs(2, 2));
    let figures = read_figures(GIB, &uncommitted, &committed);
    let expected = [
        (names::THROUGHPUT, GIB / 3e6),
        (names::UNCOMMITTED, GIB / 2e6),
        (names::CPU, 2.0),
        (names::UNCOMMITTED_CPU, 1.0),
        (names::OVERHEAD_TIME, 1.5),
        (names::OVERHEAD_CPU, 2.0),
    ];
    expect(&figures, &expected);
    assert!(!figures.contains_key(names::DISK));
}

#[test]
fn a_reader_that_costs_too_little_to_see_gives_no_overhead() {
    let read = Consumed {
        records: 1,
        bytes: 1,
        seconds: 1.0,
    };
    let figures = read_figures(GIB, &(read, costs(0, 0)), &(read, costs(0, 0)));
    assert!(!figures.contains_key(names::OVERHEAD_CPU));
}
