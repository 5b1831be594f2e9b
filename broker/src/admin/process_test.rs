use std::time::{SystemTime, UNIX_EPOCH};

use super::*;

const LINE: &str = "4711 (a (very) odd) S 1 4711 4711 0 -1 4194560 100 0 3 0 250 150 7 8 20 0 12 0 9000 8192000 \
                    512 18446744073709551615 1 1 0 0 0 0 0 4096 17 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

#[test]
fn a_program_name_with_brackets_and_blanks_shifts_nothing() {
    let expected = Stat {
        cpu_ticks: 400.0,
        threads: 12.0,
        start_ticks: 9000.0,
        virtual_bytes: 8_192_000.0,
        resident_pages: 512.0,
    };
    assert_eq!(parse_stat(LINE), Some(expected));
}

#[test]
fn what_is_no_stat_gives_nothing() {
    for text in [
        "",
        "4711",
        "4711 (a)",
        "4711 (a) S 1 2",
        &LINE.replace("8192000", "?"),
    ] {
        assert_eq!(parse_stat(text), None, "{text:?}");
    }
    assert_eq!(
        parse_boot_time("cpu 1 2\nbtime 1700000000\nprocesses 5\n"),
        Some(1.7e9)
    );
    assert_eq!(parse_boot_time("cpu 1 2\n"), None);
}

#[test]
fn this_process_has_memory_files_and_a_start_in_the_past() {
    let mut page = Page::new(&[PROCESS]);
    Process::new().collect(&mut page);
    let families = page.finish();
    assert_eq!(families.len(), PROCESS.len(), "every one has a series here");
    let value = |name: &str| {
        let family = families.iter().find(|family| family.name() == name).expect(name);
        let metric = &family.get_metric()[0];
        metric.get_gauge().get_value() + metric.get_counter().get_value()
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let started = value("process_start_time_seconds");
    assert!(
        started > now - 86_400.0 && started <= now + 2.0,
        "{started} at {now}"
    );
    assert!(value("process_resident_memory_bytes") > f64::from(1 << 20));
    assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
    assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") <= value("process_max_fds"));
    assert!(value("process_threads") >= 1.0);
}
