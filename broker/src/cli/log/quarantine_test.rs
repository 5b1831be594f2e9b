use super::*;

const SEGMENT: &str = "00000000000000000042.log";

fn partition() -> (tempfile::TempDir, PathBuf) {
    let data = tempfile::tempdir().unwrap();
    let partition = data.path().join("orders-0");
    std::fs::create_dir(&partition).unwrap();
    for name in [
        SEGMENT,
        "00000000000000000042.index",
        "00000000000000000042.timeindex",
        "00000000000000000042.snapshot",
    ] {
        std::fs::write(partition.join(name), name).unwrap();
    }
    (data, partition)
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_segment_moves_aside_with_its_indexes_and_never_over_an_older_one() {
    let (_data, partition) = partition();
    let moved = move_aside(&partition.join(SEGMENT)).unwrap();
    assert_eq!(moved, partition.join(format!("{SEGMENT}.quarantined-1")));
    assert_eq!(std::fs::read_to_string(&moved).unwrap(), SEGMENT);
    assert_eq!(
        names(&partition),
        [
            "00000000000000000042.index.quarantined-1",
            "00000000000000000042.log.quarantined-1",
            "00000000000000000042.snapshot",
            "00000000000000000042.timeindex.quarantined-1",
        ]
    );
    std::fs::write(partition.join(SEGMENT), "again").unwrap();
    assert_eq!(
        move_aside(&partition.join(SEGMENT)).unwrap(),
        partition.join(format!("{SEGMENT}.quarantined-2"))
    );
}

#[test]
fn a_running_broker_keeps_its_files() {
    let (data, partition) = partition();
    let lock = data.path().join(LOCK_FILE);
    std::fs::write(&lock, "").unwrap();
    let broker = File::open(&lock).unwrap();
    flock(&broker, FlockOperation::NonBlockingLockExclusive).unwrap();
    let error = DirectoryLock::of_segment(&partition.join(SEGMENT)).unwrap_err();
    assert!(error.to_string().contains("a broker runs"), "{error}");
    drop(broker);
    let held = DirectoryLock::of_segment(&partition.join(SEGMENT)).unwrap();
    // While it is held, no broker can start.
    let starting = File::open(&lock).unwrap();
    assert!(flock(&starting, FlockOperation::NonBlockingLockExclusive).is_err());
    drop(held);
    assert!(flock(&starting, FlockOperation::NonBlockingLockExclusive).is_ok());
}

#[test]
fn a_directory_that_is_no_brokers_needs_no_lock() {
    let (_data, partition) = partition();
    assert!(DirectoryLock::of_segment(&partition.join(SEGMENT)).is_ok());
}
