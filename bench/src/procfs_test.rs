use super::*;

#[test]
fn a_stat_line_is_read_past_a_name_with_brackets_and_blanks() {
    let text = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 30 20 20 0 1 0 100 1 1";
    let (name, times) = parse_stat(text).unwrap();
    let tick = from_ticks(1);
    assert_eq!(name, "a) b (c");
    assert_eq!(times.own, tick * 200);
    assert_eq!(times.children, tick * 50);
    assert!(parse_stat("42 (a) S 1 2").is_err());
}

#[test]
fn busy_time_leaves_idle_waiting_and_stolen_time_out() {
    let text = "cpu  1 2 4 1000 1000 8 16 5000 0 0\ncpu0 1 2 4 1000 1000 8 16 5000 0 0\n";
    assert_eq!(parse_busy(text).unwrap(), from_ticks(31));
    assert!(parse_busy("cpu0 1 2\n").is_err());
}

#[test]
fn written_bytes_are_less_what_was_cancelled() {
    let text = "rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 4096\n";
    assert_eq!(parse_written(text).unwrap(), 4096);
}

#[test]
fn whole_disks_count_and_their_partitions_do_not() {
    let line = |name: &str, sectors: u64| format!("254 0 {name} 1 2 3 4 5 6 {sectors} 8 9 10 11\n");
    let text = [
        line("vda", 10),
        line("vda1", 10),
        line("loop0", 10),
        line("nvme0n1", 100),
        line("nvme0n1p2", 100),
        line("dm-0", 100),
    ]
    .concat();
    assert_eq!(parse_diskstats(&text), 110 * 512);
}

#[test]
fn threads_that_differ_by_a_number_are_one_group() {
    let names = [
        "tokio-rt-worker",
        "drain-3",
        "G1 Conc#0",
        "wal",
        "C2 CompilerThre",
        "12",
    ];
    let groups: Vec<String> = names.iter().map(|name| group_name(name)).collect();
    assert_eq!(
        groups,
        [
            "tokio-rt-worker",
            "drain",
            "G1 Conc",
            "wal",
            "C2 CompilerThre",
            "12"
        ]
    );
}

#[test]
fn this_process_can_be_sampled() {
    let sample = ProcessSample::take(std::process::id()).unwrap();
    assert!(sample.resident_bytes > 0 && sample.resident_peak_bytes >= sample.resident_bytes);
    assert!(sample.descriptors > 0 && !sample.threads.is_empty());
    assert!(MachineSample::take().unwrap().busy > Duration::ZERO);
    assert!(ProcessSample::take(u32::MAX).is_err());
}
