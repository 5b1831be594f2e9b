use super::*;

#[test]
fn the_status_file_is_read() {
    let text = "Name:\tx\nVmPeak:\t  2048 kB\nVmHWM:\t     512 kB\nVmRSS:\t     256 kB\nThreads:\t4\n";
    let expected = Memory {
        resident: 256 << 10,
        resident_peak: 512 << 10,
        reserved_peak: 2 << 20,
    };
    assert_eq!(parse(text), expected);
}

#[test]
fn this_process_has_memory_and_descriptors() {
    let pid = std::process::id();
    let memory = of(pid);
    assert!(memory.resident > 0 && memory.resident <= memory.resident_peak);
    assert!(memory.resident_peak <= memory.reserved_peak);
    assert!(descriptors(pid) >= 3);
}
